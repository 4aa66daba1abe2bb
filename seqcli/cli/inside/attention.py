"""Attention: the strongest link of each token as a table, every head as a heat map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import show

if TYPE_CHECKING:
    from seqcli.inspect.attention import Looked

_ACROSS = 4


@dataclass(frozen=True)
class AttentionView:
    """A table for each layer, a matrix for each head."""

    layers: list[Looked]
    title = "Attention"

    def lines(self) -> list[str]:
        """For each token the place that it looked at most: by the mean of the heads, and by each head."""
        lines: list[str] = []
        for layer in self.layers:
            heads = len(layer.weights)
            mean_TS = layer.weights.mean(0)
            rows = []
            for place, token in enumerate(layer.rows):
                best = [int(weights_TS[place].argmax()) for weights_TS in layer.weights]
                links = [
                    f"{layer.columns[column]} {layer.weights[head, place, column]:.2f}"
                    for head, column in enumerate(best)
                ]
                most = int(mean_TS[place].argmax())
                mean = (layer.columns[most], f"{mean_TS[place, most]:.2f}") if heads > 1 else ()
                rows.append((token, *mean, *links) if heads > 1 else (token, *links))
            of_heads = [f"HEAD {head + 1}" for head in range(heads)] if heads > 1 else ["LOOKS AT"]
            header = ("TOKEN", *(("LOOKS AT", "MEAN") if heads > 1 else ()), *of_heads)
            lines += [*([""] if lines else []), layer.layer]
            lines += show.table(rows, header, right=(2,) if heads > 1 else ())
        return lines

    def values(self) -> dict[str, Any]:
        return {
            "layers": [
                {
                    "layer": one.layer,
                    "rows": one.rows,
                    "columns": one.columns,
                    "weights": one.weights.tolist(),
                    "difference_to_layer": one.difference,
                }
                for one in self.layers
            ]
        }

    def draw(self) -> Any:
        """What is looked at across, what looks down, as in Bahdanau et al. 2015, figure 3."""
        from seqcli.cli.pictures import name_axis, pyplot

        most = max(len(layer.weights) for layer in self.layers)
        across = min(_ACROSS, most)
        panels = [(layer, head) for layer in self.layers for head in range(len(layer.weights))]
        down = sum(-(-len(layer.weights) // across) for layer in self.layers)
        columns = max(len(layer.columns) for layer in self.layers)
        rows = max(len(layer.rows) for layer in self.layers)
        size = (min(6.0, 1.3 + 0.17 * max(columns, 8)), min(6.0, 1.2 + 0.17 * max(rows, 5)))
        figure, grid = pyplot().subplots(
            down, across, figsize=(size[0] * across + 0.8, size[1] * down), squeeze=False, layout="constrained"
        )
        places = iter(grid.flat)
        picture = None
        used = 0
        for layer, head in panels:
            if head == 0 and used % across:
                for _ in range(across - used % across):
                    next(places).axis("off")
                    used += 1
            axes = next(places)
            used += 1
            picture = axes.imshow(
                layer.weights[head], cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="none"
            )
            axes.set_title(f"{layer.layer}, head {head + 1}" if len(layer.weights) > 1 else layer.layer, fontsize=9)
            axes.tick_params(length=0)
            name_axis(axes.xaxis, layer.columns, turned=True)
            name_axis(axes.yaxis, layer.rows)
        for axes in places:
            axes.axis("off")
        figure.colorbar(picture, ax=grid, label="weight", shrink=0.6, aspect=30)
        return figure
