"""Which n-gram has which row of a table of weights: rows of the words first, then of the pairs, and so on.

An n-gram that holds a word without a row (<PAD>, <UNK>, one too rare) has none. Longer n-grams are either exact, by a
key made of the row of the n-gram one shorter and the last word, or hashed: those that share a bucket share a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import Ints
from seqcli.models.counts.checked_arrays import CheckedArrays
from seqcli.models.counts.integer_table import IntegerTable

FIRST_WORD = 2
"""Ids below it, <PAD> and <UNK>, are no words."""

_HASH_STEP, _HASH_MIX = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xFF51AFD7ED558CCD)
_BLOCK = 2**16
"""Tokens handled at a time: what they need stays near the processor."""


@dataclass(frozen=True)
class Rows:
    """What a block of examples holds: each row that occurs in example e once, at ``ends[e]`` to ``ends[e + 1]``.

    Attributes:
        rows: the row of each item, rising within an example.
        counts: how often it occurs in its example.
        ends: [examples + 1].
    """

    rows: Ints
    counts: Ints
    ends: Ints

    @staticmethod
    def joined(blocks: Iterable[Rows]) -> Rows:
        """All examples of some blocks."""
        blocks = list(blocks)

        def join(parts: Iterable[Ints]) -> Ints:
            return np.concatenate([np.zeros(0, np.int64), *parts])

        ends = np.cumsum(join(np.diff(block.ends) for block in blocks))
        return Rows(join(block.rows for block in blocks), join(block.counts for block in blocks), np.append(0, ends))


class NGramRows:
    """The rows of n-grams.

    Attributes:
        size: rows in all.
    """

    def __init__(self, keys: list[Ints], *, order: int, words: int, buckets: int | None) -> None:
        """``keys``, sorted: the ids of the words that have rows; then the keys of each longer exact n-gram, or the
        buckets that have rows. The rest as in `fit`.
        """
        self.keys, self.order, self.words, self.buckets = keys, order, words, buckets
        begins = np.cumsum([0, *map(len, keys)])
        self.size = int(begins[-1])
        self._begins = begins.tolist()
        self._row_of_word = _numbers(keys[0], words)
        self._row_of_bucket = None if buckets is None or order == 1 else _numbers(keys[1], buckets)
        self._tables = [IntegerTable(level) for level in keys[1:]] if buckets is None else []
        self._bits = max(1, self.size).bit_length()

    @classmethod
    def fit(
        cls, ids: NDArray[Any], offsets: NDArray[Any], *, words: int, order: int, buckets: int | None, min_count: int
    ) -> NGramRows:
        """Rows for the n-grams of these examples (as in `Labelled`) that are in at least ``min_count`` of them.

        Args:
            words: rows of the vocabulary; every id is below it.
            order: words in the longest n-gram.
            buckets: rows that n-grams of two and more words share, None for a row each.
        """
        ids, offsets = np.asarray(ids, np.int64), np.asarray(offsets, np.int64)
        example_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        at = np.flatnonzero(ids >= FIRST_WORD)
        keys = [_frequent(ids[at], example_of[at], min_count)]
        if buckets is not None:
            if order > 1:
                trial = cls([*keys, np.arange(buckets)], order=order, words=words, buckets=buckets)
                longer = [one for one in trial.occurrences(ids, offsets) if one[0] > 1]
                hashed = np.concatenate([rows for _, _, rows in longer]) - len(keys[0])
                examples = np.concatenate([example_of[at] for _, at, _ in longer])
                keys.append(_frequent(hashed, examples, min_count))
            return cls(keys, order=order, words=words, buckets=buckets)
        nodes = words_at = _numbers(keys[0], words).take(ids)
        for length in range(2, order + 1):
            at = _beginnings(nodes, words_at, offsets, length)
            wanted = nodes.take(at) * words + ids.take(at + length - 1)
            keys.append(_frequent(wanted, example_of[at], min_count))
            if length < order:
                places, numbers = IntegerTable(keys[-1]).find(wanted)
                nodes = _scattered(len(ids), at.take(places), numbers)
        return cls(keys, order=order, words=words, buckets=None)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``words``, and ``buckets`` or ``2.keys``, ``3.keys`` ..., as `__init__` takes them."""
        names = ["words", "buckets"] if self.buckets else ["words", *(f"{n}.keys" for n in range(2, self.order + 1))]
        return dict(zip(names, self.keys, strict=False))

    @classmethod
    def from_arrays(cls, checked: CheckedArrays, *, order: int, words: int, buckets: int | None) -> NGramRows:
        keys = [checked.rising("words", FIRST_WORD, words)]
        if buckets is not None and order > 1:
            keys.append(checked.rising("buckets", 0, buckets))
        for length in range(2, order + 1 if buckets is None else 2):
            keys.append(checked.rising(f"{length}.keys", 0, len(keys[-1]) * words))
        return cls(keys, order=order, words=words, buckets=buckets)

    def occurrences(self, ids: Ints, offsets: Ints) -> Iterator[tuple[int, Ints, Ints]]:
        """For each length: ``(length, where such n-grams with a row begin, their rows)``."""
        words_at = nodes = self._row_of_word.take(ids)
        at = np.flatnonzero(nodes >= 0)
        yield 1, at, nodes.take(at)
        parts = hashes = ids.view(np.uint64) * _HASH_STEP
        for length in range(2, self.order + 1):
            at = _beginnings(nodes, words_at, offsets, length)
            if self._row_of_bucket is None:
                places, numbers = self._tables[length - 2].find(nodes.take(at) * self.words + ids.take(at + length - 1))
                at = at.take(places)
                nodes = _scattered(len(ids), at, numbers) if length < self.order else nodes
                yield length, at, numbers + self._begins[length - 1]
            else:
                hashes = (hashes[:-1] ^ (hashes[:-1] >> np.uint64(29))) * _HASH_MIX + parts[length - 1 :]
                hashed = hashes.take(at)
                buckets = (hashed ^ (hashed >> np.uint64(32))) % np.uint64(len(self._row_of_bucket))
                rows = self._row_of_bucket.take(buckets.view(np.int64))
                nodes = _scattered(len(ids), at, 0)
                known = np.flatnonzero(rows >= 0)
                yield length, at.take(known), rows.take(known) + self._begins[1]

    def blocks(self, ids: NDArray[Any], offsets: NDArray[Any]) -> Iterator[Rows]:
        """What the examples hold, some thousand examples at a time, in order."""
        offsets = np.asarray(offsets, np.int64)
        most = max(1, 2 ** (32 - self._bits))  # an example's number and a row fit in 32 bits: sorts five times as fast
        begin = 0
        while begin < len(offsets) - 1:
            reach = int(np.searchsorted(offsets, offsets[begin] + _BLOCK, "right")) - 1
            end = min(max(reach, begin + 1), begin + most)
            yield self._rows(
                np.asarray(ids[offsets[begin] : offsets[end]], np.int64), offsets[begin : end + 1] - offsets[begin]
            )
            begin = end

    def _rows(self, ids: Ints, offsets: Ints) -> Rows:
        examples = len(offsets) - 1
        kind = np.uint32 if examples << self._bits <= 2**32 else np.uint64
        high_of = np.repeat((np.arange(examples) << self._bits).astype(kind), np.diff(offsets))
        keys = np.concatenate([high_of.take(at) + rows.astype(kind) for _, at, rows in self.occurrences(ids, offsets)])
        keys.sort()
        first = np.empty(len(keys), np.bool_)
        first[:1] = True
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        begins = np.flatnonzero(first)
        counts = np.diff(begins, append=len(keys))
        keys = keys.take(begins)
        ends = np.searchsorted(keys, (np.arange(examples) << self._bits).astype(kind))
        return Rows((keys & kind((1 << self._bits) - 1)).astype(np.int64), counts, np.append(ends, len(keys)))


