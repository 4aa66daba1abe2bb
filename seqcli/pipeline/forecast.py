"""Forecasts of the series of a file, written as the file is: its columns, its ids, the times that go on."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqcli.data.formats.base import Reading
from seqcli.data.series import Series
from seqcli.data.series_files import SeriesFile, series_rows
from seqcli.data.series_layout import Layout
from seqcli.data.times import TimeStyle
from seqcli.errors import UserError, data_error, in_file, usage_error
from seqcli.lines import batches, source_name
from seqcli.pipeline.model import Model
from seqcli.pipeline.series_input import series_reading
from seqcli.tasks.forecasting import Forecast, ForecastingTask

_AT_ONCE = 1024


@dataclass(frozen=True)
class Answer:
    """A series, where it stands, and what comes after it; of each step ahead [K] the rows of known columns [K, C]."""

    series: Series
    forecast: Forecast
    ahead_KC: np.ndarray


@dataclass
class Forecaster:
    """A model of series, and a file of them that is read with the options of its training.

    Attributes:
        quantiles: those that are written.
        layout, style: of a table with a row for each step, known with the first answer.
    """

    model: Model[Forecast]
    source: str | None
    steps: int | None = None
    quantiles: Sequence[float] = ()
    form: str | None = None
    columns: Mapping[str, int | str] | None = None
    separator: str = ","
    layout: Layout | None = None
    style: TimeStyle | None = None
    _header: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        """Raises UserError (2): no model for it, steps that it cannot reach, quantiles that it does not know."""
        task = self.task
        if self.steps is not None:
            task.look_ahead(self.steps)
        if unknown := [share for share in self.quantiles if share not in task.quantiles]:
            known = ", ".join(f"{share:g}" for share in task.quantiles)
            raise usage_error(
                f"--quantiles: {self.model.name} knows no quantile {unknown[0]:g}"
                + (f", only {known}" if known else ": it predicts values alone"),
                hint=None if known else "Train it with task.quantiles=[0.1, 0.5, 0.9].",
            )

    @property
    def task(self) -> ForecastingTask:
        assert isinstance(self.model.task, ForecastingTask)
        return self.model.task

    def reading(self) -> Reading:
        """As in training, but for what the options and the file say."""
        return series_reading(self.task.recipe, self.source, self.form, self.columns)

    def answers(self) -> Iterator[list[Answer]]:
        """Forecasts of the series of the file, some at a time, in the order of the file.

        Raises:
            UserError: bad data, a series that the model does not read (65); an unreadable file (74).
        """
        for block in batches(self._series(), _AT_ONCE):
            with in_file(source_name(self.source)):
                forecasts = self.model.predict_block([series for series, _ in block])
            yield [
                Answer(series, forecast, series.values_TC[self.task.source.end_of(series) :])
                for (series, _), forecast in zip(block, forecasts, strict=True)
            ]

    def _series(self) -> Iterator[tuple[Series, str]]:
        reading = self.reading()

        def fail(error: UserError) -> None:
            raise error

        any_series = False
        if reading.format == "series-rows":
            for one in series_rows(self.source, [], reading, fail):
                any_series = True
                yield one
        else:
            file = SeriesFile([self.source], reading, fail)
            for one in file.series():
                any_series = True
                self.layout = file.layout
                self.style = None if file.column is None else file.column.style
                yield one
        if not any_series:
            raise data_error("no series: the file is empty", file=source_name(self.source))

    # -- output

    def table(self, answers: Sequence[Answer]) -> str:
        """Rows for the steps ahead, below the header of the file where it has one."""
        text = io.StringIO()
        if self.layout is None:
            write = csv.writer(text, lineterminator="\n").writerow
            if self.quantiles:
                raise usage_error(
                    "--quantiles: a line for each series has no place for them",
                    hint="Say --json, or give rows of steps.",
                )
            for answer in answers:
                write([answer.forecast.name, *map(number, answer.forecast.values_KM[:, 0])])
            return text.getvalue()
        layout = self.layout
        names = [*layout.names, *self._added()]
        words = {layout.id, layout.variable, *layout.time}
        if self._header and layout.has_header:
            text.write(_line(names, layout, {*range(len(names))}))
        self._header = False
        for answer in answers:
            text.writelines(_line(row, layout, words) for row in self._rows(answer, layout))
        return text.getvalue()

    def _added(self) -> list[str]:
        columns = self._value_names()
        return [f"{name}_{share:g}" for share in self.quantiles for name in columns]

    def _value_names(self) -> Sequence[str]:
        """What quantiles are named after: the predicted columns, or the one that all values stand in."""
        assert self.layout is not None
        if self.layout.variable is not None:
            return [self.layout.names[self.layout.values[0]]]
        return self.task.source.target_names

    def _rows(self, answer: Answer, layout: Layout) -> Iterator[list[str]]:
        forecast, series = answer.forecast, answer.series
        times: list[list[str]] = [[] for _ in forecast.values_KM]
        if self.style is not None and forecast.times_K is not None:
            written = self.style.write(forecast.times_K, series.offset)
            times = [one.split("\t") if len(layout.time) > 1 else [one] for one in written]
        shares = [forecast.quantiles.index(share) for share in self.quantiles]
        known = [
            (place, series.columns.index(layout.names[place]))
            for place in layout.values
            if layout.variable is None and layout.names[place] in self.task.source.known
        ]
        for step, values_M in enumerate(forecast.values_KM):
            row = [""] * len(layout.names)
            if layout.id is not None:
                row[layout.id] = series.name
            for place, text in zip(layout.time, times[step], strict=bool(times[step])):
                row[place] = text
            for place, column in known:
                row[place] = number(answer.ahead_KC[step, column])
            bands_MQ = None if forecast.quantiles_KMQ is None else forecast.quantiles_KMQ[step][:, shares]
            if layout.variable is None:
                for name, value in zip(forecast.columns, values_M, strict=True):
                    row[layout.names.index(name)] = number(value)
                yield [*row, *([] if bands_MQ is None else map(number, bands_MQ.T.ravel()))]
                continue
            for place, name in enumerate(forecast.columns):
                row[layout.variable], row[layout.values[0]] = name, number(values_M[place])
                yield [*row, *([] if bands_MQ is None else map(number, bands_MQ[place]))]


def _line(cells: Sequence[str], layout: Layout, words: Collection[int | None]) -> str:
    """A row as the file writes it: where its words stand in quotes, those of ``words`` do here."""
    written: list[str] = []
    for place, cell in enumerate(cells):
        needs = any(sign in cell for sign in (layout.separator, '"', "\n", "\r"))
        quoted = needs or (layout.quoted and place in words and cell)
        written.append('"' + cell.replace('"', '""') + '"' if quoted else cell)
    return layout.separator.join(written) + "\n"


def number(value: Any) -> str:
    """Seven digits that count, without an exponent; nothing for a missing value."""
    text = f"{value:.7g}"
    if "e" not in text:
        return "" if text == "nan" else text
    return np.format_float_positional(value, precision=7, unique=False, fractional=False, trim="-")
