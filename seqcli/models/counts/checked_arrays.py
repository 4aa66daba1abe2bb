"""Arrays out of a file that may come from anywhere, each looked at before use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import UserError, data_error

Shape = tuple[int | None, ...]
"""None is any size."""


class CheckedArrays:
    """Takes arrays by name; every method raises UserError (65, naming the file) for what is not as it should be."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], model: str, file: object = None) -> None:
        """``model`` that they should make up: "bag of words"."""
        self._arrays, self._model, self._file = dict(arrays), model, file

    def floats(
        self, name: str, shape: Shape, *, least: float = -np.inf, most: float = np.inf, dtype: type = np.float32
    ) -> NDArray[Any]:
        """Finite values within bounds."""
        array = self._take(name, dtype, shape)
        if not np.isfinite(array).all() or (array.size and (array.min() < least or array.max() > most)):
            raise self._bad(name, "has values that cannot be")
        return array

    def rising(self, name: str, begin: int, end: int, size: int | None = None) -> NDArray[np.int64]:
        """Rising numbers from ``begin`` up to, not with, ``end``."""
        array = self._take(name, np.int64, (size,))
        if len(array) and (array[0] < begin or int(array[-1]) >= end or not (array[1:] > array[:-1]).all()):
            raise self._bad(name, f"is not sorted, or is not within {begin} and {end - 1}")
        return array

    def whole(self, name: str, least: int, end: int, size: int | None = None) -> NDArray[np.int64]:
        """Whole numbers from ``least`` up to, not with, ``end``, in any order."""
        array = self._take(name, np.int64, (size,))
        if len(array) and (array.min() < least or array.max() >= end):
            raise self._bad(name, f"is not within {least} and {end - 1}")
        return array

    def hashes(self, name: str) -> NDArray[np.uint64]:
        """Rising 64-bit numbers."""
        array = self._take(name, np.uint64, (None,))
        if not len(array) or not (array[1:] > array[:-1]).all():
            raise self._bad(name, "is empty or not sorted")
        return array

    def bytes(self, name: str) -> bytes:
        return bytes(self._take(name, np.uint8, (None,)).tobytes())

    def nothing_left(self) -> None:
        """Refuse arrays not asked for."""
        if self._arrays:
            raise self._bad(min(self._arrays), "does not belong to it")

    def _bad(self, name: str, problem: str) -> UserError:
        return data_error(f"no {self._model}: '{name}' {problem}", file=self._file)

    def _take(self, name: str, dtype: type[np.generic], shape: Shape) -> NDArray[Any]:
        array = self._arrays.pop(name, None)
        if array is None:
            raise self._bad(name, "is missing")
        sizes_agree = len(shape) == array.ndim and all(
            want in (None, size) for want, size in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not sizes_agree:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise self._bad(name, f"is {array.dtype}{list(array.shape)}, not {np.dtype(dtype)}[{wanted}]")
        return array
