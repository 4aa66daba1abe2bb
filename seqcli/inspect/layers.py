"""The layers of a network: what goes in and out, how many weights and why, what a token costs.

A layer of n inputs and m outputs has n*m weights and m biases; a recurrent one of D inputs and H units has D*H weights
U that read the input, H*H weights V that read the state before, and H biases, for each of its gates:

    RNN  D*H + H*H + H        LSTM  4*(D*H + H*H + H)        GRU  3*(D*H + H*H + H)

(torch adds two biases, so that H stands there twice). A formula is made of a layer's sizes, not of its tensors, so that
each checks the other. FLOPs are those of products of matrices: a multiplication and an addition for each weight;
looking up a row, biases and activations are left out, and so is attention itself (4 x positions x D a block).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

from torch import Tensor, nn

from seqcli.models.cells import PeepholeLSTM, PlainRNN
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.convolution import ConvolutionEmbedder
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.ensemble import Ensemble
from seqcli.models.forecast_heads import ColumnLinear, SegmentsHead
from seqcli.models.forecaster import Forecaster
from seqcli.models.frames import FrameCNN
from seqcli.models.heads import CRFHead
from seqcli.models.imputer import Imputer
from seqcli.models.network import Network
from seqcli.models.scratch import ScratchCell, ScratchGRU, ScratchLSTM


@dataclass(frozen=True)
class Weight:
    """One matrix or vector of a layer.

    Attributes:
        name: its letter: U reads the input, V the state before, W makes the output, E are vectors of words, b and c are
            biases, p peepholes; numbered by recurrent layer, with ' on the way back.
        tensors: its parameters as the network calls them: several where torch adds two.
        formula: of its number of weights.
        shared: the layer that has the same weights, counted there.
    """

    name: str
    layer: str
    tensors: tuple[str, ...]
    formula: str
    parameters: int
    shared: str | None


@dataclass(frozen=True)
class Layer:
    """A module that has weights of its own.

    Attributes:
        per: what it is run for: a token, a character, a sequence ...
        shape_in, shape_out: of what it is run for, in order; ``id`` is a number of a row.
        parameters: without those that are shared with a layer before.
        flops: for one ``per``.
        trained: False for weights that stay as they are in training.
    """

    name: str
    kind: str
    per: str
    shape_in: str
    shape_out: str
    formula: str
    parameters: int
    flops: float
    bytes: int
    trained: bool
    weights: tuple[Weight, ...]


class Term(NamedTuple):
    """``factor`` times ``sizes`` weights named ``letter``; ``product``: each is met once in a product of matrices."""

    letter: str
    factor: int
    sizes: str
    tensors: tuple[str, ...]
    product: bool = False


class Sizes(NamedTuple):
    """What a layer is made of, told by its sizes. ``repeat``: how often its products are run for one ``per``."""

    shape_in: str
    shape_out: str
    terms: list[Term]
    repeat: float = 1


def layers(network: Network) -> list[Layer]:
    """The layers of a network in the order of its modules; weights that two layers share are counted in the first."""
    found: list[Layer] = []
    seen: dict[int, str] = {}
    inside: list[str] = []
    recurrent = _Numbers()
    for path, module in network.named_modules():
        if any(path.startswith(f"{one}.") for one in inside):
            continue
        sizes = sizes_of(module)
        if sizes is None:
            continue
        if isinstance(module, PeepholeLSTM | PlainRNN):  # their parts are theirs
            inside.append(path)
        found.append(_layer(network, path, module, sizes, seen, recurrent))
    return found


def _layer(
    network: Network, path: str, module: nn.Module, sizes: Sizes, seen: dict[int, str], recurrent: _Numbers
) -> Layer:
    tensors = dict(module.named_parameters())
    weights, counted, flops = [], [], 0
    bytes_, trained = 0, False
    for term in sizes.terms:
        own = [tensors[name] for name in term.tensors]
        shared = next((seen[id(one)] for one in own if id(one) in seen), None)
        count = term.factor * evaluated(term.sizes)
        formula = _times(term.factor, term.sizes)
        weights.append(
            Weight(
                recurrent.name(path, module, term.letter),
                path,
                tuple(f"{path}.{name}" for name in term.tensors),
                formula,
                0 if shared else count,
                shared,
            )
        )
        flops += 2 * count * term.product
        if shared is None:
            counted.append(term)
            bytes_ += sum(one.numel() * one.element_size() for one in own)
            trained |= any(one.requires_grad for one in own)
            seen |= {id(one): path for one in own}
    return Layer(
        path,
        type(module).__name__,
        per(network, path),
        sizes.shape_in,
        sizes.shape_out,
        _formula(counted),
        sum(one.parameters for one in weights),
        flops * _repeats(network, path, sizes),
        bytes_,
        trained or not any(one.requires_grad for one in network.parameters()),
        tuple(weights),
    )


def evaluated(formula: str) -> int:
    """The number that a formula of whole numbers, + and * says, with parentheses around sums."""
    total = 0
    for summand in re.split(r"\s*\+\s*(?![^(]*\))", formula):
        product = 1
        for factor in re.split(r"\s*\*\s*(?![^(]*\))", summand):
            product *= evaluated(factor[1:-1]) if factor.startswith("(") else int(factor)
        total += product
    return total


def _formula(terms: list[Term]) -> str:
    """``4*(100*200 + 200*200 + 200)``: what has a factor in common is put in one pair of parentheses."""
    parts: list[tuple[int, list[str]]] = []
    for term in terms:
        if parts and parts[-1][0] == term.factor:
            parts[-1][1].append(term.sizes)
        else:
            parts.append((term.factor, [term.sizes]))
    return " + ".join(_times(factor, " + ".join(sizes)) for factor, sizes in parts)


def _times(factor: int, sizes: str) -> str:
    if factor == 1:
        return sizes
    return f"{factor}*({sizes})" if "+" in sizes else f"{factor}*{sizes}"


class _Numbers:
    """Letters of weights, numbered by recurrent layer in the order that they come in."""

    def __init__(self) -> None:
        self.layers: list[str] = []

    def name(self, path: str, module: nn.Module, letter: str) -> str:
        if isinstance(module, nn.RNNBase | PeepholeLSTM | PlainRNN | ScratchCell):
            way = path.replace(".back.", ".ahead.").replace("backward_lstm", "forward_lstm")
            if way not in self.layers:
                self.layers.append(way)
            return f"{letter}{self.layers.index(way) + 1}" + ("'" if way != path else "")
        if path.endswith("head.output") or path == "ctc.output":
            return {"weight": "W", "bias": "c"}[letter]
        return letter


# -- what a layer is run for


def per(network: Network, path: str) -> str:
    """``token``, ``character``, ``sequence`` ...: what a layer of a network is run once for."""
    if isinstance(network, Ensemble) and path.startswith("members."):
        return per(network.networks()[0], path.split(".", 2)[2])
    part = path.partition(".")[0]
    if part == "embedder" and ".characters." in f".{path}.":
        return "character"
    if isinstance(network, SequenceClassifier) and part == "head":
        return "sequence"
    if isinstance(network, EncoderDecoder) and part in ("decoder", "target_embedder", "head"):
        if path == "decoder.begin":
            return "sequence"
        if not re.search(r"attention\.keys$|source_keys_values$", path):
            return "target token"
    if isinstance(network, Forecaster) and part in ("head", "decoder", "input"):
        if part == "head" and not hasattr(network, "decoder"):
            return "window"
        return "sequence" if path == "decoder.begin" else "position" if path.endswith("attention.keys") else "step"
    if isinstance(network, Imputer):
        return "step"
    embedder = getattr(network, "embedder", None)
    return "token" if type(embedder).__name__ in ("TokenEmbedder", "OneHotEmbedder") else "position"


def _repeats(network: Network, path: str, sizes: Sizes) -> float:
    """How often a layer's products are run for one ``per``: of convolutions for each place of a picture ..."""
    owner: nn.Module = network
    parts = path.split(".")
    for depth, name in enumerate(parts[:-1]):
        owner = owner.get_submodule(name)
        rest = parts[depth + 1 :]
        if isinstance(owner, FrameCNN) and rest[0] == "layers":
            height, width = owner.height, owner.width
            for _ in range(int(rest[1]) + 1):
                height, width = -(-height // 2), -(-width // 2)
            return height * width
        if isinstance(owner, ConvolutionEmbedder) and rest[0] == "layers":
            number = int(rest[1])
            after = 1
            for stride in owner.strides[number + 1 :]:
                after *= stride
            columns = 1
            if not owner.flat:
                columns = owner.channels
                for _ in range(number + 1):
                    columns = -(-columns // 2)
            return after * columns
        if isinstance(owner, SegmentsHead):
            return owner.count
    return sizes.repeat


# -- layers by their sizes


@singledispatch
def sizes_of(module: nn.Module) -> Sizes | None:
    """What a layer is made of; None of a module that has no weights of its own."""
    own = dict(module.named_parameters(recurse=False))
    if not own:
        return None
    terms = [Term(name, 1, "*".join(map(str, weight.shape)), (name,)) for name, weight in own.items()]
    return Sizes("", "", terms)


def _gates(gates: int, width: int, size: int, names: tuple[str, ...], biases: int = 1) -> list[Term]:
    """U, V and, where there are any, biases, of so many gates."""
    terms = [
        Term("U", gates, f"{width}*{size}", (names[0],), product=True),
        Term("V", gates, f"{size}*{size}", (names[1],), product=True),
    ]
    return [*terms, Term("b", gates, " + ".join([str(size)] * biases), names[2:])] if biases else terms


def _torch_recurrent(module: nn.RNNBase, gates: int) -> Sizes:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    terms = _gates(gates, module.input_size, module.hidden_size, names, 2 if module.bias else 0)
    return Sizes(str(module.input_size), str(module.hidden_size), terms)


@sizes_of.register
def _rnn(module: nn.RNN) -> Sizes:
    return _torch_recurrent(module, 1)


@sizes_of.register
def _lstm(module: nn.LSTM) -> Sizes:
    return _torch_recurrent(module, 4)


@sizes_of.register
def _gru(module: nn.GRU) -> Sizes:
    return _torch_recurrent(module, 3)


@sizes_of.register
def _peephole_lstm(module: PeepholeLSTM) -> Sizes:
    width, size = module.inputs.in_features, module.recurrent.in_features
    terms = _gates(4, width, size, ("inputs.weight", "recurrent.weight", "inputs.bias"))
    return Sizes(str(width), str(size), [*terms, Term("p", 3, str(size), ("peephole",))])


@sizes_of.register
def _plain_rnn(module: PlainRNN) -> Sizes:
    size = module.recurrent.in_features
    names = {name for name, _ in module.recurrent.named_parameters()}
    recurrent = next(name for name in sorted(names) if name != "bias")  # "weight", or what makes it orthogonal
    terms = [Term("V", 1, f"{size}*{size}", (f"recurrent.{recurrent}",), product=True)]
    if module.inputs is not None:
        sizes = f"{module.inputs.in_features}*{size}"
        terms.insert(0, Term("U", 1, sizes, ("inputs.weight",), product=True))
    if "bias" in names:
        terms.append(Term("b", 1, str(size), ("recurrent.bias",)))
    terms.append(Term("h", 1, str(size), ("start",)))
    return Sizes("" if module.inputs is None else str(module.inputs.in_features), str(size), terms)


@sizes_of.register
def _scratch(module: ScratchCell) -> Sizes:
    width, size = module.U.size(1), module.dim
    terms = _gates(module.gates, width, size, ("U", "V", "b"))
    if isinstance(module, ScratchLSTM) and module.p is not None:
        terms.append(Term("p", 3, str(size), ("p",)))
    if isinstance(module, ScratchGRU):
        terms.append(Term("c", 1, str(size), ("c",)))
    return Sizes(str(width), str(size), terms)


@sizes_of.register
def _embedding(module: nn.Embedding) -> Sizes:
    rows, size = module.num_embeddings, module.embedding_dim
    return Sizes("id", str(size), [Term("E", 1, f"{rows}*{size}", ("weight",))])


@sizes_of.register
def _linear(module: nn.Linear) -> Sizes:
    width, size = module.in_features, module.out_features
    return Sizes(str(width), str(size), _dense(f"{width}*{size}", size, module.bias))


@sizes_of.register
def _convolution(module: nn.Conv1d) -> Sizes:
    return _filters(module)


@sizes_of.register
def _picture_convolution(module: nn.Conv2d) -> Sizes:
    return _filters(module)


def _filters(module: nn.Conv1d | nn.Conv2d) -> Sizes:
    kernel = "*".join(map(str, module.kernel_size))
    sizes = f"{module.in_channels}*{module.out_channels}*{kernel}"
    return Sizes(str(module.in_channels), str(module.out_channels), _dense(sizes, module.out_channels, module.bias))


def _dense(sizes: str, size: int, bias: Tensor | None) -> list[Term]:
    terms = [Term("weight", 1, sizes, ("weight",), product=True)]
    return terms if bias is None else [*terms, Term("bias", 1, str(size), ("bias",))]


@sizes_of.register
def _layer_norm(module: nn.LayerNorm) -> Sizes:
    size = str(module.normalized_shape[0])
    return Sizes(size, size, [Term("scale", 1, size, ("weight",)), Term("shift", 1, size, ("bias",))])


@sizes_of.register
def _crf(module: CRFHead) -> Sizes:
    labels = str(module.output.out_features)
    terms = [
        Term("transitions", 1, f"{labels}*{labels}", ("transitions",)),
        Term("start", 1, labels, ("start",)),
        Term("end", 1, labels, ("end",)),
    ]
    return Sizes(labels, labels, terms)


@sizes_of.register
def _columns(module: ColumnLinear) -> Sizes:
    columns, width, size = module.weight_MDO.shape
    terms = [
        Term("weight", columns, f"{width}*{size}", ("weight_MDO",), product=True),
        Term("bias", columns, str(size), ("bias_MO",)),
    ]
    return Sizes(f"{columns} x {width}", f"{columns} x {size}", terms)
