"""The batches of a classification task. Shapes: B examples of a batch, K labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.batching.batch import Batch
from seqcli.data.arrays import Split
from seqcli.data.order import ByLength

if TYPE_CHECKING:
    from seqcli.tasks.class_base import ClassificationBase


class ClassificationData(ByLength):
    """A split as batches. ``unseen``: labels that training lacks; each of them is an honest miss when measuring."""

    def __init__(self, task: ClassificationBase, split: Split) -> None:
        self.task, self.split = task, split
        self.inputs = task.source.inputs(split)
        self.values = split.fields[task.source.field]
        self.lengths = self.values.lengths
        self.label_field = split.fields["label"]
        ids = {label: number for number, label in enumerate(task.labels)}
        self.unseen = [label for label in self.label_field.symbols if label not in ids]
        self._label_of = np.array([ids.get(label, -1) for label in self.label_field.symbols], np.int64)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Inputs and targets of these rows: label ids [B], or 0 and 1 [B, K]."""
        inputs, lengths = self.inputs.inputs(rows)
        gold = self.gold_ids(rows)
        targets = torch.from_numpy(gold.astype(np.float32) if self.task.several else gold)
        return Batch(inputs, torch.from_numpy(lengths), targets, rows)

    def gold_ids(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Label ids [B] (-1: one the model does not know), or for several labels booleans [B, K]."""
        found = self._label_of[self.label_field.gather(rows)]
        if not self.task.several:
            return found
        table = np.zeros((len(rows), len(self.task.labels) + 1), bool)  # what it does not know falls into the last one
        table[np.repeat(np.arange(len(rows)), self.label_field.lengths_of(rows)), found] = True
        return table[:, :-1]

    @property
    def size(self) -> int:
        """Numbers that the split holds beside its labels: tokens, or values in frames."""
        values = self.values.values
        return len(values) * int(np.prod(np.asarray(values[:1]).shape[1:]))

    def unknown_labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many labels of each example the model does not know [B]."""
        return self.label_field.lengths_of(rows) - self.gold_ids(rows).sum(1)

    def gold(self, row: int) -> list[str]:
        """The labels of one example."""
        return [self.label_field.symbols[label] for label in self.label_field.sequence(row)]

    def all_values(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """``(word ids or frames of all examples joined, offsets)``."""
        return self.ids_of(np.asarray(self.values.values[:])), np.asarray(self.values.offsets[:])

    def some_values(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The same of some examples."""
        lengths = self.values.lengths_of(rows)
        return self.ids_of(self.values.gather(rows)), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def ids_of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Word ids of a text's symbols; frames as they are."""
        arrays = getattr(self.inputs, "arrays", None)
        return values if arrays is None else arrays.words[values]