def _numbers(keys: Ints, size: int) -> Ints:
    """Of each of 0 to ``size - 1`` the number among the keys, -1 for none."""
    numbers = np.full(size, -1)
    numbers[keys] = np.arange(len(keys))
    return numbers


def _scattered(size: int, at: Ints, numbers: Ints | int) -> Ints:
    array = np.full(size, -1)
    array[at] = numbers
    return array


def _beginnings(nodes: Ints, words_at: Ints, offsets: Ints, length: int) -> Ints:
    """Where n-grams begin that stay within their example, whose last word and n-gram one shorter are known."""
    last = words_at[length - 1 :]
    inside = nodes[: len(last)] >= 0
    # n-grams one shorter are within their examples: those that end with one are all that now cross its end
    crossing = offsets[1:-1] - (length - 1)
    inside[crossing[(crossing >= 0) & (crossing < len(inside))]] = False
    inside &= last >= 0
    return np.flatnonzero(inside)


def _frequent(keys: Ints, examples: Ints, min_count: int) -> Ints:
    """The different keys that are in so many examples, sorted."""
    if min_count == 1:
        keys = np.sort(keys)  # np.unique looks for them in a hash table, which takes three times as long
        return keys[np.flatnonzero(np.diff(keys, prepend=-1))]
    different, numbers = np.unique(keys, return_inverse=True)
    pairs = np.unique(examples * max(1, len(different)) + numbers)
    in_examples = np.bincount(pairs % max(1, len(different)), minlength=len(different))
    return different[in_examples >= min_count]
