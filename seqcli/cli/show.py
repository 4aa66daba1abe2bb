"""How results look on a terminal: tables, and numbers that people read."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqcli.cli.console import printable


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = (), *, right: Sequence[int] = ()) -> list[str]:
    """Lay rows out in columns of plain text, two spaces apart; ``right`` names the columns set flush right.

    Rows may have different numbers of cells.
    """
    cells = [[printable(str(cell)) for cell in row] for row in ([header] if header else []) + list(rows)]
    columns = max(map(len, cells), default=0)
    cells = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(len(row[column]) for row in cells) for column in range(columns)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def counts_table(what: str, parts: Iterable[tuple[str, Mapping[str, Any]]], width: int = 2) -> list[str]:
    """A row for each label: precision, recall and F1 in percent, and the counts behind them."""
    shares, counts = ("precision", "recall", "f1"), ("correct", "gold", "predicted")
    rows = [
        (name, *(f"{part[key]:.{width}f}" for key in shares), *(f"{part[key]:,}" for key in counts))
        for name, part in parts
    ]
    return table(rows, (what, "precision", "recall", "F1", *counts), right=range(1, 7))


def plural(count: int, noun: str) -> str:
    """``1 line``, ``2,000 lines``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(of_bytes: float) -> str:
    """``512 B``, ``1.5 kB``, ``3.0 GB``."""
    for unit in ("B", "kB", "MB"):
        if of_bytes < 1000:
            return f"{of_bytes:.0f} {unit}" if unit == "B" else f"{of_bytes:.1f} {unit}"
        of_bytes /= 1000
    return f"{of_bytes:.1f} GB"


def age(since: str) -> str:
    """How long ago a time (UTC, ISO 8601) was, in the largest unit that fits, rounded down: ``5 min``, ``12 d``."""
    seconds = max(0, time.time() - calendar.timegm(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
