"""A decoder's next token and CTC's say in it, in one pass: the joint search of Hori et al. 2017 (Interspeech, eq. 8 to 13).

Shapes: B sources, R texts begun, S positions, V units (the blank among them). Probabilities are natural logarithms.
A text is ranked by ``(1 - w) ln p(decoder) + w ln p(CTC)``, and so is each of its beginnings, where CTC's part is the sum
over all texts that begin so (Watanabe et al. 2017, algorithm 2). What a unit adds to that is all a search needs to know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.ctc import UNLIKELY, Fusion
from seqcli.decode.stepper import Reader

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_NEVER = -1e3
"""ln p of a unit where it cannot be: small enough to be nothing, large enough to be summed over positions."""

_IMPOSSIBLE = -1e10
"""Score of a text that cannot be: below that of any other, and still a number."""


@dataclass(frozen=True)
class Begun:
    """Texts begun. ``blank_RS`` and ``unit_RS`` [R, S + 1]: ln p of the alignments of a text with the first s positions
    that end in a blank, and in its last unit; ``total_R``: ln p of all texts that begin so."""

    owners_R: Ids
    last_R: Ids
    blank_RS: Floats
    unit_RS: Floats
    total_R: Floats

    def rows(self, rows_R: Ids) -> Begun:
        return Begun(
            self.owners_R[rows_R],
            self.last_R[rows_R],
            self.blank_RS[rows_R],
            self.unit_RS[rows_R],
            self.total_R[rows_R],
        )


class Beginnings:
    """ln p of the beginnings of texts, by what CTC says of some sources.

    Args:
        log_probs_BSV: whatever stands past ``positions_B`` is not read.
        blank: in its column `scores` has the text that ends.
    """

    def __init__(self, log_probs_BSV: NDArray[Any], positions_B: NDArray[Any], blank: int) -> None:
        self.blank = blank
        past_BS = np.arange(log_probs_BSV.shape[1]) >= positions_B[:, None]
        self.log_probs_BSV = np.maximum(log_probs_BSV, _NEVER, dtype=np.float64)
        self.log_probs_BSV[past_BS] = _NEVER
        self.log_probs_BSV[past_BS, blank] = 0.0
        self.probs_BSV = np.exp(self.log_probs_BSV)

    def start(self) -> Begun:
        """A text without units for each source."""
        count, steps, _ = self.log_probs_BSV.shape
        blank_BS = np.zeros((count, steps + 1))
        np.cumsum(self.log_probs_BSV[:, :, self.blank], axis=1, out=blank_BS[:, 1:])
        return Begun(np.arange(count), np.full(count, -1), blank_BS, np.full_like(blank_BS, -np.inf), np.zeros(count))

    def scores(self, begun: Begun) -> Floats:
        """ln p [R, V] of all texts that begin with these and one unit more; of the blank, of these texts themselves."""
        before_RS = np.logaddexp(begun.blank_RS, begun.unit_RS)
        highest_R1 = before_RS[:, :-1].max(1, keepdims=True, initial=_IMPOSSIBLE)
        shares_RS = np.exp(before_RS[:, :-1] - highest_R1)
        found_RV = np.empty((len(before_RS), self.log_probs_BSV.shape[2]))
        for owner in np.unique(begun.owners_R):
            rows = begun.owners_R == owner
            found_RV[rows] = shares_RS[rows] @ self.probs_BSV[owner]
        with np.errstate(divide="ignore"):
            found_RV = np.log(found_RV) + highest_R1
        again = np.flatnonzero(begun.last_R >= 0)  # a unit that comes twice has a blank between
        own_RS = begun.blank_RS[again, :-1] + self._of(begun.owners_R[again], begun.last_R[again])
        found_RV[again, begun.last_R[again]] = np.logaddexp.reduce(own_RS, axis=1, initial=-np.inf)
        found_RV[:, self.blank] = before_RS[:, -1]
        return found_RV

    def extend(self, begun: Begun, units_R: Ids, totals_R: Floats) -> Begun:
        """Each text with a unit more; ``totals_R``: what `scores` said of it."""
        alike_R1 = (units_R == begun.last_R)[:, None]
        before_RS = np.where(alike_R1, begun.blank_RS, np.logaddexp(begun.blank_RS, begun.unit_RS))[:, :-1]
        unit_RS, blank_RS = (np.full_like(begun.blank_RS, -np.inf) for _ in range(2))
        unit_RS[:, 1:] = _carried(before_RS, self._of(begun.owners_R, units_R))
        blanks_R = np.full_like(units_R, self.blank)
        blank_RS[:, 1:] = _carried(unit_RS[:, :-1], self._of(begun.owners_R, blanks_R))
        return Begun(begun.owners_R, units_R, blank_RS, unit_RS, totals_R)

    def _of(self, owners_R: Ids, units_R: Ids) -> Floats:
        """ln p [R, S] of a unit of each text's source."""
        return self.log_probs_BSV[owners_R, :, units_R]


