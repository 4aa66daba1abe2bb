"""What every task offers to the pipeline. A task kind is one file beside this one and a line in the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.batch import Batch
from seqcli.data.arrays import Split
from seqcli.data.encode import Pieces
from seqcli.data.order import Lengths
from seqcli.metrics.score import Score
from seqcli.recipe.schema import BatchConfig, Recipe


class Data(Protocol):
    """An encoded split as batches of a task."""

    split: Split
    lengths: Lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The examples of these rows as tensors, targets included; any part of a batch's rows is a batch too."""

    def widths(self, rows: NDArray[np.int64]) -> Lengths:
        """Positions of each sequence in the batch of these rows."""

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch of an epoch, decided by (seed, epoch) alone."""

    def measuring_order(self, tokens: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch when nothing is learned: each example once, ``tokens`` positions a batch."""

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        """``file:line`` of the examples in these rows."""


@dataclass
class Carried:
    """States [B, ...] that the next batch goes on from, without their history; empty where each batch is on its own."""

    states: list[Tensor] = field(default_factory=list)

    def part(self, rows: slice) -> Carried:
        """The states of some of the sequences."""
        return Carried([state[rows] for state in self.states])

    @classmethod
    def joined(cls, parts: Sequence[Carried]) -> Carried:
        """The states of several parts of a batch, one after the other."""
        return cls([torch.cat(states) for states in zip(*(part.states for part in parts), strict=True)])


class Scorer(Protocol):
    """Accumulates what a model makes of batches, and scores it."""

    def add(self, model: nn.Module, batch: Batch) -> None:
        """Run the model over one batch and count."""

    def scores(self) -> dict[str, float]:
        """Everything a recipe can select by, such as ``f1``, ``accuracy``, ``loss``."""

    def score(self) -> Score:
        """The score with its signature and counts."""


class FittedTask(Protocol):
    """A task whose model is not trained by gradients; the rest of it is as a `Task`.

    ``used``: the options of the training section that have an effect.
    """

    used: frozenset[str]

    def fit_weights(self, data: dict[str, Any], progress: Callable[[int, int], None]) -> dict[str, Tensor]:
        """The model of the training split as named tensors; ``progress(done, total)`` for a bar."""

    def model_of(self, weights: dict[str, Tensor]) -> Any:
        """The model of such tensors, which may come from a file.

        Raises:
            UserError: they are no such model (65).
        """


class Task(Protocol):
    """One kind of task, fitted to data: from examples to batches, to a loss, to output."""

    recipe: Recipe
    select_by: str

    def pieces(self) -> Pieces:
        """Turns an example into fields to encode."""

    def fit(self, train: Split) -> None:
        """Learn vocabularies and labels from the training split."""

    def save(self, folder: Path) -> list[str]:
        """Write what `fit` learned; returns the names of the files."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""

    def build_model(self) -> nn.Module:
        """A new model, initialised by torch's current seed."""

    def empty_model(self) -> nn.Module:
        """A model whose weights are about to be loaded."""

    def data(self, split: Split) -> Data:
        """A split as batches."""

    def loss(self, model: nn.Module, batch: Batch, carried: Carried | None = None) -> tuple[Tensor, float]:
        """``(loss summed over the targets in nats, number of targets)``; of weighted targets the sum of the weights.

        ``carried``: what the model remembers from the batch before, for tasks whose batches go on from each other.
        """

    def scorer(self, data: Data) -> Scorer:
        """A fresh scorer for a split."""

    def baselines(self, data: dict[str, Any], measured: dict[str, Any]) -> list[dict[str, Any]]:
        """What a report compares with, ready for JSON: ``model`` and the score of each split in ``measured``."""

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """Encoded examples turned back into readable lines, as a check of the encoding."""

    def summary(self) -> dict[str, Any]:
        """Sizes worth showing: words, labels."""
