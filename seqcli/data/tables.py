"""Tables whose rows stay as they are while something is added to each: CSV, TSV, JSON lines, CoNLL, CoNLL-U.

Rows come as soon as they are there, and all those before a bad one come before its error.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from seqcli.data.formats.base import Reading
from seqcli.data.formats.conll import Conll
from seqcli.data.formats.conllu import ConllU
from seqcli.data.formats.csv import Csv, fault, on_one_line, separator_of
from seqcli.data.formats.jsonl import parse_record, value_of
from seqcli.data.formats.table import place_of
from seqcli.data.formats.tsv import Tsv
from seqcli.errors import UserError, data_error, usage_error
from seqcli.lines import DEFAULT_MAX_LINE, Input, OnInvalid, read_blocks, source_name

Item = str | list[str]
"""What is to be predicted: a text or tokens."""

R = TypeVar("R")

Values = Sequence[Any]
"""What is added to a row, one for each name: cells, JSON values, or in CoNLL a cell for each token."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a table: the items to predict, and what writes the rows with the values for each item added."""

    items: list[Item]
    write: Callable[[Sequence[Values]], str]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """``column`` holds what is to be predicted: a number (from 0) or a name; ``added`` are the names of new columns."""

    column: int | str | None
    added: Sequence[str]
    on_invalid: OnInvalid = "strict"
    max_line: int = DEFAULT_MAX_LINE


class Table(ABC, Generic[R]):
    """One table of rows R, read once.

    Attributes:
        notice: what is odd about it, once its first row has been read.
    """

    notice = ""

    def __init__(self, source: Input, options: TableOptions) -> None:
        self.file, self.options = source_name(source), options
        self.lines = _Lines(read_blocks(source, on_invalid=options.on_invalid, max_line=options.max_line))

    @abstractmethod
    def records(self) -> Iterator[tuple[Item | None, R]]:
        """Yield what is to be predicted of each row, None where nothing is, and the row.

        Raises:
            UserError: a row that is none, or has no such column (65).
        """

    @abstractmethod
    def text(self, row: R, values: Values | None) -> str:
        """A row as it is written, with line ends and the values added; None: nothing was predicted of it."""

    def rows(self) -> Iterator[Rows]:
        """Yield the rows that are there now.

        Raises:
            UserError: bad data (65, with file and line), an unreadable file (74).
        """
        some: list[tuple[Item | None, R]] = []
        try:
            for record in self.records():
                some.append(record)
                if not self.lines.ready:
                    yield self._rows(some)
                    some = []
        except UserError as error:
            if some:
                yield self._rows(some)
            if error.file is None:
                error.file, error.line = self.file, error.line or self.lines.number
            raise
        if some:
            yield self._rows(some)

    def _rows(self, records: Sequence[tuple[Item | None, R]]) -> Rows:
        def write(values: Sequence[Values]) -> str:
            left = iter(values)
            return "".join([self.text(row, None if item is None else next(left)) for item, row in records])

        return Rows([item for item, _ in records if item is not None], write)


class _Lines(Iterator[str]):
    """Lines with their line feeds; ``ready`` are those that are there already, ``number`` is that of the last one."""

    def __init__(self, blocks: Iterator[tuple[int, list[str]]]) -> None:
        self.blocks = blocks
        self.ready: deque[str] = deque()
        self.number = 0

    def __next__(self) -> str:
        if not self.peek():
            raise StopIteration
        self.number += 1
        return f"{self.ready.popleft()}\n"

    def peek(self) -> Sequence[str]:
        """The lines that come next, without their line feeds: those that are there; none at the end."""
        while not self.ready and (block := next(self.blocks, None)):
            self.ready.extend(block[1])
        return self.ready


class CellTable(Table[list[str]]):
    """A table of cells, of which a column's name makes the first row a header."""

    format: ClassVar[type[Csv] | type[Tsv]]

    @abstractmethod
    def cells(self) -> Iterator[list[str]]:
        """Yield the cells of each row, none for a blank line."""

    @abstractmethod
    def line(self, cells: Sequence[str]) -> str:
        """A row as text, with its line end."""

    def text(self, row: list[str], values: Values | None) -> str:
        return self.line([*row, *(values or ())]) if row else "\n"

    def records(self) -> Iterator[tuple[Item | None, list[str]]]:
        width = place = 0
        if isinstance(column := self.options.column, int):
            look = self.format(Reading(self.format.name)).look([*self.lines.peek()])
            if look is not None and look.has_header and -len(look.columns) <= column < len(look.columns):
                self.notice = (
                    f"{self.file}: the first row looks like a header, and was predicted as the others were: "
                    f"--column '{look.columns[column].name}' makes it one"
                )
        for cells in self.cells():
            if not cells:
                yield None, []
            elif not width:
                width, place = len(cells), self._place(cells)
                has_header = isinstance(self.options.column, str)
                yield (None, [*cells, *self.options.added]) if has_header else (on_one_line(cells[place]), cells)
            elif len(cells) != width:
                raise data_error(f"{_columns(len(cells))} where the first row has {width}")
            else:
                yield on_one_line(cells[place]), cells

    def _place(self, cells: list[str]) -> int:
        column = self.options.column
        if isinstance(column, int):
            if -len(cells) <= column < len(cells):
                return column
            raise data_error(
                f"there is no column {column}; the row has {_columns(len(cells))}", hint="Columns count from 0."
            )
        if clash := [name for name in self.options.added if name in cells]:
            raise _clash("the header", clash[0])
        return place_of(str(column), cells)


