"""Text to frames: cells to float32 numbers, fast where all is well, and with the cell named where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]
"""The frames of one sequence, [T, D]; NaN where a value is missing."""


class BadCell(ValueError):
    """A cell that is no finite number: its place in the cells, and why."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def parse_numbers(cells: Sequence[str], missing: str) -> Frames:
    """The cells as numbers, [len(cells)]; ``missing`` and ``nan`` become NaN.

    Raises:
        BadCell: a cell that is no number, or is infinite, also as a 32-bit number.
    """
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        cells = ["nan" if cell.strip() == missing else cell for cell in cells]
        try:
            values = np.array(cells, np.float64)
        except ValueError:
            raise _first_bad(cells) from None
    if "_" in "".join(cells):  # Python reads 1_000 as a number, nobody else does
        raise _first_bad(cells)
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    if infinite := infinite_at(floats):
        raise BadCell(infinite[0], too_large(cells[infinite[0]].strip(), values[infinite[0]]))
    return floats


def counted(number: int, noun: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def infinite_at(values: Frames) -> tuple[int, ...] | None:
    """The index of the first infinite value, or None."""
    if np.isfinite(values).all():
        return None
    found = np.isinf(values)
    return tuple(int(place[0]) for place in np.nonzero(found)) if found.any() else None


def too_large(written: object, value: float) -> str:
    """Why a value that is infinite in 32 bits is refused."""
    return f"'{written}' is infinite" if np.isinf(value) else f"'{written}' is too large for a 32-bit number"


def _first_bad(cells: Sequence[str]) -> BadCell:
    for index, cell in enumerate(cells):
        try:
            float(cell)
        except ValueError:
            return BadCell(index, f"'{cell[:40]}' is no number")
        if "_" in cell:
            return BadCell(index, f"'{cell[:40]}' is no number")
    raise AssertionError("every cell is a number")
