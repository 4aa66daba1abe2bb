"""Comma-separated values as RFC 4180 and spreadsheets write them: cells in quotes, in which line breaks may stand.

https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from seqcli.data.formats.base import Columns, Reading
from seqcli.data.formats.looking import TableLook, look_at_rows
from seqcli.data.formats.table import Row, Table
from seqcli.errors import UserError, data_error, usage_error
from seqcli.lines import Chunk, Input, OnInvalid

_SEPARATORS = ",;\t|"
_HEAD_LINES = 50


class Csv(Table):
    """``separator`` stands between the cells: by default a comma, semicolon, tab or bar, whichever cuts the first lines
    into equally many cells. A line break inside quotes counts as a space.
    """

    name = "csv"
    suffixes = (".csv",)

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        if reading.separator is not None and len(reading.separator.encode()) != 1:
            raise usage_error(
                f"data.separator: one ASCII character separates the columns of csv, not {reading.separator!r}"
            )
        csv.field_size_limit(reading.max_line)

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        """Prose has commas too: without the suffix only a header tells."""
        rows = _read(lines, separator_of(lines))
        look = look_at_rows(rows)
        return 0.55 if look.has_header and "label" in look.roles and look.rows > 0.9 * len(rows) - 1 else 0.0

    def rows(self, source: Input, on_invalid: OnInvalid | None = None) -> Iterator[Row]:
        lines = self.lines(source, on_invalid)
        head = list(islice(lines, _HEAD_LINES))
        first = head
        if isinstance(source, Chunk) and source.start > 0:
            first = list(islice(self.lines(source.path, "replace"), _HEAD_LINES))
        feed = _Feed(chain(head, lines))
        reader = csv.reader(
            feed, delimiter=self.reading.separator or separator_of([line for _, line in first]), strict=True
        )
        while True:
            feed.begin = 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.report(fault(error, self.reading.max_line), feed.begin)
                continue
            if any(cell.strip() for cell in cells):
                yield feed.begin, [*map(on_one_line, cells)]

    def look(self, lines: list[str]) -> TableLook | None:
        return look_at_rows(_read(lines, self.reading.separator or separator_of(lines)))

    def unsaid(self, look: TableLook, width: int) -> Columns:
        if look.roles:
            return look.roles
        raise data_error(
            f"none of the columns looks like a text: {look.names()}",
            hint=f"Set data.columns, such as {look.columns_line()}.",
        )

    def units(self, path: Path, handle: BinaryIO) -> Iterator[tuple[int, int, int]]:
        """One for each row, found by the parser that reads it, since a row may hold line breaks."""
        head = [line for _, line in islice(self.lines(path, "replace"), _HEAD_LINES)]
        feed = _Raw(handle)
        reader = csv.reader(feed, delimiter=self.reading.separator or separator_of(head), strict=True)
        while True:
            feed.lines = feed.bytes = 0
            try:
                next(reader)
            except StopIteration:
                return
            except csv.Error:
                pass  # whoever reads the row says so
            yield feed.lines, feed.bytes, feed.bytes


def separator_of(lines: list[str]) -> str:
    """The separator that cuts most of the first lines into as many cells as the first, and into the most."""

    def fitness(separator: str) -> tuple[float, int]:
        rows = _read(lines[:_HEAD_LINES], separator)
        width = len(rows[0]) if rows else 1
        return (sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0.0), width

    return max(_SEPARATORS, key=fitness)


def _read(lines: list[str], separator: str) -> list[list[str]]:
    """The rows of a file's first lines; the last of them may be cut off."""
    try:
        return [row for row in csv.reader([f"{line}\n" for line in lines], delimiter=separator) if row]
    except csv.Error:
        return []


class _Feed(Iterator[str]):
    """Hands lines to the parser, and knows at which the row begins."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self.lines = iter(lines)
        self.begin = 0

    def __next__(self) -> str:
        number, line = next(self.lines)
        self.begin = self.begin or number
        return f"{line}\n"


class _Raw(Iterator[str]):
    """Hands the lines of a file to the parser, and counts them and their bytes."""

    def __init__(self, handle: BinaryIO) -> None:
        self.handle = handle
        self.lines = self.bytes = 0
        self.is_first = True

    def __next__(self) -> str:
        raw = self.handle.readline()
        if not raw:
            raise StopIteration
        self.lines += 1
        self.bytes += len(raw)
        text = raw.removeprefix(b"\xef\xbb\xbf") if self.is_first else raw
        self.is_first = False
        return text.decode("latin-1").replace("\r\n", "\n")  # of UTF-8 no byte but ASCII's own looks like ASCII


def on_one_line(cell: str) -> str:
    """What a model reads of a cell that holds line breaks."""
    return " ".join(cell.split("\n")) if "\n" in cell else cell


def fault(error: csv.Error, max_line: int) -> UserError:
    """What is wrong with a row that the parser refuses."""
    message = str(error)
    if "unexpected end" in message:
        return data_error("a quote is opened and never closed", hint='A quote inside quotes is doubled: "".')
    if "field larger" in message:
        return data_error(f"a cell is longer than {max_line:,} bytes: is a quote not closed?")
    if "expected after" in message:
        return data_error("text behind a closing quote", hint='A quote inside quotes is doubled: "".')
    return data_error(f"no row of a csv file: {message}")
