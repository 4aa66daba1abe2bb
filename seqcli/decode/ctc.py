"""Reading what a CTC network says: the best path, a search over prefixes, the score and the places of a text.

Shapes: T positions, V units (the blank among them), L units of a text. Probabilities are natural logarithms; all is numpy.
CTC: Graves et al. 2006. Search over prefixes: Hannun et al. 2014, algorithm 1, with several units a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

LogProbs = NDArray[np.floating[Any]]

UNLIKELY = -14.0
"""ln p below which a unit is not looked at in a step of the search."""


class Path(NamedTuple):
    """Units [L], where each begins and ends (positions, the end not included), and the score it was chosen by."""

    ids: list[int]
    spans: list[tuple[int, int]]
    score: float


class Fusion(Protocol):
    """What else has a say in the search: a language model, a lexicon."""

    def start(self) -> Any:
        """The state of an empty text."""

    def extend(self, state: Any, unit: int) -> tuple[float, Any] | None:
        """``(what the unit adds to the score, new state)``; None where no text may go on so."""

    def end(self, state: Any) -> float | None:
        """What is added where the text ends here; None where none may."""


@dataclass(frozen=True)
class Hypothesis:
    """A text that was searched for: ``log_prob`` is that of CTC over all alignments, ``score`` what it was ranked by."""

    ids: list[int]
    log_prob: float
    score: float


def greedy(log_probs_TV: LogProbs, blank: int) -> Path:
    """The units of the likeliest path: runs of a unit are one, blanks are none."""
    best_T = log_probs_TV.argmax(1)
    edges = np.flatnonzero(np.diff(best_T, prepend=-1, append=-1))
    ids, spans = [], []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if best_T[start] != blank:
            ids.append(int(best_T[start]))
            spans.append((start, end))
    score = float(log_probs_TV.max(1).sum()) if len(best_T) else 0.0
    return Path(ids, spans, score)


def forward_score(log_probs_TV: LogProbs, ids: Sequence[int], blank: int) -> float:
    """ln p of a text: the sum over all its alignments; -inf where there are too few positions for it."""
    labels, skips = _extended(ids, blank)
    if not len(log_probs_TV):
        return 0.0 if not len(ids) else -math.inf
    alpha = np.full(len(labels), -np.inf)
    alpha[:2] = log_probs_TV[0, labels[:2]]
    for log_probs_V in log_probs_TV[1:]:
        alpha = np.logaddexp.reduce(_moves(alpha, skips), axis=0) + log_probs_V[labels]
    return float(np.logaddexp.reduce(alpha[-2:]))


def align(log_probs_TV: LogProbs, ids: Sequence[int], blank: int) -> Path | None:
    """The likeliest alignment of a text; None where there are too few positions for it."""
    if not len(ids):
        return Path([], [], float(log_probs_TV[:, blank].sum()))
    labels, skips = _extended(ids, blank)
    steps = len(log_probs_TV)
    if steps < needed(ids):
        return None
    came = np.zeros((steps, len(labels)), np.int8)
    alpha = np.full(len(labels), -np.inf)
    alpha[:2] = log_probs_TV[0, labels[:2]]
    for step in range(1, steps):
        moves = _moves(alpha, skips)
        came[step] = moves.argmax(0)
        alpha = moves.max(0) + log_probs_TV[step, labels]
    place = len(labels) - 1 - int(alpha[-2] > alpha[-1])
    score = float(alpha[place])
    if not math.isfinite(score):
        return None
    first, last = [0] * len(ids), [0] * len(ids)
    for step in range(steps - 1, -1, -1):
        if place % 2:
            first[place // 2] = step
            last[place // 2] = max(last[place // 2], step + 1)
        place -= int(came[step, place])
    return Path([*ids], [*zip(first, last, strict=True)], score)


def needed(ids: Sequence[int]) -> int:
    """Positions that a text takes at least: one a unit, and a blank between two that are alike."""
    return len(ids) + sum(one == other for one, other in pairwise(ids))


def _extended(ids: Sequence[int], blank: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """``(units with a blank before, between and after them [2 L + 1], whether the blank before one may be left out)``."""
    labels = np.full(2 * len(ids) + 1, blank, np.int64)
    labels[1::2] = ids
    skips = np.zeros(len(labels), bool)
    skips[3::2] = labels[3::2] != labels[1:-2:2]
    return labels, skips


def _moves(alpha: NDArray[np.float64], skips: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores of the place itself, of the one before it and of the one before that, where it may be left from [3, 2 L + 1]."""
    moves = np.full((3, len(alpha)), -np.inf)
    moves[0] = alpha
    moves[1, 1:] = alpha[:-1]
    moves[2, 2:] = np.where(skips[2:], alpha[:-2], -np.inf)
    return moves


