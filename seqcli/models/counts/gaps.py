"""What a network that fills gaps has to beat: the line between two neighbours, the median; `LastValue` is one too.

Letters: T steps, C columns, S training series. Values are standardised, NaN where one is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import SeriesSizes
from seqcli.data.gaps import interpolated
from seqcli.models.counts.base import Progress
from seqcli.models.counts.checked_arrays import CheckedArrays

Values = NDArray[np.float64]


class SeriesImputer(Protocol):
    """A model that fills gaps; it is fitted to whole training series, an iterable of arrays [T, C].

    But for their data and sizes, `fit`, `arrays` and `from_arrays` are those of `seqcli.models.counts.base.CountsModel`.
    """

    @staticmethod
    def title(config: Any) -> str: ...

    @classmethod
    def fit(
        cls, config: Any, data: Iterable[NDArray[Any]], sizes: SeriesSizes, progress: Progress | None = None
    ) -> Self: ...

    @classmethod
    def from_arrays(
        cls, config: Any, arrays: Mapping[str, NDArray[Any]], sizes: SeriesSizes, file: object = None
    ) -> Self: ...

    def arrays(self) -> dict[str, NDArray[Any]]: ...

    def impute(self, values_TC: NDArray[Any]) -> Values:
        """A whole series without its gaps [T, C]; a column that says nothing is 0, its training mean."""


class Interpolation:
    """The line between the values on both sides of a gap; at the ends the nearest value. A `SeriesImputer`."""

    @staticmethod
    def title(config: Any) -> str:
        return "linear interpolation"

    @classmethod
    def fit(cls, config: Any, data: Any, sizes: SeriesSizes, progress: Progress | None = None) -> Self:
        if progress is not None:
            progress(1, 1)
        return cls()

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(
        cls, config: Any, arrays: Mapping[str, NDArray[Any]], sizes: SeriesSizes, file: object = None
    ) -> Self:
        CheckedArrays(arrays, "linear interpolation", file).nothing_left()
        return cls()

    def impute(self, values_TC: NDArray[Any]) -> Values:
        return np.nan_to_num(interpolated(values_TC))


class Median:
    """The median of each column's training values. A `SeriesImputer`."""

    def __init__(self, median_C: Values) -> None:
        self.median_C = median_C

    @staticmethod
    def title(config: Any) -> str:
        return "median"

    @classmethod
    def fit(
        cls, config: Any, data: Iterable[NDArray[Any]], sizes: SeriesSizes, progress: Progress | None = None
    ) -> Self:
        columns_CN = np.concatenate([np.asarray(values_TC, np.float32) for values_TC in data]).T
        medians = [
            np.median(column_N[~np.isnan(column_N)]) if (~np.isnan(column_N)).any() else 0 for column_N in columns_CN
        ]
        if progress is not None:
            progress(1, 1)
        return cls(np.array(medians, np.float64))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``median`` [C]."""
        return {"median": self.median_C}

    @classmethod
    def from_arrays(
        cls, config: Any, arrays: Mapping[str, NDArray[Any]], sizes: SeriesSizes, file: object = None
    ) -> Self:
        checked = CheckedArrays(arrays, "median baseline", file)
        median_C = checked.floats("median", (sizes.columns,), dtype=np.float64)
        checked.nothing_left()
        return cls(median_C)

    def impute(self, values_TC: NDArray[Any]) -> Values:
        return np.where(np.isnan(values_TC), self.median_C, values_TC)