def _carried(coming_RS: Floats, log_probs_RS: Floats) -> Floats:
    """``x[s] = ln(e^x[s - 1] + e^coming[s]) + log_probs[s]``, from x[-1] = -inf on."""
    so_far_RS = np.cumsum(log_probs_RS, axis=1)
    return so_far_RS + np.logaddexp.accumulate(coming_RS - (so_far_RS - log_probs_RS), axis=1)


class _State(NamedTuple):
    """``inner``: of the decoder; ``heard``: of CTC, and what it says of each unit that may follow; ``held``: of the fusion,
    None for a text that cannot be, and ``nexts``: behind each unit that it was asked about."""

    inner: Any
    heard: tuple[Begun, Floats] | None
    held: list[Any]
    nexts: list[dict[int, Any]]


class JointReader:
    """What a search asks for the next token: the decoder, CTC and whatever else has a say.

    Args:
        beginnings: of the same sources; None for the decoder alone.
        weight: share of CTC in the score.
        eos: the token that ends a text; `Beginnings.blank` is the same.
        forbidden: units that no text has.
    """

    def __init__(
        self,
        model: Reader,
        beginnings: Beginnings | None,
        weight: float,
        *,
        eos: int,
        forbidden: Sequence[int] = (),
        fusion: Fusion | None = None,
    ) -> None:
        self.model, self.beginnings, self.weight = model, beginnings, weight
        self.eos, self.forbidden, self.fusion = eos, [*forbidden], fusion

    def start(self, count: int) -> tuple[Floats, _State]:
        log_probs_RV, inner = self.model.start(count)
        begun = None if self.beginnings is None else self.beginnings.start()
        return self._joint(
            log_probs_RV, inner, begun, [self.fusion.start() for _ in range(count)] if self.fusion else []
        )

    def read(self, ids_BT: Ids, state: _State) -> tuple[Floats, _State]:
        """Reads one token of each text."""
        (units_R,) = ids_BT.T
        log_probs_RV, inner = self.model.read(ids_BT, state.inner)
        begun = None
        if self.beginnings is not None and state.heard is not None:
            before, scores_RV = state.heard
            begun = self.beginnings.extend(before, units_R, scores_RV[np.arange(len(units_R)), units_R])
        held = [found.get(unit) for found, unit in zip(state.nexts, units_R.tolist(), strict=False)]
        return self._joint(log_probs_RV, inner, begun, held)

    def select(self, state: _State, rows: Ids) -> _State:
        heard = None if state.heard is None else (state.heard[0].rows(rows), state.heard[1][rows])
        held, nexts = ([one[row] for row in rows.tolist()] if one else [] for one in (state.held, state.nexts))
        return _State(self.model.select(state.inner, rows), heard, held, nexts)

    def attention(self, state: _State) -> NDArray[np.float32] | None:
        return self.model.attention(state.inner)

    def _joint(
        self, log_probs_RV: NDArray[Any], inner: Any, begun: Begun | None, held: list[Any]
    ) -> tuple[Floats, _State]:
        heard, joint_RV = None, log_probs_RV.astype(np.float64)
        if self.beginnings is not None and begun is not None:
            scores_RV = self.beginnings.scores(begun)
            gained_RV = np.maximum(scores_RV, _IMPOSSIBLE) - np.maximum(begun.total_R, _IMPOSSIBLE)[:, None]
            joint_RV = (1 - self.weight) * joint_RV + self.weight * gained_RV
            heard = begun, scores_RV
        joint_RV[:, self.forbidden] = -math.inf
        nexts = [self._fused(joint_V, one) for joint_V, one in zip(joint_RV, held, strict=False)]
        return joint_RV, _State(inner, heard, held, nexts)

    def _fused(self, joint_V: Floats, held: Any) -> dict[int, Any]:
        """Add to the score of each likely unit what the fusion says of it; returns the fusion's state behind each.

        Where it allows none of them the less likely are asked about, and where it allows nothing the text ends.
        """
        assert self.fusion is not None
        nexts: dict[int, Any] = {}
        added_V = np.full_like(joint_V, -math.inf)
        least = joint_V.max() + UNLIKELY
        for unit in np.argsort(-joint_V).tolist() if held is not None else ():
            if joint_V[unit] == -math.inf or (joint_V[unit] < least and (added_V > -math.inf).any()):
                break
            if unit == self.eos:
                end = self.fusion.end(held)
                added_V[unit] = -math.inf if end is None else end
            elif (found := self.fusion.extend(held, unit)) is not None:
                added_V[unit], nexts[unit] = found
        if not (added_V > -math.inf).any():
            added_V[self.eos] = _IMPOSSIBLE
        joint_V += added_V
        return nexts
