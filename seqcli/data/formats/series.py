"""Series: a table with a row for each step in time (``series``), or a line for each series (``series-rows``)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from seqcli.data.braces import is_parallel, parallel_files
from seqcli.data.example import Example
from seqcli.data.formats.base import Columns, Format, Reading
from seqcli.data.formats.csv import separator_of
from seqcli.data.formats.looking import LOOK_ROWS, ColumnLook, TableLook
from seqcli.errors import UserError, did_you_mean, usage_error
from seqcli.files import sha256_file
from seqcli.lines import Chunk, Input

if TYPE_CHECKING:
    from seqcli.data.series_layout import Layout


class _Series(Format):
    has_series = True

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        if reading.separator is not None and len(reading.separator.encode()) != 1:
            what = f"one ASCII character separates the columns of series, not {reading.separator!r}"
            raise usage_error(f"data.separator: {what}")

    @classmethod
    def check_columns(cls, columns: Columns | None) -> dict[str, int | str]:
        for key in columns or {}:
            if key not in cls.roles:
                hint = did_you_mean(key, cls.roles) or f"Known: {', '.join(cls.roles)}."
                raise usage_error(f"data.columns: unknown column '{key}'", hint=hint)
        return dict(columns or {})

    @staticmethod
    def files(source: Input) -> list[Input]:
        """The files that continue each other: one, or those that the braces of a path name."""
        path = source.path if isinstance(source, Chunk) else source
        return [*parallel_files(str(path))] if path is not None and is_parallel(str(path)) else [source]

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        return ((1, Path(file)) for file in self.text_files(path)) if is_parallel(str(path)) else iter(())

    def text_files(self, path: Path) -> list[Path]:
        return [Path(str(file)) for file in self.files(path)]

    def fingerprint(self, path: Path) -> str:
        hashes = [sha256_file(file) for file in self.text_files(path)]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


@dataclass(frozen=True)
class SeriesLook(TableLook):
    """What the first rows show of a table of series."""

    layout: Layout | None = None

    def describe(self) -> str:
        if self.layout is None:
            return ""
        names = self.layout.names
        left = ", ".join(f"'{names[place]}'" for place in self.layout.left_out)
        values = ", ".join(f"'{name}'" for name in self.layout.columns)
        parts = (super().describe(), f"values: {values}", f"left out: {left}" if left else "")
        return ", ".join(part for part in parts if part)


class SeriesTable(_Series):
    """CSV or TSV: a column of times, and a column for each value; or rows of several series, which a column names.

    ``columns``: ``id``, ``time`` (``Date+Time`` where it stands in several), ``value`` (default: all that hold numbers)
    and, where each row is one value of one of several variables, ``variable``. What nobody says the header and the first
    rows do. Columns of text are left out.
    """

    name = "series"
    ends = "file"
    roles: ClassVar[tuple[str, ...]] = ("id", "time", "value", "variable")

    def examples(self, source: Input) -> Iterator[Example]:
        from seqcli.data.series_files import SeriesFile

        for series, at in SeriesFile(self.files(source), self.reading, self.report).series():
            yield Example(series, None, at)

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        """A table of numbers beside a column of times; without times one of numbers may be anything."""
        layout = _layout(lines, None, {})
        if layout is None or not layout.time or len(layout.values) + len(layout.time) < len(layout.left_out) + 2:
            return 0.0
        return 0.9

    def look(self, lines: list[str]) -> TableLook | None:
        layout = _layout(lines, self.reading.separator, self.columns)
        if layout is None:
            return None
        columns = tuple(ColumnLook(name, "other", 0, 0.0, 0.0) for name in layout.names)
        return SeriesLook(layout.has_header, columns, layout.roles(), len(lines), layout=layout)


def _layout(lines: list[str], separator: str | None, said: Columns) -> Layout | None:
    """The layout that a file's first lines show; None where they are no table of series."""
    lines = [line for line in lines if line.strip()][: LOOK_ROWS + 1]
    if not lines or not any(character.isdigit() for line in lines[1:3] for character in line):
        return None
    separator = separator or separator_of(lines)
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return None
    if len(rows[0]) < 2 and len(rows) < 2:
        return None
    from seqcli.data.series_layout import find_layout

    try:
        return find_layout(rows, separator, said)
    except UserError:
        return None


def _is_number(cell: str) -> bool:
    try:
        return float(cell) == float(cell)
    except ValueError:
        return False


class SeriesRows(_Series):
    """A line a series, as CSV or TSV: its id and then its values, without times; empty cells at the end are none.

    A first line whose values are no numbers is a header.
    """

    name = "series-rows"
    roles: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        """Lines of numbers behind a name that no other line has."""
        lines = [line for line in lines if line.strip()][:LOOK_ROWS]
        if not lines:
            return 0.0
        separator = separator_of(lines[:1])
        try:
            rows = [[cell for cell in row if cell.strip()] for row in csv.reader(lines, delimiter=separator)]
        except csv.Error:
            return 0.0
        rows = rows[1:] if len(rows) > 1 and not any(map(_is_number, rows[0][1:])) else rows
        names = [row[0] for row in rows if row]
        fits = all(len(row) > 2 and not _is_number(row[0]) and all(map(_is_number, row[1:])) for row in rows)
        return 0.9 if fits and len({*names}) == len(names) else 0.0

    def examples(self, source: Input) -> Iterator[Example]:
        from seqcli.data.series_files import series_rows

        first, *others = self.files(source)
        for series, at in series_rows(first, others, self.reading, self.report):
            yield Example(series, None, at)
