"""Reading tables of series, and writing rows that go on in the same way. Shapes: N rows of a table, T steps of a series,
C columns of values, K steps to come.

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
from seqcli.data.series import Floats, Series
from seqcli.data.series_layout import (
    LOOK_ROWS,
    Layout,
    find_layout,
    has_decimal_comma,
    is_missing,
    is_number,
    time_cells,
)
from seqcli.data.times import Ints, TimeColumn, Times
from seqcli.errors import UserError, data_error, in_file, plural, usage_error
from seqcli.lines import Chunk, Input, read_blocks, source_name

_BLOCK_ROWS = 8192
_BLOCK_CELLS = 2**16
"""Most rows and cells that are read at a time, where a row is no longer than the block."""

_KEPT_BYTES = 2**23
"""Rows that stay in memory before they go to a file."""

_BATCH_ROWS = 2**17
_MOST_TIMES, _MOST_STEPS = 100, 100_000
"""Steps that are filled in are at most so many times the rows, and so many more."""

_TOO_FEW = 2
"""Steps that show no frequency of other series."""

_ENOUGH = 5
"""Steps of a series that may have another frequency than those before."""

Report = Callable[[UserError], None]
"""Takes an error with its file and line, or raises it."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, and the lines where they begin."""

    file: str
    separator: str
    quoted: bool
    lines: Sequence[int]
    cells: Sequence[list[str]]

    def only(self, places: Sequence[int]) -> Rows:
        lines, cells = [self.lines[at] for at in places], [self.cells[at] for at in places]
        return Rows(self.file, self.separator, self.quoted, lines, cells)


