"""The layers of `seqcli.models` as ONNX nodes: one small function a class of layer.

Shapes: B sequences, T positions, S positions that may be attended to, D values, H state, G gates, K labels, U
different tokens, C characters, V rows of the vocabulary, N positions whose distribution is wanted.
A value is given by its name. Nothing is dropped at inference, so dropout is not written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn

from seqcli.engines.graph import FLOAT, INT32, INT64, Graph, Operand
from seqcli.models.cells import PeepholeLSTM, PlainRNN
from seqcli.models.characters import CharacterCNN, CharacterLSTM
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.embedders import FrameEmbedder, TokenEmbedder
from seqcli.models.heads import CRFHead, SigmoidHead, SoftmaxHead
from seqcli.models.language import AdaptiveHead, LanguageModel
from seqcli.models.local import BagEncoder, CNNEncoder, WindowEncoder
from seqcli.models.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.models.transformer import Block, TransformerEncoder

# -- whole networks


def export_labeller(embedder: nn.Module, encoder: nn.Module, head: nn.Module) -> onnx.ModelProto:
    """A label for each position: ``logits_BTK``.

    Of a CRF these are the emissions, and ``transitions_KK``, ``start_K``, ``end_K`` are constants of the model.
    """
    graph = Graph()
    lengths_B = graph.input("lengths_B", INT64, "B")
    hidden_BTD = hidden_states(embedder, encoder, graph, lengths_B)
    graph.output("logits_BTK", _logits(head, graph, hidden_BTD), "B", "T", "K")
    if isinstance(head, CRFHead):
        for name, score in zip(("transitions_KK", "start_K", "end_K"), head.scores(), strict=True):
            graph.constants[name] = score.detach().cpu().numpy()
    return graph.model()


def export_classifier(networks: Sequence[SequenceClassifier]) -> onnx.ModelProto:
    """Label(s) for a sequence: ``log_probs_BK``, of several networks the log of their mean probability."""
    graph = Graph()
    lengths_B = graph.input("lengths_B", INT64, "B")
    members = [_sequence_log_probs(network, graph, lengths_B) for network in networks]
    log_probs_BK = members[0]
    if len(members) > 1:
        stacked = graph.node("Concat", *(graph.node("Unsqueeze", one, [0]) for one in members), axis=0)
        total = graph.node("ReduceLogSumExp", stacked, [0], keepdims=0)
        log_probs_BK = graph.node("Sub", total, math.log(len(members)))
    graph.output("log_probs_BK", log_probs_BK, "B", "K")
    return graph.model()


def export_language_model(model: LanguageModel) -> onnx.ModelProto:
    """The next token, from states on: ``log_probs_NV`` after the positions that ``places_N`` names.

    Inputs: ``words_BT``; ``state_0``, ``state_1``, ... as in the encoder's ``stream`` (``start_0``, ... [1, ...], those
    of a sequence's start, are constants of the model); ``places_N`` (rows of the flattened B x T); ``targets_N``.
    Outputs: ``log_probs_NV``, ``chosen_N`` (ln p of the targets), ``after_0``, ``after_1``, ... (the new states).
    """
    graph = Graph()
    words_BT = graph.input("words_BT", INT64, "B", "T")
    states = []
    for number, start in enumerate(start_states(model.encoder)):
        graph.constants[f"start_{number}"] = start.detach().cpu().numpy()
        shape = [size or f"S{number}" for size in start.shape[1:]]
        states.append(graph.input(f"state_{number}", FLOAT, "B", *shape))
    hidden_BTD, after = stream(model.encoder, graph, embed_words(model.embedder, graph, words_BT), states)
    flat_D = graph.node("Reshape", hidden_BTD, [-1, model.encoder.output_dim])
    hidden_ND = graph.node("Gather", flat_D, graph.input("places_N", INT64, "N"))
    if isinstance(model.project, nn.Linear):
        hidden_ND = linear(graph, model.project, hidden_ND)
    log_probs_NV = _next_log_probs(model.head, graph, hidden_ND)
    targets_N1 = graph.node("Unsqueeze", graph.input("targets_N", INT64, "N"), [1])
    chosen_N = graph.node("Squeeze", graph.node("GatherElements", log_probs_NV, targets_N1, axis=1), [1])
    graph.output("log_probs_NV", log_probs_NV, "N", model.words.num_embeddings)
    graph.output("chosen_N", chosen_N, "N")
    for number, (state, start) in enumerate(zip(after, start_states(model.encoder), strict=True)):
        graph.output(f"after_{number}", state, "B", *(size or f"A{number}" for size in start.shape[1:]))
    return graph.model()


def hidden_states(embedder: nn.Module, encoder: nn.Module, graph: Graph, lengths_B: str) -> str:
    """Embedder and encoder: vectors [B, T, D]."""
    if isinstance(embedder, TokenEmbedder) and isinstance(encoder, RecurrentEncoder):
        return _recurrent_tokens(encoder, graph, _types(embedder, graph), lengths_B)
    return encode(encoder, graph, embed(embedder, graph, lengths_B), positions(embedder, graph, lengths_B))


# -- small parts that several layers share


def linear(graph: Graph, layer: nn.Linear, x: str) -> str:
    product = graph.node("MatMul", x, layer.weight.detach().t())
    return product if layer.bias is None else graph.node("Add", product, layer.bias)


def norm(graph: Graph, layer: nn.LayerNorm, x: str) -> str:
    return graph.node("LayerNormalization", x, layer.weight, layer.bias, axis=-1, epsilon=layer.eps)


def real_positions(graph: Graph, lengths_B: str, x_BT: str) -> str:
    """Mask [B, T], True where a position holds something real."""
    places_T = graph.node("Range", 0, graph.size(x_BT, 1), 1)
    return graph.node("Less", places_T, graph.node("Unsqueeze", lengths_B, [1]))


def _masked(graph: Graph, x_BTD: str, lengths_B: str) -> str:
    """Zeros past the lengths."""
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, x_BTD), [2])
    return graph.node("Where", real_BT1, x_BTD, 0.0)


def _windows(graph: Graph, x_BTD: str, left: int, width: int, stride: int = 1) -> str:
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


def _at_least_one(graph: Graph, lengths_B: str) -> str:
    return graph.node("Max", lengths_B, 1)


# -- embedders


@singledispatch
def embed(layer: nn.Module, graph: Graph, lengths_B: str) -> str:
    """Vectors [B, T, D] of an embedder's inputs, which it adds to the graph."""
    raise NotImplementedError(type(layer).__name__)


