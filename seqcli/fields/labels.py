"""Labels: one for the whole sequence, or any number of them. Shapes: B sequences, K labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import Ints, LabelSpace, Side
from seqcli.errors import data_error
from seqcli.fields.base import Field, rows_in
from seqcli.files import atomic_write_text
from seqcli.lines import read_lines
from seqcli.recipe.fields import LabelFieldConfig

LABELS_FILE = "labels.txt"


class NumberedField(Field):
    """A field that numbers the labels of the training split; ``labels.txt`` holds them, one a line."""

    labels: list[str]

    def tables(self) -> dict[str, int]:
        return {"labels": len(self.labels)}

    def known_rows(self) -> dict[str, Ints]:
        return {} if self.start is None else {"labels": rows_in(self.labels, self.start.labels)}

    def save(self, folder: Path) -> list[str]:
        atomic_write_text(folder / LABELS_FILE, "".join(f"{label}\n" for label in self.labels))
        return [LABELS_FILE]

    def load(self, folder: Path) -> None:
        self.labels = [line for _, line in read_lines(folder / LABELS_FILE)]

    def summary(self) -> dict[str, int]:
        return {"labels": len(self.labels)}


class NumberedView:
    """The labels of a split. ``unseen``: those that training lacks; each of them is an honest miss when measuring."""

    def __init__(self, labels: Sequence[str], column: Column) -> None:
        self.column = column
        ids = {label: number for number, label in enumerate(labels)}
        self.unseen = [label for label in column.symbols if label not in ids]
        self._label_of = np.array([ids.get(label, -1) for label in column.symbols], np.int64)

    def ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the labels in these rows, joined; -1 for a label that the model does not know."""
        return self._label_of[self.column.gather(rows)]

    def gold(self, row: int) -> list[str]:
        """The labels of one example."""
        return [self.column.symbols[label] for label in self.column.sequence(row)]


class LabelField(NumberedField):
    """Labels by number, the most frequent first; grades of a scale in their order.

    Attributes:
        multilabel: whether an example may have several labels, or none.
        counts: how often each label was seen in training, in the order of `labels`.
    """

    unit = "labels"

    def __init__(self, config: LabelFieldConfig) -> None:
        self.config = config
        self.multilabel = config.separator is not None
        self.labels: list[str] = []
        self.counts: list[int] = []

    def read(self, value: Any, at: str) -> list[str]:
        """The labels of an example: one, or with a separator any number of different ones.

        Raises:
            UserError: no label, or an empty one (65).
        """
        if value is None:
            raise data_error("no label", file=at, hint="Check data.format and data.columns.")
        if self.config.separator is not None:
            parts = value if isinstance(value, list) else value.split(self.config.separator)
            return list(dict.fromkeys(_on_one_line(part.strip(), at) for part in parts if part.strip()))
        if not isinstance(value, str):
            raise data_error(
                "one label is expected, and here is a list",
                file=at,
                hint="Set target.separator where an example may have several.",
            )
        if not value.strip():
            raise data_error("the label is empty", file=at)
        return [_on_one_line(value.strip(), at)]

    def fit(self, column: Column, files: Sequence[str]) -> None:
        """Raises UserError (65): fewer than two labels, or grades that are no numbers."""
        counts = dict(zip(column.symbols, column.counts.tolist(), strict=True))
        # most frequent first, so that the ids do not depend on the order of the file
        self.labels = sorted(counts, key=lambda label: (-counts[label], label))
        if self.config.ordinal:
            self.labels.sort(key=lambda label: _grade(label, files))
        if len(counts) < 2 and not (self.multilabel and counts):
            there_are = f"one label only, '{self.labels[0]}'" if counts else "no labels"
            raise data_error(
                f"the training data has {there_are}: there is nothing to tell apart", file=", ".join(files)
            )
        self.counts = [counts[label] for label in self.labels]

    def over(self, column: Column, files: Sequence[str]) -> LabelView:
        return LabelView(self, column)

    def join(self, labels: Sequence[str]) -> str:
        """Labels of an example as one text; nothing where it has none."""
        return (self.config.separator or " ").join(labels)

    def space(self) -> LabelSpace:
        return LabelSpace(len(self.labels))

    def key(self) -> list[Any]:
        return ["labels", self.config.separator]


class LabelView(NumberedView):
    def __init__(self, field: LabelField, column: Column) -> None:
        super().__init__(field.labels, column)
        self.field = field

    def side(self, rows: NDArray[np.int64]) -> Side:
        """``ids_B`` (-1: a label the model does not know), or for several labels 0 and 1 in ``labels_BK``."""
        ids = self.ids(rows)
        lengths_B = self.column.lengths_of(rows)
        if not self.field.multilabel:
            return Side({"ids_B": ids}, lengths_B)
        table = np.zeros((len(rows), len(self.field.labels) + 1), np.float32)
        table[np.repeat(np.arange(len(rows)), lengths_B), ids] = 1  # what it does not know falls into the last one
        return Side({"labels_BK": table[:, :-1]}, lengths_B)


def _grade(label: str, files: Sequence[str]) -> float:
    try:
        grade = float(label)
    except ValueError:
        grade = math.nan
    if not math.isfinite(grade):
        raise data_error(
            f"target.ordinal: the label '{label}' is no number, so it has no place on a scale",
            file=", ".join(files),
            hint="Set ordinal: false, or give grades such as 1 to 5.",
        )
    return grade


def _on_one_line(label: str, at: str) -> str:
    """Refuse what a file of labels, or a line of predictions, could not hold; JSON can bring it."""
    if any(character in label for character in "\n\r\t"):
        raise data_error("a label holds a tab or a line break", file=at)
    return label
