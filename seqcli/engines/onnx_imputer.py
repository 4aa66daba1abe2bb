"""The network that fills gaps as ONNX nodes. Shapes: B windows, L steps, C columns, M columns filled, F features, D values."""

from __future__ import annotations

import onnx

from seqcli.engines.graph import FLOAT, INT64, Graph
from seqcli.engines.onnx_export import export
from seqcli.engines.onnx_parts import encode, linear, masked
from seqcli.models.imputer import Imputer


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

    since_BLC, line_BLC = around("since"), around("line")
    parts = [around("before"), around("after"), line_BLC, near(since_BLC), near(around("until"))]
    parts.append(graph.node("Cast", graph.node("Equal", since_BLC, 0.0), to=FLOAT))
    if sizes.features:
        parts.append(graph.input("features_BLF", FLOAT, "B", "L", sizes.features))
    x_BLD = graph.node("Relu", linear(graph, network.embedder.dense, graph.node("Concat", *parts, axis=-1)))
    hidden_BLD = encode(network.encoder, graph, x_BLD, lengths_B)
    values_BLM = linear(graph, network.head.output, graph.node("Concat", hidden_BLD, x_BLD, axis=-1))
    if network.head.guess:
        values_BLM = graph.node("Add", values_BLM, graph.node("Gather", line_BLC, [*sizes.targets], axis=2))
    graph.output("values_BLM", masked(graph, values_BLM, lengths_B), "B", "L", len(sizes.targets))
    return graph.model()
