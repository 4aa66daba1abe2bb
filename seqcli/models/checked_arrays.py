"""Arrays out of a file that may come from anywhere, each looked at before use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import UserError, data_error


class CheckedArrays:
    """Takes arrays by name; every method raises UserError (65, naming the file) for what is not as it should be."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], what: str, file: object = None) -> None:
        """``what`` they should make up: "bag of words"."""
        self._arrays = dict(arrays)
        self._what, self._file = what, file

    def floats(
        self, name: str, shape: tuple[int | None, ...], *, least: float = -np.inf, most: float = np.inf
    ) -> NDArray[np.float32]:
        """Finite float32 values of this shape; None is any size."""
        array = self._take(name, np.float32, shape)
        if not np.isfinite(array).all() or (array.size and (array.min() < least or array.max() > most)):
            raise self.bad(name, "has values that cannot be")
        return array

    def rising(self, name: str, begin: int, end: int) -> NDArray[np.int64]:
        """Rising numbers from ``begin`` up to, not with, ``end``."""
        array = self._take(name, np.int64, (None,))
        if len(array) and (array[0] < begin or int(array[-1]) >= end or not (array[1:] > array[:-1]).all()):
            raise self.bad(name, f"is not sorted, or is not within {begin} and {end - 1}")
        return array

    def nothing_left(self) -> None:
        """Refuse arrays not asked for."""
        if self._arrays:
            raise self.bad(min(self._arrays), "does not belong to it")

    def bad(self, name: str, problem: str) -> UserError:
        """The error that one of the arrays is."""
        return data_error(f"no {self._what}: '{name}' {problem}", file=self._file)

    def _take(self, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> NDArray[Any]:
        array = self._arrays.pop(name, None)
        if array is None:
            raise self.bad(name, "is missing")
        sizes_agree = len(shape) == array.ndim and all(
            want in (None, size) for want, size in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not sizes_agree:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise self.bad(name, f"is {array.dtype}{list(array.shape)}, not {np.dtype(dtype)}[{wanted}]")
        return array
