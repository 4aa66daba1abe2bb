"""Recurrent layers as ONNX nodes.

Shapes: B sequences, T positions, D values, H state, G gates, U different tokens, V rows of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn

from seqcli.engines.graph import FLOAT, INT32, INT64, Graph, Operand
from seqcli.engines.onnx_parts import encode, norm, real_positions, start_states, stream, swap
from seqcli.models.cells import PeepholeLSTM, PlainRNN
from seqcli.models.layers import only
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.models.scratch import ScratchGRU, ScratchLSTM, ScratchRNN


class Cell(NamedTuple):
    """One direction of a layer as ONNX has it: weights [G, D] and [G, H], both biases [2 G], peepholes [3 H].

    ``activation``: those of one direction, where they are not the operator's own. ``start_H``: the state at the start of a sequence where it is not zero.
    """

    operator: str
    inputs_GD: Tensor
    recurrent_GH: Tensor
    biases: Tensor
    peepholes: Tensor | None = None
    activation: str | Sequence[str] | None = None
    start_H: Tensor | None = None


@singledispatch
def cell(layer: nn.Module) -> Cell:
    raise NotImplementedError(type(layer).__name__)


def _ordered(weight: Tensor, order: Sequence[int]) -> Tensor:
    parts = weight.detach().chunk(len(order))
    return torch.cat([parts[gate] for gate in order])


def _torch_cell(layer: nn.RNNBase, operator: str, order: Sequence[int], activation: str | None = None) -> Cell:
    weights = dict(layer.named_parameters())
    inputs, recurrent = (_ordered(weights[name], order) for name in ("weight_ih_l0", "weight_hh_l0"))
    bias, more = (
        _ordered(weights[name], order) if layer.bias else inputs.new_zeros(len(inputs))
        for name in ("bias_ih_l0", "bias_hh_l0")
    )
    return Cell(operator, inputs, recurrent, torch.cat([bias, more]), activation=activation)


LSTM_GATES = (0, 3, 1, 2)
"""ONNX's i, o, f, c among torch's i, f, c, o."""


@cell.register
def _lstm(layer: nn.LSTM) -> Cell:
    return _torch_cell(layer, "LSTM", LSTM_GATES)


@cell.register
def _gru(layer: nn.GRU) -> Cell:
    return _torch_cell(layer, "GRU", (1, 0, 2))  # z, r, h among torch's r, z, n


@cell.register
def _rnn(layer: nn.RNN) -> Cell:
    return _torch_cell(layer, "RNN", (0,), layer.nonlinearity.capitalize())


@cell.register
def _peephole_lstm(layer: PeepholeLSTM) -> Cell:
    bias = _ordered(layer.inputs.bias, LSTM_GATES)
    peep_input, peep_forget, peep_output = layer.peephole.detach()
    return Cell(
        "LSTM",
        _ordered(layer.inputs.weight, LSTM_GATES),
        _ordered(layer.recurrent.weight, LSTM_GATES),
        _and_zeros(bias),
        torch.cat([peep_input, peep_output, peep_forget]),
    )


@cell.register
def _plain_rnn(layer: PlainRNN) -> Cell:
    recurrent = layer.recurrent.weight.detach()
    size = len(recurrent)
    inputs = recurrent.new_zeros(size, 1) if layer.inputs is None else layer.inputs.weight.detach()
    bias = recurrent.new_zeros(size) if layer.recurrent.bias is None else layer.recurrent.bias.detach()
    activation = {torch.tanh: "Tanh", torch.relu: "Relu"}.get(layer.activation, "Affine")
    biases = torch.cat([torch.zeros_like(bias), bias])
    return Cell("RNN", inputs, recurrent, biases, activation=activation, start_H=layer.start.detach())


@cell.register
def _scratch_rnn(layer: ScratchRNN) -> Cell:
    return Cell("RNN", layer.U.detach(), layer.V.detach(), _and_zeros(layer.b), activation="Tanh")


@cell.register
def _scratch_lstm(layer: ScratchLSTM) -> Cell:
    inputs, recurrent, bias = (_ordered(weight, LSTM_GATES) for weight in (layer.U, layer.V, layer.b))
    squash = "Sigmoid" if layer.form == "selective" else "Tanh"
    peepholes = None if layer.p is None else layer.p.detach()[[0, 2, 1]].flatten()
    return Cell("LSTM", inputs, recurrent, _and_zeros(bias), peepholes, activation=("Sigmoid", squash, squash))


@cell.register
def _scratch_gru(layer: ScratchGRU) -> Cell:
    inputs, recurrent, bias = (_ordered(weight, (1, 0, 2)) for weight in (layer.U, layer.V, layer.b))
    more = torch.cat([bias.new_zeros(2 * layer.dim), layer.c.detach()])
    return Cell("GRU", inputs, recurrent, torch.cat([bias, more]))


def _and_zeros(bias: Tensor) -> Tensor:
    return torch.cat([bias.detach(), torch.zeros_like(bias)])


def recurrence(
    graph: Graph, layers: Sequence[nn.Module], x_TBD: str, lengths_B: str = "", states: Sequence[str] = ()
) -> tuple[str, str, list[str]]:
    """One layer, in one direction or two: ``(hidden [T, B, H or 2 H], last hidden [directions, B, H], states)``.

    ``states``: where to read on from, [B, H] each; else the layer's own start.
    """
    cells = [cell(layer) for layer in layers]
    first, directions = cells[0], len(layers)
    size = first.recurrent_GH.size(1)
    if first.inputs_GD.size(1) == 1:  # also where no input is read: it then says how many steps there are
        x_TBD = graph.node("Slice", x_TBD, [0], [1], [2])
    attributes: dict[str, object] = {"hidden_size": size, "direction": "bidirectional" if directions > 1 else "forward"}
    if first.operator == "GRU":
        attributes["linear_before_reset"] = 1
    if first.activation is not None:
        own = [first.activation] if isinstance(first.activation, str) else [*first.activation]
        attributes["activations"] = own * directions
    if first.activation == "Affine":
        attributes |= {"activation_alpha": [1.0] * directions, "activation_beta": [0.0] * directions}
    initial = [graph.node("Unsqueeze", state, [0]) for state in states]
    if not states and first.start_H is not None:
        starts = torch.stack([one.start_H for one in cells if one.start_H is not None]).unsqueeze(1)
        batch = graph.node("Shape", x_TBD, start=1, end=2)
        initial = [graph.node("Expand", starts, graph.node("Concat", [1], batch, [1], axis=0))]
    operands: list[Operand] = [
        x_TBD,
        torch.stack([one.inputs_GD for one in cells]),
        torch.stack([one.recurrent_GH for one in cells]),
        torch.stack([one.biases for one in cells]),
        graph.node("Cast", lengths_B, to=INT32) if lengths_B else "",
        *(initial or [""]),
    ]
    if first.peepholes is not None:
        operands += [""] * (7 - len(operands))
        operands.append(torch.stack([one.peepholes for one in cells if one.peepholes is not None]))
    outputs = 3 if first.operator == "LSTM" else 2
    hidden, *last = graph.nodes_of(first.operator, *operands, outputs=outputs, **attributes)
    if directions > 1:
        side_by_side = graph.node("Transpose", hidden, perm=[0, 2, 1, 3])
        hidden = graph.node("Reshape", side_by_side, [0, 0, directions * size])
    else:
        hidden = graph.node("Squeeze", hidden, [1])
    return hidden, last[0], [graph.node("Squeeze", one, [0]) for one in last] if states else []


def lookup(
    graph: Graph, layer: nn.LSTM, gates_UG: str, index_TB: str, states: Sequence[str], real_TB1: str = ""
) -> tuple[str, list[str]]:
    """An LSTM over tokens whose W x + b are rows of a table: ``(hidden [T, B, H], states [B, H])``.

    What a token brings to the gates is then made once for each different token, or known beforehand: up to half of the
    operator's work. With ``real_TB1`` (1.0, and 0.0 for padding) it reads from the end to the start.
    """
    steps, back = [index_TB, real_TB1] if real_TB1 else [index_TB], int(bool(real_TB1))
    *after, hidden_TBH = graph.nodes_of(
        "Scan",
        *(*states, *steps),
        outputs=3,
        body=_lstm_step(cell(layer).recurrent_GH, gates_UG, masked=bool(back)),
        num_scan_inputs=len(steps),
        scan_input_directions=[back] * len(steps),
        scan_output_directions=[back],
    )
    return hidden_TBH, after


def _lstm_step(recurrent_GH: Tensor, gates_UG: str, *, masked: bool) -> onnx.GraphProto:
    """One step, the gates in the order i, o, f, c; ``gates_UG`` is a value of the graph outside.

    ``masked``: padding leaves the state at zero.
    """
    size = recurrent_GH.size(1)
    step = Graph(prefix=f"{gates_UG}_")
    hidden, before = (step.input(f"{gates_UG}_{name}", FLOAT, "B", size) for name in ("hidden", "cell"))
    row_BG = step.node("Gather", gates_UG, step.input(f"{gates_UG}_index", INT64, "B"))
    gates = step.node("Add", step.node("MatMul", hidden, recurrent_GH.t()), row_BG)
    opens, new = step.nodes_of("Split", gates, [3 * size, size], outputs=2, axis=1)
    i, o, f = step.nodes_of("Split", step.node("Sigmoid", opens), outputs=3, axis=1, num_outputs=3)
    after = step.node("Add", step.node("Mul", f, before), step.node("Mul", i, step.node("Tanh", new)))
    if masked:
        after = step.node("Mul", after, step.input(f"{gates_UG}_real", FLOAT, "B", 1))
    result = step.node("Mul", o, step.node("Tanh", after))
    for value in (result, after, step.node("Identity", result)):
        step.output(value, value, "B", size)
    return step.inner()


# -- encoders


def _after_layer(encoder: RecurrentEncoder, graph: Graph, number: int, hidden_TBD: str, x_TBD: str) -> str:
    cells, directions = [cell(one) for one in encoder.ahead[: number + 1]], 1 if encoder.back is None else 2
    widths = [cells[0].inputs_GD.size(1), *(one.recurrent_GH.size(1) * directions for one in cells)]
    if encoder.residual and widths[number] == widths[number + 1]:
        hidden_TBD = graph.node("Add", hidden_TBD, x_TBD)
    return hidden_TBD if encoder.norms is None else norm(graph, only(nn.LayerNorm, encoder.norms)[number], hidden_TBD)


def _directions(encoder: RecurrentEncoder, number: int) -> list[nn.Module]:
    ahead = encoder.ahead[number]
    return [ahead] if encoder.back is None else [ahead, encoder.back[number]]


def _stack(encoder: RecurrentEncoder, graph: Graph, x_TBD: str, hidden_TBD: str, lengths_B: str) -> str:
    """What comes after the first layer's hidden states [T, B, output_dim]."""
    x_TBD = _after_layer(encoder, graph, 0, hidden_TBD, x_TBD)
    for number in range(1, len(encoder.ahead)):
        hidden_TBD = recurrence(graph, _directions(encoder, number), x_TBD, lengths_B)[0]
        x_TBD = _after_layer(encoder, graph, number, hidden_TBD, x_TBD)
    return x_TBD


