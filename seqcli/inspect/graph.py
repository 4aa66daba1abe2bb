"""A network unrolled over the positions of a sequence: nodes for its vectors, arrows for what they are made of.

A recurrent layer is one cell that is run again at every position, with the same weights:

    h_t = tanh(U x_t + V h_{t-1} + b)        y_t = softmax(W h_t + c)

so its arrows bear the same letters everywhere: those of `seqcli.inspect.layers`. On the way back the arrows between
positions are turned round. Attention is drawn as thin lines from every position that is looked at.
Coordinates: x is the position, y the row, upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from seqcli.inspect.layers import Layer, layers
from seqcli.models.cells import PeepholeLSTM, PlainRNN
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.ctc import CTCHead
from seqcli.models.decoders import RecurrentDecoder
from seqcli.models.embedders import OneHotEmbedder, TokenEmbedder
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.ensemble import Ensemble
from seqcli.models.forecaster import Forecaster, StepwiseForecaster
from seqcli.models.heads import CRFHead, SigmoidHead
from seqcli.models.imputer import Imputer
from seqcli.models.language import LanguageModel
from seqcli.models.layers import Embedder, Encoder
from seqcli.models.local import BagEncoder, CNNEncoder, WindowEncoder
from seqcli.models.network import Network
from seqcli.models.pooling import AttentionPooling, LastPooling, MaxPooling
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.models.scratch import ScratchGRU, ScratchLSTM, ScratchRNN
from seqcli.models.transformer import TransformerEncoder

STEPS = 3
"""Steps of a decoder that are drawn."""


@dataclass(frozen=True)
class Node:
    """A vector at a position. ``kind``: input, vector, state, output or context."""

    key: str
    text: str
    x: float
    y: float
    kind: str


@dataclass(frozen=True)
class Edge:
    """What a vector is made of; ``weight`` is the letter of the matrix between them. ``kind``: up, ahead, back, look."""

    start: str
    end: str
    weight: str
    kind: str


@dataclass(frozen=True)
class Row:
    """What stands in a row, and its place: to the left of the encoder, or to the right of the decoder."""

    y: float
    text: str
    side: str = "left"


@dataclass
class Unrolled:
    """A network over the positions of a sequence.

    Attributes:
        tokens: what stands below the positions.
        equations: what the letters on the arrows mean.
    """

    tokens: tuple[str, ...]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)

    def add(self, key: str, text: str, x: float, y: float, kind: str) -> str:
        self.nodes.append(Node(key, text, x, y, kind))
        return key

    def join(self, start: str, end: str, weight: str = "", kind: str = "up") -> None:
        self.edges.append(Edge(start, end, weight, kind))


def unrolled(network: Network, tokens: Sequence[str]) -> Unrolled:
    """The graph of a network over some tokens (or the names of frames); of an ensemble that of its first member."""
    if isinstance(network, Ensemble):
        network = network.networks()[0]
    graph = Unrolled(tuple(tokens))
    letters = _letters(layers(network))
    embedder, encoder = network.get_submodule("embedder"), network.get_submodule("encoder")
    assert isinstance(embedder, Embedder)
    assert isinstance(encoder, Encoder)
    vectors = _inputs(graph, embedder, tokens)
    states, top, read = _encoder(graph, encoder, vectors, letters, causal=isinstance(network, LanguageModel))
    if isinstance(network, EncoderDecoder | StepwiseForecaster):
        _decoder(graph, network, states, letters)
    elif isinstance(network, SequenceClassifier):
        _pooled(graph, network, states, top, read, letters)
    elif isinstance(network, Forecaster):
        _forecast(graph, network, states, top, read)
    else:
        _outputs(graph, network, states, top, read, letters)
    return graph


Letters = dict[str, dict[str, str]]


def _letters(table: list[Layer]) -> Letters:
    """Of each layer its weights' letters by the first of them: ``{"encoder.ahead.0": {"U": "U1", ...}}``."""
    return {one.name: {weight.name[0]: weight.name for weight in one.weights} for one in table}


# -- what is read