@singledispatch
def positions(layer: nn.Module, graph: Graph, lengths_B: str) -> str:
    """How many vectors come of so many tokens or frames."""
    return lengths_B


@embed.register
def _tokens(layer: TokenEmbedder, graph: Graph, lengths_B: str) -> str:
    return graph.node("Gather", _types(layer, graph), graph.input("index_BT", INT64, "B", "T"))


def _types(layer: TokenEmbedder, graph: Graph) -> str:
    """Vectors [U, D] of the different tokens."""
    words_U = graph.input("words_U", INT64, "U")
    parts = []
    if layer.words is not None:
        parts.append(graph.node("Gather", layer.words.weight, words_U))
    if layer.characters is not None:
        parts.append(spell(layer.characters, graph, graph.input("characters_UC", INT64, "U", "C")))
    for column, table in enumerate(layer.affixes):
        affixes_U = graph.node("Gather", graph.input("affixes_UA", INT64, "U", len(layer.affixes)), column, axis=1)
        parts.append(graph.node("Gather", table.weight, affixes_U))
    types_UD = graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]
    padding_U1 = graph.node("Unsqueeze", graph.node("Equal", words_U, 0), [1])
    return graph.node("Where", padding_U1, 0.0, types_UD)


@embed.register
def _frames(layer: FrameEmbedder, graph: Graph, lengths_B: str) -> str:
    frames_BTD = graph.input("frames_BTD", FLOAT, "B", "T", len(layer.mean_D))
    x_BTD = graph.node("Div", graph.node("Sub", frames_BTD, layer.mean_D), layer.deviation_D)
    if layer.masked:
        missing_BTD = graph.node("IsNaN", frames_BTD)
        x_BTD = graph.node("Where", missing_BTD, 0.0, x_BTD)
        x_BTD = graph.node("Concat", x_BTD, graph.node("Cast", missing_BTD, to=FLOAT), axis=-1)
    x_BTD = _masked(graph, x_BTD, lengths_B)
    x_BTD = _windows(graph, x_BTD, (layer.kernel - 1) // 2, layer.kernel, layer.stride)
    x_BTD = linear(graph, layer.projection, x_BTD)
    if layer.activation is not None:
        x_BTD = graph.node("Relu", x_BTD)
    return _masked(graph, x_BTD, positions(layer, graph, lengths_B))


@positions.register
def _frames_positions(layer: FrameEmbedder, graph: Graph, lengths_B: str) -> str:
    if layer.stride == 1:
        return lengths_B
    return graph.node("Div", graph.node("Add", lengths_B, layer.stride - 1), layer.stride)


def embed_words(layer: TokenEmbedder, graph: Graph, words_BT: str) -> str:
    """Vectors [B, T, D] of the tokens of a language model."""
    assert layer.words is not None
    x_BTD = graph.node("Gather", layer.words.weight, words_BT)
    return x_BTD if layer.scale == 1 else graph.node("Mul", x_BTD, float(layer.scale))


@singledispatch
def spell(layer: nn.Module, graph: Graph, characters_UC: str) -> str:
    """Vectors [U, D] of words given as character ids."""
    raise NotImplementedError(type(layer).__name__)


@spell.register
def _character_cnn(layer: CharacterCNN, graph: Graph, characters_UC: str) -> str:
    real_UC = graph.node("Greater", characters_UC, 0)
    real_UC1 = graph.node("Unsqueeze", real_UC, [2])
    length = graph.node("Shape", characters_UC, start=1, end=2)
    first_U1 = graph.node("Slice", real_UC, [0], [1], [1])
    parts = []
    for width, filters in zip(layer.widths, layer.filters, strict=True):
        # what each character adds at each offset of a filter is known now: the convolution is a sum of looked-up rows
        weight_FWE = filters.weight.detach().view(-1, width, layer.embedding.embedding_dim)
        tables_WCF = torch.einsum("ce,fwe->wcf", layer.embedding.weight.detach(), weight_FWE)
        padded = graph.node("Pad", characters_UC, [0, (width - 1) // 2, 0, width // 2])
        rows = [
            graph.node(
                "Gather", table_CF, graph.node("Slice", padded, [offset], graph.node("Add", length, [offset]), [1])
            )
            for offset, table_CF in enumerate(tables_WCF)
        ]
        scores_UCF = graph.node("Sum", *rows)
        best_UF = graph.node("ReduceMax", graph.node("Where", real_UC1, scores_UCF, -math.inf), [1], keepdims=0)
        parts.append(graph.node("Where", first_U1, graph.node("Add", best_UF, filters.bias), 0.0))
    return graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]


@spell.register
def _character_lstm(layer: CharacterLSTM, graph: Graph, characters_UC: str) -> str:
    real_UC = graph.node("Cast", graph.node("Greater", characters_UC, 0), to=INT64)
    lengths_U = graph.node("ReduceSum", real_UC, [1], keepdims=0)
    x_UCE = graph.node("Gather", layer.embedding.weight, characters_UC)
    directions = [layer.forward_lstm, layer.backward_lstm]
    _, last, _ = recurrence(graph, directions, _swap(graph, x_UCE), _at_least_one(graph, lengths_U))
    vectors_UD = graph.node("Reshape", _swap(graph, last), [0, layer.output_dim])
    empty_U1 = graph.node("Unsqueeze", graph.node("Equal", lengths_U, 0), [1])
    return graph.node("Where", empty_U1, 0.0, vectors_UD)


# -- recurrent layers


class Cell(NamedTuple):
    """One direction of a layer as ONNX has it: weights [G, D] and [G, H], both biases [2 G], peepholes [3 H].

    ``start_H``: the state at the start of a sequence where it is not zero.
    """

    operator: str
    inputs_GD: Tensor
    recurrent_GH: Tensor
    biases: Tensor
    peepholes: Tensor | None = None
    activation: str | None = None
    start_H: Tensor | None = None


@singledispatch
def cell(layer: nn.Module) -> Cell:
    raise NotImplementedError(type(layer).__name__)


def _ordered(weight: Tensor, order: Sequence[int]) -> Tensor:
    parts = weight.detach().chunk(len(order))
    return torch.cat([parts[gate] for gate in order])


def _torch_cell(layer: nn.RNNBase, operator: str, order: Sequence[int], activation: str | None = None) -> Cell:
    weights = dict(layer.named_parameters())
    inputs, recurrent, bias, more = (
        _ordered(weights[name], order) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
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
        torch.cat([bias, torch.zeros_like(bias)]),
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


def _swap(graph: Graph, x: str) -> str:
    """[B, T, D] and [T, B, D] into each other."""
    return graph.node("Transpose", x, perm=[1, 0, 2])


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
        attributes["activations"] = [first.activation] * directions
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


def projected(graph: Graph, layers: Sequence[nn.LSTM], types_UD: str, index_BT: str, lengths_B: str) -> str:
    """An LSTM's first layer over tokens, hidden states [T, B, H or 2 H].

    What a token brings to the gates, W x + b, is made once for each different token, and its row looked up at each
    step: a third of the work less than the operator's.
    """
    index_TB = graph.node("Transpose", index_BT, perm=[1, 0])
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, index_BT), [2])
    real_TB1 = graph.node("Cast", _swap(graph, real_BT1), to=FLOAT)
    batch = graph.node("Shape", index_BT, start=0, end=1)
    parts = []
    for number, layer in enumerate(layers):
        weights = cell(layer)
        gates_UG = graph.node("MatMul", types_UD, weights.inputs_GD.t())
        gates_UG = graph.node("Add", gates_UG, weights.biases.view(2, -1).sum(0))
        zero_BH = graph.node("Expand", 0.0, graph.node("Concat", batch, [layer.hidden_size], axis=0))
        steps = [index_TB, real_TB1] if number else [index_TB]  # padding comes first on the way back
        states = graph.nodes_of(
            "Scan",
            *(zero_BH, zero_BH, *steps),
            outputs=3,
            body=_lstm_step(weights.recurrent_GH, gates_UG, masked=number > 0),
            num_scan_inputs=len(steps),
            scan_input_directions=[number] * len(steps),
            scan_output_directions=[number],
        )
        parts.append(states[2])
    return graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]


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


