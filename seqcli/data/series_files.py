"""Reading tables of series. Shapes: N rows of a table, T steps of a series, C columns of values.

Rows of several series may stand in any order: they go to a temporary file as numbers, and each series is put together
from there, so that memory holds a few bytes a row and no text.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.formats.base import Reading
from seqcli.data.formats.csv import fault, separator_of
from seqcli.data.frequency import Frequency
from seqcli.data.series import Series
from seqcli.data.series_layout import Layout, find_layout, has_decimal_comma, is_missing, is_number, time_cells
from seqcli.data.times import TimeColumn, Times
from seqcli.errors import UserError, data_error, plural, usage_error
from seqcli.lines import Chunk, Input, read_blocks, source_name

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOOK_ROWS = 200
_BLOCK_ROWS = 8192
_KEPT_BYTES = 2**25
"""Rows that stay in memory before they go to a file."""

_BATCH_ROWS = 2**18

Report = Callable[[UserError], None]
"""Takes an error with its file and line, or raises it."""


@dataclass
class Rows:
    """Some rows of a table, with the lines where they begin."""

    file: str
    lines: Sequence[int]
    cells: list[list[str]]


def table_rows(sources: Sequence[Input], reading: Reading, report: Report) -> Iterator[tuple[str, Rows]]:
    """Yield the separator and some rows of each of the files, blank lines left out."""
    csv.field_size_limit(reading.max_line)
    for source in sources:
        file = source_name(source)
        blocks = read_blocks(source, on_invalid=reading.on_invalid, max_line=reading.max_line)
        first = next(blocks, (1, []))
        separator = reading.separator or separator_of(first[1][:50])
        reader = csv.reader(
            chain(first[1], chain.from_iterable(lines for _, lines in blocks)), delimiter=separator, strict=True
        )
        end = False
        while not end:
            begin = reader.line_num + 1
            cells: list[list[str]] = []
            lines: list[int] = []
            try:
                cells = [*islice(reader, _BLOCK_ROWS)]
                end = not cells
            except csv.Error as error:
                problem = fault(error, reading.max_line)
                problem.file, problem.line = file, reader.line_num
                report(problem)
                continue
            if reader.line_num - begin + 1 == len(cells):
                lines = [*range(begin, begin + len(cells))]
            else:  # line breaks in cells
                lines = [begin] * len(cells)
            if not all(cells):
                lines = [line for line, row in zip(lines, cells, strict=True) if row]
                cells = [row for row in cells if row]
            if cells:
                yield separator, Rows(file, lines, cells)


@dataclass
class _Store:
    """Rows as numbers: those of which series (``code``), when (packed) and the values."""

    width: int
    kept: list[NDArray[Any]] = field(default_factory=list)
    bytes: int = 0
    file: IO[bytes] | None = None
    size: int = 0

    def __post_init__(self) -> None:
        self.dtype = np.dtype(
            [
                ("code", "i4"),
                ("file", "i2"),
                ("line", "i4"),
                ("time", "i8"),
                ("offset", "i2"),
                ("values", "f8", (self.width,)),
            ]
        )

    def add(self, **fields: Any) -> None:
        block = np.empty(len(fields["values"]), self.dtype)
        for name, values in fields.items():
            block[name] = values
        self.size += len(block)
        self.bytes += block.nbytes
        self.kept.append(block)
        if self.bytes > _KEPT_BYTES:
            self.file = self.file or tempfile.TemporaryFile(prefix="seqcli-series-")  # noqa: SIM115
            for one in self.kept:
                self.file.write(one.tobytes())
            self.kept, self.bytes = [], 0

    def batches(self) -> Iterator[NDArray[Any]]:
        """Yield rows of whole series, series after series in the order of their codes."""
        if self.file is None:
            yield self._sorted(np.concatenate(self.kept))
            return
        for one in self.kept:
            self.file.write(one.tobytes())
        self.kept = []
        self.file.flush()
        codes = np.concatenate([block["code"] for block in self._blocks()])
        counts = np.bincount(codes)
        is_sorted = bool((np.diff(codes) >= 0).all())
        order = None if is_sorted else np.argsort(codes, kind="stable")
        del codes
        ends = np.cumsum(counts)
        begin = 0
        while begin < self.size:
            last = int(np.searchsorted(ends, begin + _BATCH_ROWS, side="right"))
            end = int(ends[last - 1]) if last and ends[last - 1] > begin else int(ends[min(last, len(ends) - 1)])
            rows = np.memmap(self.file, self.dtype, "r", shape=(self.size,))
            yield np.array(rows[begin:end] if order is None else rows[order[begin:end]])
            del rows
            begin = end

    def _blocks(self) -> Iterator[NDArray[Any]]:
        assert self.file is not None
        self.file.seek(0)
        while data := self.file.read(_BATCH_ROWS * self.dtype.itemsize):
            yield np.frombuffer(data, self.dtype)

    def _sorted(self, rows: NDArray[Any]) -> NDArray[Any]:
        codes = rows["code"]
        return rows if (np.diff(codes) >= 0).all() else rows[np.argsort(codes, kind="stable")]

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


class SeriesFile:
    """Tables of series read together, one behind the other: files that continue each other, or one.

    Attributes:
        layout: known once `series` has given its first.
        style: how times are written; None where there are none.
    """

    def __init__(self, sources: Sequence[Input], reading: Reading, report: Report) -> None:
        self.sources, self.reading, self.report = sources, reading, report
        self.layout: Layout | None = None
        self.column: TimeColumn | None = None
        self.names: dict[str, int] = {}
        self.variables: dict[str, int] = {}
        self.frequency = Frequency.parse(reading.frequency) if reading.frequency else None
        self.files: list[str] = []

    def series(self) -> Iterator[tuple[Series, str]]:
        """Yield each series and ``file:line`` of its first row, in the order in which they begin.

        Raises:
            UserError: bad data, with file and line (65), unless ``report`` takes it.
        """
        store = self._read()
        if store is None:
            return
        try:
            names = [*self.names] or [""]
            for rows in store.batches():
                yield from self._of(rows, names)
        finally:
            store.close()

    def _read(self) -> _Store | None:
        store: _Store | None = None
        head: list[list[str]] | None = None
        file = ""
        for separator, rows in table_rows(self.sources, self.reading, self.report):
            if rows.file != file:
                file = rows.file
                self.files.append(file)
                if self.layout is None:
                    self._learn(rows, separator)
                    assert self.layout is not None
                    store = _Store(2 if self.layout.variable is not None else len(self.layout.values))
                    head = rows.cells[:1] if self.layout.has_header else None
                elif head is not None and [cell.strip() for cell in rows.cells[0]] != [
                    cell.strip() for cell in head[0]
                ]:
                    raise data_error(
                        "the header is not that of the file before",
                        file=file,
                        line=rows.lines[0],
                        hint=f"Before: {', '.join(head[0])[:200]}.",
                    )
                if head is not None:
                    rows = Rows(file, rows.lines[1:], rows.cells[1:])
                    if not rows.cells:
                        continue
            assert store is not None
            self._add(store, rows)
        if store is None or not store.size:
            return None
        return store

    def _learn(self, rows: Rows, separator: str) -> None:
        said = self.reading.columns or {}
        try:
            self.layout = find_layout(rows.cells[:LOOK_ROWS], separator, said)
        except UserError as error:
            error.file, error.line = error.file or rows.file, error.line or rows.lines[0]
            raise
        layout = self.layout
        if layout.variable is not None and not layout.time:
            raise usage_error("data.columns: 'variable' needs a time", hint="Name its column: time.")
        if layout.time:
            width = len(layout.names)
            body = [row for row in rows.cells[:LOOK_ROWS] if len(row) == width][layout.has_header :]
            cells = time_cells(body, layout.time)
            first = next((cell for cell in cells if cell.strip()), "")
            self.column = TimeColumn.recognise([first], numbers=True)
            if self.column is None:
                raise data_error(
                    f"'{first[:40]}' in the column '{layout.names[layout.time[0]]}' is no time",
                    file=rows.file,
                    line=rows.lines[layout.has_header],
                    hint="Such as 2004-03-10, 2004-03-10 18:00:00, 2004-03 or 1999Q1.",
                )

    def _add(self, store: _Store, rows: Rows) -> None:
        layout = self.layout
        assert layout is not None
        width = len(layout.names)
        if any(len(row) != width for row in rows.cells):
            for line, row in zip(rows.lines, rows.cells, strict=True):
                if len(row) != width:
                    hint = "A decimal comma? Write a point." if len(row) > width and layout.separator == "," else None
                    what = f"{plural(len(row), 'column')} where the first row has {width}"
                    self.report(data_error(what, file=rows.file, line=line, hint=hint))
            kept = [place for place, row in enumerate(rows.cells) if len(row) == width]
            rows = Rows(rows.file, [rows.lines[place] for place in kept], [rows.cells[place] for place in kept])
        if self.column is not None:
            rows, times, offsets = self._times(rows)
        else:
            times = offsets = np.zeros(len(rows.cells), np.int64)
        if not rows.cells:
            return
        columns = [*zip(*rows.cells, strict=True)]
        codes = np.zeros(len(rows.cells), np.int64)
        if layout.id is not None:
            codes = _codes(self.names, columns[layout.id])
        values = [self._numbers(rows, columns[place], layout.names[place]) for place in layout.values]
        if layout.variable is not None:
            values.append(_codes(self.variables, columns[layout.variable]).astype(np.float64))
        file = len(self.files) - 1
        store.add(code=codes, file=file, line=rows.lines, time=times, offset=offsets, values=np.stack(values, 1))

    def _times(self, rows: Rows) -> tuple[Rows, Ints, Ints]:
        assert self.layout is not None and self.column is not None
        while True:
            try:
                times, offsets = self.column.read(time_cells(rows.cells, self.layout.time))
                return rows, times, offsets
            except UserError as error:
                place = error.line or 0
                self.report(
                    UserError(error.message, file=rows.file, line=rows.lines[place], hint=error.hint, code=error.code)
                )
                rest = [*range(place), *range(place + 1, len(rows.cells))]
                rows = Rows(rows.file, [rows.lines[at] for at in rest], [rows.cells[at] for at in rest])
                if not rest:
                    return rows, np.zeros(0, np.int64), np.zeros(0, np.int64)

    def _numbers(self, rows: Rows, cells: Sequence[str], name: str) -> Floats:
        def fail(place: int, what: str, hint: str | None) -> None:
            what = f"'{cells[place].strip()[:40]}' in the column '{name}' {what}"
            self.report(data_error(what, file=rows.file, line=rows.lines[place], hint=hint))

        return numbers(cells, self.reading.missing, fail)

    def _of(self, rows: NDArray[Any], names: Sequence[str]) -> Iterator[tuple[Series, str]]:
        """The series of some rows, which are those of whole series."""
        begins = np.flatnonzero(np.diff(rows["code"], prepend=-1))
        ends = [*begins[1:], len(rows)]
        for begin, end in zip(begins, ends, strict=True):
            part = rows[begin:end]
            at = f"{self.files[part['file'][0]]}:{part['line'][0]}"
            try:
                yield self._one(names[part["code"][0]], part), at
            except UserError as error:
                bad = int((part["line"] == error.line).argmax())
                error.file = self.files[part["file"][bad]]
                self.report(error)

    def _one(self, name: str, rows: NDArray[Any]) -> Series:
        assert self.layout is not None
        of = f" of '{name}'" if name else ""
        values = rows["values"]
        if np.isnan(values).all():
            raise data_error(f"all values{of} are missing", line=int(rows["line"][0]))
        if self.column is None:
            return Series(name, self.layout.columns, values, None, self.reading.frequency or "")
        times = self._instants(rows)
        frequency = self.frequency
        if (frequency is None or self.reading.gaps == "ignore") and len(times) > 1:
            frequency = frequency or Frequency.find(times)
        order = np.diff(times.astype(np.int64))
        if (order <= 0).any():
            raise self._disorder(rows, times, int((order <= 0).argmax()) + 1, of)
        if frequency is None:
            return Series(name, self.layout.columns, values, times, "")
        if self.reading.gaps != "ignore":
            values, times = self._on_grid(rows, times, values, frequency, of)
        return Series(name, self.layout.columns, values, times, frequency.name)

    def _instants(self, rows: NDArray[Any]) -> Times:
        assert self.column is not None
        self.column.decide(rows["time"], rows["offset"].astype(np.int64))
        try:
            return self.column.times(rows["time"], rows["offset"].astype(np.int64))
        except UserError as error:
            error.line = int(rows["line"][error.line or 0])
            raise

    def _disorder(self, rows: NDArray[Any], times: Times, place: int, of: str) -> UserError:
        here, before = self._written(times[place], rows, place), self._written(times[place - 1], rows, place - 1)
        line = int(rows["line"][place])
        if times[place] == times[place - 1]:
            hint = None
            if self.layout is not None and self.layout.id is None:
                hint = "Rows of several series? Name the column that tells them apart: data.columns: {id: ...}."
            return data_error(
                f"the time '{here}'{of} is there twice (before: line {rows['line'][place - 1]})", line=line, hint=hint
            )
        return data_error(
            f"times{of} are out of order: '{here}' behind '{before}'", line=line, hint="Sort the rows by time."
        )

    def _written(self, time: np.datetime64, rows: NDArray[Any], place: int) -> str:
        assert self.column is not None
        return self.column.style.write(np.array([time]), int(rows["offset"][place]))[0].replace("\t", " ")

    def _on_grid(
        self, rows: NDArray[Any], times: Times, values: Floats, frequency: Frequency, of: str
    ) -> tuple[Floats, Times]:
        positions, fits = frequency.positions(times)
        if fits.all() and len(positions) == positions[-1] + 1:
            return values, times
        steps = np.diff(positions)
        bad = int(
            min(
                (~fits).argmax() if not fits.all() else len(fits),
                (steps != 1).argmax() + 1 if (steps != 1).any() else len(fits),
            )
        )
        if self.reading.gaps == "refuse" or not fits.all():
            before, here = (self._written(times[at], rows, at) for at in (bad - 1, bad))
            what = f"unequal steps in time{of}: from '{before}' to '{here}' is not {frequency.name}"
            hint = (
                "Set data.gaps: fill (rows of missing values) or ignore (each row is the step behind the one before)."
                if fits.all()
                else "Set data.frequency, or data.gaps: ignore (each row is the step behind the one before)."
            )
            raise data_error(what, line=int(rows["line"][bad]), hint=hint)
        filled = np.full((int(positions[-1]) + 1, values.shape[1]), np.nan)
        filled[positions] = values
        return filled, frequency.grid(times, np.arange(len(filled)), times[0])


def _codes(known: dict[str, int], cells: Sequence[str]) -> Ints:
    """The number of each name, in the order in which they are first there."""
    return np.array([known.setdefault(cell, len(known)) for cell in cells], np.int64)


def numbers(cells: Sequence[str], missing: Sequence[float], fail: Callable[[int, str, str | None], None]) -> Floats:
    """Some cells as numbers, NaN where one is missing; ``fail`` is told the place of each that is none, and why."""
    try:
        values = np.array([*map(float, cells)])
        is_plain = "_" not in "".join(cells)  # which Python takes in numbers
    except ValueError:
        is_plain = False
    if not is_plain:
        values = np.array([_number(cell) for cell in cells])
        for place in np.flatnonzero(np.isnan(values)):
            if not is_missing(cell := cells[place]):
                fail(place, "is no number", "A decimal comma? Write a point." if has_decimal_comma(cell) else None)
    if (infinite := np.isinf(values)).any():
        for place in np.flatnonzero(infinite):
            fail(place, "is infinite", None)
        values[infinite] = np.nan
    for number in missing:
        values[values == number] = np.nan
    return values


def _number(cell: str) -> float:
    try:
        return np.nan if "_" in cell else float(cell)
    except ValueError:
        return np.nan


def series_rows(
    source: Input, others: Sequence[Input], reading: Reading, report: Report
) -> Iterator[tuple[Series, str]]:
    """Yield the series of a file with a line for each, which go on in the ``others``, and ``file:line``.

    Raises:
        UserError: bad data, with file and line (65), unless ``report`` takes it.
    """
    rest: dict[str, list[Floats]] = {}
    for other in others:
        for name, values, _, _ in _lines(other, reading, report):
            rest.setdefault(name, []).append(values)
    frequency = Frequency.parse(reading.frequency).name if reading.frequency else ""
    for name, values, file, line in _lines(source, reading, report):
        joined = np.concatenate([values, *rest.pop(name, [])])
        if np.isnan(joined).all():
            report(data_error(f"all values of '{name}' are missing", file=file, line=line))
            continue
        yield Series(name, ("value",), joined[:, None], None, frequency), f"{file}:{line}"
    for name in rest:
        report(data_error(f"'{name}' does not begin in {source_name(source)}", file=source_name(others[0])))


def _lines(source: Input, reading: Reading, report: Report) -> Iterator[tuple[str, Floats, str, int]]:
    """Yield id, values, file and line of each line of a file."""
    is_first = not isinstance(source, Chunk) or source.start == 0
    for _, rows in table_rows([source], reading, report):
        for line, cells in zip(rows.lines, rows.cells, strict=True):
            end = len(cells)
            while end > 1 and not cells[end - 1].strip():
                end -= 1
            if is_first:
                is_first = False
                if not any(is_number(cell) for cell in cells[1:end]):
                    continue

            def fail(place: int, what: str, hint: str | None, cells: Sequence[str] = cells, line: int = line) -> None:
                what = f"'{cells[place + 1].strip()[:40]}' in column {place + 1} {what}"
                report(data_error(what, file=rows.file, line=line, hint=hint))

            yield cells[0].strip(), numbers(cells[1:end], reading.missing, fail), rows.file, line