def _inputs(graph: Unrolled, embedder: Embedder, tokens: Sequence[str]) -> list[str]:
    words = isinstance(embedder, TokenEmbedder | OneHotEmbedder)
    keys = [graph.add(f"x{t}", f"x{_sub(t + 1)}", t, 0, "input") for t in range(len(tokens))]
    if isinstance(embedder, OneHotEmbedder):
        graph.rows.append(Row(0, f"one-hot, {embedder.output_dim}"))
        graph.equations.append("x_t: zeros, and a 1 at the row of the word")
        return keys
    graph.rows.append(Row(0, "tokens" if words else "what is read"))
    graph.rows.append(Row(1, f"{'vectors' if words else 'projected'}, {embedder.output_dim}"))
    parts = ["E"]
    if isinstance(embedder, TokenEmbedder):
        parts = ["E"] * (embedder.words is not None)
        parts += ["characters"] * (embedder.characters is not None) + ["affixes"] * (len(embedder.affixes) > 0)
        made = "the row of the token in E" if parts == ["E"] else f"[{'; '.join(parts)}] of the token, side by side"
        graph.equations.append(f"e_t = {made}")
    else:
        graph.equations.append(f"e_t = {type(embedder).__name__}(x_t)")
    vectors = []
    for t, key in enumerate(keys):
        vectors.append(graph.add(f"e{t}", f"e{_sub(t + 1)}", t, 1, "vector"))
        graph.join(key, vectors[-1], parts[0] if words and parts == ["E"] else "")
    return vectors


# -- encoders


def _encoder(
    graph: Unrolled, encoder: Encoder, below: list[str], letters: Letters, *, causal: bool
) -> tuple[list[list[str]], float, str]:
    """``(for each position the nodes that a reader of it reads, the next free row, what they are called)``."""
    y = max(node.y for node in graph.nodes) + 1
    if isinstance(encoder, RecurrentEncoder):
        return _recurrent(graph, encoder, [[one] for one in below], y, letters)
    name = "x" if y == 1 else "e"
    if isinstance(encoder, TransformerEncoder):
        for number in range(len(encoder.blocks)):
            above = [
                graph.add(f"h{number}.{t}", f"h{number + 1}{_sub(t + 1)}", t, y, "state") for t in range(len(below))
            ]
            for t, end in enumerate(above):
                for s, start in enumerate(below[: t + 1] if causal else below):
                    graph.join(start, end, "", "up" if s == t else "look")
            graph.rows.append(Row(y, f"h{number + 1}: attention, {encoder.output_dim}"))
            before = f"h{number}" if number else name
            seen = "s <= t" if causal else "all s"
            graph.equations.append(f"h{number + 1}_t = block(attention of {before}_t to {before}_s, {seen})")
            below, y = above, y + 1
        return [[one] for one in below], y, f"h{len(encoder.blocks)}"
    if isinstance(encoder, WindowEncoder | CNNEncoder | BagEncoder):
        left, right, what = _reach(encoder, len(below), causal=causal)
        above = [graph.add(f"h.{t}", f"h{_sub(t + 1)}", t, y, "state") for t in range(len(below))]
        for t, end in enumerate(above):
            for s, start in enumerate(below):
                if t - left <= s <= t + right:
                    graph.join(start, end, "", "up" if s == t else "look")
        graph.rows.append(Row(y, f"h: {what}, {encoder.output_dim}"))
        graph.equations.append(f"h_t = relu({what} of {name})")
        return [[one] for one in above], y + 1, "h"
    return [[one] for one in below], y, name


def _reach(encoder: WindowEncoder | CNNEncoder | BagEncoder, length: int, *, causal: bool) -> tuple[int, int, str]:
    """Neighbours that a position sees to its left and right, and what that is."""
    if isinstance(encoder, WindowEncoder):
        right = 0 if causal else encoder.right
        return encoder.left, right, f"window of {encoder.left} + 1 + {right}"
    if isinstance(encoder, CNNEncoder):
        widest = max(encoder.widths)
        return (widest - 1) // 2, widest - 1 - (widest - 1) // 2, f"filters of {', '.join(map(str, encoder.widths))}"
    return length, length, "mean"


