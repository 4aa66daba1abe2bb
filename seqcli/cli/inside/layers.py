"""The layers of a network as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import show

if TYPE_CHECKING:
    from seqcli.inspect.layers import Layer


@dataclass(frozen=True)
class LayersView:
    """A row for each parameter of a network, and the total."""

    layers: list[Layer]
    title = "Layers"

    def lines(self) -> list[str]:
        rows = [(one.name, "x".join(map(str, one.shape)), f"{one.parameters:,}") for one in self.layers]
        total = ("total", "", f"{sum(one.parameters for one in self.layers):,}")
        return show.table([*rows, total], ("LAYER", "SHAPE", "PARAMETERS"), right=(2,))

    def values(self) -> dict[str, Any]:
        return {
            "layers": [asdict(one) for one in self.layers],
            "parameters": sum(one.parameters for one in self.layers),
        }

    def draw(self) -> None:
        return None