def table_rows(sources: Sequence[Input], reading: Reading, report: Report) -> Iterator[Rows]:
    """Yield the rows of files one behind the other, some at a time, blank lines left out."""
    csv.field_size_limit(reading.max_line)
    for source in sources:
        file = source_name(source)
        blocks = read_blocks(source, on_invalid=reading.on_invalid, max_line=reading.max_line)
        number, first = next(blocks, (1, []))
        separator = reading.separator or separator_of([line for line in first[:50] if line.strip()])
        quoted = any(line.startswith('"') for line in first[:2])
        width = 1 + max((line.count(separator) for line in first[:50]), default=0)
        size = min(_BLOCK_ROWS, max(LOOK_ROWS, _BLOCK_CELLS // width))
        lines = chain(first, chain.from_iterable(more for _, more in blocks))
        reader = csv.reader(lines, delimiter=separator, strict=True)
        error: csv.Error | None = None
        cells: list[list[str]] = []
        while cells or error or not reader.line_num:
            begin, cells, error = number + reader.line_num, [], None
            try:
                cells.extend(islice(reader, size))
            except csv.Error as caught:
                error = caught
            end = number + reader.line_num - (error is not None)
            at = range(begin, end) if end - begin == len(cells) else [begin] * len(cells)  # line breaks in cells
            filled = [place for place, row in enumerate(cells) if row]
            rows = Rows(file, separator, quoted, at, cells)
            if filled:
                yield rows if len(filled) == len(cells) else rows.only(filled)
            if error is not None:
                problem = fault(error, reading.max_line)
                problem.file, problem.line = file, end
                report(problem)
            elif not cells:
                break


class _Store:
    """Rows as numbers: which series a row is of (``code``, from 0), when it is (packed), and its values.

    Many rows lie in a temporary file; to bring those of a series together they are dealt out to parts of another one,
    each of some series, which fits into memory.
    """

    def __init__(self, width: int) -> None:
        place: list[Any] = [("code", "i4"), ("file", "i2"), ("line", "i4"), ("time", "i8"), ("offset", "i2")]
        self.dtype = np.dtype([*place, ("values", "f8", (width,))])
        self.kept: list[NDArray[Any]] = []
        self.file: IO[bytes] | None = None
        self.size = 0

    def add(self, **fields: Any) -> None:
        block = np.empty(len(fields["values"]), self.dtype)
        for name, values in fields.items():
            block[name] = values
        self.size += len(block)
        self.kept.append(block)
        if sum(one.nbytes for one in self.kept) > _KEPT_BYTES:
            self.file = self.file or tempfile.TemporaryFile(prefix="seqcli-series-")  # noqa: SIM115
            self._write(self.file)

    def _write(self, file: IO[bytes]) -> None:
        for block in self.kept:
            file.write(block.tobytes())
        self.kept = []

    def batches(self) -> Iterator[NDArray[Any]]:
        """Yield the rows of some series, whole and in the order of their codes, which is that of their first rows."""
        if self.file is None:
            yield _by_code(np.concatenate(self.kept))
            return
        self._write(self.file)
        counts, last, is_sorted = np.zeros(0, np.int64), 0, True
        for block in self._blocks(self.file):
            codes = block["code"]
            is_sorted &= bool(codes[0] >= last and _is_sorted(codes))
            last = codes[-1]
            more = np.bincount(codes, minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
        parts = (np.cumsum(counts) - 1) // _BATCH_ROWS  # of each series
        sizes = np.bincount(parts, counts).astype(np.int64)
        with tempfile.TemporaryFile(prefix="seqcli-series-") as dealt:
            if not is_sorted:
                self._deal(self.file, dealt, parts, sizes)
            file = self.file if is_sorted else dealt
            file.seek(0)
            for size in sizes[sizes > 0]:
                yield _by_code(np.frombuffer(file.read(size * self.dtype.itemsize), self.dtype))

    def _deal(self, file: IO[bytes], dealt: IO[bytes], parts: Ints, sizes: Ints) -> None:
        """Write the rows of ``file`` in the order of the parts that their series belong to."""
        places = np.cumsum(sizes) - sizes
        for block in self._blocks(file):
            of_rows = parts[block["code"]]
            order = np.argsort(of_rows, kind="stable")
            counts = np.bincount(of_rows, minlength=len(sizes))
            ends = np.cumsum(counts)
            for part in np.flatnonzero(counts):
                dealt.seek(int(places[part]) * self.dtype.itemsize)
                dealt.write(block[order[ends[part] - counts[part] : ends[part]]].tobytes())
            places += counts

    def _blocks(self, file: IO[bytes]) -> Iterator[NDArray[Any]]:
        file.seek(0)
        while data := file.read(_BATCH_ROWS * self.dtype.itemsize):
            yield np.frombuffer(data, self.dtype)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


@dataclass
class SeriesFile:
    """Tables of series read together, one behind the other: one file, or several that continue each other.

    Attributes:
        layout: what the columns are; known once `series` has given its first.
        column: of the times, None where there are none; it knows how they are written.
        kept: with ``keep`` the cells of every row, by file and line.
        lines: with ``keep`` the file and the line of each step [T, 2] of a series, by its name; -1 of one that the file
            leaves out. ``times``: with ``keep`` its times and its offset.
    """

    sources: Sequence[Input]
    reading: Reading
    report: Report
    keep: bool = False
    layout: Layout | None = field(default=None, init=False)
    column: TimeColumn | None = field(default=None, init=False)
    kept: dict[tuple[int, int], list[str]] = field(default_factory=dict, init=False)
    lines: dict[str, Ints] = field(default_factory=dict, init=False)
    times: dict[str, tuple[Times, int]] = field(default_factory=dict, init=False)
    _files: list[str] = field(default_factory=list, init=False)
    _names: dict[str, int] = field(default_factory=dict, init=False)
    _variables: dict[str, int] = field(default_factory=dict, init=False)
    _frequency: Frequency | None = field(default=None, init=False)

    def series(self) -> Iterator[tuple[Series, str]]:
        """Yield each series and ``file:line`` of its first row, in the order in which they begin.

        Raises:
            UserError: bad data, with file and line (65), unless ``report`` takes it.
        """
        if self.reading.frequency:
            self._frequency = Frequency.parse(self.reading.frequency)
        store = self._read()
        if store is None:
            return
        try:
            if store.size:
                yield from self._series(store)
        finally:
            store.close()

    def _series(self, store: _Store) -> Iterator[tuple[Series, str]]:
        names = [*self._names] or [""]
        is_decided = self.column is None
        for batch in store.batches():
            rows, times = batch, None
            if self.column is not None:
                if not is_decided:
                    with in_file(self._files[0]):
                        self.column.decide(rows["time"][rows["code"] == 0])
                    is_decided = True
                rows, times = self._instants(rows, self.column)
            begins = np.flatnonzero(np.diff(rows["code"], prepend=-1))
            ends = np.append(begins[1:], len(rows))
            if self._frequency is None and times is not None:
                usable = np.flatnonzero(ends - begins > _TOO_FEW)[:1]
                self._frequency = next((Frequency.find(times[begins[one] : ends[one]]) for one in usable), None)
            even = self._even(times, begins)
            for number, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
                part, of_part = rows[begin:end], None if times is None else times[begin:end]
                is_even = even is not None and bool(even[number])
                try:
                    series = self._one(names[part["code"][0]], part, of_part, is_even=is_even)
                except UserError as error:
                    error.file = error.file or self._files[part["file"][0]]
                    self.report(error)
                    continue
                yield series, f"{self._files[part['file'][0]]}:{part['line'][0]}"

    def _even(self, times: Times | None, begins: Ints) -> NDArray[np.bool_] | None:
        """Which series [of those that begin so] have the steps of the frequency that is known; None where that takes longer to see."""
        size = self._frequency.milliseconds if self._frequency is not None else None
        if times is None or size is None:
            return None
        fits = np.diff(times.astype(np.int64), prepend=0) == size
        fits[begins] = True
        return np.asarray(np.logical_and.reduceat(fits, begins)) if len(begins) else fits

    def left_out(self, name: str, step: int) -> list[str]:
        """The row of a step that the file leaves out, without its values; of a series that was read with ``keep``."""
        layout = self.layout
        assert layout is not None
        row = [""] * len(layout.names)
        if layout.id is not None:
            row[layout.id] = name
        if self.column is not None:
            times, offset = self.times[name]
            (written,) = self.column.style.write(times[step : step + 1], offset)
            parts = written.split("\t") if len(layout.time) > 1 else [written]
            for place, part in zip(layout.time, parts, strict=True):
                row[place] = part
        return row

    # -- from text to numbers

    def _read(self) -> _Store | None:
        store: _Store | None = None
        head: list[str] | None = None
        for block in table_rows(self.sources, self.reading, self.report):
            rows = block
            if not self._files or rows.file != self._files[-1]:
                self._files.append(rows.file)
                if self.layout is None:
                    self.layout = self._find(rows)
                    self.column = self._times_of(rows, self.layout)
                    store = _Store(2 if self.layout.variable is not None else len(self.layout.values))
                    head = rows.cells[0] if self.layout.has_header else None
                elif head is not None and [*map(str.strip, rows.cells[0])] != [*map(str.strip, head)]:
                    hint = f"The first file's: {', '.join(head)[:200]}."
                    raise data_error("not the header of the file before", file=rows.file, line=rows.lines[0], hint=hint)
                if head is not None:
                    rows = rows.only(range(1, len(rows.cells)))
            assert store is not None
            if rows.cells:
                self._add(store, rows)
        return store

    def _find(self, rows: Rows) -> Layout:
        try:
            layout = find_layout(
                rows.cells[: LOOK_ROWS + 1], rows.separator, self.reading.columns or {}, quoted=rows.quoted
            )
            if layout.variable is not None and (not layout.time or self._frequency is None):
                hint = "Such as columns: {id: stay, time: at, variable: what, value: value}, frequency: 1 hour."
                raise usage_error("data.columns: 'variable' needs a time and data.frequency", hint=hint)
            if layout.variable is not None and self._frequency is not None and self._frequency.milliseconds is None:
                raise usage_error("data.frequency: with 'variable' a time of one length, such as '1 hour'")
        except UserError as error:
            error.file, error.line = error.file or rows.file, error.line or rows.lines[0]
            raise
        return layout

    def _times_of(self, rows: Rows, layout: Layout) -> TimeColumn | None:
        body = [row for row in rows.cells[: LOOK_ROWS + 1] if len(row) == len(layout.names)][layout.has_header :]
        if not layout.time or not body:
            return None
        cells = [cell for cell in time_cells(body, layout.time) if cell.strip()]
        column = TimeColumn.recognise(cells, numbers=True)
        if column is None:
            name = "+".join(layout.names[place] for place in layout.time)
            what = (
                f"'{cells[0][:40]}' in the column '{name}' is no time" if cells else f"no time in the column '{name}'"
            )
            hint = "Times are such as 2004-03-10, 2004-03-10 18:00:00, 2004-03 or 1999Q1."
            raise data_error(
                what, file=rows.file, line=rows.lines[min(layout.has_header, len(rows.lines) - 1)], hint=hint
            )
        return column

    def _add(self, store: _Store, rows: Rows) -> None:
        layout = self.layout
        assert layout is not None
        width = len(layout.names)
        if {*map(len, rows.cells)} != {width}:
            for line, row in zip(rows.lines, rows.cells, strict=True):
                if len(row) != width:
                    hint = "A decimal comma? Write a point." if len(row) > width and layout.separator == "," else None
                    what = f"{plural(len(row), 'column')} where the first row has {width}"
                    self.report(data_error(what, file=rows.file, line=line, hint=hint))
            rows = rows.only([place for place, row in enumerate(rows.cells) if len(row) == width])
        rows, times, offsets = self._times(rows, layout)
        if not rows.cells:
            return
        columns = [*zip(*rows.cells, strict=True)]
        codes = _codes(self._names, columns[layout.id]) if layout.id is not None else 0
        values = [self._numbers(rows, columns[place], layout.names[place]) for place in layout.values]
        if layout.variable is not None:
            values.append(_codes(self._variables, columns[layout.variable]).astype(np.float64))
        file = len(self._files) - 1
        store.add(code=codes, file=file, line=rows.lines, time=times, offset=offsets, values=np.stack(values, 1))
        if self.keep:
            self.kept.update(((file, line), row) for line, row in zip(rows.lines, rows.cells, strict=True))

    def _times(self, rows: Rows, layout: Layout) -> tuple[Rows, Ints, Ints]:
        """The packed times of those rows that have one."""
        while self.column is not None and rows.cells:
            try:
                return rows, *self.column.read(time_cells(rows.cells, layout.time))
            except UserError as error:
                place = error.line or 0
                error.file, error.line = rows.file, rows.lines[place]
                self.report(error)
                rows = rows.only([*range(place), *range(place + 1, len(rows.cells))])
        none = np.zeros(len(rows.cells), np.int64)
        return rows, none, none

    def _numbers(self, rows: Rows, cells: Sequence[str], name: str) -> Floats:
        def fail(place: int, what: str, hint: str | None) -> None:
            what = f"'{cells[place].strip()[:40]}' in the column '{name}' {what}"
            self.report(data_error(what, file=rows.file, line=rows.lines[place], hint=hint))

        return numbers(cells, self.reading.missing, fail)

    # -- from rows to series

    def _one(self, name: str, rows: NDArray[Any], times: Times | None, *, is_even: bool) -> Series:
        layout = self.layout
        assert layout is not None
        of = f" of '{name}'" if name else ""
        values: Floats = rows["values"]
        if np.isnan(values if layout.variable is None else values[:, 0]).all():
            raise data_error(f"all values{of} are missing", line=int(rows["line"][0]))
        places = np.stack([rows["file"], rows["line"]], 1).astype(np.int64) if self.keep else None
        frequency, offset = self._frequency, int(rows["offset"][-1])
        if layout.variable is not None:
            assert times is not None
            assert frequency is not None
            return self._pivoted(name, rows, times, frequency, offset)
        if times is not None and not is_even:
            self._check_order(rows, times, of)
            frequency = self._frequency_of(times)
            if frequency is not None and self.reading.gaps != "ignore":
                positions = self._positions(rows, times, frequency, of)
                if len(positions) <= positions[-1]:
                    times = frequency.grid(times, np.arange(positions[-1] + 1), times[0])
                    values = _spread(values, positions, np.nan)
                    places = None if places is None else _spread(places, positions, -1)
        if places is not None:
            self.lines[name] = places
            if times is not None:
                self.times[name] = times, offset
        called = frequency.name if frequency is not None else ""
        return Series(name, layout.columns, np.array(values), times, called, offset)

    def _instants(self, rows: NDArray[Any], column: TimeColumn) -> tuple[NDArray[Any], Times]:
        """The times of rows; what belongs to a series with a time that is none is left out, and reported."""
        while True:
            offsets = rows["offset"].astype(np.int64)
            try:
                times = column.times(rows["time"], offsets)
            except UserError as error:
                bad = rows[error.line or 0]
                error.file, error.line = self._files[bad["file"]], int(bad["line"])
                self.report(error)
                rows = rows[rows["code"] != bad["code"]]
                continue
            if len(offsets) and (offsets != offsets[0]).any():
                self._same_clock(rows, times, offsets)
            return rows, times

    @staticmethod
    def _same_clock(rows: NDArray[Any], times: Times, offsets: Ints) -> None:
        """Days at the same hour stay a day apart where the clocks are changed between them: all get the last offset."""
        local = times + offsets.astype("timedelta64[m]")
        clocks = (local - local.astype("datetime64[D]")).astype(np.int64)
        begins = np.flatnonzero(np.diff(rows["code"], prepend=-1))
        for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
            if (clocks[begin:end] == clocks[begin]).all():
                times[begin:end] = local[begin:end] - offsets[end - 1].astype("timedelta64[m]")

    def _check_order(self, rows: NDArray[Any], times: Times, of: str) -> None:
        steps = np.diff(times.astype(np.int64))
        if not len(steps) or steps.min() > 0:
            return
        place = int((steps <= 0).argmax()) + 1
        here, before, line = self._written(rows, place), self._written(rows, place - 1), int(rows["line"][place])
        file = self._files[rows["file"][place]]
        if steps[place - 1]:
            hint = "Sort the rows by time."
            what = f"times{of} are out of order: '{here}' behind '{before}'"
            raise data_error(what, file=file, line=line, hint=hint)
        assert self.layout is not None
        hint = "Does a column say which series a row is of? Name it: data.columns: {id: ...}."
        if self.layout.id is not None:
            hint = "Where clocks are set back an hour is there twice, unless times have an offset (+01:00)."
        what = f"the time '{here}'{of} is there twice, also in line {rows['line'][place - 1]}"
        if rows["file"][place] != rows["file"][place - 1]:
            what += f" of {self._files[rows['file'][place - 1]]}"
        raise data_error(what, file=file, line=line, hint=hint)

    def _frequency_of(self, times: Times) -> Frequency | None:
        """The one that the recipe says, else that of the series before, unless the series plainly has another."""
        if self.reading.frequency:
            return self._frequency
        if (known := self._frequency) is not None:
            positions, fits = known.positions(times)
            if fits.all() and len(positions) == positions[-1] + 1:
                return known
        found = Frequency.find(times)
        if known is None or found is None:
            self._frequency = known or found
            return self._frequency
        positions, fits = found.positions(times)
        regular = fits.all() and len(positions) == positions[-1] + 1
        return found if regular and len(times) >= _ENOUGH else known

    def _positions(self, rows: NDArray[Any], times: Times, frequency: Frequency, of: str) -> Ints:
        """The step of each time, from 0.

        Raises:
            UserError: steps are left out, unless they may be, or a time lies between two (65).
        """
        positions, fits = frequency.positions(times)
        steps = np.diff(positions, prepend=-1)
        bad = ~fits | ((steps != 1) & (self.reading.gaps == "refuse"))
        if bad.any():
            place = int(bad.argmax())
            before, here = self._written(rows, max(place - 1, 0)), self._written(rows, place)
            hint = "data.gaps: ignore (each row is the step behind the one before)."
            hint = f"Set data.gaps: fill (rows of missing values), or {hint}" if fits.all() else f"Set {hint}"
            what = f"unequal steps in time{of}: from '{before}' to '{here}' is not {frequency.name}"
            raise data_error(what, file=self._files[rows["file"][place]], line=int(rows["line"][place]), hint=hint)
        self._check_room(rows, int(positions[-1]) + 1, int(steps.argmax()), of)
        return positions

    def _check_room(self, rows: NDArray[Any], steps: int, place: int, of: str) -> None:
        """Refuse (65) a time so far from the others that hardly any of the steps between is there."""
        if steps > _MOST_TIMES * len(rows) + _MOST_STEPS:
            what = f"'{self._written(rows, place)}'{of} makes {steps:,} steps of {plural(len(rows), 'row')}"
            file, line = self._files[rows["file"][place]], int(rows["line"][place])
            raise data_error(what, file=file, line=line, hint="Is the time right?")

    def _pivoted(self, name: str, rows: NDArray[Any], times: Times, frequency: Frequency, offset: int) -> Series:
        """A column for each variable, and in each step the mean of its values there [T, C]."""
        size = frequency.milliseconds
        assert size is not None
        assert self.column is not None
        instants = times.astype(np.int64)
        first = 0 if self.column.style.is_elapsed else int(instants.min() // size)
        steps = instants // size - first
        variables = sorted(self._variables)
        number = np.empty(len(variables), np.int64)
        number[[self._variables[variable] for variable in variables]] = np.arange(len(variables))
        count = int(steps.max()) + 1
        self._check_room(rows, count, int(steps.argmax()), f" of '{name}'" if name else "")
        cells = steps * len(variables) + number[rows["values"][:, 1].astype(np.int64)]
        there = ~np.isnan(rows["values"][:, 0])
        shape = (count, len(variables))
        sums = np.bincount(cells[there], rows["values"][there, 0], minlength=count * len(variables)).reshape(shape)
        counts = np.bincount(cells[there], minlength=count * len(variables)).reshape(shape)
        values = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
        grid = ((np.arange(count) + first) * size).astype("datetime64[ms]")
        return Series(name, tuple(variables), values, grid, frequency.name, offset)

    def _written(self, rows: NDArray[Any], place: int) -> str:
        assert self.column is not None
        one = rows[place : place + 1]
        times = self.column.times(one["time"], one["offset"].astype(np.int64))
        return self.column.style.write(times, int(one["offset"][0]))[0].replace("\t", " ")


def _by_code(rows: NDArray[Any]) -> NDArray[Any]:
    return rows if _is_sorted(rows["code"]) else rows[np.argsort(rows["code"], kind="stable")]


def _is_sorted(codes: NDArray[Any]) -> bool:
    return bool((codes[1:] >= codes[:-1]).all())


def _codes(known: dict[str, int], cells: Sequence[str]) -> Ints:
    """The number of each name, in the order in which they are first there."""
    return np.array([known.setdefault(cell, len(known)) for cell in cells], np.int64)


def _spread(rows: NDArray[Any], positions: Ints, fill: float) -> NDArray[Any]:
    """Rows at their positions, and others between."""
    spread = np.full((int(positions[-1]) + 1, rows.shape[1]), fill, rows.dtype)
    spread[positions] = rows
    return spread


def numbers(cells: Sequence[str], missing: Sequence[float], fail: Callable[[int, str, str | None], None]) -> Floats:
    """Some cells as numbers, NaN where one is missing; ``fail`` is told the place of each that is none, and why."""
    try:
        values = np.array([*map(float, cells)])
        is_plain = "_" not in "".join(cells)  # which Python takes in numbers
    except ValueError:
        is_plain = False
    if not is_plain:
        values = np.array([_number(cell) for cell in cells])
        for place in np.flatnonzero(np.isnan(values)).tolist():
            if not is_missing(cell := cells[place]):
                fail(place, "is no number", "A decimal comma? Write a point." if has_decimal_comma(cell) else None)
    if (infinite := np.isinf(values)).any():
        for place in np.flatnonzero(infinite).tolist():
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
    names: set[str] = set()
    for name, values, file, line in _lines(source, reading, report):
        joined = np.concatenate([values, *rest.pop(name, [])])
        if name in names:
            report(data_error(f"the series '{name}' is there twice", file=file, line=line))
        elif np.isnan(joined).all():
            report(data_error(f"all values of '{name}' are missing", file=file, line=line))
        else:
            yield Series(name, ("value",), joined[:, None], None, frequency), f"{file}:{line}"
        names.add(name)
    for name in rest:
        report(data_error(f"'{name}' does not begin in {source_name(source)}", file=source_name(others[0])))


def _lines(source: Input, reading: Reading, report: Report) -> Iterator[tuple[str, Floats, str, int]]:
    """Yield id, values, file and line of each line of a file."""
    may_be_header = not isinstance(source, Chunk) or source.start == 0
    for rows in table_rows([source], reading, report):
        for line, cells in zip(rows.lines, rows.cells, strict=True):
            if not may_be_header or any(map(is_number, cells[1:])):
                yield cells[0].strip(), _values(cells, rows.file, line, reading, report), rows.file, line
            may_be_header = False


def _values(cells: Sequence[str], file: str, line: int, reading: Reading, report: Report) -> Floats:
    """The values of a line with an id before them; empty cells at its end are none."""
    end = len(cells)
    while end > 1 and not cells[end - 1].strip():
        end -= 1

    def fail(place: int, what: str, hint: str | None) -> None:
        what = f"'{cells[place + 1].strip()[:40]}' in column {place + 1} {what}"
        report(data_error(what, file=file, line=line, hint=hint))

    return numbers(cells[1:end], reading.missing, fail)
