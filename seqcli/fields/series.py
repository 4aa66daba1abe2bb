"""Series: windows of values on a scale of their own, and the way back to the values.

Shapes: S series, T steps of one, B windows, L steps read, K steps predicted, C columns read, M columns predicted, N columns
known in the future, F features of a step (known columns, then the calendar), Q quantiles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column, Columns, DiskArray
from seqcli.data.batch import InputSizes, Ints, SeriesSizes, Side
from seqcli.data.frequency import Frequency, calendar
from seqcli.data.gaps import last_known
from seqcli.data.series import Series, Times
from seqcli.errors import data_error, plural
from seqcli.fields.base import Raw, SourceField
from seqcli.files import atomic_write
from seqcli.metrics.series import naive_error
from seqcli.recipe.fields import SeriesFieldConfig

SERIES_FILE = "series.safetensors"
"""What a run's folder says of the series that its model read."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Transform = Literal["none", "log", "difference", "log-difference"]

_AT_ONCE = 2**18


@dataclass(frozen=True)
class Window:
    """What a network is shown of a series, in steps, and what a forecast is measured by.

    Attributes:
        look_back: steps read.
        steps: steps predicted at once.
        season: steps after which a series repeats itself; None: as its frequency suggests.
    """

    look_back: int
    steps: int
    season: int | None = None


@dataclass(frozen=True)
class Part:
    """The steps of a series that a split may predict, and the end of those that it is trained on."""

    trained: int
    start: int
    end: int


@dataclass(frozen=True)
class History:
    """A series as a prediction needs it.

    Attributes:
        values_TC: in their own unit; missing ones as the field says.
        features_SF: of the last ``look_back`` steps and of all steps ahead that a forecast may need.
        scale_2C: mean and deviation of the transformed values.
        times_A: of the steps ahead; None where the series has no times.
    """

    name: str
    values_TC: Floats
    features_SF: Singles
    scale_2C: Floats
    times_A: Times | None
    look_back: int

    def __len__(self) -> int:
        """Steps that go through the network."""
        return self.look_back


@dataclass(frozen=True)
class SeriesColumn(Column):
    """The steps of the series of a split [total, C + F (+ C)], and what is known of each series.

    Values are standardised by ``scale``, features are as the network reads them; where missing values are filled there
    are C columns more: 1 where one was missing.
    """

    scale: Column
    naive: Column
    part: Column
    name: Column
    columns: Column
    frequency: Column

    @classmethod
    def of(cls, columns: Columns) -> Self:
        source = columns["source"]
        more = (columns[name] for name in ("scale", "naive", "part", "name", "columns", "frequency"))
        return cls(source.values, source.offsets, source.symbols, source.counts, *more)

    @cached_property
    def scale_S2C(self) -> Floats:
        values = np.asarray(self.scale.values[:], np.float64)
        return values.reshape(len(self), 2, -1)

    @cached_property
    def yardsticks_S2C(self) -> Floats:
        """What errors are measured by: the deviation of each column of a series, and the error of its naive forecast."""
        naive_SC = np.asarray(self.naive.values[:], np.float64)
        return np.stack([self.scale_S2C[:, 1, : naive_SC.shape[1]], naive_SC], 1)

    @cached_property
    def part_S2(self) -> Ints:
        return np.asarray(self.part.values[:]).astype(np.int64)

    @cached_property
    def begin_S(self) -> Ints:
        """Where each series begins, and the last one ends [S + 1]."""
        return np.asarray(self.offsets[:], np.int64)

    @cached_property
    def names(self) -> list[str]:
        return [self.name.symbols[number] for number in np.asarray(self.name.values[:]).tolist()]

    @property
    def read(self) -> list[str]:
        """The columns read, then the known ones."""
        return [self.columns.symbols[number] for number in self.columns.sequence(0).tolist()]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def steps_of(self, series_B: Ints, starts_B: Ints, length: int) -> Singles:
        """``length`` steps of series from their steps ``starts_B`` on [B, length, width]; past the end the last step."""
        begin_B, end_B = self.begin_S[series_B] + starts_B, self.begin_S[series_B + 1]
        if not isinstance(self.values, DiskArray):
            places_BL = np.minimum(begin_B[:, None] + np.arange(length), end_B[:, None] - 1)
            return np.asarray(self.values)[places_BL]
        windows: list[Singles] = []
        for begin, end in zip(begin_B.tolist(), end_B.tolist(), strict=True):
            steps = self.values[min(begin, end - 1) : min(begin + length, end)]
            windows.append(np.concatenate([steps, np.repeat(steps[-1:], length - len(steps), 0)]))
        return np.stack(windows)


