"""Which examples share a batch, and in which order the batches come.

The order of an epoch is a function of (seed, epoch) alone, so a resumed training needs no more than those and a step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_JITTER = 0.15
"""Lengths are blurred by up to this share before sorting, so that batches mix differently each epoch."""


def epoch_batches(
    lengths: NDArray[np.int64], *, tokens: int, sequences: int | None, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Row numbers of each batch of one epoch: like lengths together, batches in random order, each row exactly once.

    Args:
        lengths: positions of each example.
        tokens: budget of a batch in positions, padding counted; an example longer than that has a batch of its own.
        sequences: most examples in a batch.
        seed, epoch: decide the order, and nothing else does.
    """
    random = np.random.default_rng([seed, epoch])
    blurred = lengths * (1 + _JITTER * random.random(len(lengths)))
    order = np.lexsort((random.permutation(len(lengths)), blurred))
    batches = list(_cut(order, lengths, tokens, sequences))
    return [batches[index] for index in random.permutation(len(batches))]


def sorted_batches(lengths: NDArray[np.int64], *, tokens: int, sequences: int | None = None) -> list[NDArray[np.int64]]:
    """The same without chance, shortest first: for measuring, where order does not matter and padding does."""
    return list(_cut(np.argsort(lengths, kind="stable"), lengths, tokens, sequences))


def _cut(
    order: NDArray[np.int64], lengths: NDArray[np.int64], tokens: int, sequences: int | None
) -> Iterator[NDArray[np.int64]]:
    start = 0
    while start < len(order):
        most = max(1, tokens // max(1, int(lengths[order[start]])) + 1)
        if sequences is not None:
            most = min(most, sequences)
        window = order[start : start + most]
        padded = np.maximum.accumulate(np.maximum(lengths[window], 1)) * np.arange(1, len(window) + 1)
        count = max(1, int(np.searchsorted(padded, tokens, side="right")))
        yield window[:count]
        start += count
