"""What a forecast has to beat: the last value, the season before, a line, least squares; ETS and theta.

Letters: B histories, L steps of one, K steps ahead, C columns, N rows of a regression. A history may have gaps (NaN), and
begin with them; a column that has no value in it is forecast as 0, which is its training mean where values are standardised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import SeriesSizes
from seqcli.data.gaps import interpolated, last_known
from seqcli.errors import data_error, usage_error
from seqcli.models.counts.base import Progress
from seqcli.models.counts.checked_arrays import CheckedArrays

if TYPE_CHECKING:
    from seqcli.recipe.models import LinearForecastConfig

Values = NDArray[np.float64]
Windows = Iterable[tuple[NDArray[Any], NDArray[Any]]]
"""Batches of what is read [B, L, C] and what comes behind it [B, K, C], NaN where a value is missing."""


class SeriesForecaster(ABC):
    """A model of one or all series that is no network.

    Attributes:
        history: what `forecast` reads: the look-back of the recipe; a season; or all steps there are.
        original: it reads values in the units of the data, not standardised ones.
    """

    history: ClassVar[Literal["window", "season", "all"]] = "window"
    original: ClassVar[bool] = False

    def __init__(self, config: Any, sizes: SeriesSizes) -> None:
        self.config, self.sizes = config, sizes

    @staticmethod
    @abstractmethod
    def title(config: Any) -> str:
        """The model as a report names it."""

    @classmethod
    def fit(cls, config: Any, windows: Windows, sizes: SeriesSizes, progress: Progress | None = None) -> Self:
        """The model of training windows, standardised, of all columns; most learn nothing of them."""
        if progress is not None:
            progress(1, 1)
        return cls(config, sizes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learned, by name."""
        return {}

    @classmethod
    def from_arrays(
        cls, config: Any, arrays: Mapping[str, NDArray[Any]], sizes: SeriesSizes, file: object = None
    ) -> Self:
        """The model of its `arrays`, which may come from anywhere.

        Raises:
            UserError: they are no such model (65, naming ``file``).
        """
        CheckedArrays(arrays, cls.title(config), file).nothing_left()
        return cls(config, sizes)

    def forecast(self, values_BLC: NDArray[Any], steps: int) -> Values:
        """The next values [B, K, C] of every column; there may be fewer steps than `history` wants, or none."""
        batch, length, columns = values_BLC.shape
        return self._ahead(values_BLC, steps) if length else np.zeros((batch, steps, columns))

    @abstractmethod
    def _ahead(self, values_BLC: NDArray[Any], steps: int) -> Values: ...


class LastValue(SeriesForecaster):
    """The last value there is, again and again; in gaps, too."""

    @staticmethod
    def title(config: Any) -> str:
        return "last value"

    def _ahead(self, values_BLC: NDArray[Any], steps: int) -> Values:
        return np.repeat(_last(values_BLC)[:, None], steps, axis=1)

    def impute(self, values_TC: NDArray[Any]) -> Values:
        """Gaps filled, those before the first value with 0 (see `seqcli.models.counts.gaps.SeriesImputer`)."""
        return np.nan_to_num(last_known(values_TC))


class SeasonalNaive(SeriesForecaster):
    """The value a season before; where there is none, the last value before that, else the last of all."""

    history = "season"

    @staticmethod
    def title(config: Any) -> str:
        return "seasonal naive"

    def _ahead(self, values_BLC: NDArray[Any], steps: int) -> Values:
        season = self.sizes.season
        lack = max(0, season - values_BLC.shape[1])
        padded_BLC = np.pad(values_BLC, ((0, 0), (lack, 0), (0, 0)), constant_values=np.nan)
        season_BSC = last_known(padded_BLC)[:, -season:]
        season_BSC = np.where(np.isnan(season_BSC), _last(values_BLC)[:, None], season_BSC)
        found: Values = season_BSC[:, np.arange(steps) % season]
        return found


