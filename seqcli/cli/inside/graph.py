"""A network unrolled over a sentence as a drawing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqcli.inspect.graph import Edge, Node, Unrolled

MOST_TOKENS = 12
"""More positions than these cannot be read in print."""

_RADIUS = 0.24


@dataclass(frozen=True)
class GraphView:
    """The equations of a network, and its drawing."""

    graph: Unrolled
    title = "The network, unrolled"

    def lines(self) -> list[str]:
        return list(self.graph.equations)

    def values(self) -> dict[str, Any]:
        return asdict(self.graph)

    def draw(self) -> Any:
        from seqcli.cli.pictures import COLOURS, pyplot

        graph = self.graph
        both = any(edge.kind == "back" for edge in graph.edges)  # arrows to the way back pass the way ahead
        apart = 1.5 if both else 1.0
        nodes = {node.key: replace(node, x=node.x * apart) for node in graph.nodes}
        width, height = max(node.x for node in nodes.values()), max(node.y for node in nodes.values())
        left, right = (self._margin(side, 0.75 if both and side == "left" else 0.45) for side in ("left", "right"))
        wide = max(6.0, width + left + right)
        scale = min(1.0, 12 / wide)
        font = 9 * scale + 1
        characters = int(wide * scale * 72 / (0.9 * font * 0.56))
        equations = [part for line in graph.equations for part in wrap(line, characters, subsequent_indent="    ")]
        below = 0.95 + 0.24 * len(equations)
        figure = pyplot().figure(figsize=(wide * scale, (height + 0.5 + below) * scale))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-left, wide - left), ylim=(-below, height + 0.5), aspect="equal")
        axes.axis("off")
        fills = {"input": "white", "vector": "#dddddd", "state": "#cfe3f3", "output": "#fbe3d4", "context": "#d4eee6"}
        strokes = {"input": "0.3", "vector": "0.3", "state": COLOURS[0], "output": COLOURS[1], "context": COLOURS[2]}
        for edge in graph.edges:
            self._arrow(axes, edge, nodes, COLOURS, font)
        for node in nodes.values():
            circle = pyplot().Circle((node.x, node.y), _RADIUS, fc=fills[node.kind], ec=strokes[node.kind], zorder=3)
            axes.add_patch(circle)
            axes.text(node.x, node.y, node.text, ha="center", va="center", fontsize=font, zorder=4)
        for t, token in enumerate(graph.tokens):
            axes.text(t * apart, -0.38, _short(token), ha="center", va="top", fontsize=font, zorder=4)
        for row in graph.rows:
            place = (-0.75 if both else -0.45, "right") if row.side == "left" else (width + 0.45, "left")
            axes.text(place[0], row.y, row.text, ha=place[1], va="center", fontsize=font, color="0.25")
        for number, line in enumerate(equations):
            axes.text(-left + 0.15, -0.92 - 0.24 * number, line, va="top", fontsize=0.9 * font)
        return figure

    def _margin(self, side: str, gap: float) -> float:
        """Room beside the nodes for what stands there."""
        longest = max((len(row.text) for row in self.graph.rows if row.side == side), default=0)
        return gap + 0.15 + 0.088 * longest

    @staticmethod
    def _arrow(axes: Any, edge: Edge, nodes: dict[str, Node], colours: tuple[str, ...], font: float) -> None:
        """An arrow from rim to rim; those that pass over other nodes are bent."""
        start, end = nodes[edge.start], nodes[edge.end]
        look = edge.kind in ("look", "begin")
        rise, run = end.y - start.y, end.x - start.x
        bent = 0.0
        if rise > 1 and run == 0:  # over a row between them, as of the way back
            bent = -0.45
        elif edge.kind == "ahead" and rise < 0:
            bent = 0.2
        elif edge.kind == "begin" and rise < 0:
            bent = -0.2
        colour = {"ahead": colours[0], "back": colours[2], "look": "0.72", "begin": colours[3]}.get(edge.kind, "0.25")
        shrink = _RADIUS * 72 * _inches(axes)
        axes.annotate(
            "",
            (end.x, end.y),
            (start.x, start.y),
            arrowprops={
                "arrowstyle": "-" if edge.kind == "look" else "-|>",
                "color": colour,
                "lw": 0.6 if edge.kind == "look" else 1.0,
                "shrinkA": shrink,
                "shrinkB": shrink,
                "connectionstyle": f"arc3,rad={bent}",
            },
            zorder=1 if look else 2,
        )
        if edge.weight:
            aside = 0.5 * abs(bent) * rise if run == 0 else 0.0
            middle = 0.42 if run > 1 and rise == 0 else 0.5  # bent arrows pass on the right
            x, y = start.x + middle * run - aside, (start.y + end.y) / 2
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
            axes.text(
                x, y, edge.weight, ha="center", va="center", fontsize=0.85 * font, color=colour, bbox=box, zorder=5
            )


def _inches(axes: Any) -> float:
    """Inches of a unit of the drawing."""
    low, high = axes.get_xlim()
    return float(axes.figure.get_figwidth() / (high - low))


def _short(token: str) -> str:
    return "\n".join(line if len(line) <= 12 else f"{line[:11]}…" for line in token.split("\n"))