class _Prefix:
    """A text of the search: ln p of it ending in a blank and in its last unit, before and after the step at hand."""

    __slots__ = ("blank", "children", "extra", "new_blank", "new_unit", "parent", "seen", "state", "unit", "unit_p")

    def __init__(self, parent: _Prefix | None, unit: int, extra: float, state: Any) -> None:
        self.parent, self.unit, self.extra, self.state = parent, unit, extra, state
        self.children: dict[int, _Prefix | None] = {}
        self.blank = self.unit_p = self.new_blank = self.new_unit = -math.inf
        self.seen = -1

    def child(self, unit: int, fusion: Fusion | None) -> _Prefix | None:
        if unit in self.children:
            return self.children[unit]
        made: _Prefix | None = None
        if fusion is None:
            made = _Prefix(self, unit, self.extra, None)
        elif (found := fusion.extend(self.state, unit)) is not None:
            made = _Prefix(self, unit, self.extra + found[0], found[1])
        self.children[unit] = made
        return made

    @property
    def total(self) -> float:
        return _add(self.blank, self.unit_p)

    def ids(self) -> list[int]:
        ids: list[int] = []
        place = self
        while place.parent is not None:
            ids.append(place.unit)
            place = place.parent
        return ids[::-1]


def _add(one: float, other: float) -> float:
    """ln (e^one + e^other)."""
    if one < other:
        one, other = other, one
    return one if other == -math.inf else one + math.log1p(math.exp(other - one))


def prefix_beam(
    log_probs_TV: LogProbs,
    blank: int,
    beam: int,
    *,
    fusion: Fusion | None = None,
    forbidden: Sequence[int] = (),
    least: float = UNLIKELY,
    best: int = 1,
) -> list[Hypothesis]:
    """The texts with the best ln p over all alignments, and what ``fusion`` adds to it, the best first.

    Args:
        beam: texts that are followed from step to step.
        forbidden: units that no text has, such as <UNK>.
        least: ln p below which a unit is not looked at in a step.
    """
    root = _Prefix(None, -1, 0.0, None if fusion is None else fusion.start())
    root.blank = 0.0
    live = [root]
    banned = {blank, *forbidden}
    for step, log_probs_V in enumerate(log_probs_TV):
        likely = [unit for unit in np.flatnonzero(log_probs_V > least).tolist() if unit not in banned]
        values = log_probs_V.tolist()
        touched: list[_Prefix] = []

        def touch(one: _Prefix, touched: list[_Prefix] = touched, step: int = step) -> None:
            if one.seen != step:
                one.seen = step
                one.new_blank = one.new_unit = -math.inf
                touched.append(one)

        for prefix in live:
            total = prefix.total
            touch(prefix)
            prefix.new_blank = _add(prefix.new_blank, total + values[blank])
            if prefix.unit >= 0:
                prefix.new_unit = _add(prefix.new_unit, prefix.unit_p + values[prefix.unit])
            for unit in likely:
                before = prefix.blank if unit == prefix.unit else total
                if before == -math.inf or (child := prefix.child(unit, fusion)) is None:
                    continue
                touch(child)
                child.new_unit = _add(child.new_unit, before + values[unit])
        for one in touched:
            one.blank, one.unit_p = one.new_blank, one.new_unit
        if len(touched) > beam:
            touched.sort(key=lambda one: -(one.total + one.extra))
        for one in touched[beam:]:  # what comes back later begins anew
            one.blank = one.unit_p = -math.inf
        live = touched[:beam]
    ends = [(one, 0.0 if fusion is None else fusion.end(one.state)) for one in live]
    found = [
        Hypothesis(one.ids(), one.total, one.total + one.extra + end)
        for one, end in ends
        if end is not None and one.total > -math.inf
    ]
    return sorted(found, key=lambda one: -one.score)[:best]


def confidence(log_probs_TV: LogProbs, ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> float:
    """How sure the network is of some units where they stand: the geometric mean of the best p of each, from 0 to 1."""
    tops = [log_probs_TV[start:end, unit].max() for unit, (start, end) in zip(ids, spans, strict=True) if end > start]
    return float(np.exp(np.mean(tops))) if tops else 0.0
