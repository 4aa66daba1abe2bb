"""Series with gaps: windows of what stands around each step, and values hidden on purpose to learn to fill them.

Shapes: S series, T steps of one, B windows, L steps of one, C columns read, M columns filled, F features of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import Ints, Side
from seqcli.data.gaps import Hiding, surroundings
from seqcli.data.series import Series
from seqcli.errors import data_error
from seqcli.fields.series import (
    Floats,
    Part,
    SeriesColumn,
    SeriesField,
    SeriesWindows,
    Singles,
    Window,
    as_series,
    moments,
)
from seqcli.recipe.fields import SeriesFieldConfig

FIXED_SEED = 1
"""Decides with the number of a series which of its values are hidden where a model is measured."""


@dataclass(frozen=True)
class Gappy:
    """A series whose gaps are to be filled: values in their own unit, NaN in the gaps, and the scale [2, C] of its own."""

    name: str
    values_TC: Floats
    features_TF: Singles
    scale_2C: Floats

    def __len__(self) -> int:
        return len(self.values_TC)


class Piece(NamedTuple):
    """A window of a series, and of which of its steps it decides the values."""

    of: Gappy
    begin: int
    end: int
    first: int
    last: int

    @property
    def own(self) -> slice:
        """The steps that it decides, counted in the window."""
        return slice(self.first - self.begin, self.last - self.begin)

    def __len__(self) -> int:
        return self.end - self.begin


def windows_over(raw: Gappy, window: int) -> list[Piece]:
    """Windows half a window apart, each step decided by the one in which it is farthest from an end."""
    length = len(raw)
    begins = sorted({*range(0, max(1, length - window), max(1, window // 2)), max(0, length - window)})
    edges = [0, *((left + window + right) // 2 for left, right in pairwise(begins)), length]
    return [
        Piece(raw, begin, min(begin + window, length), *edges[number : number + 2])
        for number, begin in enumerate(begins)
    ]


class GapField(SeriesField):
    """Values in the order of time, some of them missing."""

    def __init__(self, config: SeriesFieldConfig, filled: Sequence[str] | None, window: int) -> None:
        super().__init__(config, filled, Window(window, 0, 1))

    def read(self, value: Any, at: str) -> Gappy:
        """Raises UserError (65): no series, other columns or another frequency than the model's."""
        if isinstance(value, Gappy):
            return value
        series = as_series(value, at)
        values_TC, _ = self._columns_of(series, at)
        if self.frequency and series.frequency and series.frequency != self.frequency:
            raise data_error(
                f"steps of {series.frequency}, but the model was trained on steps of {self.frequency}", file=at
            )
        return self.gappy(series.name, values_TC, self._features_of(series, at))

    def gappy(self, name: str, values_TC: Floats, features_TF: Singles) -> Gappy:
        """A series on its scale: of one that the model does not know, that of what is there of it."""
        scale_2C = self._scale_of(name, values_TC, np.zeros((len(values_TC), 0)))
        return Gappy(name, values_TC, features_TF, _usable(scale_2C))

    def encode(self, series: Series, at: str, split: str, part: Part) -> Mapping[str, Any]:
        """The columns of a series in a split: its steps up to the end of the part, scaled by those trained on."""
        values_TC = self._columns_of(series, at)[0][: part.end]
        scale_2C = _usable(moments(values_TC[: part.trained]))
        scaled_TC = (values_TC - scale_2C[0]) / scale_2C[1]
        return {
            "source": np.concatenate([scaled_TC, self._features_of(series, at)[: part.end]], 1).astype(np.float32),
            "scale": scale_2C,
            "naive": np.full((1, values_TC.shape[1]), np.nan),
            "part": np.array([[part.start, part.end]], np.float64),
            "name": [series.name],
            "columns": self._names(series),
            "frequency": [series.frequency],
        }

    def _features_of(self, series: Series, at: str) -> Singles:
        return self._calendar(series.times_T, at) if self.config.calendar else np.zeros((len(series), 0), np.float32)

    def deviation_of(self, raw: Gappy) -> Floats:
        """What errors of a series are standardised by [M]: its scale, or where there is none the deviation of its values."""
        if self.scaling != "none":
            scale_C = raw.scale_2C[1]
        elif raw.name in self.names:
            scale_C = self.yardsticks_S2C[self.names[raw.name], 0]
        else:
            scale_C = _usable(moments(raw.values_TC))[1]
        return scale_C[list(self.targets)]

    # -- windows

    def inputs(self, values_BLC: Singles, features_BLF: Singles, lengths_B: Ints) -> Side:
        """What a network sees of windows on its scale: no value but those that are there."""
        around = surroundings(values_BLC)._asdict()
        arrays = {f"{name}_BLC": np.ascontiguousarray(array) for name, array in around.items()}
        return Side({**arrays, "features_BLF": np.ascontiguousarray(features_BLF)}, lengths_B)

    def side(self, raws: Sequence[Piece]) -> Side:
        lengths_B = np.array([*map(len, raws)], np.int64)
        longest = int(lengths_B.max(initial=1))
        values_BLC = np.full((len(raws), longest, len(self.columns)), np.nan)
        features_BLF = np.zeros((len(raws), longest, self.features), np.float32)
        for row, piece in enumerate(raws):
            values_BLC[row, : len(piece)] = piece.of.values_TC[piece.begin : piece.end]
            features_BLF[row, : len(piece)] = piece.of.features_TF[piece.begin : piece.end]
        scale_B2C = np.stack([piece.of.scale_2C for piece in raws])
        return self.inputs(self.scaled(values_BLC, scale_B2C), features_BLF, lengths_B)

    def on_scale(self, raw: Gappy) -> Floats:
        """The values of a series as a network reads them [T, C]."""
        return self.scaled(raw.values_TC[None], raw.scale_2C[None])[0].astype(np.float64)

    def off_scale(self, values_TM: NDArray[Any], raw: Gappy) -> Floats:
        """What is said of the columns filled in their own unit [T, M]."""
        scale_B2M = raw.scale_2C[None][:, :, list(self.targets)]
        return self.unscaled(np.asarray(values_TM, np.float64)[None], scale_B2M, scale_B2M[:, 0])[0]

    def over(self, column: Column, files: Sequence[str]) -> GapWindows:
        assert isinstance(column, SeriesColumn)
        self.check_columns(column, files)
        return GapWindows(self, column)

    def key(self) -> list[Any]:
        return [*super().key(), "gaps"]


