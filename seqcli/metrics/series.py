"""Errors of predicted values: MAE, RMSE, MASE, sMAPE, MAPE, pinball loss and the coverage of bands.

B: windows of a batch, K: steps of each, C: columns, Q: quantiles. What is held are sums of each step and column, so memory
does not grow with the windows. y is the value, f what is predicted for it, both in the units of the data:

- MAE is the mean of abs(y - f), RMSE the root of the mean of (y - f)^2; the standardised ones are those of (y - f) / s,
  where s is the deviation that the model scaled the column (of this series) by.
- MASE is the mean of abs(y - f) / q, where q is the mean of abs(y_t - y_(t-m)) over the training part of the series, m the
  season (Hyndman and Koehler 2006). Where q is 0 or unknown a value has none, and is counted as left out.
- sMAPE is the mean of 200 abs(y - f) / (abs(y) + abs(f)), as in M4 (Makridakis et al. 2020), and 0 where both are 0.
- MAPE is the mean of 100 abs(y - f) / abs(y); a y of 0 has none, and is counted as left out.
- Pinball loss is the mean of max(p (y - f), (p - 1) (y - f)) over the quantiles p as well (Koenker and Bassett 1978).
- Coverage is the share of values within a band, its ends among them: of quantiles p and 1 - p it should be 1 - 2 p.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.metrics.metric import SERIES_METRICS
from seqcli.metrics.score import Score, percent, signature

Floats = NDArray[np.float64]

_TITLES = {metric.name: metric.title for metric in SERIES_METRICS}
_ROOTS = {"rmse": "mse", "rmse_standardised": "mse_standardised"}
"""Scores that are the root of a mean."""
_LEFT_OUT = ("mase", "mape")
"""Scores that are undefined for some values."""


class SeriesScore:
    """The scores of windows added bit by bit.

    Attributes:
        windows: how many were added.
        unit: what the signature calls them.
        quantiles: those predicted beside the values, rising; none of them, none are scored.
        choices: what else decides the scores, for the signature: ``{"look-back": 96, "season": 24}``.
    """

    def __init__(
        self,
        steps: int,
        columns: Sequence[str],
        *,
        quantiles: Sequence[float] = (),
        choices: Mapping[str, object] | None = None,
        unit: str = "windows",
    ) -> None:
        self.columns, self.quantiles, self.choices = tuple(columns), tuple(quantiles), dict(choices or {})
        self.windows, self.unit = 0, unit
        self._shape = steps, len(self.columns)
        names = ["mae", "mse", "mase", "smape", "mape", "mae_standardised", "mse_standardised"]
        names += ["pinball"] if quantiles else []
        self._sums: dict[str, Floats] = {name: np.zeros(self._shape) for name in names}
        self._counts: dict[str, Floats] = {name: np.zeros(self._shape) for name in names}
        """Of each step and column: the sum of what a value adds, and of how many values."""
        self._bands = [(low, 1 - low) for low in self.quantiles if low < 0.5 and _has(self.quantiles, 1 - low)]
        self._within = np.zeros(len(self._bands))

    def add(
        self,
        gold_BKC: NDArray[Any],
        predicted_BKC: NDArray[Any],
        *,
        scale_BC: NDArray[Any],
        naive_BC: NDArray[Any] | None = None,
        quantiles_BKCQ: NDArray[Any] | None = None,
    ) -> Floats:
        """Count a batch; returns the mean of abs(y - f) / s of each window [B], nan where it has no value.

        Args:
            gold_BKC: the values, in the units of the data; nan is not counted.
            predicted_BKC: what is predicted for them.
            scale_BC: s, the deviation that each column was scaled by.
            naive_BC: q of MASE, nan where it is unknown; None: there is no MASE.
            quantiles_BKCQ: each of ``quantiles``.

        Raises:
            ValueError: shapes that do not fit, or no number is predicted for a value.
        """
        gold_BKC, predicted_BKC = np.asarray(gold_BKC, np.float64), np.asarray(predicted_BKC, np.float64)
        if gold_BKC.shape[1:] != self._shape or predicted_BKC.shape != gold_BKC.shape:
            raise ValueError(f"gold {gold_BKC.shape} and predicted {predicted_BKC.shape} for {self._shape}")
        there_BKC = ~np.isnan(gold_BKC)
        if np.isnan(predicted_BKC[there_BKC]).any():
            raise ValueError("nothing is predicted for some values")
        errors_BKC = np.abs(gold_BKC - predicted_BKC)
        size_BKC, both_BKC = np.abs(gold_BKC), np.abs(gold_BKC) + np.abs(predicted_BKC)
        standardised_BKC = errors_BKC / np.asarray(scale_BC, np.float64)[:, None]
        self._sum("mae", errors_BKC, there_BKC)
        self._sum("mse", errors_BKC**2, there_BKC)
        self._sum("mae_standardised", standardised_BKC, there_BKC)
        self._sum("mse_standardised", standardised_BKC**2, there_BKC)
        self._sum("smape", 200 * errors_BKC / np.where(both_BKC > 0, both_BKC, 1), there_BKC)
        with np.errstate(over="ignore"):  # of a value that is nearly 0 it is infinite
            shares_BKC = 100 * errors_BKC / np.where(size_BKC > 0, size_BKC, 1)
        self._sum("mape", shares_BKC, there_BKC & (size_BKC > 0))
        if naive_BC is not None:
            naive_B1C = np.asarray(naive_BC, np.float64)[:, None]
            known_B1C = naive_B1C > 0
            self._sum("mase", errors_BKC / np.where(known_B1C, naive_B1C, 1), there_BKC & known_B1C)
        if quantiles_BKCQ is not None:
            self._add_quantiles(gold_BKC, np.asarray(quantiles_BKCQ, np.float64), there_BKC)
        self.windows += len(gold_BKC)
        counts_B = there_BKC.sum((1, 2))
        sums_B = np.where(there_BKC, standardised_BKC, 0).sum((1, 2))
        means_B: Floats = np.where(counts_B > 0, sums_B / np.maximum(counts_B, 1), np.nan)
        return means_B

    def _sum(self, name: str, values_BKC: Floats, counted_BKC: NDArray[np.bool_]) -> None:
        self._sums[name] += np.where(counted_BKC, values_BKC, 0).sum(0)
        self._counts[name] += counted_BKC.sum(0)

    def _add_quantiles(self, gold_BKC: Floats, quantiles_BKCQ: Floats, there_BKC: NDArray[np.bool_]) -> None:
        if quantiles_BKCQ.shape != (*gold_BKC.shape, len(self.quantiles)):
            raise ValueError(f"quantiles {quantiles_BKCQ.shape} for {(*gold_BKC.shape, len(self.quantiles))}")
        shares_Q = np.array(self.quantiles)
        distance_BKCQ = gold_BKC[..., None] - quantiles_BKCQ
        self._sum("pinball", np.maximum(shares_Q * distance_BKCQ, (shares_Q - 1) * distance_BKCQ).mean(-1), there_BKC)
        for number, (low, high) in enumerate(self._bands):
            ends = (quantiles_BKCQ[..., _place(self.quantiles, share)] for share in (low, high))
            above_BKC, below_BKC = (gold_BKC >= next(ends)), (gold_BKC <= next(ends))
            self._within[number] += int((there_BKC & above_BKC & below_BKC).sum())

    @property
    def values(self) -> int:
        """How many values were counted."""
        return int(self._counts["mae"].sum())

    def scores(self) -> dict[str, float]:
        """Each score by its name in `seqcli.metrics.metric.METRICS`; nan where nothing is counted."""
        return self._means((0, 1))[0]

    def steps(self) -> list[dict[str, float]]:
        """The scores of each step, over all columns."""
        return self._means((1,))

    def by_column(self) -> dict[str, dict[str, float]]:
        """The scores of each column, over all steps."""
        return dict(zip(self.columns, self._means((0,)), strict=True))

    def _means(self, axes: tuple[int, ...]) -> list[dict[str, float]]:
        """The scores over the steps (0), the columns (1) or both, for each of what is left."""
        with np.errstate(invalid="ignore"):
            means = {
                name: np.atleast_1d(self._sums[name].sum(axes) / self._counts[name].sum(axes)) for name in self._sums
            }
        means |= {root: np.sqrt(means[square]) for root, square in _ROOTS.items()}
        names = [name for name in _TITLES if name in means]
        return [dict(zip(names, row, strict=True)) for row in np.stack([means[name] for name in names], 1).tolist()]

    def bands(self) -> list[dict[str, float]]:
        """Of each pair of quantiles that are as far from the middle: ``low``, ``high``, and in percent what lies
        between them (``coverage``) and should (``nominal``)."""
        return [
            {"low": low, "high": high, "nominal": 100 * (high - low), "coverage": percent(within, self.values)}
            for (low, high), within in zip(self._bands, self._within.tolist(), strict=True)
        ]

    def score(self, name: str) -> Score:
        """One score; its counts hold all there is: every score, the tables of steps and columns, the bands."""
        counts: dict[str, Any] = {
            "windows": self.windows,
            "values": self.values,
            "left_out": {one: self.values - int(self._counts[one].sum()) for one in _LEFT_OUT},
            "scores": self.scores(),
            "steps": self.steps(),
            "columns": self.by_column(),
            "bands": self.bands(),
        }
        return Score(_TITLES[name], self.scores()[name], self.signature(name), counts)

    def signature(self, name: str) -> str:
        """``mase|scale:original|...|windows:2,785|values:133,680``: every choice behind a score."""
        scale = "standardised" if name.endswith("_standardised") else "original"
        choices: dict[str, object] = {"scale": scale, **self.choices}
        if name in _LEFT_OUT:
            choices["left-out"] = f"{self.values - int(self._counts[name].sum()):,}"
        if name == "pinball":
            choices["quantiles"] = ",".join(f"{share:g}" for share in self.quantiles)
        choices |= {self.unit: f"{self.windows:,}", "values": f"{self.values:,}"}
        return signature(name.removesuffix("_standardised"), **choices)


def naive_error(values_TC: NDArray[Any], season: int) -> Floats:
    """q of MASE [C]: the mean of abs(y_t - y_(t-season)) over the pairs that are both there; nan without one."""
    values_TC = np.asarray(values_TC, np.float64)
    errors_TC = np.abs(values_TC[season:] - values_TC[:-season])
    there_TC = ~np.isnan(errors_TC)
    counts_C = there_TC.sum(0)
    found_C: Floats = np.where(counts_C > 0, np.where(there_TC, errors_TC, 0).sum(0) / np.maximum(counts_C, 1), np.nan)
    return found_C


def _has(quantiles: Sequence[float], share: float) -> bool:
    return any(math.isclose(one, share) for one in quantiles)


def _place(quantiles: Sequence[float], share: float) -> int:
    return min(range(len(quantiles)), key=lambda place: abs(quantiles[place] - share))
