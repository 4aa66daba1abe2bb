"""The gaps of a file of series filled: cells where they stand, and rows of steps that the file leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed

import numpy as np

from seqcli.data.cells import quoted, records, replaced
from seqcli.data.formats import first_lines
from seqcli.data.formats.csv import separator_of
from seqcli.data.kept import keep_stream
from seqcli.data.series import Series
from seqcli.data.series_files import SeriesFile, series_rows
from seqcli.data.series_layout import Layout, is_number
from seqcli.errors import UserError, data_error, in_file, usage_error
from seqcli.lines import batches, open_binary, source_name
from seqcli.pipeline.model import Model
from seqcli.pipeline.series_input import series_reading
from seqcli.tasks.imputation import Filled, ImputationTask

MARK = "filled"
"""What the column is called that says which cells were filled."""

_AT_ONCE = 1024
_MOST_DECIMALS = 6


@dataclass
class Imputer:
    """A model that fills gaps, and a file of series that is read with the options of its training.

    Attributes:
        filled: the series of the file, once `fill` has run; ``steps``: how many steps they have.
        counts: how many gaps of each column were filled; ``left``: gaps of columns that the model does not fill.
        added: rows of steps that the file leaves out.
    """

    model: Model[Filled]
    source: str | None
    form: str | None = None
    columns: Mapping[str, int | str] | None = None
    filled: list[Filled] = field(default_factory=list, init=False)
    steps: int = field(default=0, init=False)
    counts: dict[str, int] = field(default_factory=dict, init=False)
    left: int = field(default=0, init=False)
    added: int = field(default=0, init=False)
    _cells: dict[int, dict[int, str]] = field(default_factory=dict, init=False)
    """What is written into the cells of a line, by their places."""
    _names: dict[int, list[str]] = field(default_factory=dict, init=False)
    """The columns that are filled in a line."""
    _rows: dict[int, list[list[str]]] = field(default_factory=dict, init=False)
    """What follows a line: the cells of each row."""
    _decimals: dict[int, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        assert isinstance(self.model.task, ImputationTask)
        self.task = self.model.task
        self.path = str(keep_stream(self.source or "-") or self.source)
        reading = series_reading(self.task.recipe, self.path, self.form, self.columns)

        def fail(error: UserError) -> None:
            raise error

        self.is_table = reading.format != "series-rows"
        self.file = SeriesFile([self.path], reading, fail, keep=True)
        self._series = self.file.series() if self.is_table else series_rows(self.path, [], reading, fail)

    def fill(self) -> None:
        """Read the whole file and fill its gaps.

        Raises:
            UserError: bad data, a series that the model does not read (65); an unreadable file (74).
        """
        for block in batches(self._series, _AT_ONCE):
            some = [self._of_model(series) for series, _ in block]
            with in_file(source_name(self.path)):
                found = self.model.predict_block(some)
            for (series, at), one in zip(block, found, strict=True):
                self.filled.append(one)
                self.steps += len(series)
                for name, count in zip(one.columns, one.gaps_TM.sum(0).tolist(), strict=True):
                    self.counts[name] = self.counts.get(name, 0) + count
                others = [place for place, name in enumerate(series.columns) if name not in one.columns]
                self.left += int(np.isnan(series.values_TC[:, others]).sum())
                if self.file.layout is None:
                    self._place_in_line(one, int(at.rpartition(":")[2]))
                elif not self.is_by_variable:
                    self._place_in_rows(one, self.file.layout)
        if not self.filled:
            raise data_error("no series: the file is empty", file=source_name(self.path))

    @property
    def is_by_variable(self) -> bool:
        """Whether rows name the variable that their one value is of; what was never measured has no cell then."""
        return self.file.layout is not None and self.file.layout.variable is not None

    def _of_model(self, series: Series) -> Series:
        """Where rows name their variable, one that no row names is missing throughout."""
        known = self.task.source.columns
        lacking = [name for name in known if name not in series.columns]
        if not self.is_by_variable or len(lacking) == len(known):
            return series
        values = np.concatenate([series.values_TC, np.full((len(series), len(lacking)), np.nan)], 1)
        return changed(series, columns=(*series.columns, *lacking), values_TC=values)

    # -- where the values go

    def _place_in_line(self, one: Filled, line: int) -> None:
        """Into a line of its own, behind the name."""
        there = one.values_TM[~one.gaps_TM].tolist()
        decimals = most_decimals(np.format_float_positional(value, trim="-") for value in there)
        for step in np.flatnonzero(one.gaps_TM[:, 0]).tolist():
            self._cells.setdefault(line, {})[step + 1] = spelled(one.values_TM[step, 0], decimals)

    def _place_in_rows(self, one: Filled, layout: Layout) -> None:
        lines = self.file.lines[one.name][:, 1].tolist()
        if len({*lines} - {-1}) < len(lines) - lines.count(-1):
            raise data_error("a cell has a line break: rows cannot be told apart", file=source_name(self.path))
        places = [layout.values[layout.columns.index(name)] for name in one.columns]
        before = 0
        for step, line in enumerate(lines):
            gaps = np.flatnonzero(one.gaps_TM[step]).tolist()
            cells = {places[gap]: spelled(one.values_TM[step, gap], self._decimals_of(places[gap])) for gap in gaps}
            if line >= 0:
                before = line
                if cells:
                    self._cells[line], self._names[line] = cells, [one.columns[gap] for gap in gaps]
            else:
                row = self.file.left_out(one.name, step)
                for place, text in cells.items():
                    row[place] = text
                self._rows.setdefault(before, []).append(row)
                self.added += 1

    def _decimals_of(self, place: int) -> int:
        """How many decimals the values of a column have in the file."""
        if place not in self._decimals:
            cells = (row[place].strip() for row in self.file.kept.values())
            self._decimals[place] = most_decimals(cell for cell in cells if self._is_value(cell))
        return self._decimals[place]

    def _is_value(self, cell: str) -> bool:
        return is_number(cell) and float(cell) not in self.file.reading.missing

    # -- the file with its gaps filled

    def text(self, *, mark: bool = False) -> Iterator[str]:
        """The rows of the file, with ``mark`` a column behind the others that names those filled.

        Raises:
            UserError: a table whose rows name their variable, lines that are no rows (2); a cell with a line break (65).
        """
        layout = self.file.layout
        if self.is_by_variable:
            raise usage_error(
                "a table whose rows name their variable has no cells for values that were never measured",
                hint="--json gives all values of each series.",
            )
        if mark and layout is None:
            raise usage_error("--mark: lines of series have no columns", hint="Leave it out, or say --json.")
        with open_binary(self.path) as lines:
            if layout is None:
                separator = self.file.reading.separator or separator_of(first_lines(self.path)[:50])
                for record in records(lines, separator):
                    yield replaced(record.text, separator, self._cells.get(record.line, {})) + record.ending
            else:
                yield from self._rows_of(lines, layout, mark=mark)

    def _rows_of(self, lines: Iterable[bytes], layout: Layout, *, mark: bool) -> Iterator[str]:
        separator, ending, is_first = layout.separator, "\n", True
        for record in records(lines, separator):
            ending = record.ending or ending
            if not record.text.strip():
                yield record.text + record.ending
                continue
            row = replaced(record.text, separator, self._cells.get(record.line, {}))
            if mark:
                names = [MARK] if is_first and layout.has_header else self._names.get(record.line, [])
                row += separator + _word(";".join(names), layout)
            is_first = False
            yield row + record.ending
            for added in self._rows.get(record.line, ()):
                words = {*layout.time, layout.id}
                cells = [_word(cell, layout) if place in words else cell for place, cell in enumerate(added)]
                if mark:
                    cells.append(_word(";".join(self.task.source.target_names), layout))
                text = separator.join(cells)
                yield text + ending if record.ending else ending + text


def most_decimals(numbers: Iterable[str]) -> int:
    """The most digits that any of some numbers has behind its point."""
    return min(
        _MOST_DECIMALS, max((len(number.lower().partition("e")[0].partition(".")[2]) for number in numbers), default=0)
    )


def spelled(value: float, decimals: int) -> str:
    return f"{value:z.{decimals}f}"


def _word(text: str, layout: Layout) -> str:
    """A cell of text: in quotes where those of the table are, or where it needs them."""
    return f'"{text}"' if layout.quoted and text and '"' not in text else quoted(text, layout.separator)
