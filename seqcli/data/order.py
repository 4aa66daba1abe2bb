"""Which examples share a batch, and in which order the batches come.

The order of an epoch is a function of (seed, epoch) alone, so a resumed training needs no more than those and a step.
It takes four bytes an example, so that it fits into memory for corpora that do not.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.recipe.schema import BatchConfig

Lengths = NDArray[np.signedinteger[Any]]

_JITTER = 0.15
"""Lengths are blurred by up to this share before sorting, so that batches mix differently each epoch."""

_POOL = 2**20
"""So many examples, drawn at random, are sorted by length and cut into batches at a time."""


class Batches(Sequence[NDArray[np.int64]]):
    """Row numbers of each batch: batch i is ``order[starts[i]:ends[i]]``."""

    def __init__(self, order: NDArray[np.int32], ends: NDArray[np.int64]) -> None:
        self.order, self.ends = order, ends
        self.starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends

    def shuffled(self, random: np.random.Generator) -> Batches:
        places = random.permutation(len(self.ends))
        self.starts, self.ends = self.starts[places], self.ends[places]
        return self

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.int64]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.int64]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.int64] | list[NDArray[np.int64]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self.order[self.starts[index] : self.ends[index]].astype(np.int64)


def epoch_batches(lengths: Lengths, *, tokens: int, sequences: int | None, seed: int, epoch: int) -> Batches:
    """Row numbers of each batch of one epoch: like lengths together, batches in random order, each row exactly once.

    Args:
        lengths: positions of each example.
        tokens: budget of a batch in positions, padding counted; an example longer than that has a batch of its own.
        sequences: most examples in a batch.
        seed, epoch: decide the order, and nothing else does.
    """
    random = np.random.default_rng([seed, epoch])
    order = np.arange(len(lengths), dtype=np.int32)
    random.shuffle(order)
    ends = array("q")
    for start in range(0, len(order), _POOL):
        pool = order[start : start + _POOL]
        blurred = lengths[pool] * (1 + _JITTER * random.random(len(pool)))
        pool[:] = pool[np.argsort(blurred, kind="stable")]
        _cut(pool, start, lengths, tokens, sequences, ends)
    return Batches(order, np.array(ends, np.int64)).shuffled(random)


def stream_windows(total: int, *, streams: int, window: int, offset: int = 0) -> list[NDArray[np.int64]]:
    """A text of ``total`` tokens as ``streams`` parts read side by side, window after window.

    The text is taken as a ring that begins at ``offset``. Each batch holds rows [first token, end, is it the part's
    first window]; a row goes on where the same row of the batch before ended. The last ``total % streams`` tokens of
    the ring are left out.
    """
    length = total // streams
    starts = offset + np.arange(streams) * length
    return [
        np.stack([starts + at, starts + min(at + window, length), np.full(streams, at == 0)], axis=1).astype(np.int64)
        for at in range(0, length, window)
    ]


def shuffled_windows(
    total: int, *, windows: int, window: int, offset: int, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """A text cut into windows of their own, ``windows`` a batch in random order; a ring that begins at ``offset``."""
    starts = offset + random.permutation(max(1, total // window)) * window
    rows = np.stack([starts, starts + min(window, total), np.ones(len(starts), np.int64)], axis=1).astype(np.int64)
    return [rows[at : at + windows] for at in range(0, len(rows), windows)]


class ByLength:
    """How examples of given lengths are batched: the part of a task's data that most tasks share."""

    columns: Columns
    lengths: Lengths

    def widths(self, rows: NDArray[np.int64]) -> Lengths:
        return self.lengths[rows]

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch of an epoch, decided by (seed, epoch) alone."""
        return epoch_batches(self.lengths, tokens=batch.tokens, sequences=batch.sequences, seed=seed, epoch=epoch)

    def measuring_order(self, tokens: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch when nothing is learned: each example once, ``tokens`` positions a batch."""
        return sorted_batches(self.lengths, tokens=tokens)

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        return [self.columns.place(int(row)) for row in rows]


def sorted_batches(lengths: Lengths, *, tokens: int, sequences: int | None = None) -> Batches:
    """Batches of like length, shortest first and without chance: for measuring, where only padding matters."""
    order = np.argsort(lengths, kind="stable").astype(np.int32)
    ends = array("q")
    _cut(order, 0, lengths, tokens, sequences, ends)
    return Batches(order, np.array(ends, np.int64))


def _cut(
    order: NDArray[np.int32], offset: int, lengths: Lengths, tokens: int, sequences: int | None, ends: array[int]
) -> None:
    """Append to ``ends`` where each batch of ``order`` ends, counted from ``offset``."""
    start = 0
    while start < len(order):
        most = max(1, tokens // max(1, int(lengths[order[start]])) + 1)
        if sequences is not None:
            most = min(most, sequences)
        window = order[start : start + most]
        padded = np.maximum.accumulate(np.maximum(lengths[window], 1)) * np.arange(1, len(window) + 1)
        start += max(1, int(np.searchsorted(padded, tokens, side="right")))
        ends.append(offset + start)
