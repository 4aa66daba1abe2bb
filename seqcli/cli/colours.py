"""Colours in what ``predict`` prints, for people at a terminal alone."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from seqcli.cli.console import printable
from seqcli.tasks.tagging import Tagged, TaggingTask, inline_items, marks

if TYPE_CHECKING:
    from seqcli.pipeline.explain import Explained

_STYLES = (
    *("black on cyan", "black on yellow", "black on magenta", "black on green", "bright_white on blue"),
    *("bright_white on red", "black on bright_white", "bold underline"),
)


def wanted() -> bool:
    """Whether stdout is a terminal that shows colours and nobody said no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def tagged_writer(task: TaggingTask, *, scores: bool) -> Callable[[Sequence[Tagged]], str]:
    """The inline format with each span on the colour of its label, and the other tags dim."""
    from rich.console import Console
    from rich.text import Text

    style_of = {kind: _STYLES[place % len(_STYLES)] for place, kind in enumerate(task.target.kinds)}
    plain = task.writer("inline", scores=scores)

    def painted(one: Tagged) -> Text:
        items = inline_items(one, scores)
        parts: list[Text] = []
        done = 0
        for start, end, kind in [*marks(one, task.target.scheme), (len(items), len(items), "")]:
            parts += [dim(item, token) for item, token in zip(items[done:start], one.tokens[done:start], strict=True)]
            if start < end:
                parts.append(Text(" ".join(items[start:end]), style_of.get(kind, "")))
            done = end
        return Text(" ").join(parts)

    def dim(item: str, token: str) -> Text:
        return Text.assemble(token, (item[len(token) :], "dim"))

    def write(predictions: Sequence[Tagged]) -> str:
        shown = io.StringIO()
        terminal = Console(file=shown, force_terminal=True)
        for one in predictions:
            terminal.print(painted(one), soft_wrap=True)
        return shown.getvalue()

    return write if task.target.scheme else plain


def explained(one: Explained) -> str:
    """Tokens with how much each carried the decision: in colours, or as numbers behind them."""
    return _coloured(one) if wanted() else _signed(one)


def _signed(one: Explained) -> str:
    return " ".join(f"{position}({share:+.2f})" for position, share in zip(one.positions, one.shares, strict=True))


def _coloured(one: Explained) -> str:
    """Green speaks for the label, red against it, stronger where the share is larger."""
    largest = max(map(abs, one.shares), default=0.0) or 1.0
    return " ".join(
        _painted(position, share / largest) for position, share in zip(one.positions, one.shares, strict=True)
    )


def _painted(position: str, strength: float) -> str:
    """Text on green or red of five strengths (the 256-colour cube), plain where the share is next to nothing."""
    level = min(5, int(abs(strength) * 6))
    if level == 0:
        return position
    colour = 16 + 6 * level if strength > 0 else 16 + 36 * level
    return f"\x1b[48;5;{colour};38;5;{16 if level > 2 else 231}m{position}\x1b[0m"


class Painted(str):
    """A line with colours, made of what a terminal shows and does not obey: written as it is."""


def shaded(parts: Sequence[str], strengths: Sequence[float], between: str = "") -> Painted:
    """Characters or tokens side by side on green (up to 1) or red (down to -1)."""
    pairs = zip(parts, strengths, strict=True)
    return Painted(between.join(_painted(printable(part), strength) for part, strength in pairs))