@singledispatch
def encode(layer: nn.Module, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    """Hidden states [B, T, output_dim] of whole sequences; positions past a length hold nothing of use."""
    raise NotImplementedError(type(layer).__name__)


@singledispatch
def start_states(layer: nn.Module) -> list[Tensor]:
    """States [1, ...] of `stream` at the start of a sequence; a size of 0 grows with the positions read."""
    raise NotImplementedError(type(layer).__name__)


@singledispatch
def stream(layer: nn.Module, graph: Graph, x_BTD: str, states: Sequence[str]) -> tuple[str, list[str]]:
    """``(hidden states [B, T, output_dim], states to read on from)``; no position sees a later one."""
    raise NotImplementedError(type(layer).__name__)


def _after_layer(encoder: RecurrentEncoder, graph: Graph, number: int, hidden_TBD: str, x_TBD: str) -> str:
    width = encoder.output_dim if number else cell(encoder.ahead[0]).inputs_GD.size(1)
    if encoder.residual and width == encoder.output_dim:
        hidden_TBD = graph.node("Add", hidden_TBD, x_TBD)
    return hidden_TBD if encoder.norms is None else norm(graph, encoder.norms[number], hidden_TBD)


@encode.register
def _recurrent(layer: RecurrentEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_TBD = _swap(graph, x_BTD)
    return _stack(layer, graph, x_TBD, _directions(layer, graph, 0, x_TBD, lengths_B), lengths_B)


def _recurrent_tokens(layer: RecurrentEncoder, graph: Graph, types_UD: str, lengths_B: str) -> str:
    index_BT = graph.input("index_BT", INT64, "B", "T")
    x_TBD = graph.node("Gather", types_UD, graph.node("Transpose", index_BT, perm=[1, 0]))
    first = [layer.ahead[0]] if layer.back is None else [layer.ahead[0], layer.back[0]]
    lstms = [one for one in first if isinstance(one, nn.LSTM)]
    if lstms:
        hidden_TBD = projected(graph, lstms, types_UD, index_BT, lengths_B)
    else:
        hidden_TBD = _directions(layer, graph, 0, x_TBD, lengths_B)
    return _stack(layer, graph, x_TBD, hidden_TBD, lengths_B)


def _directions(layer: RecurrentEncoder, graph: Graph, number: int, x_TBD: str, lengths_B: str) -> str:
    """What a layer makes in all its directions [T, B, output_dim]."""
    directions = [layer.ahead[number]] if layer.back is None else [layer.ahead[number], layer.back[number]]
    return recurrence(graph, directions, x_TBD, lengths_B)[0]


def _stack(layer: RecurrentEncoder, graph: Graph, x_TBD: str, hidden_TBD: str, lengths_B: str) -> str:
    """What comes after the first layer's hidden states: [B, T, output_dim]."""
    x_TBD = _after_layer(layer, graph, 0, hidden_TBD, x_TBD)
    for number in range(1, len(layer.ahead)):
        hidden_TBD = _directions(layer, graph, number, x_TBD, lengths_B)
        x_TBD = _after_layer(layer, graph, number, hidden_TBD, x_TBD)
    return _swap(graph, x_TBD)


@start_states.register
def _recurrent_start(layer: RecurrentEncoder) -> list[Tensor]:
    states = []
    for one in map(cell, layer.ahead):
        start_H = one.recurrent_GH.new_zeros(one.recurrent_GH.size(1)) if one.start_H is None else one.start_H
        states += [start_H.unsqueeze(0)] * (2 if one.operator == "LSTM" else 1)
    return states


@stream.register
def _recurrent_stream(
    layer: RecurrentEncoder, graph: Graph, x_BTD: str, states: Sequence[str]
) -> tuple[str, list[str]]:
    x_TBD = _swap(graph, x_BTD)
    width = len(states) // len(layer.ahead)
    after: list[str] = []
    for number, ahead in enumerate(layer.ahead):
        own = states[number * width : (number + 1) * width]
        hidden_TBD, _, own_after = recurrence(graph, [ahead], x_TBD, states=own)
        after += own_after
        x_TBD = _after_layer(layer, graph, number, hidden_TBD, x_TBD)
    return _swap(graph, x_TBD), after


@encode.register
def _window(layer: WindowEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_BTD = _masked(graph, x_BTD, lengths_B)
    window = _windows(graph, x_BTD, layer.left, layer.left + 1 + layer.right)
    return graph.node("Relu", linear(graph, layer.dense, window))


@start_states.register
def _window_start(layer: WindowEncoder) -> list[Tensor]:
    weight = layer.dense.weight.detach()
    return [weight.new_zeros(1, layer.left, weight.size(1) // (layer.left + 1))]


@stream.register
def _window_stream(layer: WindowEncoder, graph: Graph, x_BTD: str, states: Sequence[str]) -> tuple[str, list[str]]:
    length = graph.node("Shape", x_BTD, start=1, end=2)
    seen = graph.node("Concat", *states, x_BTD, axis=1)
    parts = [
        graph.node("Slice", seen, [offset], graph.node("Add", length, [offset]), [1])
        for offset in range(layer.left + 1)
    ]
    hidden_BTD = graph.node("Relu", linear(graph, layer.dense, graph.node("Concat", *parts, axis=-1)))
    return hidden_BTD, [graph.node("Slice", seen, length, graph.node("Shape", seen, start=1, end=2), [1])]


@encode.register
def _cnn(layer: CNNEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_BTD = _masked(graph, x_BTD, lengths_B)
    parts = [
        graph.node("Relu", linear(graph, filters, _windows(graph, x_BTD, (width - 1) // 2, width)))
        for width, filters in zip(layer.widths, layer.filters, strict=True)
    ]
    return graph.node("Concat", *parts, axis=-1)


@encode.register
def _bag(layer: BagEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_BTD = _masked(graph, x_BTD, lengths_B)
    mean_B1D = _mean(graph, x_BTD, _at_least_one(graph, lengths_B), keepdims=1)
    mean_BTD = graph.node("Expand", mean_B1D, graph.node("Shape", x_BTD))
    return graph.node("Relu", linear(graph, layer.dense, graph.node("Concat", x_BTD, mean_BTD, axis=-1)))


def _mean(graph: Graph, x_BTD: str, lengths_B: str, *, keepdims: int) -> str:
    """Mean over the lengths of what is zero past them."""
    total = graph.node("ReduceSum", x_BTD, [1], keepdims=keepdims)
    counts = graph.node("Unsqueeze", graph.node("Cast", lengths_B, to=FLOAT), [1, 2] if keepdims else [1])
    return graph.node("Div", total, counts)


# -- transformer


@encode.register
def _transformer(layer: TransformerEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    places_T = graph.node("Range", 0, graph.size(x_BTD, 1), 1)
    x_BTD = _placed(layer, graph, x_BTD, places_T)
    real_BT = real_positions(graph, lengths_B, x_BTD)
    penalty_B11T = _penalty(graph, graph.node("Unsqueeze", real_BT, [1, 2]))
    for block in _blocks(layer):
        q_BHTE, k_BHTE, v_BHTE = _project(block, graph, x_BTD, places_T)
        x_BTD = _attend(block, graph, x_BTD, q_BHTE, k_BHTE, v_BHTE, penalty_B11T)
    return norm(graph, layer.norm, x_BTD)


@start_states.register
def _transformer_start(layer: TransformerEncoder) -> list[Tensor]:
    heads = _blocks(layer)[0].heads
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
    penalty_TS = _penalty(graph, graph.node("LessOrEqual", graph.node("Range", 0, end, 1), places_T1))
    after: list[str] = []
    for number, block in enumerate(_blocks(layer)):
        q_BHTE, *own = _project(block, graph, x_BTD, places_T)
        k_BHSE, v_BHSE = (
            graph.node("Concat", before, now, axis=2)
            for before, now in zip(states[2 * number : 2 * number + 2], own, strict=True)
        )
        after += [k_BHSE, v_BHSE]
        x_BTD = _attend(block, graph, x_BTD, q_BHTE, k_BHSE, v_BHSE, penalty_TS)
    return norm(graph, layer.norm, x_BTD), after


def _blocks(layer: TransformerEncoder) -> list[Block]:
    return [block for block in layer.blocks if isinstance(block, Block)]


def _penalty(graph: Graph, visible: str) -> str:
    """What is added to a score: nothing where the position may be attended to."""
    return graph.node("Where", visible, 0.0, -math.inf)


def _angles(graph: Graph, places_T: str, size: int) -> str:
    """Angles [T, size / 2] of each pair of values."""
    rate = torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
    return graph.node("Mul", graph.node("Unsqueeze", graph.node("Cast", places_T, to=FLOAT), [1]), rate)


def _placed(layer: TransformerEncoder, graph: Graph, x_BTD: str, places_T: str) -> str:
    x_BTD = linear(graph, layer.project, x_BTD)
    if layer.kind == "sinusoidal":
        x_BTD = graph.node("Add", x_BTD, _sinusoids(graph, places_T, layer.output_dim))
    elif layer.learned is not None:
        # past the last learned position there is no better guess than that position
        places_T = graph.node("Min", places_T, layer.learned.num_embeddings - 1)
        x_BTD = graph.node("Add", x_BTD, graph.node("Gather", layer.learned.weight, places_T))
    return x_BTD


def _sinusoids(graph: Graph, places_T: str, dim: int) -> str:
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
    turned = [
        graph.node(operator, graph.node("Mul", even, one), graph.node("Mul", odd, other))
        for operator, one, other in (("Sub", cos, sin), ("Add", sin, cos))
    ]
    return _interleave(graph, *turned, [0, 0, 0, size])


def _project(layer: Block, graph: Graph, x_BTD: str, places_T: str) -> list[str]:
    """Queries, keys and values [B, H, T, E]; torch's layer holds them one after the other."""
    dim = layer.queries_keys_values.in_features
    size = dim // layer.heads
    joined = linear(graph, layer.queries_keys_values, norm(graph, layer.attention_norm, x_BTD))
    parts = graph.nodes_of("Split", joined, outputs=3, axis=2, num_outputs=3)
    made = [
        graph.node("Transpose", graph.node("Reshape", part, [0, 0, layer.heads, size]), perm=[0, 2, 1, 3])
        for part in parts
    ]
    if layer.rotary:
        made[:2] = [_rotate(graph, part, places_T, size) for part in made[:2]]
    return made


def _attend(layer: Block, graph: Graph, x_BTD: str, q_BHTE: str, k_BHSE: str, v_BHSE: str, penalty: str) -> str:
    dim = layer.queries_keys_values.in_features
    scaled = graph.node("Mul", q_BHTE, (dim // layer.heads) ** -0.5)
    scores_BHTS = graph.node("MatMul", scaled, graph.node("Transpose", k_BHSE, perm=[0, 1, 3, 2]))
    weights_BHTS = graph.node("Softmax", graph.node("Add", scores_BHTS, penalty), axis=-1)
    mixed_BTHE = graph.node("Transpose", graph.node("MatMul", weights_BHTS, v_BHSE), perm=[0, 2, 1, 3])
    mixed_BTD = linear(graph, layer.attention_output, graph.node("Reshape", mixed_BTHE, [0, 0, dim]))
    x_BTD = graph.node("Add", x_BTD, mixed_BTD)
    first, _, second = layer.feedforward
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    hidden = graph.node("Gelu", linear(graph, first, norm(graph, layer.feedforward_norm, x_BTD)))
    return graph.node("Add", x_BTD, linear(graph, second, hidden))


# -- pooling


@singledispatch
def pool(layer: nn.Module, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    """One vector [B, D] for a sequence of at least one position."""
    raise NotImplementedError(type(layer).__name__)


@pool.register
def _last(layer: LastPooling, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    ends_B1 = graph.node("Unsqueeze", graph.node("Sub", lengths_B, 1), [1])
    last_BD = graph.node("GatherND", hidden_BTD, ends_B1, batch_dims=1)
    if layer.ahead == layer.output_dim:
        return last_BD
    ahead = graph.node("Slice", last_BD, [0], [layer.ahead], [1])
    back = graph.node("Slice", graph.node("Gather", hidden_BTD, 0, axis=1), [layer.ahead], [layer.output_dim], [1])
    return graph.node("Concat", ahead, back, axis=-1)


@pool.register
def _mean_pooling(layer: MeanPooling, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    return _mean(graph, _masked(graph, hidden_BTD, lengths_B), lengths_B, keepdims=0)


@pool.register
def _max_pooling(layer: MaxPooling, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, hidden_BTD), [2])
    return graph.node("ReduceMax", graph.node("Where", real_BT1, hidden_BTD, -math.inf), [1], keepdims=0)


@pool.register
def _attention_pooling(layer: AttentionPooling, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    hidden_BTD = _masked(graph, hidden_BTD, lengths_B)
    scores_BT1 = linear(graph, layer.score, graph.node("Tanh", linear(graph, layer.hidden, hidden_BTD)))
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, hidden_BTD), [2])
    weights_BT1 = graph.node("Softmax", graph.node("Where", real_BT1, scores_BT1, -math.inf), axis=1)
    return graph.node("ReduceSum", graph.node("Mul", weights_BT1, hidden_BTD), [1], keepdims=0)


# -- heads


def _logits(head: nn.Module, graph: Graph, hidden: str) -> str:
    assert isinstance(head, SoftmaxHead | CRFHead | SigmoidHead)
    return linear(graph, head.output, hidden)


def _sequence_log_probs(network: SequenceClassifier, graph: Graph, lengths_B: str) -> str:
    inside_B = _at_least_one(graph, lengths_B)
    hidden_BTD = hidden_states(network.embedder, network.encoder, graph, inside_B)
    pooled_BD = pool(network.pooling, graph, hidden_BTD, positions(network.embedder, graph, inside_B))
    empty_B1 = graph.node("Unsqueeze", graph.node("Equal", lengths_B, 0), [1])
    logits_BK = _logits(network.head, graph, graph.node("Where", empty_B1, 0.0, pooled_BD))
    if isinstance(network.head, SigmoidHead):  # ln sigmoid(x) = -softplus(-x)
        return graph.node("Neg", graph.node("Softplus", graph.node("Neg", logits_BK)))
    return graph.node("LogSoftmax", logits_BK, axis=-1)


def _next_log_probs(head: nn.Module, graph: Graph, hidden_ND: str) -> str:
    """ln p of each row of the vocabulary [N, V]."""
    if not isinstance(head, AdaptiveHead):
        assert isinstance(head, SoftmaxHead)
        logits_NV = graph.node("Gemm", hidden_ND, head.output.weight, head.output.bias, transB=1)
        return graph.node("LogSoftmax", logits_NV, axis=-1)
    softmax = head.softmax
    first = graph.node("LogSoftmax", linear(graph, softmax.head, hidden_ND), axis=-1)
    frequent = softmax.shortlist_size
    parts = [graph.node("Slice", first, [0], [frequent], [1])]
    for number, tail in enumerate(softmax.tail):
        shrunk, output = tail.children()
        assert isinstance(shrunk, nn.Linear)
        assert isinstance(output, nn.Linear)
        within = graph.node("LogSoftmax", linear(graph, output, linear(graph, shrunk, hidden_ND)), axis=-1)
        cluster = graph.node("Slice", first, [frequent + number], [frequent + number + 1], [1])
        parts.append(graph.node("Add", within, cluster))
    return graph.node("Concat", *parts, axis=-1)
