"""Transformers as ONNX nodes.

Shapes: B sequences, T positions, S positions that may be attended to, D values, H heads, E values a head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqcli.engines.graph import FLOAT, Graph
from seqcli.engines.onnx_parts import encode, linear, norm, penalty_of, real_positions, start_states, stream
from seqcli.models.layers import only
from seqcli.models.transformer import Block, TransformerEncoder


@encode.register
def _transformer(layer: TransformerEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    places_T = graph.node("Range", 0, graph.size(x_BTD, 1), 1)
    x_BTD = _placed(layer, graph, x_BTD, places_T)
    real_BT = real_positions(graph, lengths_B, x_BTD)
    penalty_B11T = penalty_of(graph, graph.node("Unsqueeze", real_BT, [1, 2]))
    for block in only(Block, layer.blocks):
        q_BHTE, k_BHTE, v_BHTE = _project(block, graph, x_BTD, places_T)
        x_BTD = _attend(block, graph, x_BTD, q_BHTE, k_BHTE, v_BHTE, penalty_B11T)
    return norm(graph, layer.norm, x_BTD)


@start_states.register
def _transformer_start(layer: TransformerEncoder) -> list[Tensor]:
    heads = only(Block, layer.blocks)[0].heads
    empty = layer.norm.weight.detach().new_zeros(1, heads, 0, layer.output_dim // heads)
    return [empty] * (2 * len(layer.blocks))


@stream.register
def _transformer_stream(
    layer: TransformerEncoder, graph: Graph, x_BTD: str, states: Sequence[str]
) -> tuple[str, list[str]]:
    past = graph.size(states[0], 2)
    end = graph.node("Add", past, graph.size(x_BTD, 1))
    places_T = graph.node("Range", past, end, 1)
    x_BTD = _placed(layer, graph, x_BTD, places_T)
    places_T1 = graph.node("Unsqueeze", places_T, [1])
    penalty_TS = penalty_of(graph, graph.node("LessOrEqual", graph.node("Range", 0, end, 1), places_T1))
    after: list[str] = []
    for number, block in enumerate(only(Block, layer.blocks)):
        q_BHTE, *own = _project(block, graph, x_BTD, places_T)
        k_BHSE, v_BHSE = (
            graph.node("Concat", before, now, axis=2)
            for before, now in zip(states[2 * number : 2 * number + 2], own, strict=True)
        )
        after += [k_BHSE, v_BHSE]
        x_BTD = _attend(block, graph, x_BTD, q_BHTE, k_BHSE, v_BHSE, penalty_TS)
    return norm(graph, layer.norm, x_BTD), after


def _angles(graph: Graph, places_T: str, size: int) -> str:
    """Angles [T, size / 2] of each pair of values."""
    rate = torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
    return graph.node("Mul", graph.node("Unsqueeze", graph.node("Cast", places_T, to=FLOAT), [1]), rate)


def _placed(layer: TransformerEncoder, graph: Graph, x_BTD: str, places_T: str) -> str:
    x_BTD = linear(graph, layer.project, x_BTD)
    if layer.kind == "sinusoidal":
        x_BTD = graph.node("Add", x_BTD, sinusoids(graph, places_T, layer.output_dim))
    elif layer.learned is not None:
        # past the last learned position there is no better guess than that position
        places_T = graph.node("Min", places_T, layer.learned.num_embeddings - 1)
        x_BTD = graph.node("Add", x_BTD, graph.node("Gather", layer.learned.weight, places_T))
    return x_BTD


def sinusoids(graph: Graph, places_T: str, dim: int) -> str:
    """Position vectors [T, D]."""
    angle = _angles(graph, places_T, dim)
    vectors = _interleave(graph, graph.node("Sin", angle), graph.node("Cos", angle), [0, -1])
    return vectors if dim % 2 == 0 else graph.node("Slice", vectors, [0], [dim], [1])


def _interleave(graph: Graph, even: str, odd: str, shape: Sequence[int]) -> str:
    """Values of ``even`` and of ``odd`` in turn, along the last dimension."""
    pairs = graph.node("Concat", graph.node("Unsqueeze", even, [-1]), graph.node("Unsqueeze", odd, [-1]), axis=-1)
    return graph.node("Reshape", pairs, shape)


def _rotate(graph: Graph, x_BHTE: str, places_T: str, size: int) -> str:
    angle = _angles(graph, places_T, size)
    sin, cos = graph.node("Sin", angle), graph.node("Cos", angle)
    even, odd = (graph.node("Slice", x_BHTE, [first], [size], [3], [2]) for first in (0, 1))
    turned_even = graph.node("Sub", graph.node("Mul", even, cos), graph.node("Mul", odd, sin))
    turned_odd = graph.node("Add", graph.node("Mul", even, sin), graph.node("Mul", odd, cos))
    return _interleave(graph, turned_even, turned_odd, [0, 0, 0, size])


def _project(layer: Block, graph: Graph, x_BTD: str, places_T: str) -> list[str]:
    """Queries, keys and values [B, H, T, E]."""
    made = heads(graph, layer.queries_keys_values, norm(graph, layer.attention_norm, x_BTD), 3, layer.heads)
    if layer.rotary:
        size = layer.queries_keys_values.in_features // layer.heads
        made[:2] = [_rotate(graph, part, places_T, size) for part in made[:2]]
    return made


def _attend(layer: Block, graph: Graph, x_BTD: str, q_BHTE: str, k_BHSE: str, v_BHSE: str, penalty: str) -> str:
    mixed_BTD, _ = attend(graph, layer.heads, layer.attention_output, q_BHTE, k_BHSE, v_BHSE, penalty)
    return feed_forward(graph, layer.feedforward_norm, layer.feedforward, graph.node("Add", x_BTD, mixed_BTD))


def heads(graph: Graph, layer: nn.Linear, x_BTD: str, parts: int, count: int) -> list[str]:
    """A projection as so many values [B, H, T, E]; torch's layer holds them one after the other."""
    joined = linear(graph, layer, x_BTD)
    split = graph.nodes_of("Split", joined, outputs=parts, axis=2, num_outputs=parts) if parts > 1 else [joined]
    shape = [0, 0, count, layer.out_features // parts // count]
    return [graph.node("Transpose", graph.node("Reshape", part, shape), perm=[0, 2, 1, 3]) for part in split]


def attend(
    graph: Graph, count: int, output: nn.Linear, q_BHTE: str, k_BHSE: str, v_BHSE: str, penalty: str
) -> tuple[str, str]:
    """``(vectors [B, T, D], weights [B, H, T, S])`` of ``count`` heads."""
    dim = output.in_features
    scaled = graph.node("Mul", q_BHTE, (dim // count) ** -0.5)
    scores_BHTS = graph.node("MatMul", scaled, graph.node("Transpose", k_BHSE, perm=[0, 1, 3, 2]))
    weights_BHTS = graph.node("Softmax", graph.node("Add", scores_BHTS, penalty), axis=-1)
    mixed_BTHE = graph.node("Transpose", graph.node("MatMul", weights_BHTS, v_BHSE), perm=[0, 2, 1, 3])
    return linear(graph, output, graph.node("Reshape", mixed_BTHE, [0, 0, dim])), weights_BHTS


def feed_forward(graph: Graph, before: nn.LayerNorm, layers: nn.Sequential, x_BTD: str) -> str:
    """x + f(norm(x))."""
    first, second = only(nn.Linear, layers)
    activation = "Relu" if isinstance(layers[1], nn.ReLU) else "Gelu"
    hidden = graph.node(activation, linear(graph, first, norm(graph, before, x_BTD)))
    return graph.node("Add", x_BTD, linear(graph, second, hidden))
