"""The layers of `seqcli.models` as ONNX nodes: one small function a class of layer.

Shapes: B sequences, T positions, D values, K labels, U different tokens, C characters, V rows of the vocabulary, N
positions whose distribution is wanted.
A value is given by its name. Nothing is dropped at inference, so dropout is not written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from seqcli.data.batch import affix_table
from seqcli.engines import onnx_transformer  # noqa: F401 - registers its encoder
from seqcli.engines.graph import FLOAT, INT64, Graph
from seqcli.engines.onnx_decoders import Sized, begin, read
from seqcli.engines.onnx_parts import (
    at_least_one,
    encode,
    linear,
    masked,
    mean,
    pool,
    real_positions,
    start_states,
    stream,
    swap,
    windows,
)
from seqcli.engines.onnx_recurrent import encode_tokens, recurrence, stream_words
from seqcli.models.characters import CharacterCNN, CharacterLSTM
from seqcli.models.classifier import EnsembleClassifier, SequenceClassifier
from seqcli.models.convolution import ConvolutionEmbedder
from seqcli.models.ctc import CTCHead, JointTranscriber, Transcriber
from seqcli.models.embedders import OneHotEmbedder, TokenEmbedder
from seqcli.models.encoder_decoder import SOURCE, EncoderDecoder, NoEncoder
from seqcli.models.frames import FrameCNN, FrameEmbedder, ScaledFrames, VectorEmbedder
from seqcli.models.heads import CRFHead, SigmoidHead, SoftmaxHead
from seqcli.models.labeller import EnsembleLabeller, Labeller
from seqcli.models.language import AdaptiveHead, LanguageModel
from seqcli.models.layers import only
from seqcli.models.local import BagEncoder, CNNEncoder, WindowEncoder
from seqcli.models.network import Network
from seqcli.models.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from seqcli.models.recurrent import RecurrentEncoder

# -- whole networks


@singledispatch
def export(network: Network) -> onnx.ModelProto:
    """The graph of a network at inference."""
    raise NotImplementedError(type(network).__name__)


@export.register
def export_labeller(network: Labeller | EnsembleLabeller) -> onnx.ModelProto:
    """A label for each position: ``logits_BTK``, of several networks the mean of theirs.

    Of a CRF these are the emissions, and ``transitions_KK``, ``start_K``, ``end_K`` are constants of the model.
    """
    graph = Graph()
    lengths_B = graph.input("lengths_B", INT64, "B")
    networks = network.networks() if isinstance(network, EnsembleLabeller) else [network]
    members = [_position_logits(one, graph, lengths_B) for one in networks]
    graph.output("logits_BTK", graph.node("Mean", *members) if len(members) > 1 else members[0], "B", "T", "K")
    if heads := only(CRFHead, (one.head for one in networks)):
        each = [[score.detach().cpu().numpy() for score in head.scores()] for head in heads]
        for name, scores in zip(("transitions_KK", "start_K", "end_K"), zip(*each, strict=True), strict=True):
            graph.constants[name] = np.mean(scores, axis=0)
    return graph.model()


def _position_logits(network: Labeller, graph: Graph, lengths_B: str) -> str:
    embedder, encoder, head = network.embedder, network.encoder, network.head
    if isinstance(embedder, TokenEmbedder) and isinstance(encoder, RecurrentEncoder):
        hidden_TBD = encode_tokens(encoder, graph, *token_types(embedder, graph), lengths_B)
        return swap(graph, logits(head, graph, hidden_TBD))
    return logits(head, graph, hidden_states(embedder, encoder, graph, lengths_B))


@export.register
def export_classifier(network: SequenceClassifier | EnsembleClassifier) -> onnx.ModelProto:
    """Label(s) for a sequence: ``log_probs_BK``, of several networks the log of their mean probability."""
    graph = Graph()
    lengths_B = graph.input("lengths_B", INT64, "B")
    networks = network.networks() if isinstance(network, EnsembleClassifier) else [network]
    members = [_sequence_log_probs(one, graph, lengths_B) for one in networks]
    log_probs_BK = members[0]
    if len(members) > 1:
        stacked = graph.node("Concat", *(graph.node("Unsqueeze", one, [0]) for one in members), axis=0)
        total = graph.node("ReduceLogSumExp", stacked, [0], keepdims=0)
        log_probs_BK = graph.node("Sub", total, math.log(len(members)))
    graph.output("log_probs_BK", log_probs_BK, "B", "K")
    return graph.model()


@export.register
def export_transcriber(network: Transcriber) -> onnx.ModelProto:
    """A unit or a blank for each position: ``log_probs_BSV``, zero past the positions, and ``positions_B`` (float32)."""
    graph = Graph()
    lengths_B = graph.input("lengths_B", INT64, "B")
    hidden_BSD = hidden_states(network.embedder, network.encoder, graph, lengths_B)
    graph.sizes[network.predicts] = network.head.output.out_features
    _heard(network.head, graph, hidden_BSD, positions(network.embedder, graph, lengths_B))
    return graph.model()


def _heard(head: CTCHead, graph: Graph, hidden_BSD: str, positions_B: str) -> None:
    """Give out `CTCHead.outputs`."""
    log_probs_BSV = graph.node("LogSoftmax", linear(graph, head.output, hidden_BSD), axis=-1)
    graph.output("log_probs_BSV", masked(graph, log_probs_BSV, positions_B), "B", "S", head.output.out_features)
    graph.output("positions_B", graph.node("Cast", positions_B, to=FLOAT), "B")


@export.register
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
    hidden_BTD, after = _stream(model.embedder, model.encoder, graph, words_BT, states)
    project = model.project if isinstance(model.project, nn.Linear) else None
    graph.sizes["words"] = model.words.num_embeddings
    _next_tokens(model.head, graph, hidden_BTD, model.encoder.output_dim, graph.sizes["words"], project)
    for number, (state, start) in enumerate(zip(after, start_states(model.encoder), strict=True)):
        graph.output(f"after_{number}", state, "B", *(size or f"A{number}" for size in start.shape[1:]))
    return graph.model()


def export_encoder_decoder(network: EncoderDecoder) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """What reads a source, and what reads tokens of its target.

    The first: its embedder's inputs and ``lengths_B`` -> ``kept_0``, ... (what the decoder keeps of the source) and
    ``state_0``, ... (states to begin with); with CTC beside the decoder ``log_probs_BSV`` and ``positions_B`` too. The second: these, ``words_BT``, ``places_N`` and ``targets_N`` ->
    ``log_probs_NV``, ``chosen_N`` and ``after_0``, ... as in `export_language_model`; with attention also ``seen_BS``,
    where the last token looked.
    """
    encoder, decoder = network.encoder, network.decoder
    graph = Graph()
    lengths_B = graph.input("lengths_B", INT64, "B")
    embedder = network.embedder
    if isinstance(embedder, TokenEmbedder) and embedder.words is not None:
        graph.sizes[SOURCE] = embedder.words.num_embeddings
        x_BSD = embed_words(embedder, graph, graph.input("words_BT", INT64, "B", "S"))
    else:
        x_BSD = embed(embedder, graph, lengths_B)
    lengths_B = positions(embedder, graph, lengths_B)
    encoded = Sized(encode(encoder, graph, x_BSD, lengths_B), ("B", "S", encoder.output_dim))
    if isinstance(network, JointTranscriber):
        _heard(network.ctc, graph, encoded.value, lengths_B)
    kept, states = begin(decoder, graph, encoded, lengths_B)
    for name, made in (("kept", kept), ("state", states)):
        for number, one in enumerate(made):
            graph.output(f"{name}_{number}", one.value, *one.shape)

    step = Graph()
    words_BT = step.input("words_BT", INT64, "B", "T")
    kept_names, state_names = (
        [step.input(f"{name}_{number}", FLOAT, *one.shape) for number, one in enumerate(made)]
        for name, made in (("kept", kept), ("state", states))
    )
    found = read(decoder, step, embed_words(network.target_embedder, step, words_BT), kept_names, state_names)
    _next_tokens(network.head, step, found.hidden_BTD, decoder.output_dim, network.words.num_embeddings)
    for number, (value, state) in enumerate(zip(found.states, states, strict=True)):
        step.output(f"after_{number}", value, *("A" if size == "P" else size for size in state.shape))
    if found.seen_BS is not None:
        step.output("seen_BS", found.seen_BS, "B", "S")
    step.sizes[network.target_table] = network.words.num_embeddings
    return graph.model(), step.model()


FEW_WORDS, LARGE_STATE = 512, 256
"""A vocabulary so small (characters) and a state so large that tables of gates pay: a loop of nodes has its own cost."""


def _stream(
    embedder: TokenEmbedder, encoder: nn.Module, graph: Graph, words_BT: str, states: Sequence[str]
) -> tuple[str, list[str]]:
    """``(hidden states [B, T, D], states to read on from)``."""
    assert embedder.words is not None
    vectors_VD = embedder.words.weight.detach() * embedder.scale
    if (
        isinstance(encoder, RecurrentEncoder)
        and isinstance(encoder.ahead[0], nn.LSTM)
        and len(vectors_VD) <= FEW_WORDS
        and encoder.output_dim >= LARGE_STATE
    ):
        return stream_words(encoder, graph, vectors_VD, words_BT, states)
    return stream(encoder, graph, embed_words(embedder, graph, words_BT), states)


def hidden_states(embedder: nn.Module, encoder: nn.Module, graph: Graph, lengths_B: str) -> str:
    """Embedder and encoder: vectors [B, T, D]."""
    if isinstance(embedder, TokenEmbedder) and isinstance(encoder, RecurrentEncoder):
        return swap(graph, encode_tokens(encoder, graph, *token_types(embedder, graph), lengths_B))
    return encode(encoder, graph, embed(embedder, graph, lengths_B), positions(embedder, graph, lengths_B))


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
    return graph.node("Gather", *token_types(layer, graph))


@embed.register
def _one_hot(layer: OneHotEmbedder, graph: Graph, lengths_B: str) -> str:
    graph.sizes["words"] = words = layer.output_dim + 1
    values = graph.constant(np.array([0, 1], np.float32))
    types_UV = graph.node("OneHot", graph.input("words_U", INT64, "U"), words, values)
    types_UD = graph.node("Slice", types_UV, [1], [words], [1])
    return graph.node("Gather", types_UD, graph.input("index_BT", INT64, "B", "T"))


def token_types(layer: TokenEmbedder, graph: Graph) -> tuple[str, str]:
    """``(vectors [U, D] of the different tokens, the row of each position [B, T])``."""
    words_U = graph.input("words_U", INT64, "U")
    parts = []
    if layer.words is not None:
        graph.sizes["words"] = layer.words.num_embeddings
        parts.append(graph.node("Gather", layer.words.weight, words_U))
    if layer.characters is not None:
        graph.sizes["characters"] = layer.characters.embedding.num_embeddings
        parts.append(spell(layer.characters, graph, graph.input("characters_UC", INT64, "U", "C")))
    for column, table in enumerate(only(nn.Embedding, layer.affixes)):
        graph.sizes[affix_table(column)] = table.num_embeddings
        affixes_U = graph.node("Gather", graph.input("affixes_UA", INT64, "U", len(layer.affixes)), column, axis=1)
        parts.append(graph.node("Gather", table.weight, affixes_U))
    types_UD = graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]
    padding_U1 = graph.node("Unsqueeze", graph.node("Equal", words_U, 0), [1])
    return graph.node("Where", padding_U1, 0.0, types_UD), graph.input("index_BT", INT64, "B", "T")


@embed.register
def _vector(layer: VectorEmbedder, graph: Graph, lengths_B: str) -> str:
    graph.sizes["channels"] = len(layer.mean_D)
    vector_BD = graph.input("vector_BD", FLOAT, "B", len(layer.mean_D))
    x_BD = graph.node("Div", graph.node("Sub", vector_BD, layer.mean_D), layer.deviation_D)
    x_BD = linear(graph, layer.projection, x_BD)
    if layer.activation is not None:
        x_BD = graph.node("Relu", x_BD)
    return graph.node("Unsqueeze", x_BD, [1])


def _scaled(layer: ScaledFrames, graph: Graph, lengths_B: str) -> str:
    graph.sizes["channels"] = len(layer.mean_D)
    frames_BTD = graph.input("frames_BTD", FLOAT, "B", "T", len(layer.mean_D))
    x_BTD = graph.node("Div", graph.node("Sub", frames_BTD, layer.mean_D), layer.deviation_D)
    if layer.masked:
        missing_BTD = graph.node("IsNaN", frames_BTD)
        x_BTD = graph.node("Where", missing_BTD, 0.0, x_BTD)
        x_BTD = graph.node("Concat", x_BTD, graph.node("Cast", missing_BTD, to=FLOAT), axis=-1)
    return masked(graph, x_BTD, lengths_B)


@embed.register
def _frames(layer: FrameEmbedder, graph: Graph, lengths_B: str) -> str:
    x_BTD = _scaled(layer, graph, lengths_B)
    x_BTD = windows(graph, x_BTD, (layer.kernel - 1) // 2, layer.kernel, layer.stride)
    x_BTD = linear(graph, layer.projection, x_BTD)
    if layer.activation is not None:
        x_BTD = graph.node("Relu", x_BTD)
    return masked(graph, x_BTD, positions(layer, graph, lengths_B))


@embed.register
def _frame_cnn(layer: FrameCNN, graph: Graph, lengths_B: str) -> str:
    x_BTD = windows(graph, _scaled(layer, graph, lengths_B), 0, 1, layer.stride)
    batch = graph.node("Shape", x_BTD, start=0, end=2)
    x_PCHW = graph.node("Reshape", x_BTD, [-1, layer.planes, layer.height, layer.width])
    for one in layer.convolutions():
        pads = [*one.padding, *one.padding]
        assert one.bias is not None
        x_PCHW = graph.node("Relu", graph.node("Conv", x_PCHW, one.weight, one.bias, strides=[2, 2], pads=pads))
    x_PD = graph.node("Relu", linear(graph, layer.dense, graph.node("Flatten", x_PCHW, axis=1)))
    x_BTD = graph.node("Reshape", x_PD, graph.node("Concat", batch, [-1], axis=0))
    return masked(graph, x_BTD, positions(layer, graph, lengths_B))


@positions.register(FrameEmbedder)
@positions.register(FrameCNN)
def _frame_positions(layer: FrameEmbedder | FrameCNN, graph: Graph, lengths_B: str) -> str:
    if layer.stride == 1:
        return lengths_B
    return graph.node("Div", graph.node("Add", lengths_B, layer.stride - 1), layer.stride)


@embed.register
def _convolution(layer: ConvolutionEmbedder, graph: Graph, lengths_B: str) -> str:
    x_BTD = _scaled(layer, graph, lengths_B)
    left, right = (layer.kernel - 1) // 2, layer.kernel // 2
    pads = [left, right] if layer.flat else [left, left, right, right]
    x = graph.node("Transpose", x_BTD, perm=[0, 2, 1]) if layer.flat else graph.node("Unsqueeze", x_BTD, [1])
    for one, stride in zip(layer.convolutions(), layer.strides, strict=True):
        real_BT = real_positions(graph, lengths_B, x, axis=2)
        x = graph.node("Where", graph.node("Unsqueeze", real_BT, [1] if layer.flat else [1, 3]), x, 0.0)
        strides = [stride] if layer.flat else [stride, 2]
        assert one.bias is not None
        x = graph.node("Relu", graph.node("Conv", x, one.weight, one.bias, pads=pads, strides=strides))
        if stride > 1:
            lengths_B = graph.node("Div", graph.node("Add", lengths_B, stride - 1), stride)
    x_BTD = graph.node("Transpose", x, perm=[0, 2, 1] if layer.flat else [0, 2, 1, 3])
    if not layer.flat:
        x_BTD = graph.node("Reshape", x_BTD, [0, 0, layer.projection.in_features])
    return masked(graph, linear(graph, layer.projection, x_BTD), lengths_B)


@positions.register
def _convolution_positions(layer: ConvolutionEmbedder, graph: Graph, lengths_B: str) -> str:
    for stride in layer.strides:
        if stride > 1:
            lengths_B = graph.node("Div", graph.node("Add", lengths_B, stride - 1), stride)
    return lengths_B


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
    length = graph.node("Shape", characters_UC, start=1, end=2)
    first_U1 = graph.node("Greater", graph.node("Slice", characters_UC, [0], [1], [1]), 0)
    parts = []
    for width, filters in zip(layer.widths, only(nn.Linear, layer.filters), strict=True):
        # what each character adds at each offset of a filter is known now: the convolution is a sum of looked-up rows
        weight_FWE = filters.weight.detach().view(-1, width, layer.embedding.embedding_dim)
        tables_WCF = torch.einsum("ce,fwe->wcf", layer.embedding.weight.detach(), weight_FWE)
        tables_WCF[(width - 1) // 2, 0] = -math.inf  # around padding there is nothing to be found
        padded = graph.node("Pad", characters_UC, [0, (width - 1) // 2, 0, width // 2])
        rows = [
            graph.node(
                "Gather", table_CF, graph.node("Slice", padded, [offset], graph.node("Add", length, [offset]), [1])
            )
            for offset, table_CF in enumerate(tables_WCF)
        ]
        scores_UCF = graph.node("Sum", *rows)
        best_UF = graph.node("ReduceMax", scores_UCF, [1], keepdims=0)
        parts.append(graph.node("Where", first_U1, graph.node("Add", best_UF, filters.bias), 0.0))
    return graph.node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]


@spell.register
def _character_lstm(layer: CharacterLSTM, graph: Graph, characters_UC: str) -> str:
    real_UC = graph.node("Cast", graph.node("Greater", characters_UC, 0), to=INT64)
    lengths_U = graph.node("ReduceSum", real_UC, [1], keepdims=0)
    x_UCE = graph.node("Gather", layer.embedding.weight, characters_UC)
    directions = [layer.forward_lstm, layer.backward_lstm]
    _, last, _ = recurrence(graph, directions, swap(graph, x_UCE), at_least_one(graph, lengths_U))
    vectors_UD = graph.node("Reshape", swap(graph, last), [0, layer.output_dim])
    empty_U1 = graph.node("Unsqueeze", graph.node("Equal", lengths_U, 0), [1])
    return graph.node("Where", empty_U1, 0.0, vectors_UD)


# -- encoders that see a few neighbours, or no order


@encode.register
def _window(layer: WindowEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_BTD = masked(graph, x_BTD, lengths_B)
    window = windows(graph, x_BTD, layer.left, layer.left + 1 + layer.right)
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
    x_BTD = masked(graph, x_BTD, lengths_B)
    parts = [
        graph.node("Relu", linear(graph, filters, windows(graph, x_BTD, (width - 1) // 2, width)))
        for width, filters in zip(layer.widths, only(nn.Linear, layer.filters), strict=True)
    ]
    return graph.node("Concat", *parts, axis=-1)


@encode.register
def _bag(layer: BagEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    x_BTD = masked(graph, x_BTD, lengths_B)
    mean_B1D = mean(graph, x_BTD, at_least_one(graph, lengths_B), keepdims=1)
    mean_BTD = graph.node("Expand", mean_B1D, graph.node("Shape", x_BTD))
    return graph.node("Relu", linear(graph, layer.dense, graph.node("Concat", x_BTD, mean_BTD, axis=-1)))


@encode.register
def _no_encoder(layer: NoEncoder, graph: Graph, x_BTD: str, lengths_B: str) -> str:
    return x_BTD


# -- pooling


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
    return mean(graph, masked(graph, hidden_BTD, lengths_B), lengths_B, keepdims=0)


@pool.register
def _max_pooling(layer: MaxPooling, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, hidden_BTD), [2])
    return graph.node("ReduceMax", graph.node("Where", real_BT1, hidden_BTD, -math.inf), [1], keepdims=0)


@pool.register
def _attention_pooling(layer: AttentionPooling, graph: Graph, hidden_BTD: str, lengths_B: str) -> str:
    hidden_BTD = masked(graph, hidden_BTD, lengths_B)
    scores_BT1 = linear(graph, layer.score, graph.node("Tanh", linear(graph, layer.hidden, hidden_BTD)))
    real_BT1 = graph.node("Unsqueeze", real_positions(graph, lengths_B, hidden_BTD), [2])
    weights_BT1 = graph.node("Softmax", graph.node("Where", real_BT1, scores_BT1, -math.inf), axis=1)
    return graph.node("ReduceSum", graph.node("Mul", weights_BT1, hidden_BTD), [1], keepdims=0)


# -- heads


def logits(head: nn.Module, graph: Graph, hidden: str) -> str:
    assert isinstance(head, SoftmaxHead | CRFHead | SigmoidHead)
    graph.sizes["labels"] = head.output.out_features
    return linear(graph, head.output, hidden)


def _sequence_log_probs(network: SequenceClassifier, graph: Graph, lengths_B: str) -> str:
    inside_B = at_least_one(graph, lengths_B)
    hidden_BTD = hidden_states(network.embedder, network.encoder, graph, inside_B)
    pooled_BD = pool(network.pooling, graph, hidden_BTD, positions(network.embedder, graph, inside_B))
    empty_B1 = graph.node("Unsqueeze", graph.node("Equal", lengths_B, 0), [1])
    logits_BK = logits(network.head, graph, graph.node("Where", empty_B1, 0.0, pooled_BD))
    if isinstance(network.head, SigmoidHead):  # ln sigmoid(x) = -softplus(-x)
        return graph.node("Neg", graph.node("Softplus", graph.node("Neg", logits_BK)))
    return graph.node("LogSoftmax", logits_BK, axis=-1)


def _next_tokens(
    head: nn.Module, graph: Graph, hidden_BTD: str, dim: int, words: int, project: nn.Linear | None = None
) -> None:
    """Give out ln p of the tokens after the positions ``places_N``: all of them, and those of ``targets_N``."""
    hidden_ND = graph.node("Gather", graph.node("Reshape", hidden_BTD, [-1, dim]), graph.input("places_N", INT64, "N"))
    if project is not None:
        hidden_ND = linear(graph, project, hidden_ND)
    log_probs_NV = _next_log_probs(head, graph, hidden_ND)
    targets_N1 = graph.node("Unsqueeze", graph.input("targets_N", INT64, "N"), [1])
    chosen_N = graph.node("Squeeze", graph.node("GatherElements", log_probs_NV, targets_N1, axis=1), [1])
    graph.output("log_probs_NV", log_probs_NV, "N", words)
    graph.output("chosen_N", chosen_N, "N")


def _next_log_probs(head: nn.Module, graph: Graph, hidden_ND: str) -> str:
    """ln p of each row of the vocabulary [N, V]."""
    if not isinstance(head, AdaptiveHead):
        assert isinstance(head, SoftmaxHead)
        bias = [] if head.output.bias is None else [head.output.bias]
        logits_NV = graph.node("Gemm", hidden_ND, head.output.weight, *bias, transB=1)
        return graph.node("LogSoftmax", logits_NV, axis=-1)
    softmax = head.softmax
    first = graph.node("LogSoftmax", linear(graph, softmax.head, hidden_ND), axis=-1)
    frequent = softmax.shortlist_size
    parts = [graph.node("Slice", first, [0], [frequent], [1])]
    for number, tail in enumerate(softmax.tail):
        shrunk, output = only(nn.Linear, tail.children())
        within = graph.node("LogSoftmax", linear(graph, output, linear(graph, shrunk, hidden_ND)), axis=-1)
        cluster = graph.node("Slice", first, [frequent + number], [frequent + number + 1], [1])
        parts.append(graph.node("Add", within, cluster))
    return graph.node("Concat", *parts, axis=-1)
