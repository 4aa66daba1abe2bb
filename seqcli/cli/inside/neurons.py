"""Neurons of a character model: the text coloured by the units that follow a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import colours, show
from seqcli.cli.console import printable

if TYPE_CHECKING:
    from seqcli.inspect.neurons import Neuron

_WIDTH, _LINES = 76, 4
"""Characters of a line of the passage that is shown, and its lines."""

_STEPS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class NeuronsView:
    """For each rule the best unit, and the passage in which the rule changes most."""

    neurons: list[Neuron]
    text: Sequence[str]
    coloured: bool = False
    title = "Neurons"

    def lines(self) -> list[str]:
        rows = [
            (one.rule, one.layer, str(one.unit), f"{one.chosen:+.2f}", f"{one.held_out:+.2f}") for one in self.neurons
        ]
        lines = show.table(rows, ("RULE", "LAYER", "UNIT", "r (FIRST HALF)", "r (SECOND HALF)"), right=range(2, 5))
        for one in self.neurons:
            lines += ["", f"{one.rule}: unit {one.unit} of {one.layer}, r = {one.held_out:+.2f}"]
            for start, end in self._passage(one):
                lines += self._shown(one, start, end)
        return lines

    def _passage(self, one: Neuron) -> list[tuple[int, int]]:
        """The lines of the second half of the text in which the rule varies most, cut to the width of a page."""
        pieces = [piece for piece in self._pieces() if piece[0] >= len(self.text) // 2] or self._pieces()
        groups = [pieces[first : first + _LINES] for first in range(max(1, len(pieces) - _LINES + 1))]

        def varied(group: list[tuple[int, int]]) -> float:
            start, end = group[0][0], group[-1][1]
            return float(one.wanted[start:end].std()) * min(1.0, (end - start) / (2 * _WIDTH))

        return max(groups, key=varied)

    def _pieces(self) -> list[tuple[int, int]]:
        pieces, start = [], 0
        for place, letter in enumerate(self.text):
            if letter == "\n" or place + 1 - start == _WIDTH or place + 1 == len(self.text):
                pieces.append((start, place + 1))
                start = place + 1
        return [(start, end) for start, end in pieces if "".join(self.text[start:end]).strip()]

    def _shown(self, one: Neuron, start: int, end: int) -> list[str]:
        """In colours, or with a bar below each character: the higher the nearer to the rule's own side."""
        letters = ["⏎" if letter == "\n" else printable(letter) for letter in self.text[start:end]]
        signed = one.activations * (1 if one.chosen >= 0 else -1)
        if self.coloured:
            largest = float(abs(one.activations).max()) or 1.0
            return [colours.shaded(letters, (signed[start:end] / largest).tolist())]
        low, high = float(signed.min()), float(signed.max())
        levels = ((signed[start:end] - low) / ((high - low) or 1.0) * (len(_STEPS) - 1)).round().astype(int)
        bars = "".join(_STEPS[level] * len(letter) for level, letter in zip(levels, letters, strict=True))
        return ["".join(letters), bars.rstrip()]

    def values(self) -> dict[str, Any]:
        return {
            "text": list(self.text),
            "neurons": [
                {
                    "rule": one.rule,
                    "layer": one.layer,
                    "unit": one.unit,
                    "r_first_half": one.chosen,
                    "r_second_half": one.held_out,
                    "activations": one.activations.tolist(),
                    "rule_values": one.wanted.tolist(),
                }
                for one in self.neurons
            ],
        }

    def draw(self) -> Any:
        """Every character on the colour of the unit: purple to orange from -1 to 1."""
        from seqcli.cli.pictures import caption, pyplot

        plot = pyplot()
        passages = [self._passage(one) for one in self.neurons]
        lines = sum(len(passage) + 1.6 for passage in passages)
        figure, axes = plot.subplots(figsize=(8.4, 0.4 + 0.2 * lines), layout="constrained")
        colour_of = plot.get_cmap("PuOr_r")
        row = 0.0
        for one, passage in zip(self.neurons, passages, strict=True):
            axes.text(
                0,
                row + 0.5,
                f"{one.rule}: {one.layer}, unit {one.unit}, r = {one.held_out:+.2f}",
                fontsize=8,
                va="center",
            )
            row += 1.1
            largest = float(abs(one.activations).max()) or 1.0
            for start, end in passage:
                for column, (letter, value) in enumerate(
                    zip(self.text[start:end], one.activations[start:end], strict=True)
                ):
                    shade = colour_of(0.5 + value / largest / 2)
                    axes.add_patch(plot.Rectangle((column, row), 1, 1, facecolor=shade, linewidth=0))
                    dark = 0.3 * shade[0] + 0.59 * shade[1] + 0.11 * shade[2] < 0.45
                    axes.text(column + 0.5, row + 0.5, "⏎" if letter == "\n" else "" if letter == " " else caption(letter), fontsize=6.5,
                              ha="center", va="center", family="monospace", color="white" if dark else "black")  # fmt: skip
                row += 1
            row += 0.5
        axes.text(
            0, row + 0.2, "purple: the unit at its most negative; white: 0; orange: at its most positive", fontsize=7
        )
        axes.set_xlim(0, max(48, *(end - start for passage in passages for start, end in passage)))
        axes.set_ylim(row + 0.5, 0)
        axes.axis("off")
        return figure
