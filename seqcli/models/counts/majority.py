"""The class that is most frequent in training, whatever comes: what every classifier has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import Floats, Labelled, Progress, Sizes
from seqcli.models.counts.checked_arrays import CheckedArrays

if TYPE_CHECKING:
    from seqcli.recipe.models import MajorityConfig


class Majority:
    """Each class as often as in training; implements `seqcli.models.counts.base.CountsClassifier`."""

    def __init__(self, log_p_K: Floats) -> None:
        self._log_p_K = log_p_K

    @staticmethod
    def title(config: MajorityConfig) -> str:
        return "majority"

    @classmethod
    def fit(cls, config: MajorityConfig, data: Labelled, sizes: Sizes, progress: Progress | None = None) -> Majority:
        counted_E = data.counted()
        least = np.finfo(np.float32).tiny  # the logarithm of a class that is not there stays a number
        shares_K = np.maximum(counted_E @ data.truth(sizes) / counted_E.sum(), least)
        if progress is not None:
            progress(1, 1)
        return cls(np.log(shares_K).astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``log_probs`` [K]."""
        return {"log_probs": self._log_p_K}

    @classmethod
    def from_arrays(
        cls, config: MajorityConfig, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None
    ) -> Majority:
        checked = CheckedArrays(arrays, "majority baseline", file)
        log_p_K = checked.floats("log_probs", (sizes.classes,), most=0)
        checked.nothing_left()
        return cls(log_p_K)

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        return np.tile(self._log_p_K, (len(offsets) - 1, 1))

    def contributions(self, values: NDArray[Any]) -> Floats:
        return np.zeros((len(values), len(self._log_p_K)), np.float32)
