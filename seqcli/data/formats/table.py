"""Tables: rows of cells, some of which are the source and the target of an example."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from seqcli.data.example import Example
from seqcli.data.formats.base import SOURCES, TARGETS, Columns, Format, Reading, same_length
from seqcli.data.formats.looking import LOOK_ROWS, TableLook, look_at_rows
from seqcli.errors import UserError, data_error, did_you_mean
from seqcli.lines import Chunk, Input, OnInvalid

Row = tuple[int, list[str]]
"""The number of a row's first line, and its cells."""


class Table(Format):
    """The key of a column says what it holds: ``source`` and ``target`` are text as it stands; ``token`` and ``tag``
    are lists, separated by spaces.

    A column is a number (from 0, negative from the end) or a name; one name makes the first row of the file a header.
    Where nobody says the columns, the first rows of the file do (`seqcli.data.formats.looking`).
    """

    needs_source = True
    separated, between = "", "commas"
    """How the cells are told apart, for messages."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.width = 0
        self.places: dict[str, int] = {}

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        return role

    @abstractmethod
    def rows(self, source: Input, on_invalid: OnInvalid | None = None) -> Iterator[Row]:
        """Yield the rows of a file; blank lines are none."""

    @abstractmethod
    def unsaid(self, look: TableLook, width: int) -> Columns:
        """The columns of a table of this width where nobody says them.

        Raises:
            UserError: they cannot be told (65).
        """

    def _first_rows(self, source: Input) -> list[Row]:
        error, self.on_error = self.on_error, lambda error: None
        try:
            return list(islice(self.rows(source, "replace"), LOOK_ROWS))
        finally:
            self.on_error = error

    def examples(self, source: Input) -> Iterator[Example]:
        rows = self.rows(source)
        is_later = isinstance(source, Chunk) and source.start > 0
        needed = 1 if self.columns else LOOK_ROWS
        if isinstance(source, Chunk) and is_later:
            first = self._first_rows(source.path)[:needed]
        else:
            first = list(islice(rows, needed))
            rows = chain(first, rows)
        if not first:
            return
        if self._head(first) and not is_later:
            next(rows)
        for number, cells in rows:
            try:
                value, target = self._parse(cells)
            except UserError as error:
                self.report(error, number)
                continue
            yield Example(value, target, f"{self.file}:{number}")

    def _head(self, first: list[Row]) -> bool:
        """Learn from the first rows where the columns stand; whether the very first is a header, no example."""
        number, cells = first[0]
        self.width = len(cells)
        columns = self.columns
        if not columns:
            look = look_at_rows([row for _, row in first])
            try:
                columns = self.check_columns(self.unsaid(look, self.width))
            except UserError as error:
                error.file, error.line = self.file, number
                raise
        self.places = {key: self._place(key, column, cells, number) for key, column in columns.items()}
        return any(isinstance(column, str) for column in columns.values())

    def check_width(self, cells: list[str]) -> None:
        """Raises UserError (65): a row of more or fewer cells than the first."""
        if len(cells) != self.width:
            columns = f"{self.separated}column{'' if len(cells) == 1 else 's'}"
            raise data_error(f"{len(cells)} {columns} where the file's first line has {self.width}")

    def _parse(self, cells: list[str]) -> tuple[Any, Any]:
        self.check_width(cells)
        source, target = self._value(cells, SOURCES), self._value(cells, TARGETS)
        same_length(source, target)
        return source, target

    def _value(self, cells: list[str], keys: tuple[str, str]) -> str | list[str] | None:
        text, items = keys
        if text in self.places:
            return cells[self.places[text]]
        if items in self.places:
            return [item for item in cells[self.places[items]].split(" ") if item]
        return None

    def _place(self, key: str, column: int | str, cells: list[str], line: int) -> int:
        if isinstance(column, int):
            if -len(cells) <= column < len(cells):
                return column
            raise data_error(
                f"there is no column {column} for the {key}; the line has {len(cells)} ({self.between} between them)",
                file=self.file,
                line=line,
                hint="Columns count from 0; set data.columns.",
            )
        try:
            return place_of(column, cells)
        except UserError as error:
            error.file, error.line = self.file, line
            raise


def place_of(name: str, header: list[str]) -> int:
    """The number of the column of this name.

    Raises:
        UserError: there is none, or more than one (65).
    """
    if header.count(name) == 1:
        return header.index(name)
    if name in header:
        hint = "Rename one, or say the numbers of the columns and take the header out."
        raise data_error(f"the header has two columns '{name}'", hint=hint)
    hint = did_you_mean(name, header) or f"The header has: {', '.join(header)[:200]}."
    raise data_error(f"the header has no column '{name}'", hint=hint)
