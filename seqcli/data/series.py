"""A series: what a format of series yields as the source of an example. Shapes: T steps, C columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Series:
    """Values in the order of time, one step after the other.

    Attributes:
        name: its id; empty where a file holds one series and names none.
        columns: C names of the values.
        values_TC: NaN where one is missing.
        times_T: instants (datetime64[s], UTC where the file has offsets); None where the file has no times.
        frequency: what lies between two steps, such as ``1 hour`` or ``1 month`` (`seqcli.data.frequency`); empty
            where there are no times.
    """

    name: str
    columns: tuple[str, ...]
    values_TC: Floats
    times_T: Times | None = None
    frequency: str = ""

    def __len__(self) -> int:
        return len(self.values_TC)
