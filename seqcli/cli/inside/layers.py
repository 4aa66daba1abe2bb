"""The layers of a network as tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import show
from seqcli.errors import plural

if TYPE_CHECKING:
    from seqcli.inspect.layers import Layer
    from seqcli.pipeline.inside import Counts

LETTERS = {
    "U": "U reads the input",
    "V": "V the state before",
    "W": "W makes the output",
    "b": "b is a bias",
    "c": "c is a bias",
    "p": "p lets gates see the memory",
    "h": "h is the first state",
}
"""What the letters of weights mean."""

MOST_WEIGHTS = 24
"""More matrices than this are left to --json."""


@dataclass(frozen=True)
class LayersView:
    """A row for each layer of a network, one for each of its matrices, and totals."""

    layers: list[Layer]
    title = "Layers"

    def lines(self) -> list[str]:
        rows = [
            (
                one.name,
                one.per,
                f"{one.shape_in} -> {one.shape_out}" if one.shape_in else one.shape_out,
                f"{one.parameters:,}",
                f"{one.flops:,.0f}",
                show.size(one.bytes),
            )
            for one in self.layers
        ]
        total = sum(one.bytes for one in self.layers)
        rows.append(("total", "", "", f"{self.parameters:,}", "", show.size(total)))
        header = ("LAYER", "FOR EACH", "IN -> OUT", "PARAMETERS", "FLOPS", "BYTES")
        lines = [*show.table(rows, header, right=(3, 4, 5)), ""]
        lines += [f"FLOPs: {flops:,.0f} for each {per}" for per, flops in self._flops().items()]
        lines += ["", *show.table([(one.name, _worked_out(one)) for one in self.layers], ("LAYER", "PARAMETERS"))]
        weights = [weight for one in self.layers for weight in one.weights if _has_letter(weight.name)]
        if 0 < len(weights) <= MOST_WEIGHTS:
            found = [
                (one.name, one.layer, one.formula, f"= {one.parameters:,}" if not one.shared else f"as {one.shared}")
                for one in weights
            ]
            there = {one.name[0] for one in weights}
            legend = ", ".join(text for letter, text in LETTERS.items() if letter in there)
            back = ", ' on the way back" if any(one.name.endswith("'") for one in weights) else ""
            lines += ["", *show.table(found, ("WEIGHTS", "OF", "SIZE", "")), legend + back]
        frozen = sum(one.parameters for one in self.layers if not one.trained)
        return [*lines, *([f"{plural(frozen, 'parameter')} of these stay as they are in training"] if frozen else [])]

    @property
    def parameters(self) -> int:
        return sum(one.parameters for one in self.layers)

    def _flops(self) -> dict[str, float]:
        """FLOPs for each token, sequence ... in the order of the layers."""
        flops: Counter[str] = Counter()
        for one in self.layers:
            flops[one.per] += one.flops  # type: ignore[assignment]
        return {per: float(number) for per, number in flops.items() if number}

    def values(self) -> dict[str, Any]:
        return {
            "layers": [asdict(one) for one in self.layers],
            "parameters": self.parameters,
            "bytes": sum(one.bytes for one in self.layers),
            "flops": self._flops(),
        }

    def draw(self) -> Any:
        """Parameters of each layer as bars."""
        from seqcli.cli.pictures import COLOURS, pyplot

        rows = [one for one in self.layers if one.parameters]
        pers = list(dict.fromkeys(one.per for one in rows))
        figure, axes = pyplot().subplots(figsize=(9, max(2.0, 0.8 + 0.3 * len(rows))), layout="constrained")
        for number, one in enumerate(rows):
            axes.barh(number, one.parameters, color=COLOURS[pers.index(one.per) % len(COLOURS)])
            axes.annotate(f" {one.parameters:,}", (one.parameters, number), va="center", fontsize=8)
        axes.set_yticks(range(len(rows)), [one.name for one in rows], fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel="parameters", title=f"{self.parameters:,} parameters")
        handles = [pyplot().Rectangle((0, 0), 1, 1, color=COLOURS[n % len(COLOURS)]) for n in range(len(pers))]
        axes.legend(handles, [f"run for each {one}" for one in pers], frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


@dataclass(frozen=True)
class CountsView:
    """What a model that is no network has in place of layers."""

    counts: Counts
    title = "What it has learned"

    def lines(self) -> list[str]:
        rows = [
            (one.name, " x ".join(map(str, one.shape)) or "1", one.type, show.size(one.bytes))
            for one in self.counts.arrays
        ]
        total = sum(one.bytes for one in self.counts.arrays)
        return [
            f"{self.counts.name} is no network: {self.counts.title}. It has no layers; this is what it has learned:",
            *show.table([*rows, ("total", "", "", show.size(total))], ("ARRAY", "SIZE", "TYPE", "BYTES"), right=(1, 3)),
        ]

    def values(self) -> dict[str, Any]:
        return asdict(self.counts)

    def draw(self) -> None:
        return None


def _worked_out(layer: Layer) -> str:
    shared = sorted({one.shared for one in layer.weights if one.shared})
    formula = f"{layer.formula} = {layer.parameters:,}" if layer.formula else "0"
    return formula + (f" (the others are those of {', '.join(shared)})" if shared else "")


def _has_letter(name: str) -> bool:
    """Whether lectures have a letter for such weights."""
    return name[0] in LETTERS and (len(name) == 1 or name[1].isdigit())
