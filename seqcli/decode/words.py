"""The most probable words of a model whose tokens are smaller than words: a best-first search.

A word is a path of tokens that a boundary follows (a space, the end of the line). A path is never more probable than
its beginning, so the first paths to come out of a queue ordered by probability are the most probable ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from itertools import count as numbers

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.stepper import LogProbs, State, Stepper

MOST_READS = 2000
"""Steps of the model before the search gives up on the rarer words."""

_CHILDREN = 40
"""Continuations of a path that are followed: a rarer one could only end in a still rarer word."""


def best_words(
    model: Stepper,
    log_probs_1V: LogProbs,
    state: State,
    boundary: NDArray[np.int64],
    count: int,
    *,
    forbidden: Collection[int] = (),
    longest: int = 40,
) -> list[tuple[list[int], float]]:
    """``(ids, probability)`` of the most probable words, the most probable first.

    Args:
        log_probs_1V, state: what the model says after the text before the word.
        boundary: ids that end a word; the probability of a word is that of its tokens and then any of these.
        forbidden: ids that no word may hold, such as <UNK>.
        longest: most tokens in a word.
    """
    order = numbers()
    words: list[tuple[list[int], float]] = []
    inside = np.ones(log_probs_1V.shape[1], bool)
    inside[[*boundary.tolist(), *forbidden]] = False
    queue: list[tuple[float, int, list[int], State | None]] = []

    def follow(path: list[int], log_p: float, log_probs: NDArray[np.floating], after: State) -> None:
        if path:
            ends = log_p + float(np.logaddexp.reduce(log_probs[boundary].astype(np.float64)))
            heapq.heappush(queue, (-ends, next(order), path, None))
        if len(path) < longest:
            allowed = np.where(inside, log_probs, -np.inf)
            best = np.argpartition(-allowed, min(_CHILDREN, len(allowed) - 1))[:_CHILDREN]
            for token in best[np.isfinite(allowed[best])].tolist():
                heapq.heappush(queue, (-log_p - float(log_probs[token]), next(order), [*path, token], after))

    follow([], 0.0, log_probs_1V[0], state)
    for _ in range(MOST_READS):
        if not queue or len(words) == count:
            break
        cost, _, path, before = heapq.heappop(queue)
        if before is None:
            words.append((path, float(np.exp(-cost))))
            continue
        log_probs, after = model.read(np.array([path[-1:]], np.int64), before)
        follow(path, -cost, log_probs[0], after)
    return words
