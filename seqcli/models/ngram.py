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
- One running text (``stream=True``) is one sequence: <EOS> is then a context like any other token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.next_token import LogProbs
from seqcli.errors import data_error
from seqcli.models.ngram_counts import Floats, Ints, Level, estimate

if TYPE_CHECKING:
    from seqcli.recipe.encoders import NGramConfig

_BLOCK = 2**16
"""Tokens scored at a time: what they need stays near the processor."""


class NGramModel:
    """Probabilities of n-grams as sorted arrays; implements `seqcli.decode.next_token.NextToken`.

    A state is an int64 array [B, order - 1]: the number of the n-gram of each length 1, 2, ... that ends at the last
    token read, -1 where the training text has none.
    """

    def __init__(self, levels: list[Level], *, vocabulary_size: int, bos: int) -> None:
        self.order = len(levels)
        self.vocabulary_size = vocabulary_size
        self.bos = bos
        self._levels = levels
        # One more at the end, so that the number -1 (no such n-gram) reads 0: nothing to leave to lower orders.
        self._backoffs = [np.append(level.backoff, 0.0) for level in levels[:-1]]
        self._start = np.full(self.order - 1, -1, np.int64)
        self._start[:1] = bos

    @classmethod
    def fit(
        cls,
        sequences: tuple[Any, Any],
        *,
        config: NGramConfig,
        vocabulary_size: int,
        bos: int,
        unk: int,
        stream: bool,
        told: Callable[[int, int], None] | None = None,
    ) -> NGramModel:
        """Count and estimate; takes some 130 bytes of memory a token at its height (order 4 on English text).

        Args:
            sequences: ``(values, offsets)``, arrays or what gives arrays when sliced: all ids one sequence after the
                other, each ending in <EOS>; sequence i is ``values[offsets[i]:offsets[i + 1]]``.
            config: order and pruning.
            vocabulary_size: rows, V.
            bos: row read before a sequence.
            unk: row of <UNK>, never pruned.
            stream: the sequences are one running text, so contexts reach over their ends.
            told: is told (orders counted, orders).

        Raises:
            UserError: no token at all (65).
        """
        values, offsets = sequences
        ids = np.asarray(values[:], dtype=np.int64)
        if not len(ids):
            raise data_error("the training text is empty: nothing to count")
        if ids.min() < 0 or ids.max() >= vocabulary_size:
            raise ValueError(f"ids from {ids.min()} to {ids.max()}, but the vocabulary has {vocabulary_size} rows")
        ends = np.asarray(offsets[:], dtype=np.int64)
        starts = np.zeros(1, np.int64) if stream else ends[:-1][np.diff(ends) > 0]
        thresholds = (config.prune + config.prune[-1:] * config.order)[: config.order] or [0] * config.order
        levels = estimate(
            ids,
            starts,
            order=config.order,
            thresholds=thresholds,
            vocabulary_size=vocabulary_size,
            bos=bos,
            unk=unk,
            told=told,
        )
        return cls(levels, vocabulary_size=vocabulary_size, bos=bos)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learned, by name: ``K.keys``, ``K.log_p`` and ``K.backoff`` of each order K, as in `Level`.

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
        cls,
        arrays: Mapping[str, NDArray[Any]],
        *,
        config: NGramConfig,
        vocabulary_size: int,
        bos: int,
        file: object = None,
    ) -> NGramModel:
        """The model of these `arrays`, which may come from anywhere.

        Raises:
            UserError: they are no such model: a name, size, type, order or range is wrong (65, naming ``file``).
        """
        checked = _Checked(arrays, file)
        levels: list[Level] = []
        above = 1  # n-grams one shorter
        for number in range(1, config.order + 1):
            log_p = checked.logarithms(f"{number}.log_p", vocabulary_size if number == 1 else None)
            keys = (
                np.arange(vocabulary_size)
                if number == 1
                else checked.keys(f"{number}.keys", len(log_p), above * vocabulary_size)
            )
            backoff = checked.logarithms(f"{number}.backoff", len(log_p)) if number < config.order else np.zeros(0)
            levels.append(Level(keys, log_p, backoff))
            above = len(log_p)
        checked.nothing_left()
        return cls(levels, vocabulary_size=vocabulary_size, bos=bos)

    def start(self, count: int) -> tuple[LogProbs, Ints]:
        """See `NextToken.start`."""
        state = np.tile(self._start, (count, 1))
        return self._distribution(state), state

    def read(self, ids_BT: NDArray[np.int64], state: Ints) -> tuple[LogProbs, Ints]:
        """See `NextToken.read`."""
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

    def select(self, state: Ints, rows: NDArray[np.int64]) -> Ints:
        """See `NextToken.select`."""
        return state[rows]

    def score(self, sequences: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """See `NextToken.score`."""
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
                found = nodes >= 0
                log_p[found] = self._levels[number - 1].log_p[nodes[found]]
            before = np.array(after, np.int64)
            yield log_p

    def _find(self, number: int, contexts: Ints, ids: Ints) -> Ints:
        """Numbers of the n-grams of length ``number`` made of a context's number and a token, -1 where none is."""
        keys = self._levels[number - 1].keys
        if not len(keys):
            return np.full_like(ids, -1)
        wanted = (contexts * self.vocabulary_size + ids).ravel()  # below 0 where the context is -1
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
        found = []
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            contexts, tokens = np.divmod(level.keys, self.vocabulary_size)
            ends = np.cumsum(np.bincount(contexts, minlength=len(below.keys)))
            found.append((np.concatenate([[0], ends]), tokens))
        return found

    def _distribution(self, state: Ints) -> LogProbs:
        """ln p of each token after these states, [B, V]."""
        rows = np.arange(len(state))
        rest_B = np.zeros(len(state))  # ln of what the orders above leave
        written = []
        for number in range(self.order, 1, -1):
            contexts_B = state[:, number - 2]
            begins, tokens = self._successors[number - 2]
            first_B = begins[contexts_B]
            sizes_B = begins[contexts_B + 1] - first_B
            sizes_B[contexts_B < 0] = 0
            row = np.repeat(rows, sizes_B)
            places = np.arange(len(row)) + np.repeat(first_B - np.cumsum(sizes_B) + sizes_B, sizes_B)
            written.append((row, tokens[places], self._levels[number - 1].log_p[places] + rest_B[row]))
            rest_B = rest_B + self._backoffs[number - 2][contexts_B]
        log_p_BV = (self._levels[0].log_p + rest_B[:, None]).astype(np.float32)
        for row, tokens, log_p in reversed(written):  # the longest context has the last word
            log_p_BV[row, tokens] = log_p
        return log_p_BV


class _Checked:
    """Arrays out of a file, each looked at before use."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], file: object) -> None:
        self._arrays = dict(arrays)
        self._file = file

    def logarithms(self, name: str, size: int | None) -> Floats:
        """Logarithms of probabilities, as many as ``size`` says."""
        array = self._take(name, np.float64)
        if size is not None and len(array) != size:
            raise self._bad(name, f"has {len(array):,} values instead of {size:,}")
        if not (np.isfinite(array).all() and (array <= 0).all()):
            raise self._bad(name, "has values that are no logarithms of probabilities")
        return array

    def keys(self, name: str, size: int, end: int) -> Ints:
        """Rising numbers from 0 up to, not with, ``end``."""
        array = self._take(name, np.int64)
        if len(array) != size:
            raise self._bad(name, f"has {len(array):,} values instead of {size:,}")
        if len(array) and (array[0] < 0 or int(array[-1]) >= end or not (array[1:] > array[:-1]).all()):
            raise self._bad(name, "is not sorted, or points outside of the vocabulary or the contexts")
        return array

    def nothing_left(self) -> None:
        """Refuse arrays not asked for."""
        if self._arrays:
            raise self._bad(min(self._arrays), "does not belong to a model of this order")

    def _take(self, name: str, dtype: type[np.generic]) -> NDArray[Any]:
        array = self._arrays.pop(name, None)
        if array is None:
            raise self._bad(name, "is missing")
        if array.dtype != dtype or array.ndim != 1:
            raise self._bad(name, f"is {array.dtype}{list(array.shape)}, not one row of {np.dtype(dtype)}")
        return array

    def _bad(self, name: str, what: str) -> Exception:
        return data_error(f"no n-gram model: '{name}' {what}", file=self._file)
