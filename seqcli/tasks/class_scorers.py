"""Counting what a classifier says of a split. Shapes: B examples of a batch, K labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from seqcli.batching.batch import Batch
from seqcli.metrics.classes import MultilabelScorer
from seqcli.metrics.score import Score

if TYPE_CHECKING:
    from seqcli.tasks.class_base import ClassificationBase
    from seqcli.tasks.class_data import ClassificationData


class _Scorer(ABC):
    """Counts what a model says; ``right`` [examples of the split] tells which it has right throughout."""

    def __init__(self, task: ClassificationBase, data: ClassificationData) -> None:
        self.task, self.data = task, data
        self.counted = task.new_scorer()
        self.right = np.zeros(len(data.split), bool)
        self.threshold = getattr(task.recipe.model.head, "threshold", 0.5)

    @abstractmethod
    def log_probs(self, model: Any, batch: Batch) -> NDArray[np.float32]:
        """Log-probabilities [B, K] of a batch."""

    def add(self, model: Any, batch: Batch) -> None:
        """Run the model over one batch and count."""
        assert batch.rows is not None
        self.count(batch.rows, self.log_probs(model, batch))

    def count(self, rows: NDArray[np.int64], log_probs_BK: NDArray[np.floating[Any]]) -> None:
        """Count the examples of these rows."""
        probs = np.exp(log_probs_BK.astype(np.float64))
        gold = self.data.gold_ids(rows)
        if isinstance(self.counted, MultilabelScorer):
            unknown = self.data.unknown_labels(rows)
            self.counted.add(gold, probs, self.threshold, unknown)
            self.right[rows] = ((probs >= self.threshold) == gold).all(1) & (unknown == 0)
        else:
            self.counted.add(gold, probs, [self.data.gold(int(row))[0] for row in rows[gold < 0]])
            self.right[rows] = probs.argmax(1) == gold

    def given(self, probs_K: NDArray[np.floating[Any]]) -> tuple[list[str], float]:
        """``(labels given, confidence)`` of one example; of several labels the least sure decision counts."""
        if self.task.several:
            chosen = probs_K >= self.threshold
            names = [label for label, wanted in zip(self.task.labels, chosen, strict=True) if wanted]
            return names, float(np.where(chosen, probs_K, 1 - probs_K).min())
        return [self.task.labels[int(probs_K.argmax())]], float(probs_K.max())

    def scores(self) -> dict[str, float]:
        """Everything a recipe can select by."""
        return self.counted.scores()

    def score(self) -> Score:
        """The score a report shows."""
        return self.counted.score()


class NetworkScorer(_Scorer):
    """Runs a network over batches."""

    def log_probs(self, model: nn.Module, batch: Batch) -> NDArray[np.float32]:
        """Log-probabilities [B, K]."""
        log_probs_BK = model.head.sequence_log_probs(model(batch.inputs, batch.lengths_B))  # type: ignore[operator, union-attr]
        return cast("NDArray[np.float32]", log_probs_BK.cpu().numpy())


class FittedScorer(_Scorer):
    """Runs a baseline over a split."""

    def log_probs(self, model: Any, batch: Batch) -> NDArray[np.float32]:
        """Log-probabilities [B, K]."""
        assert batch.rows is not None
        return cast("NDArray[np.float32]", model.log_probs(*self.data.some_values(batch.rows)))

    def add_all(self, model: Any) -> None:
        """Run the model over the whole split and count."""
        size = len(self.data.split)
        for start in range(0, size, 2**14):
            rows = np.arange(start, min(start + 2**14, size))
            self.count(rows, model.log_probs(*self.data.some_values(rows)))