def _recurrent(
    graph: Unrolled, encoder: RecurrentEncoder, below: list[list[str]], y: float, letters: Letters
) -> tuple[list[list[str]], float, str]:
    name = "x" if y == 1 else "e"
    for number, layer in enumerate(encoder.ahead):
        own, size = letters[f"encoder.ahead.{number}"], _size(layer)
        state = f"h{number + 1}"
        ahead = _chain(graph, below, y, state, own, back=False)
        graph.rows.append(Row(y, f"{state}: {_cell(layer)}, {size}"))
        graph.equations.append(_equation(layer, state, name, own, back=False))
        above = [[one] for one in ahead]
        if encoder.back is not None:
            y, own = y + 1, letters[f"encoder.back.{number}"]
            behind = _chain(graph, below, y, f"{state}'", own, back=True)
            graph.rows.append(Row(y, f"{state}': {_cell(layer)} back, {size}"))
            graph.equations.append(_equation(layer, f"{state}'", name, own, back=True))
            above = [[one, other] for one, other in zip(ahead, behind, strict=True)]
        name = f"[{state}; {state}']" if encoder.back is not None else state
        below, y = above, y + 1
    return below, y, name


def _chain(
    graph: Unrolled, below: list[list[str]], y: float, state: str, own: dict[str, str], *, back: bool
) -> list[str]:
    """A recurrent layer, one way: its states, what they read and the arrows from one to the next."""
    keys = [graph.add(f"{state}.{t}", f"{state}{_sub(t + 1)}", t, y, "state") for t in range(len(below))]
    for t, (key, starts) in enumerate(zip(keys, below, strict=True)):
        for start in starts if "U" in own else ():
            graph.join(start, key, own["U"])
        before = t + 1 if back else t - 1
        if 0 <= before < len(keys):
            graph.join(keys[before], key, own["V"], "back" if back else "ahead")
    return keys


def _size(layer: nn.Module) -> int:
    sizes = {PeepholeLSTM: "recurrent.in_features", PlainRNN: "recurrent.in_features"}
    if type(layer) in sizes:
        return int(layer.get_submodule("recurrent").in_features)  # type: ignore[arg-type]
    return int(layer.hidden_size if isinstance(layer, nn.RNNBase) else layer.dim)  # type: ignore[arg-type]


def _cell(layer: nn.Module) -> str:
    if isinstance(layer, nn.LSTM | PeepholeLSTM | ScratchLSTM):
        return "LSTM"
    return "GRU" if isinstance(layer, nn.GRU | ScratchGRU) else "RNN"


def _equation(layer: nn.Module, state: str, read: str, own: dict[str, str], *, back: bool) -> str:
    """``h1_t = tanh(U1 e_t + V1 h1_{t-1} + b1)``, and of cells with gates that they are such cells."""
    before = f"{state}_{{t{'+' if back else '-'}1}}"
    parts = [f"{own['U']} {read}{'' if read.endswith('}]') else '_t'}"] if "U" in own else []
    total = " + ".join([*parts, f"{own['V']} {before}", *([own["b"]] if "b" in own else [])])
    kind = _cell(layer)
    if kind == "LSTM":
        memory = state.replace("h", "s").replace("d", "m")
        return f"{state}_t, {memory}_t = LSTM({total}; {memory}_{{t{'+' if back else '-'}1}})"
    if kind == "GRU":
        return f"{state}_t = GRU({total})"
    activation = "tanh"
    if isinstance(layer, nn.RNN):
        activation = layer.nonlinearity
    elif isinstance(layer, PlainRNN):
        name = getattr(layer.activation, "__name__", "")
        activation = name if name in ("tanh", "relu") else ""
    assert isinstance(layer, nn.RNN | PlainRNN | ScratchRNN)
    return f"{state}_t = {activation}({total})" if activation else f"{state}_t = {total}"


# -- what is said


def _head(network: Network, letters: Letters) -> tuple[str, str]:
    """The letters of the output weights and of their bias ("": none)."""
    own = letters.get("head.output", {})
    return own.get("W", ""), own.get("c", "")