@encode.register
def _encode(encoder: RecurrentEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_TBD = swap(graph, x_BTD)
    hidden_TBD = recurrence(graph, _directions(encoder, 0), x_TBD, lengths_B)[0]
    return swap(graph, _stack(encoder, graph, x_TBD, hidden_TBD, lengths_B))


def encode_tokens(encoder: RecurrentEncoder, graph: Graph, types_UD: str, index_BT: str, lengths_B: str) -> str:
    """Hidden states [T, B, output_dim] of sequences of tokens: ``index_BT`` are rows of ``types_UD``."""
    index_TB = graph.node("Transpose", index_BT, perm=[1, 0])
    lstms = only(nn.LSTM, _directions(encoder, 0))
    x_TBD = "" if lstms and not encoder.residual else graph.node("Gather", types_UD, index_TB)
    if not lstms:
        hidden_TBD = recurrence(graph, _directions(encoder, 0), x_TBD, lengths_B)[0]
        return _stack(encoder, graph, x_TBD, hidden_TBD, lengths_B)
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, index_BT), [2])
    real_TB1 = graph.node("Cast", swap(graph, real_BT1), to=FLOAT)
    shape = graph.node("Concat", graph.node("Shape", index_BT, start=0, end=1), [lstms[0].hidden_size], axis=0)
    zero_BH = graph.node("Expand", 0.0, shape)
    parts = []
    for lstm, real in zip(lstms, ("", real_TB1), strict=False):  # on the way back the padding comes first
        gates_UG = graph.node("MatMul", types_UD, cell(lstm).inputs_GD.t())
        gates_UG = graph.node("Add", gates_UG, cell(lstm).biases.view(2, -1).sum(0))
        parts.append(lookup(graph, lstm, gates_UG, index_TB, [zero_BH, zero_BH], real)[0])
    hidden_TBD = graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]
    return _stack(encoder, graph, x_TBD, hidden_TBD, lengths_B)


