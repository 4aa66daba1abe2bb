"""A hash table of integers, made of arrays: many keys are looked up in one call, without a loop over them."""

from __future__ import annotations

import numpy as np

from seqcli.models.counts.base import Ints

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth, The Art of Computer Programming 6.4)
_EMPTY = np.int64(-1)


class IntegerTable:
    """Where each of some keys stands in their array; open addressing, linear probing, at most a quarter full.

    Most keys that are not held are seen to be missing in a table of one byte a slot, which stays near the processor.
    Eight times as fast as ``np.searchsorted`` in 70,000 keys, more in more.
    """

    def __init__(self, keys: Ints) -> None:
        """Hold these keys: different, none below 0, any order."""
        bits = max(2, int(4 * len(keys)).bit_length())
        self._shift, self._byte_shift = np.uint64(64 - bits), np.uint64(63 - bits)
        self._mask = (1 << bits) - 1
        self._keys = np.full(1 << bits, _EMPTY)
        self._numbers = np.full(1 << bits, -1, np.int64)
        self._maybe = np.zeros(2 << bits, np.bool_)
        hashes = keys.view(np.uint64) * _MULTIPLIER
        self._maybe[(hashes >> self._byte_shift).view(np.int64)] = True
        numbers, slots = np.arange(len(keys)), (hashes >> self._shift).view(np.int64)
        while len(numbers):
            free = self._keys[slots] == _EMPTY
            self._keys[slots[free]] = keys[numbers[free]]  # of several that want one slot the last one gets it
            placed = self._keys[slots] == keys[numbers]
            self._numbers[slots[placed]] = numbers[placed]
            numbers, slots = numbers[~placed], (slots[~placed] + 1) & self._mask

    def find(self, keys: Ints) -> tuple[Ints, Ints]:
        """``(places, numbers)``: which of these keys the table holds, in order, and the number of each of those."""
        hashes = keys.view(np.uint64) * _MULTIPLIER
        # flatnonzero and take: indexing with a mask takes several times as long
        places = np.flatnonzero(self._maybe.take((hashes >> self._byte_shift).view(np.int64)))
        wanted = keys.take(places)
        slots = (hashes.take(places) >> self._shift).view(np.int64)
        held = self._keys.take(slots)
        waiting = np.flatnonzero((held != wanted) & (held != _EMPTY))
        while len(waiting):
            after = (slots.take(waiting) + 1) & self._mask
            slots[waiting] = after
            held = self._keys.take(after)
            waiting = waiting.take(np.flatnonzero((held != wanted.take(waiting)) & (held != _EMPTY)))
        present = np.flatnonzero(self._keys.take(slots) == wanted)
        return places.take(present), self._numbers.take(slots.take(present))
