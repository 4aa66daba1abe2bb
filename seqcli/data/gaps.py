"""Gaps in arrays of values (NaN): what stands around them, and gaps made on purpose. Shapes: ..., T steps, C columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Surroundings(NamedTuple):
    """What is known around each step of each column [..., T, C]; where a value is there, it is what is around it.

    Attributes:
        before, after: the last value up to here and the next one from here on; 0 where there is none.
        since, until: how many steps away those are; infinite where there is none.
        line: the line between the two; at the ends the nearest value, 0 in a column without one.
    """

    before: Floats
    after: Floats
    since: Floats
    until: Floats
    line: Floats


def surroundings(values_TC: Floats) -> Surroundings:
    """In the precision of the values."""
    length = values_TC.shape[-2]
    there_TC = ~np.isnan(values_TC)
    steps_T1 = np.arange(length)[:, None]
    last_TC = np.maximum.accumulate(np.where(there_TC, steps_T1, -1), axis=-2)
    next_TC = np.minimum.accumulate(np.where(there_TC, steps_T1, length)[..., ::-1, :], axis=-2)[..., ::-1, :]
    known_TC = np.where(there_TC, values_TC, 0)
    has_last_TC, has_next_TC = last_TC >= 0, next_TC < length
    before_TC = np.where(has_last_TC, np.take_along_axis(known_TC, np.maximum(last_TC, 0), -2), 0)
    after_TC = np.where(has_next_TC, np.take_along_axis(known_TC, np.minimum(next_TC, length - 1), -2), 0)
    kind = values_TC.dtype.type
    since_TC = np.where(has_last_TC, (steps_T1 - last_TC).astype(kind), kind(np.inf))
    until_TC = np.where(has_next_TC, (next_TC - steps_T1).astype(kind), kind(np.inf))
    both_TC = has_last_TC & has_next_TC
    share_TC = np.where(both_TC, steps_T1 - last_TC, 0) / np.maximum(next_TC - last_TC, 1)
    line_TC = np.where(both_TC, before_TC + (after_TC - before_TC) * share_TC.astype(kind), before_TC + after_TC)
    return Surroundings(before_TC, after_TC, since_TC, until_TC, line_TC)


def last_known(values_TC: NDArray[Any]) -> NDArray[np.float64]:
    """Each gap filled with the last value before it in its column [..., T, C]; still NaN before the first."""
    around = surroundings(np.asarray(values_TC, np.float64))
    return np.where(np.isinf(around.since), np.nan, around.before)


def interpolated(values_TC: NDArray[Any]) -> NDArray[np.float64]:
    """Each gap filled with the line between its neighbours [..., T, C]; at the ends with the nearest value, and still
    NaN in a column without one."""
    around = surroundings(np.asarray(values_TC, np.float64))
    return np.where(np.isinf(around.since) & np.isinf(around.until), np.nan, around.line)


@dataclass(frozen=True)
class Hiding:
    """Which values are hidden on purpose, to be filled.

    Attributes:
        share: of the values there are (of the stretches, with blocks), each for itself by chance.
        pattern: single values, or all columns of stretches of time.
        block: steps of a stretch.
    """

    share: float
    pattern: Literal["points", "blocks"] = "points"
    block: int = 1

    @property
    def name(self) -> str:
        """``10% of points``, ``10% in blocks of 6``."""
        return f"{100 * self.share:g}% " + ("of points" if self.pattern == "points" else f"in blocks of {self.block}")

    def varied(self, random: np.random.Generator, steps: int) -> Hiding:
        """Another way to hide values of so many steps: up to five times as many, or as many in stretches of up to a third."""
        if random.random() < 0.5:
            return Hiding(min(0.6, self.share * random.uniform(1, 5)))
        return Hiding(self.share, "blocks", int(random.integers(2, max(3, steps // 3 + 1))))

    def hidden(self, there_TC: NDArray[np.bool_], random: np.random.Generator, number: int = 0) -> NDArray[np.bool_]:
        """True where one of the values that are there is hidden.

        ``number``: of a random generator that begins alike the same value is hidden by no two numbers, until all were.
        """
        if self.pattern == "points":
            draws_TC = random.random(there_TC.shape)
        else:
            block_T = (np.arange(len(there_TC)) + random.integers(self.block)) // self.block
            draws_TC = np.broadcast_to(random.random(int(block_T.max(initial=0)) + 1)[block_T][:, None], there_TC.shape)
        return there_TC & ((draws_TC - number * self.share) % 1 < self.share)
