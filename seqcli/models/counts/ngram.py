"""An n-gram language model: interpolated modified Kneser-Ney (Chen and Goodman 1998, section 3), without torch.

What stands before a sequence is one start symbol, and <EOS> serves as it: it is a context, never a target at that
place. An n-gram that begins with it cannot be preceded by anything, so in the orders below the longest it counts as
often as it is seen, and any other n-gram once for each distinct token before it.

Against KenLM's lmplz, whose estimate this is (Heafield et al. 2013: the order below 1 is uniform over the vocabulary
with <UNK>, pruning by what was seen, mass of the pruned to the order below):

- The uniform part has V rows: all of the vocabulary, seen in the training text or not, and <EOS> once. KenLM has the
  words of its text, </s> and <unk>; a vocabulary that is larger gives each unseen row the same little mass.
- <UNK> is an ordinary row. Where the training text holds it (rare words replaced), it has their counts; KenLM refuses
  such a text or reads <unk> as white space. Where it does not, both give it its uniform share alone.
- A pruned word keeps its row and its uniform share; KenLM takes it out of the vocabulary.
- KenLM stops where discounts cannot be estimated unless told --discount_fallback, which is the rule here.
- KenLM calculates in 32-bit floats, here 64-bit ones are used.
- One running text (a stream) is one sequence: <EOS> is then a context like any other token.

Letters: B sequences, T tokens, V rows of the vocabulary, M n-grams of one order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.stepper import LogProbs
from seqcli.errors import data_error
from seqcli.models.counts.base import Ints, Progress, Sizes, Tokens
from seqcli.models.counts.checked_arrays import CheckedArrays
from seqcli.models.counts.kneser_ney import Level, estimate

if TYPE_CHECKING:
    from seqcli.recipe.models import NGramConfig

Floats = NDArray[np.float64]

_BLOCK = 2**16
"""Tokens scored at a time: what they need stays near the processor."""


class NGramModel:
    """Probabilities of n-grams as sorted arrays; a `seqcli.models.counts.base.CountsModel` and a
    `seqcli.decode.stepper.Stepper`.

    A state is an int64 array [B, order - 1]: the number of the n-gram of each length 1, 2, ... that ends at the last
    token read, -1 where the training text has none.
    """

    def __init__(self, levels: list[Level], sizes: Sizes) -> None:
        self.order = len(levels)
        self._levels, self._words = levels, sizes.words
        # One more at the end, so that the number -1 (no such n-gram) reads 0: nothing to leave to lower orders.
        self._backoffs = [np.append(level.backoff, 0.0) for level in levels[:-1]]
        self._start = np.full(self.order - 1, -1, np.int64)
        self._start[:1] = self.bos = sizes.bos

    @staticmethod
    def title(config: NGramConfig) -> str:
        return f"{config.order}-gram, interpolated modified Kneser-Ney"

    @classmethod
    def fit(cls, config: NGramConfig, data: Tokens, sizes: Sizes, progress: Progress | None = None) -> NGramModel:
        """Count and estimate; takes some 130 bytes of memory a token at its height (order 4 on English text)."""
        ids, offsets = np.asarray(data.ids[:], np.int64), np.asarray(data.offsets[:], np.int64)
        if not len(ids):
            raise data_error("the training text is empty: nothing to count")
        if ids.min() < 0 or ids.max() >= sizes.words:
            raise ValueError(f"ids from {ids.min()} to {ids.max()}, but the vocabulary has {sizes.words} rows")
        starts = np.zeros(1, np.int64) if data.stream else offsets[:-1][np.diff(offsets) > 0]
        thresholds = (config.prune + config.prune[-1:] * config.order)[: config.order] or [0] * config.order
        return cls(estimate(ids, starts, thresholds, sizes, progress), sizes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``K.keys``, ``K.log_p`` and ``K.backoff`` of each order K, as in `Level`.

        The keys of order 1 and the backoff of the longest n-grams say nothing and are left out.
        """
        arrays: dict[str, NDArray[Any]] = {}
        for number, level in enumerate(self._levels, 1):
            arrays[f"{number}.log_p"] = level.log_p
            if number > 1:
                arrays[f"{number}.keys"] = level.keys
            if number < self.order:
                arrays[f"{number}.backoff"] = level.backoff
        return arrays

    @classmethod
    def from_arrays(
        cls, config: NGramConfig, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None
    ) -> NGramModel:
        checked = CheckedArrays(arrays, "n-gram model", file)
        levels: list[Level] = []
        keys = np.arange(sizes.words)
        for number in range(1, config.order + 1):
            size = sizes.words if number == 1 else None
            log_p = checked.floats(f"{number}.log_p", (size,), most=0, dtype=np.float64)
            if number > 1:
                keys = checked.rising(f"{number}.keys", 0, len(keys) * sizes.words, len(log_p))
            if number < config.order:
                backoff = checked.floats(f"{number}.backoff", (len(log_p),), most=0, dtype=np.float64)
            else:
                backoff = np.zeros(0)
            levels.append(Level(keys, log_p, backoff))
        checked.nothing_left()
        return cls(levels, sizes)

    def start(self, count: int) -> tuple[LogProbs, Ints]:
        state = np.tile(self._start, (count, 1))
        return self._distribution(state), state

    def read(self, ids_BT: Ints, state: Ints) -> tuple[LogProbs, Ints]:
        if self.order == 1:
            return self._distribution(state), state
        ids_BT = np.asarray(ids_BT, np.int64)[:, 1 - self.order :]  # what is further back no longer matters
        nodes_BT, new = ids_BT, [ids_BT[:, -1]]
        for number in range(2, self.order):
            contexts_BT = np.concatenate([state[:, number - 2, None], nodes_BT[:, :-1]], axis=1)
            nodes_BT = self._find(number, contexts_BT, ids_BT)
            new.append(nodes_BT[:, -1])
        after = np.stack(new, axis=1)
        return self._distribution(after), after

    def select(self, state: Ints, rows: Ints) -> Ints:
        return state[rows]

    def attention(self, state: Ints) -> None:
        return None

    def score(self, sequences: Sequence[Ints], *, headed: bool = False) -> list[Floats]:
        if headed:  # what is read before a sequence already stands for <EOS>
            bare = [sequence[1:] if sequence[0] == self.bos else sequence for sequence in sequences]
            pairs = zip(sequences, self.score(bare), strict=True)
            return [result[len(result) + 1 - len(sequence) :] for sequence, result in pairs]
        if not sequences:
            return []
        lengths = np.array([len(sequence) for sequence in sequences])
        ends = np.cumsum(lengths)
        ids = np.concatenate(sequences).astype(np.int64, copy=False)
        starts = (ends - lengths)[lengths > 0]
        log_p = np.concatenate([np.zeros(0), *self._blocks(ids, starts)])
        return np.split(log_p, ends[:-1])

    def _blocks(self, ids: Ints, starts: Ints) -> Iterator[Floats]:
        """ln p of the tokens of one block after the other; sequences begin at ``starts``."""
        before = self._start  # as a state: where the block before ended
        for begin in range(0, len(ids), _BLOCK):
            block = ids[begin : begin + _BLOCK]
            first, last = np.searchsorted(starts, [begin, begin + _BLOCK])
            fresh = starts[first:last] - begin
            nodes, after = block, []
            log_p = self._levels[0].log_p[block]
            for number in range(2, self.order + 1):
                contexts = np.empty_like(nodes)
                contexts[0] = before[number - 2]
                contexts[1:] = nodes[:-1]
                contexts[fresh] = self._start[number - 2]
                after.append(nodes[-1])
                nodes = self._find(number, contexts, block)
                log_p += self._backoffs[number - 2][contexts]
                seen = nodes >= 0
                log_p[seen] = self._levels[number - 1].log_p[nodes[seen]]
            before = np.array(after, np.int64)
            yield log_p

    def _find(self, number: int, contexts: Ints, ids: Ints) -> Ints:
        """Numbers of the n-grams of length ``number`` made of a context's number and a token, -1 where none is."""
        keys = self._levels[number - 1].keys
        if not len(keys):
            return np.full_like(ids, -1)
        wanted = (contexts * self._words + ids).ravel()  # below 0 where the context is -1
        by_key = np.argsort(wanted)  # looked up in their order, neighbours lie near each other: three times as fast
        wanted = wanted[by_key]
        places = np.searchsorted(keys, wanted)
        places[places == len(keys)] = 0
        nodes = np.empty(len(wanted), np.int64)
        nodes[by_key] = np.where(keys[places] == wanted, places, -1)
        return nodes.reshape(ids.shape)

    @cached_property
    def _successors(self) -> list[tuple[Ints, Ints]]:
        """Of orders 2, 3, ...: ``(where the successors of each context begin [contexts + 1], last tokens [M])``."""
        successors = []
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            contexts, tokens = np.divmod(level.keys, self._words)
            ends = np.cumsum(np.bincount(contexts, minlength=len(below.keys)))
            successors.append((np.concatenate([[0], ends]), tokens))
        return successors

    def _distribution(self, state: Ints) -> LogProbs:
        """ln p of each token after these states, [B, V]."""
        rows = np.arange(len(state))
        rest_B = np.zeros(len(state))  # ln of what the orders above leave
        seen = []
        for number in range(self.order, 1, -1):
            contexts_B = state[:, number - 2]
            begins, tokens = self._successors[number - 2]
            first_B = begins[contexts_B]
            sizes_B = begins[contexts_B + 1] - first_B
            sizes_B[contexts_B < 0] = 0
            row = np.repeat(rows, sizes_B)
            places = np.arange(len(row)) + np.repeat(first_B - np.cumsum(sizes_B) + sizes_B, sizes_B)
            seen.append((row, tokens[places], self._levels[number - 1].log_p[places] + rest_B[row]))
            rest_B = rest_B + self._backoffs[number - 2][contexts_B]
        log_p_BV = (self._levels[0].log_p + rest_B[:, None]).astype(np.float32)
        for row, tokens, log_p in reversed(seen):  # the longest context has the last word
            log_p_BV[row, tokens] = log_p
        return log_p_BV
