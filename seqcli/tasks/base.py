"""What every task offers to the pipeline. A task kind is one file beside this one and a line in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.arrays import Split
from seqcli.batching.batch import Batch
from seqcli.batching.encode import Pieces
from seqcli.batching.order import Lengths
from seqcli.metrics.score import Score
from seqcli.recipe.schema import Recipe


class Data(Protocol):
    """An encoded split as batches of a task."""

    split: Split
    lengths: Lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The examples of these rows as tensors, targets included."""


class Scorer(Protocol):
    """Accumulates what a model makes of batches, and scores it."""

    def add(self, model: nn.Module, batch: Batch) -> None:
        """Run the model over one batch and count."""

    def scores(self) -> dict[str, float]:
        """Everything a recipe can select by, such as ``f1``, ``accuracy``, ``loss``."""

    def score(self) -> Score:
        """The score with its signature and counts."""


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

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """``(loss summed over the targets in nats, number of targets)``."""

    def scorer(self, data: Data) -> Scorer:
        """A fresh scorer for a split."""

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """Encoded examples turned back into readable lines, as a check of the encoding."""

    def summary(self) -> dict[str, Any]:
        """Sizes worth showing: words, labels."""