class SeriesField(SourceField):
    """Values in the order of time.

    Args:
        predicted: columns that are predicted; None: all that are read.
        plain: for a model that is not trained by gradients: values are not transformed, whatever the recipe says.

    Attributes:
        ahead: steps that a forecast has.
        lead: steps before a window that it takes to make it: the one before the first change.
        filled: missing values that `read` filled, of all series.
    """

    unit = "steps"
    flat = False

    def __init__(
        self, config: SeriesFieldConfig, predicted: Sequence[str] | None, window: Window, *, plain: bool = False
    ) -> None:
        self.config, self.predicted, self.window = config, predicted, window
        self.transform: Transform = "none" if plain else config.transform
        self.scaling = config.scaling
        self.lead = int("difference" in self.transform)
        self.ahead = window.steps
        self.filled = 0
        self.columns: list[str] = []
        self.known: list[str] = list(config.known)
        self.frequency = ""
        self.season = window.season or 1
        self.names: dict[str, int] = {}
        self.scale_S2C = np.zeros((0, 2, 0))
        self.yardsticks_S2C = np.zeros((0, 2, 0))

    # -- what is read of a series

    @property
    def needed(self) -> int:
        """Fewest steps that a forecast is made of."""
        return self.window.look_back + self.lead

    def read(self, value: Any, at: str) -> Raw:
        """A series as it is before the forecast; rows behind it that hold only known columns are their future.

        What was read before stays as it is.

        Raises:
            UserError: no series, other columns than the model's, another frequency, missing values where none may be,
                fewer steps than the model reads, a known column that ends too soon (65).
        """
        if isinstance(value, History):
            return value
        series = as_series(value, at)
        values_TC, known_TN = self._columns_of(series, at)
        end = self.end_of(series)
        if end < self.needed:
            raise data_error(f"{_named(series)}{plural(end, 'step')}, and the model reads {self.needed}", file=at)
        if self.frequency and series.frequency and series.frequency != self.frequency:
            raise data_error(
                f"steps of {series.frequency}, but the model was trained on steps of {self.frequency}", file=at
            )
        values_TC, missing_TC = self._filled(values_TC[:end], at)
        self.filled += int(missing_TC.sum()) if self.config.missing == "last" else 0
        scale_2C = self._scale_of(series.name, values_TC, known_TN[:end])
        times_A = None
        if series.times_T is not None:
            times_A = Frequency.parse(series.frequency).after(series.times_T[:end], self.ahead)
        features_SF = self._features_ahead(series, known_TN, end, scale_2C, times_A, at)
        return History(series.name, values_TC, features_SF, scale_2C, times_A, self.window.look_back)

    def end_of(self, series: Series) -> int:
        """Steps of a series that are past; rows behind them hold known columns alone."""
        if not self.known:
            return len(series)
        there = np.flatnonzero(~np.isnan(self._columns_of(series, "")[0]).all(1))
        return int(there[-1]) + 1 if len(there) else 0

    def encode(self, series: Series, at: str, split: str, part: Part) -> Mapping[str, Any]:
        """The columns of a series in a split: its steps up to the end of the part, scaled by those trained on.

        Raises:
            UserError: columns that are not there, missing values where none may be, none that is there (65).
        """
        values_TC, known_TN = self._columns_of(series, at)
        values_TC, missing_TC = self._filled(values_TC[: part.end], at)
        known_TN = known_TN[: part.end]
        trained_TX = np.concatenate([np.where(missing_TC, np.nan, values_TC), known_TN], 1)[: part.trained]
        scale_2C = moments(trained_TX)
        for name, mean in zip(self._names(series), scale_2C[0], strict=True):
            if np.isnan(mean):
                raise data_error(f"{_named(series)}all values of '{name}' for {split} are missing", file=at)
        scaled_TX = (np.concatenate([values_TC, known_TN], 1) - scale_2C[0]) / scale_2C[1]
        count = values_TC.shape[1]
        parts = [scaled_TX]
        if self.config.calendar:
            parts.append(self._calendar(series.times_T, at)[: part.end])
        if self.config.missing == "last":
            parts.append(missing_TC)
        season = self.window.season or season_of(series.frequency)
        return {
            "source": np.concatenate(parts, 1).astype(np.float32),
            "scale": scale_2C,
            "naive": naive_error(trained_TX[:, :count], season)[None],
            "part": np.array([[part.start, part.end]], np.float64),
            "name": [series.name],
            "columns": self._names(series),
            "frequency": [series.frequency],
        }

    def _names(self, series: Series) -> list[str]:
        return [*self._read_of(series), *self.known]

    def _read_of(self, series: Series) -> list[str]:
        """The columns read: those of the model, else those that the recipe names, else all."""
        if self.columns:
            return self.columns
        if self.config.columns is None:
            return [name for name in series.columns if name not in self.known]
        return list(dict.fromkeys([*self.config.columns, *(self.predicted or ())]))

    def _columns_of(self, series: Series, at: str) -> tuple[Floats, Floats]:
        """Values of the columns read [T, C] and of the known ones [T, N]."""
        read = self._read_of(series)
        missing = [name for name in (*read, *self.known, *(self.predicted or ())) if name not in series.columns]
        if missing or not read:
            wanted = ", ".join(dict.fromkeys([*read, *self.known, *(self.predicted or ())]))
            whose = "the model reads" if self.columns else "the recipe names"
            raise data_error(
                f"{_named(series)}no column '{missing[0] if missing else ''}': the columns are "
                f"{', '.join(series.columns)}, and {whose} {wanted}",
                file=at,
            )
        place_of = {name: number for number, name in enumerate(series.columns)}
        of = [[place_of[name] for name in names] for names in (read, self.known)]
        return series.values_TC[:, of[0]], series.values_TC[:, of[1]]

    def _filled(self, values_TC: Floats, at: str) -> tuple[Floats, NDArray[np.bool_]]:
        """Values with gaps filled as the recipe says, and where they were."""
        missing_TC = np.isnan(values_TC)
        if missing_TC.any() and self.config.missing == "refuse":
            step, column = np.argwhere(missing_TC)[0].tolist()
            raise data_error(
                f"a value is missing ({plural(int(missing_TC.sum()), 'value')} in all; the first in step {step + 1}, "
                f"column {column + 1})",
                file=at,
                hint="Set source.missing: last or mask, or fill the gaps with 'seqcli impute'.",
            )
        if self.transform.startswith("log") and (values_TC <= 0).any():
            step, column = np.argwhere(values_TC <= 0)[0].tolist()
            raise data_error(
                f"{values_TC[step, column]:g} has no logarithm (step {step + 1}, column {column + 1})",
                file=at,
                hint="Set source.transform: none.",
            )
        if missing_TC.any() and self.config.missing == "last":
            values_TC = last_known(last_known(values_TC)[::-1])[::-1]  # those at the start become the first there is
        return values_TC, missing_TC

    # -- features

    @property
    def features(self) -> int:
        """F."""
        return len(self.known) + 2 * len(self.config.calendar)

    def _calendar(self, times_T: Times | None, at: str) -> Singles:
        if times_T is None:
            raise data_error("source.calendar needs a column of times, and there is none", file=at)
        return calendar(times_T, [*self.config.calendar])

    def _features_ahead(
        self, series: Series, known_TN: Floats, end: int, scale_2C: Floats, times_A: Times | None, at: str
    ) -> Singles:
        """Features of the steps read and of those ahead [S, F]."""
        start, steps = end - self.window.look_back, self.window.look_back + self.ahead
        known_SN = known_TN[start : end + self.ahead] if self.known else np.zeros((steps, 0))
        if self.known:
            last = known_SN[self.window.look_back :]
            if len(last) < self.ahead or np.isnan(last).any():
                there = int(np.isnan(last).any(1).argmax()) if np.isnan(last).any() else len(last)
                raise data_error(
                    f"{_named(series)}{', '.join(self.known)}: known for {plural(there, 'step')} ahead, and the forecast "
                    f"takes {self.ahead}",
                    file=at,
                    hint="Add rows in which only the known columns have values.",
                )
            if np.isnan(known_SN).any():
                raise data_error(f"{_named(series)}a value of {', '.join(self.known)} is missing", file=at)
        known_SN = (known_SN - scale_2C[0, len(self.columns) :]) / scale_2C[1, len(self.columns) :]
        calendar_SF = np.zeros((steps, 0))
        if self.config.calendar:
            read_S = self._calendar(None if series.times_T is None else series.times_T[start:end], at)
            calendar_SF = np.concatenate([read_S, self._calendar(times_A, at)])
        return np.concatenate([known_SN, calendar_SF], 1).astype(np.float32)

    # -- scales

    def fit(self, column: Column, files: Sequence[str]) -> None:
        """Learn names, scales and what else is known of the training series."""
        assert isinstance(column, SeriesColumn)
        read = column.read
        self.columns = read[: len(read) - len(self.known)]
        self.frequency = column.frequency.symbols[0]
        self.season = self.window.season or season_of(self.frequency)
        self.names = {name: row for row, name in enumerate(column.names)}
        self.yardsticks_S2C = column.yardsticks_S2C
        self.scale_S2C = self._learned(column)

    def _learned(self, column: SeriesColumn) -> Floats:
        """The scale of each series, of the transformed values [S, 2, C + N]; one of all where they share it."""
        scale_S2C, width = column.scale_S2C, column.scale_S2C.shape[2]
        if self.scaling == "none":
            return np.stack([np.zeros(width), np.ones(width)])[None]
        if self.scaling == "series" and self.transform == "none":
            return scale_S2C
        moments = [
            self._moments_of(column, start, end) for start, end in _blocks(column.begin_S)
        ]  # counts, means and sums of squares around them, each [S, C + N]
        counts_SC, mean_SC, squares_SC = (np.concatenate(one) for one in zip(*moments, strict=True))
        if self.scaling == "common":
            total_1C = np.maximum(counts_SC.sum(0, keepdims=True), 1)
            common_1C = (counts_SC * mean_SC).sum(0, keepdims=True) / total_1C
            squares_SC = (squares_SC + counts_SC * (mean_SC - common_1C) ** 2).sum(0, keepdims=True)
            mean_SC, counts_SC = common_1C, total_1C
        return np.stack([mean_SC, _deviation(squares_SC / np.maximum(counts_SC, 1), mean_SC)], 1)

    def _moments_of(self, column: SeriesColumn, first: int, last: int) -> tuple[Floats, Floats, Floats]:
        begin = column.begin_S[first : last + 1]
        lengths = np.diff(begin)
        raw_TW = np.asarray(column.values[int(begin[0]) : int(begin[-1])], np.float64)
        scale_S2C = column.scale_S2C[first:last]
        mean_TC, deviation_TC = (np.repeat(scale_S2C[:, row], lengths, 0) for row in (0, 1))
        width = scale_S2C.shape[2]
        values_TC = raw_TW[:, :width] * deviation_TC + mean_TC
        count = len(self.columns)
        if raw_TW.shape[1] > width + self.features - len(self.known):
            values_TC[:, :count][raw_TW[:, -count:] > 0] = np.nan
        values_TC[:, :count] = transformed(values_TC[:, :count], self.transform)
        if self.lead:
            values_TC[begin[:-1] - begin[0], :count] = np.nan  # no step of the same series is before it
        there_TC = ~np.isnan(values_TC)
        starts = begin[:-1] - begin[0]
        counts_SC = np.add.reduceat(there_TC.astype(np.float64), starts)
        sums_SC = np.add.reduceat(np.where(there_TC, values_TC, 0), starts)
        mean_SC = sums_SC / np.maximum(counts_SC, 1)
        away_TC = np.where(there_TC, values_TC - np.repeat(mean_SC, lengths, 0), 0)
        return counts_SC, mean_SC, np.add.reduceat(away_TC**2, starts)

    def rows(self, names: Sequence[str]) -> Ints:
        """The number of each training series by its name, -1 for one that the model does not know."""
        return np.array([self.names.get(name, -1) for name in names], np.int64)

    def _scale_of(self, name: str, values_TC: Floats, known_TN: Floats) -> Floats:
        if self.scaling != "series":
            return self.scale_S2C[0]
        if name in self.names:
            return self.scale_S2C[self.names[name]]
        return moments(np.concatenate([transformed(values_TC, self.transform), known_TN], 1))

    def scaled(self, values_BTC: Floats, scale_B2C: Floats) -> Singles:
        """Values in their own unit [B, lead + T, C] -> what a network reads [B, T, C]."""
        values_BTC = transformed(values_BTC, self.transform, axis=1)[:, self.lead :]
        count = values_BTC.shape[2]
        scale_B2C = scale_B2C[:, :, :count]
        return ((values_BTC - scale_B2C[:, None, 0]) / scale_B2C[:, None, 1]).astype(np.float32)

    def unscaled(self, values_BKM: NDArray[Any], scale_B2M: Floats, last_BM: Floats) -> Floats:
        """What a network says of steps [B, K, M], or their quantiles [B, K, M, Q], in their own unit.

        Args:
            scale_B2M: of the transformed values.
            last_BM: the values before the first of these steps.
        """
        more = (1,) * (values_BKM.ndim - 3)
        mean, deviation, last = (
            one.reshape(len(values_BKM), 1, -1, *more) for one in (scale_B2M[:, 0], scale_B2M[:, 1], last_BM)
        )
        values = values_BKM * deviation + mean
        if self.transform == "difference":
            return np.asarray(last + values.cumsum(1))
        if self.transform == "log-difference":
            return np.asarray(last * np.exp(values.cumsum(1)))
        return np.exp(values) if self.transform == "log" else np.asarray(values)

    # -- for a prediction

    @property
    def targets(self) -> tuple[int, ...]:
        """Where the columns predicted stand among those read."""
        return tuple(map(self.columns.index, self.columns if self.predicted is None else self.predicted))

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(self.columns[place] for place in self.targets)

    def side(self, raws: Sequence[Raw]) -> Side:
        windows_BTC = np.stack([raw.values_TC[len(raw.values_TC) - self.needed :] for raw in raws])
        scale_B2C = np.stack([raw.scale_2C for raw in raws])
        arrays = {
            "values_BLC": self.scaled(windows_BTC, scale_B2C),
            "features_BSF": np.stack([raw.features_SF for raw in raws]),
        }
        return Side(arrays, np.full(len(raws), self.window.look_back, np.int64))

    def over(self, column: Column, files: Sequence[str]) -> SeriesWindows:
        assert isinstance(column, SeriesColumn)
        self.check_columns(column, files)
        return SeriesWindows(self, column, self.window.steps)

    def check_columns(self, column: SeriesColumn, files: Sequence[str]) -> None:
        """Raises UserError (65): a split of other columns than the model's."""
        mine = [*self.columns, *self.known]
        if column.read != mine:
            raise data_error(
                f"the columns are {', '.join(column.read)}, and the model reads {', '.join(mine)}",
                file=", ".join(files),
            )

    # -- what it keeps

    def series_sizes(self, quantiles: tuple[float, ...] = ()) -> SeriesSizes:
        """What a network must know."""
        return SeriesSizes(
            columns=len(self.columns),
            targets=self.targets,
            features=self.features,
            look_back=self.window.look_back,
            steps=self.window.steps,
            quantiles=quantiles,
            season=self.season,
            gaps=self.config.missing == "mask",
        )

    def sizes(self) -> InputSizes:
        return InputSizes(frame_dim=len(self.columns), frame_gaps=self.config.missing == "mask")

    def tables(self) -> dict[str, int]:
        return self.series_sizes().tables

    def key(self) -> list[Any]:
        config = self.config
        return [
            "series",
            config.columns,
            list(self.predicted or ()),
            config.known,
            config.calendar,
            config.missing,
            config.transform.startswith("log"),
            self.window.season,
        ]

    def save(self, folder: Path) -> list[str]:
        from safetensors.numpy import save

        about = {"columns": self.columns, "frequency": self.frequency, "season": self.season, "names": [*self.names]}
        arrays = {"scale": self.scale_S2C, "yardsticks": self.yardsticks_S2C}
        with atomic_write(folder / SERIES_FILE) as handle:
            handle.write(save(arrays, {"series": json.dumps(about)}))
        return [SERIES_FILE]

    def load(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        path = folder / SERIES_FILE
        try:
            with safe_open(path, framework="np") as file:
                about = json.loads(file.metadata()["series"])
                self.scale_S2C, self.yardsticks_S2C = file.get_tensor("scale"), file.get_tensor("yardsticks")
            self.columns, names = [*map(str, about["columns"])], [*map(str, about["names"])]
            self.frequency, self.season = str(about["frequency"]), int(about["season"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise data_error("what the model knows of its series cannot be read", file=path) from error
        self.names = {name: row for row, name in enumerate(names)}
        rows = len(names) if self.scaling == "series" else 1
        shapes = (rows, 2, len(self.columns) + len(self.known)), (len(names), 2, len(self.columns))
        if (self.scale_S2C.shape, self.yardsticks_S2C.shape) != shapes or not np.isfinite(self.scale_S2C).all():
            raise data_error("the scales are not those of this model's series", file=path)
        if unknown := set(self.predicted or ()) - set(self.columns):
            raise data_error(f"a column is predicted that is not read: {', '.join(sorted(unknown))}", file=path)

    def readable(self, column: Column, row: int, *, as_seen: bool = False) -> str:
        assert isinstance(column, SeriesColumn)
        length = int(column.begin_S[row + 1] - column.begin_S[row])
        return f"{column.names[row] or 'series'}: {plural(length, 'step')} of {plural(len(column.read), 'column')}"

    def summary(self) -> dict[str, int]:
        return {"columns": len(self.columns), "features": self.features, "steps read": self.window.look_back}


class SeriesWindows:
    """The windows of a split, made when they are asked for; a row is the number of one.

    A window is ``look_back`` steps and the ``steps`` behind them that are predicted; those lie in the split's part.

    Attributes:
        first_S: the first window of each series, and the number of all [S + 1].
    """

    def __init__(self, field: SeriesField, column: SeriesColumn, steps: int, stride: int = 1) -> None:
        self.field, self.column, self.steps, self.stride = field, column, steps, stride
        start_S, end_S = column.part_S2.T
        self.start_S = np.maximum(start_S, field.needed)
        counts_S = np.maximum(0, (end_S - steps - self.start_S) // stride + 1)
        self.first_S = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts_S)])
        rows = field.rows(column.names)
        known_S11 = (rows >= 0)[:, None, None]
        self.yardsticks_S2C = np.where(known_S11, field.yardsticks_S2C[rows], column.yardsticks_S2C)
        if field.scaling == "series":
            self.scale_S2C = np.where(known_S11, field.scale_S2C[rows], column.scale_S2C)
        else:
            self.scale_S2C = np.broadcast_to(field.scale_S2C, column.scale_S2C.shape)
        self.as_stored = field.transform == "none" and np.array_equal(self.scale_S2C, column.scale_S2C)

    def __len__(self) -> int:
        return int(self.first_S[-1])

    @property
    def empty(self) -> int:
        """Series that are too short to give a window."""
        return int((np.diff(self.first_S) == 0).sum())

    def places(self, rows: Ints) -> tuple[Ints, Ints]:
        """``(series, first step predicted)`` of windows."""
        series_B = np.searchsorted(self.first_S, rows, side="right") - 1
        return series_B, self.start_S[series_B] + (rows - self.first_S[series_B]) * self.stride

    def sides(self, rows: Ints) -> tuple[Side, Side]:
        """What goes in, and what should come out, in the network's scale."""
        field, look_back, lead = self.field, self.field.window.look_back, self.field.lead
        series_B, start_B = self.places(rows)
        raw_BTW = self.column.steps_of(series_B, start_B - look_back - lead, lead + look_back + self.steps)
        values_BTC = self._values(raw_BTW, series_B)
        read_BLC, next_BKM = values_BTC[:, :look_back], values_BTC[:, look_back:, list(field.targets)]
        missing_BTC = self._missing(raw_BTW)
        if missing_BTC is not None:
            next_BKM = np.where(missing_BTC[:, lead + look_back :, list(field.targets)], np.float32(np.nan), next_BKM)
        lengths_B = np.full(len(rows), look_back, np.int64)
        arrays = {
            "values_BLC": np.ascontiguousarray(read_BLC),
            "features_BSF": self._features(raw_BTW[:, lead:], series_B),
        }
        return Side(arrays, lengths_B), Side({"values_BKC": np.ascontiguousarray(next_BKM)}, lengths_B)

    def side(self, rows: Ints) -> Side:
        return self.sides(rows)[0]

    def original(self, rows: Ints) -> tuple[Floats, Floats]:
        """In their own unit: the values that should come out [B, K, M], NaN where missing, and those before them [B, M]."""
        series_B, start_B = self.places(rows)
        raw_BTW = self.column.steps_of(series_B, start_B - 1, 1 + self.steps)
        values_BTC = self._unstored(raw_BTW, series_B)
        missing_BTC = self._missing(raw_BTW)
        values_BKC = values_BTC[:, 1:]
        if missing_BTC is not None:
            values_BKC = np.where(missing_BTC[:, 1:], np.nan, values_BKC)
        targets = list(self.field.targets)
        return values_BKC[:, :, targets], values_BTC[:, 0][:, targets]

    def ahead(self, steps: int, stride: int) -> SeriesWindows:
        """Windows of the same split that predict so many steps, so far apart."""
        return SeriesWindows(self.field, self.column, steps, stride)

    def whole(self, rows: Ints) -> tuple[Singles, Singles]:
        """What is read [B, L, C], and all columns of what follows [B, K, C], NaN where missing, in the network's scale."""
        field, look_back = self.field, self.field.window.look_back
        series_B, start_B = self.places(rows)
        raw_BTW = self.column.steps_of(series_B, start_B - field.needed, field.needed + self.steps)
        values_BTC, missing_BTC = self._values(raw_BTW, series_B), self._missing(raw_BTW)
        next_BKC = values_BTC[:, look_back:]
        if missing_BTC is not None:
            next_BKC = np.where(missing_BTC[:, field.needed :], np.float32(np.nan), next_BKC)
        return values_BTC[:, :look_back], next_BKC

    def histories(self, rows: Ints) -> list[tuple[Floats, Floats]]:
        """All steps before the first that each window predicts [T, C], in their own unit, and the scale [2, C]."""
        count = len(self.field.columns)
        found: list[tuple[Floats, Floats]] = []
        values_TC, of = np.zeros((0, count)), -1
        for series, start in zip(*(one.tolist() for one in self.places(rows)), strict=True):
            if series != of:
                length = int(self.column.begin_S[series + 1] - self.column.begin_S[series])
                numbers = np.array([series])
                (values_TC,) = self._unstored(self.column.steps_of(numbers, np.zeros(1, np.int64), length), numbers)
                of = series
            found.append((values_TC[:start], self.scale_S2C[series, :, :count]))
        return found

    def yardsticks(self, rows: Ints) -> tuple[Floats, Floats]:
        """Deviation and naive error of the columns that each window predicts [B, M]."""
        series_B, _ = self.places(rows)
        found_B2M = self.yardsticks_S2C[series_B][:, :, list(self.field.targets)]
        return found_B2M[:, 0], found_B2M[:, 1]

    @property
    def constant(self) -> int:
        """Columns of series whose training part never changes."""
        return int((self.yardsticks_S2C[:, 1] == 0).sum())

    @cached_property
    def missing(self) -> int:
        """Values that are missing in the split, filled or not."""
        count, total = len(self.field.columns), 0
        if self.field.config.missing == "refuse":
            return 0
        for start in range(0, len(self.column.values), _AT_ONCE):
            raw_BTW = np.asarray(self.column.values[start : start + _AT_ONCE])[None]
            missing_BTC = self._missing(raw_BTW)
            total += int((np.isnan(raw_BTW[:, :, :count]) if missing_BTC is None else missing_BTC).sum())
        return total

    def _values(self, raw_BTW: Singles, series_B: Ints) -> Singles:
        count = len(self.field.columns)
        if self.as_stored:
            return raw_BTW[:, :, :count]
        return self.field.scaled(self._unstored(raw_BTW, series_B), self.scale_S2C[series_B])

    def _unstored(self, raw_BTW: Singles, series_B: Ints) -> Floats:
        count = len(self.field.columns)
        mean_BC, deviation_BC = (self.column.scale_S2C[series_B, row, :count] for row in (0, 1))
        return raw_BTW[:, :, :count].astype(np.float64) * deviation_BC[:, None] + mean_BC[:, None]

    def _missing(self, raw_BTW: Singles) -> NDArray[np.bool_] | None:
        """Which values were missing, where they are filled."""
        count = len(self.field.columns)
        return raw_BTW[:, :, -count:] > 0 if self.field.config.missing == "last" else None

    def _features(self, raw_BSW: Singles, series_B: Ints) -> Singles:
        count, known = len(self.field.columns), len(self.field.known)
        features_BSF = raw_BSW[:, :, count : count + self.field.features]
        if known and not self.as_stored:
            stored, mine = (one[series_B, :, count:] for one in (self.column.scale_S2C, self.scale_S2C))
            values = features_BSF[:, :, :known] * stored[:, None, 1] + stored[:, None, 0]
            scaled = ((values - mine[:, None, 0]) / mine[:, None, 1]).astype(np.float32)
            features_BSF = np.concatenate([scaled, features_BSF[:, :, known:]], 2)
        return np.ascontiguousarray(features_BSF)


def transformed(values: Floats, transform: Transform, axis: int = 0) -> Floats:
    """Values as a network reads them but for their scale; the first change along ``axis`` is NaN."""
    if transform.startswith("log"):
        values = np.log(values)
    if transform.endswith("difference"):
        values = np.diff(values, axis=axis, prepend=np.full_like(np.take(values, [0], axis), np.nan))
    return values


def season_of(frequency: str) -> int:
    """Steps after which series of this frequency mostly repeat themselves; 1 where they have none."""
    return Frequency.parse(frequency).season if frequency else 1


def as_series(value: Any, at: str) -> Series:
    """Raises UserError (65): it is none."""
    if isinstance(value, Series):
        return value
    raise data_error(
        "this recipe reads series, and here are none", file=at, hint="Set data.format: series, or take another task."
    )


def _named(series: Series) -> str:
    return f"series '{series.name}': " if series.name else ""


def _mean(values_TC: Floats) -> Floats:
    """Mean of each column over the values that are there; NaN where none is."""
    count_C = (~np.isnan(values_TC)).sum(0)
    return np.where(count_C > 0, np.nansum(values_TC, axis=0) / np.maximum(count_C, 1), np.nan)


def moments(values_TC: Floats) -> Floats:
    """Mean and deviation of each column [2, C]; NaN where no value is there."""
    mean_C = _mean(values_TC)
    return np.stack([mean_C, _deviation(_mean((values_TC - mean_C) ** 2), mean_C)])


def _deviation(variance: Floats, mean: Floats) -> Floats:
    """1 for a column that never changes but for rounding."""
    deviation = np.sqrt(variance)
    return np.where(deviation <= 1e-12 * np.abs(mean), 1.0, deviation)


def _blocks(begin_S: Ints) -> list[tuple[int, int]]:
    """Ranges of series that have about `_AT_ONCE` steps together."""
    blocks: list[tuple[int, int]] = []
    first = 0
    while first < len(begin_S) - 1:
        last = int(np.searchsorted(begin_S, begin_S[first] + _AT_ONCE, side="right")) - 1
        blocks.append((first, max(first + 1, last)))
        first = blocks[-1][1]
    return blocks
