"""The network that fills gaps as ONNX nodes. Shapes: B windows, L steps, C columns, M columns filled, F features, D values."""

from __future__ import annotations

import onnx

from seqcli.engines.graph import FLOAT, INT64, Graph
from seqcli.engines.onnx_export import export
from seqcli.engines.onnx_parts import encode, linear, masked
from seqcli.models.imputer import EPSILON, Imputer


@export.register
def export_imputer(network: Imputer) -> onnx.ModelProto:
    """``values_BLM`` of what stands around each step, and where steps have features of ``features_BLF``."""
    sizes = network.sizes
    graph = Graph()
    graph.sizes |= sizes.tables
    lengths_B = graph.input("lengths_B", INT64, "B")

    def around(name: str) -> str:
        return graph.input(f"{name}_BLC", FLOAT, "B", "L", sizes.columns)

    def near(steps_BLC: str) -> str:
        return graph.node("Div", 1.0, graph.node("Add", steps_BLC, 1.0))

    names = ("before", "after", "line", "since", "until")
    before_BLC, after_BLC, line_BLC, since_BLC, until_BLC = map(around, names)
    near_since, near_until = near(since_BLC), near(until_BLC)
    there_BLC = graph.node("Cast", graph.node("Equal", since_BLC, 0.0), to=FLOAT)
    mean_B1C, deviation_B1C = _level(network.embedder.normalize, graph, before_BLC, there_BLC)
    known = [graph.node("Greater", near_since, 0.0), graph.node("Greater", near_until, 0.0)]
    known.append(graph.node("Or", *known))
    parts = []
    for x_BLC, known_BLC in zip((before_BLC, after_BLC, line_BLC), known, strict=True):
        apart_BLC = graph.node("Div", graph.node("Sub", x_BLC, mean_B1C), deviation_B1C)
        parts.append(graph.node("Where", known_BLC, apart_BLC, 0.0))
    parts += [near_since, near_until, there_BLC]
    if sizes.features:
        parts.append(graph.input("features_BLF", FLOAT, "B", "L", sizes.features))
    x_BLD = graph.node("Relu", linear(graph, network.embedder.dense, graph.node("Concat", *parts, axis=-1)))
    hidden_BLD = encode(network.encoder, graph, x_BLD, lengths_B)
    values_BLM = linear(graph, network.head.output, graph.node("Concat", hidden_BLD, x_BLD, axis=-1))

    def of_targets(x_BLC: str) -> str:
        return graph.node("Gather", x_BLC, [*sizes.targets], axis=2)

    guess = line_BLC if network.head.guess else mean_B1C
    if network.embedder.normalize == "none":
        values_BLM = graph.node("Add", values_BLM, of_targets(line_BLC)) if network.head.guess else values_BLM
    else:
        values_BLM = (
            graph.node("Mul", values_BLM, of_targets(deviation_B1C))
            if network.embedder.normalize == "standard"
            else values_BLM
        )
        values_BLM = graph.node("Add", values_BLM, of_targets(guess))
    graph.output("values_BLM", masked(graph, values_BLM, lengths_B), "B", "L", len(sizes.targets))
    return graph.model()


def _level(normalize: str, graph: Graph, before_BLC: str, there_BLC: str) -> tuple[str, str]:
    """`seqcli.models.imputer.GapEmbedder.level`."""
    zero, one = graph.constant(0.0), graph.constant(1.0)
    if normalize == "none":
        return zero, one
    counts_B1C = graph.node("Max", graph.node("ReduceSum", there_BLC, [1]), 1.0)
    values_BLC = graph.node("Mul", before_BLC, there_BLC)
    mean_B1C = graph.node("Div", graph.node("ReduceSum", values_BLC, [1]), counts_B1C)
    if normalize == "mean":
        return mean_B1C, one
    away_BLC = graph.node("Mul", there_BLC, graph.node("Sub", values_BLC, mean_B1C))
    squares_B1C = graph.node("ReduceSum", graph.node("Mul", away_BLC, away_BLC), [1])
    variance_B1C = graph.node("Div", squares_B1C, counts_B1C)
    return mean_B1C, graph.node("Sqrt", graph.node("Add", variance_B1C, EPSILON))
