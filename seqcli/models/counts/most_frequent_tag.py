"""The tag that a word has most often, whatever stands beside it: what every tagger has to beat.

Letters: N positions of all sentences, W words, K tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import Floats, Labelled, Progress, Sizes
from seqcli.models.counts.checked_arrays import CheckedArrays

if TYPE_CHECKING:
    from seqcli.recipe.models import MostFrequentTagConfig


class MostFrequentTag:
    """p(tag | word) = (count(word, tag) + p(tag)) / (count(word) + 1); an unknown word has p(tag)."""

    def __init__(self, log_p_WK: Floats) -> None:
        self._log_p_WK = log_p_WK

    @staticmethod
    def title(config: MostFrequentTagConfig) -> str:
        return "most frequent tag"

    @classmethod
    def fit(
        cls, config: MostFrequentTagConfig, data: Labelled, sizes: Sizes, progress: Progress | None = None
    ) -> MostFrequentTag:
        """``data``: the labels are those of the positions, [N]."""
        counts_WK = np.zeros((sizes.words, sizes.classes), np.float64)
        np.add.at(counts_WK, (data.values, data.labels), 1)
        p_K = counts_WK.sum(0) / max(1.0, counts_WK.sum())
        p_WK = (counts_WK + p_K) / (counts_WK.sum(1, keepdims=True) + 1)
        if progress is not None:
            progress(1, 1)
        return cls(np.log(np.maximum(p_WK, np.finfo(np.float32).tiny)).astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``log_probs`` [W, K]."""
        return {"log_probs": self._log_p_WK}

    @classmethod
    def from_arrays(
        cls, config: MostFrequentTagConfig, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None
    ) -> MostFrequentTag:
        checked = CheckedArrays(arrays, "table of tags", file)
        log_p_WK = checked.floats("log_probs", (sizes.words, sizes.classes), most=0)
        checked.nothing_left()
        return cls(log_p_WK)

    def log_probs(self, words_N: NDArray[Any]) -> Floats:
        """ln p of each tag at each position, [N, K]."""
        return self._log_p_WK[words_N]
