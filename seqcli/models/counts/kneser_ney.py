"""Interpolated modified Kneser-Ney probabilities from counts (Chen and Goodman 1998, section 3; Heafield et al. 2013).

An n-gram is a node of a tree: its parent is the n-gram without its last token (its context), so it is known by the
number of its parent among the n-grams one shorter, times the size of the vocabulary, plus its last token. Sorted by
these keys, the successors of a context lie side by side, and no n-gram is ever spelled out.

Letters: T tokens of the text, V rows of the vocabulary, M n-grams of one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import Ints, Progress, Sizes

Floats = NDArray[np.float64]

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of the counts 1, 2 and from 3 on where the text gives none; KenLM's --discount_fallback has the same."""


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by key; for order 1 every row of the vocabulary, and the key is the id.

    Attributes:
        keys: [M], number of the context in the level below times V plus the last token.
        log_p: [M], ln p(last token | context), lower orders mixed in.
        backoff: [M], ln of the mass this n-gram, as a context, leaves to the order below, 0 where nothing followed;
            of the longest n-grams, which are no contexts, [0].
    """

    keys: Ints
    log_p: Floats
    backoff: Floats


@dataclass
class _Counts:
    """What the text says of the n-grams of one order: [M] each.

    ``suffix`` is the number of the n-gram without its first token; ``adjusted`` the count that the estimate uses.
    """

    keys: Ints
    raw: Ints
    suffix: Ints
    adjusted: Ints


def estimate(
    ids: Ints, starts: Ints, thresholds: Sequence[int], sizes: Sizes, progress: Progress | None = None
) -> list[Level]:
    """The levels of order 1 and those above.

    Args:
        ids: [T], all sequences one after the other, each with its <EOS>.
        starts: where each begins; its first token has the context ``sizes.bos`` and nothing before that.
        thresholds: for each order, n-grams seen this often or less are left out (but not <UNK> and the start); must
            not fall.
        progress: is called with (orders counted, orders).
    """
    counts = _count(ids, starts, len(thresholds), sizes, progress)
    stays = [count.raw > threshold for count, threshold in zip(counts, thresholds, strict=True)]
    stays[0][[sizes.bos, sizes.unk]] = True
    below = np.full(1, 1 / sizes.words)  # order 1 falls back on this: every row alike, <UNK> among them
    mass, left = [], []
    for count, stay in zip(counts, stays, strict=True):
        below, rest = _smooth(count, stay, len(below), sizes.words, below)
        mass.append(below)
        left.append(rest)
    stays[0][:] = True  # a row without a share of its own has one of what the others leave
    levels, numbers = [], np.zeros(1, np.int64)
    for place, stay in enumerate(stays):
        # A context is seen at least as often as what follows it, and thresholds do not fall: so it stays as well.
        contexts, tokens = np.divmod(counts[place].keys[stay], sizes.words)
        backoff = left[place + 1][stay] if place + 1 < len(stays) else np.zeros(0)
        log_p = np.log(np.minimum(mass[place][stay], 1.0))
        levels.append(Level(numbers[contexts] * sizes.words + tokens, log_p, np.log(backoff)))
        numbers = np.cumsum(stay) - 1
    return levels


def discounts(adjusted: Ints) -> Floats:
    """What is taken off the counts 0, 1, 2 and from 3 on, [4]: equation 26 of Chen and Goodman (1998).

    It needs n-grams with each of the counts 1 to 4, and can leave the range (0, count]; in a text too small or too
    regular for it, such as "hello", `FALLBACK` stands in for the whole order.
    """
    n = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(np.float64)
    if n[1:5].all():
        count = np.arange(1, 4)
        estimated = count - (count + 1) * (n[1] / (n[1] + 2 * n[2])) * n[2:5] / n[1:4]
        if (estimated > 0).all() and (estimated <= count).all():
            return np.array([0.0, *estimated])
    return np.array([0.0, *FALLBACK])


def _count(ids: Ints, starts: Ints, order: int, sizes: Sizes, progress: Progress | None) -> list[_Counts]:
    """Counts of orders 1 to ``order``.

    ``nodes`` [T] is, of each token, the number of the n-gram that ends there, or -1 where the sequence has too few
    tokens before it.
    """
    nodes = ids
    raw = np.bincount(ids, minlength=sizes.words)
    counts = [_Counts(np.arange(sizes.words), raw, np.zeros(sizes.words, np.int64), raw)]
    for length in range(2, order + 1):
        if progress is not None:
            progress(length - 1, order)
        contexts = np.empty_like(nodes)
        contexts[1:] = nodes[:-1]
        contexts[starts] = sizes.bos if length == 2 else -1
        at = np.flatnonzero(contexts >= 0)
        keys = contexts[at] * sizes.words + ids[at]
        by_key = np.argsort(keys)
        keys = keys[by_key]
        first = np.ones(len(keys), bool)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        begins = np.flatnonzero(first)
        number = np.cumsum(first) - 1
        at = at[by_key]
        suffix = nodes[at[begins]]
        # Distinct tokens before an n-gram; where a sequence begins nothing is before it, and each time counts.
        alone = nodes[(contexts < 0) & (nodes >= 0)]
        size = len(counts[-1].keys)
        counts[-1].adjusted = np.bincount(suffix, minlength=size) + np.bincount(alone, minlength=size)
        raw = np.diff(begins, append=len(keys))
        counts.append(_Counts(keys[begins], raw, suffix, raw))
        nodes = np.full_like(nodes, -1)
        nodes[at] = number
    if progress is not None:
        progress(order, order)
    return counts


def _smooth(
    count: _Counts, stays: NDArray[np.bool_], contexts: int, words: int, below: Floats
) -> tuple[Floats, Floats]:
    """``(p [M], mass left to the order below [contexts])``; the mass of n-grams that do not stay goes there too.

    Order 1 has one context, the empty one.
    """
    parents = count.keys // words
    off = np.where(stays, discounts(count.adjusted)[np.minimum(count.adjusted, 3)], count.adjusted)
    total = np.bincount(parents, weights=count.adjusted, minlength=contexts)
    seen = total > 0
    left = np.ones(contexts)
    left[seen] = np.bincount(parents, weights=off, minlength=contexts)[seen] / total[seen]
    p = (count.adjusted - off) / total[parents] + left[parents] * below[count.suffix]
    return p, left
