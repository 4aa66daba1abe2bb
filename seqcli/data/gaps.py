"""Gaps in arrays of values (NaN): what was there before, what a line says, how long ago. Shapes: ..., T steps, C columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def last_known(values_TC: NDArray[Any]) -> Floats:
    """Each gap filled with the last value before it in its column [..., T, C]; still NaN before the first."""
    return np.take_along_axis(np.asarray(values_TC, np.float64), np.maximum(_last_step(values_TC), 0), axis=-2)


def steps_since(values_TC: NDArray[Any]) -> Floats:
    """Steps to the last value before each step, from the step itself on [..., T, C]; infinite before the first."""
    last_TC = _last_step(values_TC)
    steps_T1 = np.arange(values_TC.shape[-2])[:, None]
    return np.where(last_TC < 0, np.inf, steps_T1 - last_TC)


def interpolated(values_TC: NDArray[Any]) -> Floats:
    """Each gap filled with the line between its neighbours [..., T, C]; at the ends with the nearest value, and still
    NaN in a column without one."""
    before_TC, after_TC = last_known(values_TC), last_known(values_TC[..., ::-1, :])[..., ::-1, :]
    back_TC, ahead_TC = steps_since(values_TC), steps_since(values_TC[..., ::-1, :])[..., ::-1, :]
    with np.errstate(invalid="ignore"):
        share_TC = np.where(back_TC > 0, back_TC / (back_TC + ahead_TC), 0)  # NaN where one side has no value
        line_TC = before_TC + share_TC * (after_TC - before_TC)
    line_TC = np.where(np.isinf(ahead_TC), before_TC, np.where(np.isinf(back_TC), after_TC, line_TC))
    return line_TC


def _last_step(values_TC: NDArray[Any]) -> NDArray[np.int64]:
    """The last step at or before each that has a value, -1 for none."""
    steps_T1 = np.arange(values_TC.shape[-2])[:, None]
    found: NDArray[np.int64] = np.maximum.accumulate(np.where(np.isnan(values_TC), -1, steps_T1), axis=-2)
    return found