class CsvTable(CellTable):
    """The separator is what cuts the first lines best; a quoted cell may hold line breaks."""

    format = Csv
    separator = ","

    def cells(self) -> Iterator[list[str]]:
        csv.field_size_limit(self.options.max_line)
        self.separator = separator_of([*self.lines.peek()])
        reader = csv.reader(self.lines, delimiter=self.separator, strict=True)
        while True:
            begin = self.lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                found = fault(error, self.options.max_line)
                found.line = begin
                raise found from error
            yield cells

    def line(self, cells: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="\n").writerow(cells)
        return text.getvalue()


class TsvTable(CellTable):
    """Tab-separated values; quotes are plain characters."""

    format = Tsv

    def cells(self) -> Iterator[list[str]]:
        return (line[:-1].split("\t") if line != "\n" else [] for line in self.lines)

    def line(self, cells: Sequence[str]) -> str:
        return "\t".join(cells) + "\n"


class JsonTable(Table[str]):
    """An object a line; what is added goes to its end, and all before stays as it is written."""

    def records(self) -> Iterator[tuple[Item | None, str]]:
        for line in self.lines:
            if not line.strip(" \t\n"):
                yield None, line
                continue
            record = parse_record(line)
            if clash := [name for name in self.options.added if name in record]:
                raise _clash("the object", clash[0])
            yield value_of(record, str(self.options.column)), line

    def text(self, row: str, values: Values | None) -> str:
        if values is None:
            return row
        new = json.dumps(dict(zip(self.options.added, values, strict=True)), ensure_ascii=False)
        return f"{row.rstrip()[:-1].rstrip()}, {new[1:]}\n"


Sentence = tuple[list[str], list[int]]
"""Lines, and which of them are tokens."""


class TokenTable(Table[Sentence]):
    """A token a line, a blank line after each sentence; what is added are columns behind the others."""

    format: ClassVar[type[Conll] | type[ConllU]]

    def __init__(self, source: Input, options: TableOptions) -> None:
        super().__init__(source, options)
        columns = None if options.column is None else {"token": options.column}
        self.reader = self.format(Reading(self.format.name, columns))
        self.reader.file = self.file

    def records(self) -> Iterator[tuple[Item | None, Sentence]]:
        rows: list[str] = []
        begin = 0
        for line in self.lines:
            if line.strip(" \t\n"):
                begin = begin if rows else self.lines.number
                rows.append(line[:-1])
                continue
            if rows:
                yield self._sentence(rows, begin)
                rows = []
            yield None, ([line[:-1]], [])
        if rows:
            yield self._sentence(rows, begin)

    def _sentence(self, rows: list[str], begin: int) -> tuple[Item | None, Sentence]:
        tokens = self.reader.tokens(rows, begin)
        return [token for _, token in tokens] or None, (rows, [place for place, _ in tokens])

    def text(self, row: Sentence, values: Values | None) -> str:
        lines, places = row
        cells = dict(zip(places, zip(*values or (), strict=True), strict=True))
        return "".join(self.line(line, cells.get(place)) + "\n" for place, line in enumerate(lines))

    def line(self, line: str, cells: Sequence[str] | None) -> str:
        """A line with the cells of its token added; None: it is no token."""
        separator = " " if " " in line and "\t" not in line else "\t"
        return line if cells is None else separator.join([line, *cells])


class ConllTable(TokenTable):
    format = Conll

    def __init__(self, source: Input, options: TableOptions) -> None:
        if isinstance(options.column, str):
            raise usage_error(f"--column {options.column}: the columns of CoNLL have numbers, from 0")
        super().__init__(source, options)


class ConllUTable(TokenTable):
    """The added columns follow the ten, as CoNLL-U Plus has them; lines that are no word have ``_`` there."""

    format = ConllU

    def line(self, line: str, cells: Sequence[str] | None) -> str:
        if cells is None and line.strip() and not line.startswith("#"):
            cells = ["_"] * len(self.options.added)
        return super().line(line, cells)


TABLES: dict[str, type[Table[Any]]] = {
    "csv": CsvTable,
    "tsv": TsvTable,
    "jsonl": JsonTable,
    "conll": ConllTable,
    "conllu": ConllUTable,
}
"""By the name of the format."""


def _clash(where: str, name: str) -> UserError:
    return data_error(f"{where} has '{name}' already", hint="Call the new one otherwise: --into NAME.")


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
