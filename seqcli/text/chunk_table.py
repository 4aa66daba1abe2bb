"""A hash table of short byte strings, made of arrays: those of a whole text are looked up in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

LONGEST = 16
"""Bytes of the longest string that the table holds: two words of the processor."""

# What is behind a string's last byte becomes 0xFF, which no UTF-8 holds; of a longer string nothing is left.
_SIZES = [*range(LONGEST + 1), 0]
_FILL_LOW = np.array([2**64 - (1 << 8 * min(size, 8)) for size in _SIZES], np.uint64)
_FILL_HIGH = np.array([2**64 - (1 << 8 * max(size - 8, 0)) for size in _SIZES], np.uint64)
_MIX, _MULTIPLIER = np.uint64(0xD6E8FEB86659FD93), np.uint64(0x9E3779B97F4A7C15)


def contents(text: bytes, starts: Ints, sizes: Ints) -> tuple[Words, Words]:
    """The bytes of each string in a text as two numbers, which no other string of up to 16 bytes has."""
    padded = text + bytes(LONGEST)
    words = np.ndarray(len(text) + 8, "<u8", padded, strides=(1,))  # the eight bytes at each place
    sizes = np.minimum(sizes, LONGEST + 1)
    low = words.take(starts)
    low |= _FILL_LOW.take(sizes)
    high = words.take(starts + 8)
    high |= _FILL_HIGH.take(sizes)
    return low, high


class ChunkTable:
    """Numbers of strings of up to 16 bytes; open addressing, linear probing, at most a quarter full.

    Attributes:
        size: strings it holds.
    """

    def __init__(self, strings: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Hold these different strings, none empty, with these numbers."""
        self.size = len(strings)
        sizes = np.fromiter(map(len, strings), np.int64, self.size)
        low, high = contents(b"".join(strings), np.cumsum(sizes) - sizes, sizes)
        bits = max(2, (4 * self.size).bit_length())
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        holder = np.full(1 << bits, -1, np.int64)
        waiting, slots = np.arange(self.size), self._slots(low, high)
        while len(waiting):
            free = np.flatnonzero(holder[slots] < 0)
            holder[slots[free]] = waiting[free]  # of several that want one slot the last one gets it
            left = np.flatnonzero(holder[slots] != waiting)
            waiting, slots = waiting[left], (slots[left] + 1) & self._mask
        self._low, self._high = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.uint64)
        self._numbers = np.full(1 << bits, -1, np.int64)
        held = np.flatnonzero(holder >= 0)
        self._low[held], self._high[held] = low[holder[held]], high[holder[held]]
        self._numbers[held] = np.asarray(numbers, np.int64)[holder[held]]

    def find(self, low: Words, high: Words) -> Ints:
        """The number of each string, given as its `contents`; -1 for one that the table does not hold."""
        slots = self._slots(low, high)
        numbers = self._numbers.take(slots)
        others = np.flatnonzero((self._low.take(slots) != low) | (self._high.take(slots) != high))
        slots = slots.take(others)
        going_on = np.flatnonzero(numbers.take(others) >= 0)
        numbers[others] = -1
        others, slots = others.take(going_on), slots.take(going_on)
        while len(others):
            slots = (slots + 1) & self._mask
            candidates = self._numbers.take(slots)
            same = (self._low.take(slots) == low.take(others)) & (self._high.take(slots) == high.take(others))
            numbers[others] = np.where(same, candidates, -1)
            going_on = np.flatnonzero(~same & (candidates >= 0))
            others, slots = others.take(going_on), slots.take(going_on)
        return numbers

    def _slots(self, low: Words, high: Words) -> Ints:
        hashes = low ^ (high * _MIX)
        hashes ^= hashes >> np.uint64(32)
        hashes *= _MULTIPLIER
        hashes >>= self._shift
        return hashes.view(np.int64)
