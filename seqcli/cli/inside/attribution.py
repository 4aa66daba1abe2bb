"""Attribution: how much each position carried the decision of a classifier, as a table and as bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import colours, show

if TYPE_CHECKING:
    from seqcli.pipeline.explain import Explained

_BAR = 24
"""Characters of the longest bar of the table."""


@dataclass(frozen=True)
class AttributionView:
    """A bar for each position: to the right what spoke for the label, to the left what spoke against it."""

    explained: Explained
    coloured: bool = False
    title = "Attribution"

    @property
    def label(self) -> str:
        return self.explained.classified.ranked(1)[0][0]

    def lines(self) -> list[str]:
        chance = self.explained.classified.ranked(1)[0][1]
        lines = [f"{self.label}, p = {chance:.2f}"]
        largest = max(map(abs, self.explained.shares), default=0.0) or 1.0
        if self.coloured:
            strengths = [share / largest for share in self.explained.shares]
            lines.append(colours.shaded(self.explained.positions, strengths, " "))
        rows = [
            (position, f"{share:+.3f}", self._bar(share / largest))
            for position, share in zip(self.explained.positions, self.explained.shares, strict=True)
        ]
        against_for = "AGAINST".rjust(_BAR // 2 - 1) + "  FOR"
        return [*lines, *show.table(rows, ("TOKEN", "SHARE", against_for), right=(1,))]

    @staticmethod
    def _bar(strength: float) -> str:
        half = _BAR // 2
        filled = "█" * round(abs(strength) * half)
        return f"{'' if strength >= 0 else filled:>{half}}|{filled if strength >= 0 else ''}"

    def values(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "probabilities": dict(self.explained.classified.ranked()),
            "positions": self.explained.positions,
            "shares": self.explained.shares,
        }

    def draw(self) -> Any:
        from seqcli.cli.pictures import COLOURS, caption, pyplot

        names, shares = self.explained.positions, self.explained.shares
        figure, axes = pyplot().subplots(figsize=(6, 1.2 + 0.24 * max(3, len(names))), layout="constrained")
        places = range(len(names))
        axes.barh(places, shares, color=[COLOURS[0] if share >= 0 else COLOURS[1] for share in shares])
        axes.set_yticks(places, [caption(name) for name in names], fontsize=9 if len(names) <= 45 else 6)
        axes.invert_yaxis()
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel("gradient times input")
        axes.set_title(f"against (left), for (right): {caption(self.label)}", fontsize=10)
        return figure
