"""Columns in memory, as encoding makes them of what a field has read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqcli.data.arrays import Column


def column_of(raws: Sequence[Any]) -> Column:
    """A column of lists of strings, or of arrays of frames."""
    offsets = np.cumsum([0, *map(len, raws)], dtype=np.int64)
    if raws and isinstance(raws[0], np.ndarray):
        return Column(np.concatenate(raws), offsets, [], np.zeros(0, np.int64))
    table: dict[str, int] = {}
    values = np.array([table.setdefault(symbol, len(table)) for raw in raws for symbol in raw], np.uint16)
    return Column(values, offsets, list(table), np.bincount(values, minlength=len(table)))
