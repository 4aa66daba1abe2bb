"""What every field offers to tasks: reading, fitting to the training split, and THE way to numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import InputSizes, Ints, Side

if TYPE_CHECKING:
    from seqcli.fields.media import MediaReader

Raw = Any
"""A value as it was read: tokens, tags or labels (lists of strings), or frames [T, channels]."""

Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, how much is done, how much there is or None)."""


class FieldView(Protocol):
    """A column of a split through the eyes of a field."""

    def side(self, rows: NDArray[np.int64]) -> Side:
        """The examples in these rows, padded."""


class Field(ABC):
    """One side of an example; picklable, since workers read with it.

    Attributes:
        unit: what its positions are, for messages.
        start: the field of a trained model that training starts from: `fit` adds to what that one knows.
    """

    unit: str
    start: Self | None = None

    def prepare(  # noqa: B027 (most fields have nothing to prepare)
        self, values: Callable[[], Iterable[tuple[Any, str]]], key: str, progress: Progress | None
    ) -> None:
        """Learn what must be known before anything is read: a subword model. ``key`` tells the training data."""

    def notes(self) -> list[str]:
        """What it could not do as the recipe says, and did otherwise."""
        return []

    @abstractmethod
    def read(self, value: Any, at: str) -> Raw:
        """A raw value as tokens, labels or numbers.

        Raises:
            UserError: it is none that this field takes (65), naming ``at``.
        """

    @abstractmethod
    def fit(self, column: Column, files: Sequence[str]) -> None:
        """Learn vocabulary, labels or scaling of the training split, which came from ``files``."""

    def start_from(self, trained: Self) -> None:
        """Let `fit` start from the field of a trained model.

        Raises:
            UserError: the two do not read alike (2).
        """
        self.start = trained

    def known_rows(self) -> dict[str, Ints]:
        """For tables of `tables`: the row that each entry has in `start`, -1 for one that is new."""
        return {}

    @abstractmethod
    def over(self, column: Column, files: Sequence[str]) -> FieldView:
        """A column as numbers, by the same rules as `side`."""

    @abstractmethod
    def key(self) -> list[Any]:
        """Everything that decides what `read` makes of a value: part of the name of the cached columns."""

    @abstractmethod
    def save(self, folder: Path) -> list[str]:
        """Write what `fit` learned; returns the names of the files."""

    @abstractmethod
    def load(self, folder: Path) -> None: ...

    @abstractmethod
    def tables(self) -> dict[str, int]:
        """How many words, characters, channels or labels a network must know: what a graph is checked against."""

    @abstractmethod
    def summary(self) -> dict[str, int]:
        """Sizes worth showing."""


def rows_in(entries: Sequence[str], others: Sequence[str]) -> Ints:
    """The row of each entry among others, -1 for one that is not among them."""
    row_of = {entry: row for row, entry in enumerate(others)}
    return np.array([row_of.get(entry, -1) for entry in entries], np.int64)


class SourceField(Field):
    """A field that goes into a model.

    Attributes:
        flat: for a model that wants all positions joined, not padded.
        media: makes numbers of media files, where it may read such.
    """

    flat: bool
    media: MediaReader | None = None

    @abstractmethod
    def side(self, raws: Sequence[Raw]) -> Side:
        """Several values that `read` gave, for a prediction."""

    @abstractmethod
    def sizes(self) -> InputSizes:
        """What an embedder must know."""

    @abstractmethod
    def readable(self, column: Column, row: int, *, as_seen: bool = False) -> str:
        """An example in words; with ``as_seen`` as the model sees it."""