def _said(network: Network, read: str, letters: Letters, index: str = "_t") -> str:
    W, c = _head(network, letters)
    head = network.get_submodule("head")
    total = f"{W or 'head of'} {read}{index}" + (f" + {c}" if c else "")
    if isinstance(head, CRFHead):
        return f"y_1 ... y_T = the tags of the largest sum of {total} and of the transitions between them (CRF)"
    if isinstance(head, CTCHead):
        return f"y_t = softmax({total}): a unit or a blank (CTC)"
    if isinstance(network, Imputer):
        return f"y_t = {W} [{read}_t; e_t]" + (f" + {c}" if c else "") + ": what is added to the guess"
    return f"y{index} = {'sigmoid' if isinstance(head, SigmoidHead) else 'softmax'}({total})"


def _outputs(
    graph: Unrolled, network: Network, states: list[list[str]], top: float, read: str, letters: Letters
) -> None:
    """An output for each position; of a CRF joined from one to the next."""
    W, _ = _head(network, letters)
    crf = isinstance(network.get_submodule("head"), CRFHead)
    keys = [graph.add(f"y{t}", f"y{_sub(t + 1)}", t, top, "output") for t in range(len(states))]
    for t, (key, starts) in enumerate(zip(keys, states, strict=True)):
        for start in starts:
            graph.join(start, key, W)
        if crf and t:
            graph.join(keys[t - 1], key, "T", "ahead")
    what = "the next token" if isinstance(network, LanguageModel) else "tags" if crf else "outputs"
    if type(network).__name__ == "Labeller":
        what = "tags"
    graph.rows.append(Row(top, f"y: {what}"))
    graph.equations.append(_said(network, read, letters))


def _pooled(
    graph: Unrolled, network: SequenceClassifier, states: list[list[str]], top: float, read: str, letters: Letters
) -> None:
    """One output of all positions: of the last one on each way, or of their mean, largest values or weighted mean."""
    pooling = network.pooling
    middle, last = (len(states) - 1) / 2, isinstance(pooling, LastPooling)
    name = "last" if last else "max" if isinstance(pooling, MaxPooling) else "mean"
    name = "attention" if isinstance(pooling, AttentionPooling) else name
    at = len(states) - 1 if last and len(states[0]) == 1 else middle
    pooled = graph.add("p", "p", at, top, "vector")
    for t, starts in enumerate(states):
        for way, start in enumerate(starts):
            if not last or t == (len(states) - 1 if way == 0 else 0):
                graph.join(start, pooled, "", "up" if last else "look")
    y = graph.add("y", "y", at, top + 1, "output")
    graph.join(pooled, y, _head(network, letters)[0])
    graph.rows += [Row(top, f"p: {name}"), Row(top + 1, "y: label")]
    made = {
        "last": f"{read}_T" if len(states[0]) == 1 else read.replace(";", "_T;").replace("]", "_1]"),
        "mean": f"the mean of {read}_1 ... {read}_T",
        "max": f"the largest values of {read}_1 ... {read}_T",
        "attention": f"sum over t of softmax(score({read}_t)) {read}_t",
    }
    graph.equations += [f"p = {made[name]}", _said(network, "p", letters, "")]


def _forecast(graph: Unrolled, network: Forecaster, states: list[list[str]], top: float, read: str) -> None:
    """All steps to come at once, out of the last position or of all."""
    everywhere = getattr(network.head, "reads_all", False)
    at = (len(states) - 1) / 2 if everywhere else len(states) - 1
    y = graph.add("y", "y", at, top, "output")
    for t, starts in enumerate(states):
        if everywhere or t == len(states) - 1:
            for start in starts:
                graph.join(start, y, "", "look" if everywhere else "up")
    graph.rows.append(Row(top, f"y: {network.sizes.steps} steps to come"))
    graph.equations.append(f"y = {type(network.head).__name__}({read}{'_1 ... ' + read if everywhere else ''}_T)")


