"""A cache: what stood in the text a while ago is likely to come again (Kuhn and De Mori 1990).

Of the last M tokens read, n of them, c were w: P(w) = (c + 1/V) / (n + 1). Nothing is learned but how much it counts in
a mixture.

Letters: B sequences, T tokens, V rows of the vocabulary, M tokens remembered, L tokens of all sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.stepper import LogProbs
from seqcli.models.counts.base import Ints, Progress, Sizes, Tokens
from seqcli.models.counts.checked_arrays import CheckedArrays

if TYPE_CHECKING:
    from seqcli.recipe.models import CacheConfig


class CacheModel:
    """A `seqcli.models.counts.base.CountsModel` and a `seqcli.decode.stepper.Stepper`.

    A state is the ids [B, M] of the tokens read last, -1 where there are fewer.
    """

    def __init__(self, config: CacheConfig, sizes: Sizes) -> None:
        self.size, self.words = config.size, sizes.words

    @staticmethod
    def title(config: CacheConfig) -> str:
        return f"cache of {config.size:,} tokens"

    @classmethod
    def fit(cls, config: CacheConfig, data: Tokens, sizes: Sizes, progress: Progress | None = None) -> CacheModel:
        return cls(config, sizes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(
        cls, config: CacheConfig, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None
    ) -> CacheModel:
        CheckedArrays(arrays, "cache", file).nothing_left()
        return cls(config, sizes)

    def start(self, count: int) -> tuple[LogProbs, Ints]:
        state = np.full((count, self.size), -1, np.int64)
        return self._distribution(state), state

    def read(self, ids_BT: Ints, state: Ints) -> tuple[LogProbs, Ints]:
        after = np.concatenate([state, ids_BT], axis=1)[:, -self.size :]
        return self._distribution(after), after

    def select(self, state: Ints, rows: Ints) -> Ints:
        return state[rows]

    def attention(self, state: Ints) -> None:
        return None

    def score(self, sequences: Sequence[Ints], *, headed: bool = False) -> list[NDArray[np.float64]]:
        return [self._score(np.asarray(ids, np.int64))[int(headed) :] for ids in sequences]

    def _score(self, ids_L: Ints) -> NDArray[np.float64]:
        """ln p of each token after those before it: the earlier ones of its kind lie next to it when all are sorted."""
        at_L = np.arange(len(ids_L))
        places = ids_L * (len(ids_L) + 1) + at_L
        sorted_L = np.sort(places)
        first_L = np.searchsorted(sorted_L, places - np.minimum(at_L, self.size))
        counts_L = np.searchsorted(sorted_L, places) - first_L
        return np.log((counts_L + 1 / self.words) / (np.minimum(at_L, self.size) + 1))

    def _distribution(self, state: Ints) -> LogProbs:
        """ln p of each token after these states, [B, V]."""
        counts_BV = np.full((len(state), self.words), 1 / self.words)
        rows, columns = np.nonzero(state >= 0)
        np.add.at(counts_BV, (rows, state[rows, columns]), 1)
        log_probs: LogProbs = np.log(counts_BV / counts_BV.sum(1, keepdims=True))
        return log_probs
