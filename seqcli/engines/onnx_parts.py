"""What the writers of layers share: small groups of nodes, and what an encoder is to them.

Shapes: B sequences, T positions, D values. A value is given by its name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch

from torch import Tensor, nn

from seqcli.engines.graph import FLOAT, Graph


def linear(graph: Graph, layer: nn.Linear, x: str) -> str:
    product = graph.node("MatMul", x, layer.weight.detach().t())
    return product if layer.bias is None else graph.node("Add", product, layer.bias)


def norm(graph: Graph, layer: nn.LayerNorm, x: str) -> str:
    return graph.node("LayerNormalization", x, layer.weight, layer.bias, axis=-1, epsilon=layer.eps)


def real_positions(graph: Graph, lengths_B: str, x_BT: str, axis: int = 1) -> str:
    """Mask [B, T], True where a position holds something real; ``axis`` is that of the positions."""
    places_T = graph.node("Range", 0, graph.size(x_BT, axis), 1)
    return graph.node("Less", places_T, graph.node("Unsqueeze", lengths_B, [1]))


def masked(graph: Graph, x_BTD: str, lengths_B: str) -> str:
    """Zeros past the lengths."""
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, x_BTD), [2])
    return graph.node("Where", real_BT1, x_BTD, 0.0)


def penalty_of(graph: Graph, visible: str) -> str:
    """What is added to a score: nothing where the position may be attended to."""
    return graph.node("Where", visible, 0.0, -math.inf)


def windows(graph: Graph, x_BTD: str, left: int, width: int, stride: int = 1) -> str:
    """Each position's neighbours side by side [B, ceil(T / stride), width x D]; beyond the ends stand zeros."""
    if width == 1 and stride == 1:
        return x_BTD
    padded = graph.node("Pad", x_BTD, [0, left, 0, 0, width - 1 - left, 0])
    length = graph.node("Shape", x_BTD, start=1, end=2)
    parts = [
        graph.node("Slice", padded, [offset], graph.node("Add", length, [offset]), [1], [stride])
        for offset in range(width)
    ]
    return graph.node("Concat", *parts, axis=-1)


def at_least_one(graph: Graph, lengths_B: str) -> str:
    return graph.node("Max", lengths_B, 1)


def mean(graph: Graph, x_BTD: str, lengths_B: str, *, keepdims: int) -> str:
    """Mean over the lengths of what is zero past them."""
    total = graph.node("ReduceSum", x_BTD, [1], keepdims=keepdims)
    counts = graph.node("Unsqueeze", graph.node("Cast", lengths_B, to=FLOAT), [1, 2] if keepdims else [1])
    return graph.node("Div", total, counts)


@singledispatch
def encode(layer: nn.Module, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    """Hidden states [B, T, output_dim] of whole sequences; positions past a length hold nothing of use."""
    raise NotImplementedError(type(layer).__name__)


@singledispatch
def pool(layer: nn.Module, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    """One vector [B, D] for a sequence of at least one position."""
    raise NotImplementedError(type(layer).__name__)


@singledispatch
def start_states(layer: nn.Module) -> list[Tensor]:
    """States [1, ...] of `stream` at the start of a sequence; a size of 0 grows with the positions read."""
    raise NotImplementedError(type(layer).__name__)


@singledispatch
def stream(layer: nn.Module, graph: Graph, x_BTD: str, states: Sequence[str]) -> tuple[str, list[str]]:
    """``(hidden states [B, T, output_dim], states to read on from)``; no position sees a later one."""
    raise NotImplementedError(type(layer).__name__)


def swap(graph: Graph, x: str) -> str:
    """[B, T, D] and [T, B, D] into each other."""
    return graph.node("Transpose", x, perm=[1, 0, 2])