@start_states.register
def _recurrent_start(layer: RecurrentEncoder) -> list[Tensor]:
    states = []
    for one in map(cell, layer.ahead):
        start_H = one.recurrent_GH.new_zeros(one.recurrent_GH.size(1)) if one.start_H is None else one.start_H
        states += [start_H.unsqueeze(0)] * (2 if one.operator == "LSTM" else 1)
    return states


@stream.register
def _stream(encoder: RecurrentEncoder, graph: Graph, x_BTD: str, states: Sequence[str]) -> tuple[str, list[str]]:
    x_TBD = swap(graph, x_BTD)
    width = len(states) // len(encoder.ahead)
    hidden_TBD, _, own = recurrence(graph, [encoder.ahead[0]], x_TBD, states=states[:width])
    hidden_TBD, after = _run_on(encoder, graph, x_TBD, hidden_TBD, own, states)
    return swap(graph, hidden_TBD), after


def stream_words(
    encoder: RecurrentEncoder, graph: Graph, vectors_VD: Tensor, words_BT: str, states: Sequence[str]
) -> tuple[str, list[str]]:
    """`stream` over words of a small vocabulary: what each adds to the gates of the LSTM is a table of constants."""
    words_TB = graph.node("Transpose", words_BT, perm=[1, 0])
    (lstm,) = only(nn.LSTM, encoder.ahead[:1])
    weights = cell(lstm)
    table_VG = vectors_VD @ weights.inputs_GD.t() + weights.biases.view(2, -1).sum(0)
    hidden_TBD, own = lookup(graph, lstm, graph.constant(table_VG), words_TB, states[:2])
    x_TBD = graph.node("Gather", vectors_VD, words_TB) if encoder.residual else ""
    hidden_TBD, after = _run_on(encoder, graph, x_TBD, hidden_TBD, own, states)
    return swap(graph, hidden_TBD), after


def _run_on(
    encoder: RecurrentEncoder, graph: Graph, x_TBD: str, hidden_TBD: str, own: list[str], states: Sequence[str]
) -> tuple[str, list[str]]:
    """What comes after the first layer's hidden states and its own new states: ``(hidden [T, B, D], all states)``."""
    width, after = len(own), [*own]
    x_TBD = _after_layer(encoder, graph, 0, hidden_TBD, x_TBD)
    for number in range(1, len(encoder.ahead)):
        before = states[number * width : (number + 1) * width]
        hidden_TBD, _, own = recurrence(graph, [encoder.ahead[number]], x_TBD, states=before)
        x_TBD = _after_layer(encoder, graph, number, hidden_TBD, x_TBD)
        after += own
    return x_TBD, after