class GapWindows(SeriesWindows):
    """The series of a split: windows of them with values hidden, to learn, and whole ones.

    The windows of an epoch, as many as cover the training part, begin at other steps in each; their rows are numbered on
    from epoch to epoch, so that a row and the seed decide what is hidden.
    """

    def __init__(self, field: GapField, column: SeriesColumn) -> None:
        super().__init__(field, column, 0)
        self.gaps, self.size = field, field.window.look_back
        self.start_S, self.end_S = column.part_S2.T
        self.first_S = np.concatenate([np.zeros(1, np.int64), np.cumsum(-(-self.end_S // self.size))])

    @property
    def lengths(self) -> Ints:
        """Steps of each window of an epoch."""
        return np.repeat(np.minimum(self.end_S, self.size), np.diff(self.first_S))

    def hidden_sides(self, rows: Ints, hiding: Hiding, seed: int, vary: float = 0.0) -> tuple[Side, Side]:
        """Windows without the values that are hidden, and these alone, on the network's scale.

        ``vary``: the share of windows in which values are hidden in another way.
        """
        epoch_B, number_B = np.divmod(rows, max(1, len(self)))
        series_B = np.searchsorted(self.first_S, number_B, side="right") - 1
        end_B = self.end_S[series_B]
        lengths_B = np.minimum(end_B, self.size)
        begin_B = np.zeros(len(rows), np.int64)
        randoms = [
            np.random.default_rng([seed, *pair]) for pair in zip(epoch_B.tolist(), number_B.tolist(), strict=True)
        ]
        count_B = np.diff(self.first_S)[series_B]
        for row in np.flatnonzero(count_B > 1).tolist():
            slack, place = int(end_B[row]) - self.size, number_B[row] - self.first_S[series_B[row]]
            jitter = randoms[row].integers(self.size) - self.size // 2
            begin_B[row] = np.clip(place * slack // (count_B[row] - 1) + jitter, 0, slack)
        raw_BLW = self.column.steps_of(series_B, begin_B, self.size)
        values_BLC = np.array(self._values(raw_BLW, series_B))
        values_BLC[np.arange(self.size) >= lengths_B[:, None]] = np.nan
        targets = list(self.field.targets)
        gold_BLM = np.full((*values_BLC.shape[:2], len(targets)), np.nan, np.float32)
        for row, random in enumerate(randoms):
            there_LM = ~np.isnan(values_BLC[row][:, targets])
            chosen = hiding.varied(random, self.size) if random.random() < vary else hiding
            hidden_LM = chosen.hidden(there_LM, random)
            if not hidden_LM.any() and there_LM.any():
                hidden_LM.flat[random.choice(np.flatnonzero(there_LM))] = True
            window_LM = values_BLC[row][:, targets]
            gold_BLM[row][hidden_LM] = window_LM[hidden_LM]
            window_LM[hidden_LM] = np.nan
            values_BLC[row][:, targets] = window_LM
        longest = int(lengths_B.max(initial=1))
        source = self.gaps.inputs(values_BLC[:, :longest], self._features(raw_BLW, series_B)[:, :longest], lengths_B)
        return source, Side({"values_BLM": np.ascontiguousarray(gold_BLM[:, :longest])}, lengths_B)

    def series(self, number: int, *, whole: bool = True) -> tuple[Floats, Singles, int]:
        """Values in their own unit [T, C], features, and where the part begins; else from a window before that on."""
        begin = 0 if whole else max(0, int(self.start_S[number]) - self.size)
        one = np.array([number])
        raw_1TW = self.column.steps_of(one, np.array([begin]), int(self.end_S[number]) - begin)
        return self._unstored(raw_1TW, one)[0], self._features(raw_1TW, one)[0], int(self.start_S[number]) - begin

    def on_scale(self) -> Iterator[Singles]:
        """Each series as a network reads it [T, C]."""
        for number in range(len(self.column)):
            values_TC, _, _ = self.series(number)
            yield self.field.scaled(values_TC[None], self.scale_S2C[number : number + 1])[0]


def _usable(scale_2C: Floats) -> Floats:
    """A scale with mean 0 and deviation 1 for what never had a value."""
    return np.where(np.isnan(scale_2C), np.array([[0.0], [1.0]]), scale_2C)
