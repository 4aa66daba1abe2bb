"""Gates of recurrent layers: means by token as a table, every unit as a heat map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import show

if TYPE_CHECKING:
    from seqcli.inspect.gates import Gated

_SIGNED = ("cell", "hidden", "candidate")
"""Of values of both signs a mean says little: the table has the mean of their sizes."""


@dataclass(frozen=True)
class GatesView:
    """A table and a row of heat maps for each layer."""

    layers: list[Gated]
    title = "Gates"

    def lines(self) -> list[str]:
        lines: list[str] = []
        for layer in self.layers:
            units = next(iter(layer.values.values())).shape[1]
            names = [f"|{name}|" if name in _SIGNED else name for name in layer.values]
            rows = [
                (position, *(f"{value:.2f}" for value in means))
                for position, means in zip(layer.positions, zip(*self._means(layer).values(), strict=True), strict=True)
            ]
            lines += [*([""] if lines else []), f"{layer.layer}, {layer.kind}, means over {units} units"]
            lines += show.table(rows, ("TOKEN", *(name.upper() for name in names)), right=range(1, len(names) + 1))
        return lines

    def values(self) -> dict[str, Any]:
        return {
            "layers": [
                {
                    "layer": one.layer,
                    "kind": one.kind,
                    "gates": list(one.gates),
                    "positions": one.positions,
                    "means": self._means(one),
                    "values": {name: values.tolist() for name, values in one.values.items()},
                    "difference_to_layer": one.difference,
                }
                for one in self.layers
            ]
        }

    @staticmethod
    def _means(layer: Gated) -> dict[str, list[float]]:
        return {
            name: (abs(values) if name in _SIGNED else values).mean(1).tolist() for name, values in layer.values.items()
        }

    def draw(self) -> Any:
        """Units down, in the order of their mean forget (update) gate; tokens across. Gates from 0 to 1, states about 0."""
        from seqcli.cli.pictures import name_axis, pyplot

        across = max(len(layer.values) for layer in self.layers)
        longest = max(len(layer.positions) for layer in self.layers)
        width = min(5.0, max(2.0, 0.6 + 0.14 * longest))
        figure, grid = pyplot().subplots(
            len(self.layers), across, figsize=(width * across + 0.8, 3.1 * len(self.layers) + 0.3), squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for layer, row in zip(self.layers, grid, strict=True):
            sorted_by = next((name for name in ("forget", "update") if name in layer.values), "hidden")
            barred = [name for name in layer.gates if name not in _SIGNED][-1]
            order = layer.values[sorted_by].mean(0).argsort()
            for axes, (name, values_TH) in zip(row, layer.values.items(), strict=False):
                signed = name in _SIGNED
                limit = max(1.0, float(abs(values_TH).max())) if signed else 1.0
                picture = axes.imshow(
                    values_TH.T[order], aspect="auto", interpolation="none", cmap="PuOr" if signed else "cividis",
                    vmin=-limit if signed else 0, vmax=limit,
                )  # fmt: skip
                axes.set_title(name, fontsize=10)
                axes.tick_params(length=0)
                axes.set_yticks([])
                name_axis(axes.xaxis, layer.positions, turned=True)
                if name in ("cell", "hidden", barred):
                    figure.colorbar(picture, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)
            for axes in row[len(layer.values) :]:
                axes.axis("off")
            row[0].set_ylabel(f"{layer.layer}\n{layer.values['hidden'].shape[1]} units", fontsize=9)
        return figure