class Drift(SeriesForecaster):
    """The line through the first and the last value, carried on (Hyndman and Athanasopoulos 2021, section 5.2)."""

    history = "all"

    @staticmethod
    def title(config: Any) -> str:
        return "drift"

    def _ahead(self, values_BLC: NDArray[Any], steps: int) -> Values:
        there_BLC = ~np.isnan(values_BLC)
        first_BC = np.argmax(there_BLC, axis=1)
        last_BC = there_BLC.shape[1] - 1 - np.argmax(there_BLC[:, ::-1], axis=1)
        ends_B2C = np.take_along_axis(np.asarray(values_BLC, np.float64), np.stack([first_BC, last_BC], 1), axis=1)
        slope_BC = (ends_B2C[:, 1] - ends_B2C[:, 0]) / np.maximum(last_BC - first_BC, 1)
        since_BC = there_BLC.shape[1] - 1 - last_BC
        ahead_BKC = np.arange(1, steps + 1)[:, None] + since_BC[:, None]
        return np.nan_to_num(ends_B2C[:, 1, None] + slope_BC[:, None] * ahead_BKC)


class LinearForecaster(SeriesForecaster):
    """Least squares from the values of a window to the next: the same weights [L, K] for each column of each series.

    A gap in the window is filled with the last value before it. The rows of all windows pass by once; what is held of
    them is the triangle of a QR decomposition, which gives the same weights as one great matrix would.
    """

    def __init__(self, config: Any, sizes: SeriesSizes, weights_LK: Values, bias_K: Values) -> None:
        super().__init__(config, sizes)
        self.weights_LK, self.bias_K = weights_LK, bias_K

    @staticmethod
    def title(config: LinearForecastConfig) -> str:
        return "linear"

    @classmethod
    def fit(
        cls, config: LinearForecastConfig, windows: Windows, sizes: SeriesSizes, progress: Progress | None = None
    ) -> LinearForecaster:
        """Raises UserError (65): no window has all its targets."""
        inputs, steps = sizes.look_back + 1, sizes.steps
        triangle = np.zeros((0, inputs + steps))
        waiting: list[Values] = []
        rows = 0

        def reduced() -> Values:
            return np.asarray(np.linalg.qr(np.concatenate([triangle, *waiting]), mode="r"))

        for values_BLC, targets_BKC in windows:
            x_NL = _flat(_filled(values_BLC))
            y_NK = _flat(targets_BKC)
            whole_N = ~np.isnan(y_NK).any(1)
            block = np.concatenate([x_NL, np.ones((len(x_NL), 1)), y_NK], axis=1)[whole_N]
            waiting.append(block)
            rows += len(block)
            if sum(map(len, waiting)) >= 4 * (inputs + steps):
                triangle, waiting = reduced(), []
        if not rows:
            raise data_error("no training window has all its values, so no linear model can be fitted")
        triangle = reduced()
        found, *_ = np.linalg.lstsq(triangle[:, :inputs], triangle[:, inputs:], rcond=None)
        if progress is not None:
            progress(1, 1)
        return cls(config, sizes, np.asarray(found[:-1], np.float64), np.asarray(found[-1], np.float64))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``weights`` [L, K] and ``bias`` [K]."""
        return {"weights": self.weights_LK.astype(np.float32), "bias": self.bias_K.astype(np.float32)}

    @classmethod
    def from_arrays(
        cls, config: LinearForecastConfig, arrays: Mapping[str, NDArray[Any]], sizes: SeriesSizes, file: object = None
    ) -> LinearForecaster:
        checked = CheckedArrays(arrays, "linear forecast", file)
        weights_LK = checked.floats("weights", (sizes.look_back, sizes.steps))
        bias_K = checked.floats("bias", (sizes.steps,))
        checked.nothing_left()
        return cls(config, sizes, weights_LK.astype(np.float64), bias_K.astype(np.float64))

    def _ahead(self, values_BLC: NDArray[Any], steps: int) -> Values:
        """More steps than it was fitted to are predicted from those before them."""
        look_back = self.sizes.look_back
        lack = max(0, look_back - values_BLC.shape[1])
        known_BLC = np.pad(_filled(values_BLC), ((0, 0), (lack, 0), (0, 0)), "edge")
        begin = known_BLC.shape[1]
        while known_BLC.shape[1] < begin + steps:
            window_BCL = np.moveaxis(known_BLC[:, -look_back:], 1, 2)
            next_BKC = np.moveaxis(window_BCL @ self.weights_LK + self.bias_K, 2, 1)
            known_BLC = np.concatenate([known_BLC, next_BKC], axis=1)
        return known_BLC[:, begin : begin + steps]


class _StatsForecast(SeriesForecaster):
    """A model of the package statsforecast, fitted to each column of each history anew."""

    history = "all"
    original = True

    @abstractmethod
    def model(self) -> Any:
        """A new one, which forecasts from an array."""

    def _ahead(self, values_BLC: NDArray[Any], steps: int) -> Values:
        batch, _, columns = values_BLC.shape
        found_BKC = np.zeros((batch, steps, columns))
        for row in range(batch):
            known_LC = interpolated(values_BLC[row])
            for column in range(columns):
                known_L = known_LC[:, column]
                if len(known_L) and not np.isnan(known_L[-1]):
                    found_BKC[row, :, column] = self._one(known_L, steps)
        return found_BKC

    def _one(self, known_L: Values, steps: int) -> Values:
        """Its forecast of one column; the last value where the history is constant, or too short for it."""
        last_K = np.full(steps, known_L[-1])
        if np.ptp(known_L) == 0:
            return last_K
        try:
            found_K = np.asarray(self.model().forecast(known_L, steps)["mean"], np.float64)
        except (ValueError, ZeroDivisionError, IndexError, NotImplementedError):
            return last_K
        return np.where(np.isfinite(found_K), found_K, last_K)


class ETS(_StatsForecast):
    """Exponential smoothing of level, trend and season, the kind chosen by AICc (Hyndman et al. 2008)."""

    @staticmethod
    def title(config: Any) -> str:
        return "ETS"

    def model(self) -> Any:
        return _statsforecast().AutoETS(season_length=self.sizes.season)


class Theta(_StatsForecast):
    """The theta method (Assimakopoulos and Nikolopoulos 2000), the best of its four forms (Fiorucci et al. 2016)."""

    @staticmethod
    def title(config: Any) -> str:
        return "theta"

    def model(self) -> Any:
        return _statsforecast().AutoTheta(season_length=self.sizes.season)


def has_statsforecast() -> bool:
    """Whether `ETS` and `Theta` can be asked; does not import the package, which takes two seconds."""
    from importlib.util import find_spec

    return find_spec("statsforecast") is not None


def _statsforecast() -> Any:
    """Raises UserError (2): the package is not installed."""
    try:
        from statsforecast import models
    except ImportError as error:
        raise usage_error(
            "ets and theta need the package 'statsforecast', which is not installed",
            hint="Install it: pip install 'seqcli[series]'.",
        ) from error
    return models


def _last(values_BLC: NDArray[Any]) -> Values:
    """The last value of each column, 0 where it has none [B, C]."""
    return np.nan_to_num(last_known(values_BLC)[:, -1])


def _filled(values_BLC: NDArray[Any]) -> Values:
    """Gaps filled with the last value before them, the first one behind those at the start, 0 without a value."""
    known_BLC = last_known(values_BLC)
    return np.nan_to_num(last_known(known_BLC[:, ::-1])[:, ::-1])


def _flat(values_BLC: NDArray[Any]) -> Values:
    """[B, L, C] -> [B * C, L]."""
    return np.moveaxis(np.asarray(values_BLC, np.float64), 1, 2).reshape(-1, values_BLC.shape[1])
