"""How results look on a terminal: tables, and numbers that people read."""

from __future__ import annotations

import calendar
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from seqcli.cli import console
from seqcli.cli.console import printable

SHORTEST, SHORTEST_NAME = 12, 40
"""Characters that a text, and a name in the first column, keep in a table that is too wide for the terminal."""


def table(
    rows: Sequence[Sequence[object]], header: Sequence[str] = (), *, right: Sequence[int] = (), indent: str = ""
) -> list[str]:
    """Lay rows out in columns of plain text, two spaces apart; ``right`` names the columns set flush right.

    Rows may have different numbers of cells. On a terminal no line is wider than it: long texts are shortened, numbers
    never; columns that still find no place follow in a table of their own. Elsewhere nothing is shortened.
    """
    cells = [[printable(str(cell)) for cell in row] for row in ([header] if header else []) + list(rows)]
    columns = max(map(len, cells), default=0)
    cells = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(len(row[column]) for row in cells) for column in range(columns)]
    terminal = console.terminal_width()
    limit = sys.maxsize if terminal is None else terminal - len(indent)
    if _total(widths) <= limit:
        return [indent + line for line in _laid_out(cells, widths, right)]
    body = cells[1:] if header else cells
    floors = [
        max([min(width, SHORTEST if column else SHORTEST_NAME), *(len(row[column]) for row in body if column in right)])
        for column, width in enumerate(widths)
    ]
    while _total(widths) > limit and widths != floors:
        widest = max(range(columns), key=lambda column: (widths[column] > floors[column], widths[column]))
        widths[widest] -= 1
    cells = [[_shortened(cell, width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    lines: list[str] = []
    for group in _groups(widths, limit):
        part = [[row[column] for column in group] for row in cells]
        inside = [place for place, column in enumerate(group) if column in right]
        lines += [*([""] if lines else []), *_laid_out(part, [widths[column] for column in group], inside)]
    return [(indent + line).rstrip() for line in lines]


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines of prose cut between words where they are wider than the terminal."""
    limit = console.terminal_width()
    if limit is None:
        return list(lines)
    return [
        part
        for line in lines
        for part in (wrap(line, limit, break_long_words=False, break_on_hyphens=False) if len(line) > limit else [line])
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _groups(widths: Sequence[int], limit: int) -> list[list[int]]:
    """The columns of each of the tables that a wide one is cut into; the first column stands in each."""
    groups = [[0]]
    for column in range(1, len(widths)):
        if len(groups[-1]) > 1 and _total([widths[one] for one in (*groups[-1], column)]) > limit:
            groups.append([0])
        groups[-1].append(column)
    return groups


def _shortened(text: str, width: int) -> str:
    """``text`` in at most so many characters, cut between words where that leaves half of it."""
    if len(text) <= width:
        return text
    cut = text[: width - 1]
    words = cut.rpartition(" ")[0].rstrip(" ,;:")
    return f"{words if 2 * len(words) >= width else cut}…"


def _laid_out(cells: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[int]) -> list[str]:
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


def size(of_bytes: float) -> str:
    """``512 B``, ``1.5 kB``, ``3.0 GB``."""
    for unit in ("B", "kB", "MB"):
        if of_bytes < 1000:
            return f"{of_bytes:.0f} {unit}" if unit == "B" else f"{of_bytes:.1f} {unit}"
        of_bytes /= 1000
    return f"{of_bytes:.1f} GB"


def duration(minutes: float) -> str:
    """``1.6 min``, and less than one in seconds: ``24 s``."""
    return f"{minutes:.1f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"


def age(since: str) -> str:
    """How long ago a time (UTC, ISO 8601) was, in the largest unit that fits, rounded down: ``5 min``, ``12 d``."""
    seconds = max(0, time.time() - calendar.timegm(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
