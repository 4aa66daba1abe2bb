"""Panels of lines and bars, drawn alike by matplotlib into a file and by plotext into a terminal."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seqcli.cli.colours import wanted
from seqcli.cli.console import printable
from seqcli.cli.pictures import COLOURS, pyplot

MARKERS = ("braille", "x", "o", "+", "*", "#", "%", "@")
"""What lines are drawn with in a terminal, where there may be no colours."""

_WIDE, _HIGH = 78, 15
"""Characters of a panel in a terminal."""

FEW = 25
"""Points up to which each is marked."""


@dataclass(frozen=True)
class Line:
    """One line; ``spread`` is drawn as a band of so much above and below; ``best`` is a point that is marked.

    ``faint``: drawn in files alone, behind the others and without a name.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    style: Literal["solid", "dashed", "dotted", "faint"] = "solid"
    spread: Sequence[float] | None = None
    best: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bars:
    """Bars between ``edges`` [N + 1]; the parts [N] of each stand on one another, by name; ``names`` [N] are of a terminal."""

    edges: Sequence[float]
    parts: dict[str, Sequence[float]]
    names: Sequence[str]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x: str
    y: str
    lines: list[Line] = field(default_factory=list)
    bars: Bars | None = None
    log_x: bool = False


def draw(panels: Sequence[Panel]) -> Any:
    """A figure of matplotlib: three panels in a row, else two a row.

    Raises:
        UserError: matplotlib is not installed (1).
    """
    columns = 3 if len(panels) == 3 else min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = pyplot().subplots(
        rows, columns, figsize=(0.6 + 4.9 * columns, 0.3 + 3.6 * rows), layout="constrained", squeeze=False
    )
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel)
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    styles = {"solid": "-", "dashed": "--", "dotted": ":", "faint": "-"}
    for line in panel.lines:
        colour = COLOURS[line.colour % len(COLOURS)]
        faint = line.style == "faint"
        mark = "o" if len(line.x) <= FEW and not faint else None
        label = None if faint else line.label
        axes.plot(
            *(line.x, line.y),
            **{"color": colour, "linestyle": styles[line.style], "label": label, "marker": mark, "markersize": 3.5},
            **{"alpha": 0.3 if faint else 1, "linewidth": 1 if faint else 1.6},
        )
        if line.spread is not None:
            low, high = ([y + sign * s for y, s in zip(line.y, line.spread, strict=True)] for sign in (-1, 1))
            axes.fill_between(line.x, low, high, color=colour, alpha=0.15, linewidth=0)
        if line.best is not None:
            axes.plot(*line.best, marker="*", markersize=12, color=colour, markeredgecolor="black", linestyle="none")
    if panel.bars is not None:
        _draw_bars(axes, panel.bars)
    if panel.log_x:
        _log_axis(axes, panel)
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)
    names = axes.get_legend_handles_labels()[1]
    if len(names) > 1 or any(name not in panel.title for name in names if panel.bars is None):
        axes.legend(frameon=False, fontsize=8)


def _draw_bars(axes: Any, bars: Bars) -> None:
    base = [0.0] * (len(bars.edges) - 1)
    widths = [high - low for low, high in zip(bars.edges, bars.edges[1:], strict=False)]
    for (name, heights), colour, hatch in zip(bars.parts.items(), COLOURS, ("", "///"), strict=False):
        axes.bar(
            *(bars.edges[:-1], heights, widths, base),
            **{"align": "edge", "color": colour, "edgecolor": "white", "linewidth": 0.6, "hatch": hatch, "label": name},
        )
        base = [below + height for below, height in zip(base, heights, strict=True)]


def _log_axis(axes: Any, panel: Panel) -> None:
    """A logarithmic axis whose ticks are the points themselves."""
    from matplotlib.ticker import NullFormatter, NullLocator

    ticks = sorted({x for line in panel.lines for x in line.x})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def in_terminal(panels: Sequence[Panel]) -> str | None:
    """The panels as text, one below the other, at most 80 columns wide; None where plotext is not installed."""
    try:
        import plotext
    except ImportError:
        return None
    width = min(_WIDE, (shutil.get_terminal_size().columns if sys.stdout.isatty() else 80) - 2)
    shown = []
    for panel in panels:
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(width, _HIGH)
        plotext.title(printable(panel.title))
        plotext.xlabel(printable(panel.x))
        _plot_lines(plotext, panel)
        if panel.bars is not None:
            _plot_bars(plotext, panel.bars)
        text = plotext.build()
        shown.append("\n".join(line.rstrip() for line in (text if wanted() else plotext.uncolorize(text)).split("\n")))
    return "\n\n".join(one.rstrip("\n") for one in shown) + "\n"


def _plot_lines(plotext: Any, panel: Panel) -> None:
    drawn = [line for line in panel.lines if line.style != "faint"]
    for number, line in enumerate(drawn):
        pairs = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
        if not pairs:
            continue
        x = [math.log10(one) if panel.log_x else one for one, _ in pairs]
        mark = MARKERS[number % len(MARKERS)]
        paint = {"color": ("blue+", "orange+", "green+", "magenta+", "cyan+", "red+")[number % 6]} if wanted() else {}
        plotext.plot(x, [y for _, y in pairs], label=printable(line.label), marker=mark, **paint)
    if panel.log_x:
        ticks = sorted({x for line in drawn for x in line.x})
        plotext.xticks([math.log10(one) for one in ticks], [f"{one:,.10g}" for one in ticks])
    elif drawn and max(len(line.x) for line in drawn) <= 8:
        ticks = sorted({x for line in drawn for x in line.x})
        plotext.xticks(ticks, [f"{one:,.10g}" for one in ticks])


def _plot_bars(plotext: Any, bars: Bars) -> None:
    names = [printable(name) for name in bars.names]
    parts = [list(part) for part in bars.parts.values()]
    if len(parts) == 1:
        plotext.bar(names, parts[0], marker="█", width=0.8)
    else:
        plotext.stacked_bar(names, parts, labels=list(bars.parts), marker=["█", "░"], width=0.8)
