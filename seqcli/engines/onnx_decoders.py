"""Decoders as ONNX nodes.

Shapes: B sequences, T target positions, S source positions, P positions read before, D values, H heads, E values a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

from torch import nn

from seqcli.engines.graph import FLOAT, Graph
from seqcli.engines.onnx_parts import linear, norm, penalty_of, pool, real_positions, swap
from seqcli.engines.onnx_recurrent import recurrence
from seqcli.engines.onnx_transformer import attend, feed_forward, heads, sinusoids
from seqcli.models.decoders import Attention, DecoderBlock, RecurrentDecoder, TransformerDecoder
from seqcli.models.layers import only


class Sized(NamedTuple):
    """A value and its shape: numbers, or letters for any size."""

    value: str
    shape: tuple[int | str, ...]


class Read(NamedTuple):
    """What comes of reading target tokens: vectors [B, T, D], states to read on from, where the last one looked [B, S]."""

    hidden_BTD: str
    states: list[str]
    seen_BS: str | None


@singledispatch
def begin(decoder: nn.Module, graph: Graph, encoded: Sized, lengths_B: str) -> tuple[list[Sized], list[Sized]]:
    """`Decoder.start`; a size P of a state grows with the positions read."""
    raise NotImplementedError(type(decoder).__name__)


@singledispatch
def read(decoder: nn.Module, graph: Graph, x_BTD: str, kept: Sequence[str], states: Sequence[str]) -> Read:
    """`Decoder.stream`."""
    raise NotImplementedError(type(decoder).__name__)


# -- recurrent


@begin.register
def _begin_recurrent(
    decoder: RecurrentDecoder, graph: Graph, encoded: Sized, lengths_B: str
) -> tuple[list[Sized], list[Sized]]:
    begin_BD = linear(graph, decoder.begin, pool(decoder.pooling, graph, encoded.value, lengths_B))
    if decoder.reads_source:
        zero_BD = graph.node("Mul", begin_BD, 0.0)
        first_BD = graph.node("Concat", begin_BD, zero_BD, axis=1) if decoder.feeds else begin_BD
        states = [zero_BD] * (len(decoder.layers) * decoder.width)
        _, values = _layers(decoder, graph, graph.node("Unsqueeze", first_BD, [0]), states)
    else:
        joined = graph.node("Tanh", begin_BD)
        parts = len(decoder.layers) * decoder.width
        values = graph.nodes_of("Split", joined, outputs=parts, axis=1, num_outputs=parts) if parts > 1 else [joined]
    if decoder.attention is None:
        return [], [Sized(value, ("B", decoder.output_dim)) for value in values]
    if decoder.feeds:
        values.append(graph.node("Mul", values[0], 0.0))
    keys = decoder.attention.keys
    keys_BSD = (
        linear(graph, keys, encoded.value) if isinstance(keys, nn.Linear) else graph.node("Identity", encoded.value)
    )
    penalty_BS = penalty_of(graph, real_positions(graph, lengths_B, encoded.value))
    kept = [encoded, Sized(keys_BSD, ("B", "S", decoder.output_dim)), Sized(penalty_BS, ("B", "S"))]
    return kept, [Sized(value, ("B", decoder.output_dim)) for value in values]


@read.register
def _read_recurrent(
    decoder: RecurrentDecoder, graph: Graph, x_BTD: str, kept: Sequence[str], states: Sequence[str]
) -> Read:
    x_TBD = swap(graph, x_BTD)
    if not decoder.feeds:
        hidden_TBD, after = _layers(decoder, graph, x_TBD, states)
        hidden_BTD, weights_BTS = _attend(decoder, graph, swap(graph, hidden_TBD), kept)
        seen_BS = None if weights_BTS is None else graph.node("Gather", weights_BTS, -1, axis=1)
        return Read(hidden_BTD, after, seen_BS)
    step = Graph(prefix="step_")
    size, dim = len(states), decoder.output_dim
    *before, fed_BD = (step.input(f"step_state_{number}", FLOAT, "B", dim) for number in range(size))
    x_BD = step.input("step_x", FLOAT, "B", dim)
    x_1BD = step.node("Unsqueeze", step.node("Concat", x_BD, fed_BD, axis=1), [0])
    hidden_1BD, own = _layers(decoder, step, x_1BD, before)
    hidden_B1D, weights_B1S = _attend(decoder, step, swap(step, hidden_1BD), kept)
    assert weights_B1S is not None
    vector_BD = step.node("Squeeze", hidden_B1D, [1])
    for value in (*own, vector_BD, step.node("Identity", vector_BD)):
        step.output(value, value, "B", dim)
    weights_BS = step.node("Squeeze", weights_B1S, [1])
    step.output(weights_BS, weights_BS, "B", "S")
    *after, hidden_TBD, weights_TBS = graph.nodes_of(
        "Scan", *states, x_TBD, outputs=size + 2, body=step.inner(), num_scan_inputs=1
    )
    return Read(swap(graph, hidden_TBD), after, graph.node("Gather", weights_TBS, -1, axis=0))


def _layers(decoder: RecurrentDecoder, graph: Graph, x_TBD: str, states: Sequence[str]) -> tuple[str, list[str]]:
    after: list[str] = []
    for number, layer in enumerate(decoder.layers):
        own = states[number * decoder.width : (number + 1) * decoder.width]
        x_TBD, _, own = recurrence(graph, [layer], x_TBD, states=own)
        after += own
    return x_TBD, after


def _attend(decoder: RecurrentDecoder, graph: Graph, hidden_BTD: str, kept: Sequence[str]) -> tuple[str, str | None]:
    """``(vectors [B, T, D], weights [B, T, S])``."""
    if decoder.attention is None or decoder.combine is None:
        return hidden_BTD, None
    encoded_BSD, keys_BSD, penalty_BS = kept
    scores_BTS = _scores(decoder.attention, graph, hidden_BTD, keys_BSD)
    scores_BTS = graph.node("Add", scores_BTS, graph.node("Unsqueeze", penalty_BS, [1]))
    weights_BTS = graph.node("Softmax", scores_BTS, axis=-1)
    context_BTD = graph.node("MatMul", weights_BTS, encoded_BSD)
    joined = graph.node("Concat", context_BTD, hidden_BTD, axis=-1)
    return graph.node("Tanh", linear(graph, decoder.combine, joined)), weights_BTS


def _scores(attention: Attention, graph: Graph, hidden_BTD: str, keys_BSD: str) -> str:
    """Scores [B, T, S] of source positions."""
    if attention.queries is None or attention.weights is None:
        return graph.node("MatMul", hidden_BTD, graph.node("Transpose", keys_BSD, perm=[0, 2, 1]))
    queries_BT1D = graph.node("Unsqueeze", linear(graph, attention.queries, hidden_BTD), [2])
    joint_BTSD = graph.node("Tanh", graph.node("Add", queries_BT1D, graph.node("Unsqueeze", keys_BSD, [1])))
    return graph.node("Squeeze", linear(graph, attention.weights, joint_BTSD), [3])


# -- transformer


@begin.register
def _begin_transformer(
    decoder: TransformerDecoder, graph: Graph, encoded: Sized, lengths_B: str
) -> tuple[list[Sized], list[Sized]]:
    kept = [Sized(penalty_of(graph, real_positions(graph, lengths_B, encoded.value)), ("B", "S"))]
    states = []
    batch = graph.node("Shape", lengths_B)
    for block in only(DecoderBlock, decoder.blocks):
        size = decoder.output_dim // block.heads
        made = heads(graph, block.source_keys_values, encoded.value, 2, block.heads)
        kept += [Sized(value, ("B", block.heads, "S", size)) for value in made]
        for _ in range(2):
            empty = graph.node("ConstantOfShape", graph.node("Concat", batch, [block.heads, 0, size], axis=0))
            states.append(Sized(empty, ("B", block.heads, "P", size)))
    return kept, states


@read.register
def _read_transformer(
    decoder: TransformerDecoder, graph: Graph, x_BTD: str, kept: Sequence[str], states: Sequence[str]
) -> Read:
    past = graph.size(states[0], 2)
    end = graph.node("Add", past, graph.size(x_BTD, 1))
    places_T = graph.node("Range", past, end, 1)
    x_BTD = graph.node("Add", x_BTD, sinusoids(graph, places_T, decoder.input_dim))
    places_T1 = graph.node("Unsqueeze", places_T, [1])
    penalty_TP = penalty_of(graph, graph.node("LessOrEqual", graph.node("Range", 0, end, 1), places_T1))
    penalty_B11S = graph.node("Unsqueeze", kept[0], [1, 2])
    after: list[str] = []
    for number, block in enumerate(only(DecoderBlock, decoder.blocks)):
        vectors = norm(graph, block.attention_norm, x_BTD)
        q_BHTE, k_BHTE, v_BHTE = heads(graph, block.queries_keys_values, vectors, 3, block.heads)
        k_BHPE = graph.node("Concat", states[2 * number], k_BHTE, axis=2)
        v_BHPE = graph.node("Concat", states[2 * number + 1], v_BHTE, axis=2)
        after += [k_BHPE, v_BHPE]
        mixed_BTD, _ = attend(graph, block.heads, block.attention_output, q_BHTE, k_BHPE, v_BHPE, penalty_TP)
        x_BTD = graph.node("Add", x_BTD, mixed_BTD)
        (q_BHTE,) = heads(graph, block.source_queries, norm(graph, block.source_norm, x_BTD), 1, block.heads)
        k_BHSE, v_BHSE = kept[1 + 2 * number : 3 + 2 * number]
        mixed_BTD, weights_BHTS = attend(graph, block.heads, block.source_output, q_BHTE, k_BHSE, v_BHSE, penalty_B11S)
        x_BTD = graph.node("Add", x_BTD, mixed_BTD)
        x_BTD = feed_forward(graph, block.feedforward_norm, block.feedforward, x_BTD)
    last_BHS = graph.node("Gather", weights_BHTS, -1, axis=2)
    return Read(norm(graph, decoder.norm, x_BTD), after, graph.node("ReduceMean", last_BHS, [1], keepdims=0))
