"""Networks that forecast as ONNX nodes.

Shapes: B windows, L steps read, K steps predicted, S = L + K, C columns read, M columns predicted, F features of a step, Q
quantiles, R rows (B windows, or B x M where columns go apart), N positions, D values, G segments to come, W steps a
segment, O outputs of a step in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn

from seqcli.engines.graph import FLOAT, INT64, Graph
from seqcli.engines.onnx_decoders import Sized, begin, read
from seqcli.engines.onnx_export import export
from seqcli.engines.onnx_parts import encode, linear, pool, start_states, stream
from seqcli.models.forecast_heads import ColumnLinear, DirectHead, Future, SegmentsHead, ShiftedHead, Steps
from seqcli.models.forecaster import Forecaster, StepwiseForecaster
from seqcli.models.layers import Encoder
from seqcli.models.series import EPSILON, SeriesEmbedder


class Levelled(NamedTuple):
    """`seqcli.models.series.Window` by names; "" for what there is not."""

    values_BLC: str
    missing_BLC: str
    level_BC: str
    scale_BC: str


@export.register
def export_forecaster(network: Forecaster) -> onnx.ModelProto:
    """``values_BKC``, or ``values_BKCQ``, of ``values_BLC`` and, where steps have features, ``features_BSF``."""
    sizes, embedder = network.sizes, network.embedder
    graph = Graph()
    graph.sizes |= sizes.tables
    graph.input("lengths_B", INT64, "B")
    values_BLC = graph.input("values_BLC", FLOAT, "B", sizes.look_back, sizes.columns)
    features_BLF = future_RKF = ""
    if sizes.features:
        features_BSF = graph.input("features_BSF", FLOAT, "B", sizes.look_back + sizes.steps, sizes.features)
        features_BLF = graph.node("Slice", features_BSF, [0], [sizes.look_back], [1])
        future_BKF = graph.node("Slice", features_BSF, [sizes.look_back], [sizes.look_back + sizes.steps], [1])
        future_RKF = _each_row(embedder, graph, future_BKF)
    window = _window(embedder, graph, values_BLC)
    x_RND = _embed(embedder, graph, window, features_BLF)
    outputs_RKO = outputs(network, graph, window, x_RND, future_RKF)
    values_BKMQ = _undo(network, graph, outputs_RKO, window)
    if sizes.quantiles:
        count = len(sizes.quantiles)
        values_BKMQ, _ = graph.nodes_of("TopK", values_BKMQ, [count], outputs=2, axis=-1, largest=0, sorted=1)
        graph.output("values_BKCQ", values_BKMQ, "B", sizes.steps, len(sizes.targets), count)
    else:
        graph.output("values_BKC", graph.node("Squeeze", values_BKMQ, [3]), "B", sizes.steps, len(sizes.targets))
    return graph.model()


# -- the embedder


def _window(layer: SeriesEmbedder, graph: Graph, values_BLC: str) -> Levelled:
    missing_BLC = there_BLC = level_BC = scale_BC = ""
    if layer.gaps:
        gone_BLC = graph.node("IsNaN", values_BLC)
        values_BLC = graph.node("Where", gone_BLC, 0.0, values_BLC)
        missing_BLC = graph.node("Cast", gone_BLC, to=FLOAT)
        there_BLC = graph.node("Sub", 1.0, missing_BLC)
    counts_BC = ""
    if there_BLC and layer.normalize in ("mean", "standard"):
        counts_BC = graph.node("Max", graph.node("ReduceSum", there_BLC, [1], keepdims=0), 1.0)

    def mean(x_BLC: str) -> str:
        if not counts_BC:
            return graph.node("ReduceMean", x_BLC, [1], keepdims=0)
        return graph.node("Div", graph.node("ReduceSum", x_BLC, [1], keepdims=0), counts_BC)

    def there(x_BLC: str) -> str:
        return graph.node("Mul", x_BLC, there_BLC) if there_BLC else x_BLC

    def per_step(operator: str, x_BLC: str, other_BC: str) -> str:
        return graph.node(operator, x_BLC, graph.node("Unsqueeze", other_BC, [1]))

    if layer.normalize == "last" and there_BLC:
        steps_L1 = torch.arange(layer.look_back, dtype=torch.float32).unsqueeze(1)
        last_B1C = graph.node("ReduceMax", graph.node("Mul", there_BLC, steps_L1), [1])
        found_B1C = graph.node("GatherElements", values_BLC, graph.node("Cast", last_B1C, to=INT64), axis=1)
        level_BC = graph.node("Squeeze", found_B1C, [1])
    elif layer.normalize == "last":
        level_BC = graph.node("Gather", values_BLC, layer.look_back - 1, axis=1)
    elif layer.normalize != "none":
        level_BC = mean(values_BLC)
    if level_BC:
        values_BLC = there(per_step("Sub", values_BLC, level_BC))
    if layer.normalize == "standard" and layer.look_back > 1:
        scale_BC = graph.node("Sqrt", graph.node("Add", mean(graph.node("Mul", values_BLC, values_BLC)), EPSILON))
        if counts_BC:  # of one value there is no deviation
            scale_BC = graph.node("Where", graph.node("Greater", counts_BC, 1.0), scale_BC, 1.0)
        values_BLC = per_step("Div", values_BLC, scale_BC)
    if layer.log_factor_C is not None and layer.addend_C is not None:
        values_BLC = graph.node("Mul", values_BLC, layer.log_factor_C.exp())
        values_BLC = there(graph.node("Add", values_BLC, layer.addend_C))
    return Levelled(values_BLC, missing_BLC, level_BC, scale_BC)


def _embed(layer: SeriesEmbedder, graph: Graph, window: Levelled, features_BLF: str) -> str:
    """Vectors [R, N, D]."""
    parts = [_rows(layer, graph, window.values_BLC)]
    if layer.decompose is not None:
        half = layer.decompose // 2
        x_RCL = graph.node("Transpose", parts[0], perm=[0, 2, 1])
        padded_RCL = graph.node("Pad", x_RCL, [0, 0, half, 0, 0, half], mode="edge")
        trend_RCL = graph.node("AveragePool", padded_RCL, kernel_shape=[layer.decompose], strides=[1])
        trend_RLC = graph.node("Transpose", trend_RCL, perm=[0, 2, 1])
        parts = [trend_RLC, graph.node("Sub", parts[0], trend_RLC)]
    if window.missing_BLC:
        parts.append(_rows(layer, graph, window.missing_BLC))
    if features_BLF:
        parts.append(_each_row(layer, graph, features_BLF))
    x_RLD = graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]
    if layer.padding:
        x_RLD = graph.node("Pad", x_RLD, [0, layer.padding, 0, 0, 0, 0])
    if layer.stride != layer.segment:
        steps_N = torch.arange(layer.count) * layer.stride
        x_RLD = graph.node("Gather", x_RLD, steps_N.unsqueeze(1) + torch.arange(layer.segment), axis=1)
    width = layer.columns * (1 + (layer.decompose is not None) + layer.gaps) + layer.features
    x_RND = graph.node("Reshape", x_RLD, [-1, layer.count, layer.segment * width])
    if layer.projection is not None:
        x_RND = linear(graph, layer.projection, x_RND)
    return x_RND if layer.activation is None else graph.node("Relu", x_RND)


def _targets(layer: SeriesEmbedder) -> Tensor:
    return torch.tensor(layer.targets)


def _rows(layer: SeriesEmbedder, graph: Graph, x_BLC: str) -> str:
    if not layer.apart:
        return x_BLC
    x_BLM = graph.node("Gather", x_BLC, _targets(layer), axis=2)
    return graph.node("Reshape", graph.node("Transpose", x_BLM, perm=[0, 2, 1]), [-1, layer.look_back, 1])


def _each_row(layer: SeriesEmbedder, graph: Graph, x_BSF: str) -> str:
    if not layer.apart:
        return x_BSF
    x_BMSF = graph.node("Tile", graph.node("Unsqueeze", x_BSF, [1]), [1, len(layer.targets), 1, 1])
    shape = graph.node("Concat", [-1], graph.node("Shape", x_BSF, start=1), axis=0)
    return graph.node("Reshape", x_BMSF, shape)


def _undo(network: Forecaster, graph: Graph, outputs_RKO: str, window: Levelled) -> str:
    """Values [B, K, M, Q]."""
    layer, sizes = network.embedder, network.sizes
    columns, quantiles = len(sizes.targets), max(1, len(sizes.quantiles))
    if layer.apart:
        values_BMKQ = graph.node("Reshape", outputs_RKO, [-1, columns, sizes.steps, quantiles])
        values = graph.node("Transpose", values_BMKQ, perm=[0, 2, 1, 3])
    else:
        values = graph.node("Reshape", outputs_RKO, [-1, sizes.steps, columns, quantiles])
    if layer.log_factor_C is not None and layer.addend_C is not None:
        values = graph.node("Sub", values, layer.addend_C[layer.targets].unsqueeze(1))
        values = graph.node("Div", values, layer.log_factor_C[layer.targets].exp().unsqueeze(1))
    for operator, one_BC in (("Mul", window.scale_BC), ("Add", window.level_BC)):
        if one_BC:
            one_BM = graph.node("Gather", one_BC, _targets(layer), axis=1)
            values = graph.node(operator, values, graph.node("Unsqueeze", one_BM, [1, 3]))
    return values


# -- heads


@singledispatch
def outputs(network: Forecaster, graph: Graph, window: Levelled, x_RND: str, future_RKF: str) -> str:
    """Outputs [R, K, O]; ``future_RKF`` is "" where steps have no features."""
    return predict(network.head, graph, network.encoder, x_RND, future_RKF)


@singledispatch
def predict(head: nn.Module, graph: Graph, encoder: Encoder, x_RND: str, future_RKF: str) -> str:
    """`WindowHead.forward`."""
    raise NotImplementedError(type(head).__name__)


@predict.register
def _direct(head: DirectHead, graph: Graph, encoder: Encoder, x_RND: str, future_RKF: str) -> str:
    lengths_R = _lengths(graph, x_RND)
    hidden_RND = encode(encoder, graph, x_RND, lengths_R)
    if head.reads_all:
        return _steps(head.read, graph, graph.node("Flatten", hidden_RND, axis=1), future_RKF)
    return _steps(head.read, graph, pool(head.pooling, graph, hidden_RND, lengths_R), future_RKF)


@predict.register
def _shifted(head: ShiftedHead, graph: Graph, encoder: Encoder, x_RND: str, future_RKF: str) -> str:
    hidden_RND, _ = stream(encoder, graph, x_RND, _starts(encoder, graph, x_RND))
    return _steps(head.read, graph, graph.node("Gather", hidden_RND, -1, axis=1), future_RKF)


@predict.register
def _segments(head: SegmentsHead, graph: Graph, encoder: Encoder, x_RND: str, future_RKF: str) -> str:
    _, states = stream(encoder, graph, x_RND, _starts(encoder, graph, x_RND))
    places_MGD = head.places_GD.unsqueeze(0)
    if head.columns_MD is not None:
        columns_MGD = head.columns_MD.unsqueeze(1).expand(-1, head.count, -1)
        places_MGD = torch.cat([places_MGD.expand(len(columns_MGD), -1, -1), columns_MGD], -1)
    windows = graph.node("Div", graph.node("Shape", x_RND, start=0, end=1), [len(places_MGD)])
    x_RGD = graph.node("Tile", places_MGD, graph.node("Concat", windows, [1, 1], axis=0))
    dim = places_MGD.size(2)
    if head.features is not None:
        missing = head.count * head.segment - head.steps
        filled = graph.node("Pad", future_RKF, [0, 0, 0, 0, missing, 0])
        features_RGF = graph.node("Reshape", filled, [0, head.count, head.features.in_features])
        x_RGD = graph.node("Add", x_RGD, linear(graph, head.features, features_RGF))
    repeated = []
    for state, start in zip(states, start_states(encoder), strict=True):
        tiled = graph.node("Tile", graph.node("Unsqueeze", state, [1]), [1, head.count, *[1] * (start.dim() - 1)])
        repeated.append(graph.node("Reshape", tiled, [-1, *start.shape[1:]]))
    hidden, _ = stream(encoder, graph, graph.node("Reshape", x_RGD, [-1, 1, dim]), repeated)
    values = graph.node("Reshape", linear(graph, head.output, hidden), [-1, head.count * head.segment, head.outputs])
    return graph.node("Slice", values, [0], [head.steps], [1])


@outputs.register
def _stepwise(network: StepwiseForecaster, graph: Graph, window: Levelled, x_RND: str, future_RKF: str) -> str:
    layer, sizes, encoder, decoder = network.embedder, network.sizes, network.encoder, network.decoder
    lengths_R = _lengths(graph, x_RND)
    encoded = Sized(encode(encoder, graph, x_RND, lengths_R), ("R", layer.count, encoder.output_dim))
    kept, states = begin(decoder, graph, encoded, lengths_R)
    last_BM = graph.node("Gather", graph.node("Gather", window.values_BLC, -1, axis=1), _targets(layer), axis=1)
    columns = network.head_sizes.outputs // network.quantiles
    first_RC = graph.node("Reshape", last_BM, [-1, columns])
    steps = future_RKF or graph.node("Range", 0, sizes.steps, 1)

    step = Graph(prefix="next_")
    own = [step.input(f"next_state_{number}", FLOAT, *one.shape) for number, one in enumerate(states)]
    read_RC = step.input("next_read", FLOAT, "R", columns)
    if future_RKF:
        features_RF = step.input("next_features", FLOAT, "R", sizes.features)
        x_RC = step.node("Concat", read_RC, features_RF, axis=-1)
    else:
        step.input("next_number", INT64)
        x_RC = read_RC
    x_R1D = step.node("Unsqueeze", linear(step, network.input, x_RC), [1])
    found = read(decoder, step, x_R1D, [one.value for one in kept], own)
    outputs_RO = linear(step, network.head.output, step.node("Squeeze", found.hidden_BTD, [1]))
    by_quantile = step.node("Reshape", outputs_RO, [-1, columns, network.quantiles])
    next_RC = step.node("Gather", by_quantile, network.median, axis=2)
    for number, value in enumerate((*found.states, next_RC, outputs_RO)):
        made = step.node("Identity", value)
        shape = states[number].shape if number < len(states) else ("R", "O")
        step.output(made, made, *shape)
    axis = 1 if future_RKF else 0
    *_, outputs_RKO = graph.nodes_of(
        "Scan",
        *(one.value for one in states),
        first_RC,
        steps,
        outputs=len(states) + 2,
        body=step.inner(),
        num_scan_inputs=1,
        scan_input_axes=[axis],
        scan_output_axes=[1],
    )
    return outputs_RKO


def _lengths(graph: Graph, x_RND: str) -> str:
    rows = graph.node("Shape", x_RND, start=0, end=1)
    return graph.node("Expand", graph.size(x_RND, 1), rows)


def _starts(encoder: Encoder, graph: Graph, x_RND: str) -> Sequence[str]:
    """The states that each row begins with."""
    rows = graph.node("Shape", x_RND, start=0, end=1)
    return [
        graph.node("Expand", start, graph.node("Concat", rows, list(start.shape[1:]), axis=0))
        for start in start_states(encoder)
    ]


def _steps(layer: Steps, graph: Graph, hidden_RD: str, future_RKF: str) -> str:
    if isinstance(layer.output, ColumnLinear):
        columns, dim, _ = layer.output.weight_MDO.shape
        hidden_BM1D = graph.node("Reshape", hidden_RD, [-1, columns, 1, dim])
        values = graph.node("MatMul", hidden_BM1D, layer.output.weight_MDO)
        values = graph.node("Add", values, layer.output.bias_MO.unsqueeze(1))
    else:
        assert isinstance(layer.output, nn.Linear)
        values = linear(graph, layer.output, hidden_RD)
    values_RKO = graph.node("Reshape", values, [-1, layer.steps, layer.outputs])
    if layer.future is None:
        return values_RKO
    return graph.node("Add", values_RKO, _future(layer.future, graph, hidden_RD, future_RKF))


def _future(layer: Future, graph: Graph, hidden_RD: str, future_RKF: str) -> str:
    if layer.features is not None and layer.vector is not None:
        vector_R1D = graph.node("Unsqueeze", linear(graph, layer.vector, hidden_RD), [1])
        sum_RKD = graph.node("Add", linear(graph, layer.features, future_RKF), vector_R1D)
        future_RKF = graph.node("Relu", sum_RKD)
    return linear(graph, layer.output, future_RKF)
