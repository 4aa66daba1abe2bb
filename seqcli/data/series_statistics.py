"""What is in a data set of series: their number, steps, columns, times, frequency, missing values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seqcli.data.corpus import SplitFiles
from seqcli.data.frequency import Frequency
from seqcli.data.series import Series
from seqcli.data.statistics import percentiles
from seqcli.lines import source_name


@dataclass(slots=True)
class ColumnStatistics:
    """Values of one column over all series of a split; None where it has none."""

    missing: int = 0
    mean: float | None = None
    deviation: float | None = None
    least: float | None = None
    greatest: float | None = None


@dataclass(slots=True)
class SeriesStatistics:
    """Counts of one split. ``lengths`` are in steps; ``missing`` is the share of values that are.

    ``frequencies`` counts the series of each; ``season`` is what the most common one suggests, 1 where it suggests none.
    """

    name: str
    files: list[str]
    format: str
    series: int = 0
    steps: int = 0
    mean_length: float = 0.0
    lengths: dict[str, int] = field(default_factory=dict)
    columns: dict[str, ColumnStatistics] = field(default_factory=dict)
    missing: float = 0.0
    frequencies: dict[str, int] = field(default_factory=dict)
    season: int = 1
    first_time: str | None = None
    last_time: str | None = None
    unseen_series: int | None = None


@dataclass
class _Moments:
    """Count, mean and squared deviations, joined part by part (Chan, Golub, LeVeque 1983)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = np.inf
    greatest: float = -np.inf
    missing: int = 0

    def add(self, values_T: np.ndarray) -> None:
        there = values_T[~np.isnan(values_T)]
        self.missing += len(values_T) - len(there)
        if not len(there):
            return
        mean, total = float(there.mean()), self.count + len(there)
        self.squares += float(((there - mean) ** 2).sum()) + (mean - self.mean) ** 2 * self.count * len(there) / total
        self.mean += (mean - self.mean) * len(there) / total
        self.count = total
        self.least, self.greatest = min(self.least, float(there.min())), max(self.greatest, float(there.max()))

    def result(self) -> ColumnStatistics:
        if not self.count:
            return ColumnStatistics(self.missing)
        deviation = float(np.sqrt(self.squares / self.count))
        return ColumnStatistics(self.missing, self.mean, deviation, self.least, self.greatest)


def describe_series(splits: Sequence[SplitFiles]) -> list[SeriesStatistics]:
    """Count each split; ``unseen_series`` of each but the first are those that the first does not have.

    Raises:
        UserError: bad data (65), an unreadable file (74).
    """
    names: set[str] | None = None
    result = []
    for split in splits:
        counts, here = _count(split)
        if names is not None:
            counts.unseen_series = len(here - names)
        names = names or here
        result.append(counts)
    return result


def _count(split: SplitFiles) -> tuple[SeriesStatistics, set[str]]:
    result = SeriesStatistics(split.name, [source_name(path) for path in split.files], str(split.reading.format))
    lengths: Counter[int] = Counter()
    frequencies: Counter[str] = Counter()
    columns: dict[str, _Moments] = {}
    names: set[str] = set()
    times: list[np.datetime64] = []
    for example in split.examples():
        series: Series = example.source
        names.add(series.name)
        lengths[len(series)] += 1
        if series.frequency:
            frequencies[series.frequency] += 1
        for column, values_T in zip(series.columns, series.values_TC.T, strict=True):
            columns.setdefault(column, _Moments()).add(values_T)
        if series.times_T is not None:
            ends = [*times, series.times_T[0], series.times_T[-1]]
            times = [min(ends), max(ends)]
    result.series, result.lengths = lengths.total(), percentiles(lengths)
    result.steps = sum(length * count for length, count in lengths.items())
    result.mean_length = round(result.steps / result.series, 2) if result.series else 0.0
    result.columns = {name: moments.result() for name, moments in columns.items()}
    values = sum(moments.count + moments.missing for moments in columns.values())
    result.missing = sum(moments.missing for moments in columns.values()) / values if values else 0.0
    result.frequencies = dict(frequencies.most_common())
    if frequencies:
        result.season = Frequency.parse(next(iter(result.frequencies))).season
    if times:
        result.first_time, result.last_time = (written(time) for time in times)
    return result, names


def written(time: np.datetime64) -> str:
    """A time without the parts of the clock that are zero."""
    text = str(time.astype("datetime64[ms]")).replace("T", " ")
    return text.removesuffix(".000").removesuffix(":00").removesuffix(" 00:00")