def _decoder(
    graph: Unrolled, network: EncoderDecoder | StepwiseForecaster, states: list[list[str]], letters: Letters
) -> None:
    """A few steps of a decoder to the right of the encoder: it begins with what was read, and looks back at it."""
    decoder, base = network.decoder, len(states) + 1
    text = isinstance(network, EncoderDecoder)
    below = [
        graph.add(f"in{t}", f"y{_sub(t)}" if t else "<s>" if text else "last", base + t, 0, "input")
        for t in range(STEPS)
    ]
    graph.rows.append(Row(0, "what was written" if text else "the step before", "right"))
    name, y = "y", 1.0
    if text:
        read = [graph.add(f"g{t}", f"g{_sub(t + 1)}", base + t, 1, "vector") for t in range(STEPS)]
        for one, other in zip(below, read, strict=True):
            graph.join(one, other, "E'")
        graph.rows.append(Row(1, f"vectors, {decoder.input_dim}", "right"))
        below, name, y = read, "g", 2.0
    if isinstance(decoder, RecurrentDecoder):
        below, name, y = _decoder_layers(graph, decoder, below, states, name, y, letters)
    else:
        below, name, y = _decoder_blocks(graph, decoder, below, states, name, y)
    W, _ = _head(network, letters)
    for t in range(STEPS):
        graph.join(below[t], graph.add(f"y{t}", f"y{_sub(t + 1)}", base + t, y, "output"), W)
    graph.rows.append(Row(y, "y: next token" if text else "y: next step", "right"))
    graph.equations.append(_said(network, name, letters) if text else f"y_t = {W or 'head of'} {name}_t")


def _decoder_layers(
    graph: Unrolled,
    decoder: RecurrentDecoder,
    below: list[str],
    states: list[list[str]],
    name: str,
    y: float,
    letters: Letters,
) -> tuple[list[str], str, float]:
    """Recurrent layers and what attends: ``(the last row, its name, the next free row)``."""
    base, every = len(states) + 1, [one for starts in states for one in starts]
    begins = every
    if isinstance(decoder.pooling, LastPooling):  # on the way back the last position is the first
        begins = [states[0 if way else -1][way] for way in range(len(states[0]))]
    for number, layer in enumerate(decoder.layers):
        own, state = letters[f"decoder.layers.{number}"], f"d{number + 1}"
        keys = [graph.add(f"{state}.{t}", f"{state}{_sub(t + 1)}", base + t, y, "state") for t in range(STEPS)]
        for t, key in enumerate(keys):
            graph.join(below[t], key, own["U"])
            if t:
                graph.join(keys[t - 1], key, own["V"], "ahead")
        for one in begins:
            graph.join(one, keys[0], "begin" if one == begins[0] else "", "begin")
        graph.rows.append(Row(y, f"{state}: {_cell(layer)}, {_size(layer)}", "right"))
        reads = f"[{name}_t; a_{{t-1}}]" if decoder.feeds and not number else f"{name}_t"
        graph.equations.append(_equation(layer, state, reads.removesuffix("_t"), own, back=False))
        below, name, y = keys, state, y + 1
    if decoder.attention is None:
        return below, name, y
    contexts = [graph.add(f"a{t}", f"a{_sub(t + 1)}", base + t, y, "context") for t in range(STEPS)]
    for t, key in enumerate(contexts):
        graph.join(below[t], key)
        for one in every:
            graph.join(one, key, "", "look")
        if decoder.feeds and t + 1 < STEPS:
            graph.join(key, f"d1.{t + 1}", "", "ahead")
    graph.rows.append(Row(y, "a: attention", "right"))
    graph.equations.append(f"a_t = tanh(C [sum over s of softmax(score({name}_t, h_s)) h_s; {name}_t])")
    return contexts, "a", y + 1


def _decoder_blocks(
    graph: Unrolled, decoder: nn.Module, below: list[str], states: list[list[str]], name: str, y: float
) -> tuple[list[str], str, float]:
    """Blocks of a Transformer, each of which looks back at what was written and over to what was read."""
    base = len(states) + 1
    for number, _ in enumerate(decoder.get_submodule("blocks").children()):
        state = f"d{number + 1}"
        keys = [graph.add(f"{state}.{t}", f"{state}{_sub(t + 1)}", base + t, y, "state") for t in range(STEPS)]
        for t, key in enumerate(keys):
            for s in range(t + 1):
                graph.join(below[s], key, "", "up" if s == t else "look")
            for one in (one for starts in states for one in starts):
                graph.join(one, key, "", "look")
        graph.rows.append(Row(y, f"{state}: attention, {decoder.output_dim}", "right"))
        graph.equations.append(f"{state}_t = block({name}_1 ... {name}_t; attention to the source)")
        below, name, y = keys, state, y + 1
    return below, name, y


_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def _sub(number: int) -> str:
    return str(number).translate(_SUBSCRIPTS)
