"""Recurrent layers computed one step after the other from their weights, every gate and every state kept.

With x the input, h the hidden state, s the cell, * elementwise, U the recurrent matrix:

=========  ================================================================================================
LSTM       i, f, o = sigmoid(W x_t + U h_{t-1} + b), g = tanh(W_g x_t + U_g h_{t-1} + b_g);
           s_t = f * s_{t-1} + i * g, h_t = o * tanh(s_t) (Hochreiter and Schmidhuber 1997, Gers et al. 2000)
peepholes  i and f see s_{t-1} too, o sees s_t (Gers, Schraudolph and Schmidhuber 2002)
GRU        r, z = sigmoid(W x_t + b + U h_{t-1} + c), n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + c_n));
           h_t = (1 - z) * n + z * h_{t-1} (Cho et al. 2014, as torch computes it)
RNN        h_t = f(W x_t + b + U h_{t-1} + c) (Elman 1990)
=========  ================================================================================================

In the terms of the whiteboard: o writes selectively (of s into h), i reads selectively (of the candidate g), f forgets
selectively (of s_{t-1}). Shapes: T steps, B sequences, D input, H state, G gates.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import singledispatch
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from seqcli.models.cells import PeepholeLSTM, PlainRNN
from seqcli.models.network import Network
from seqcli.models.scratch import ScratchCell, ScratchGRU, ScratchLSTM, ScratchRNN

State = tuple[Tensor, ...]
"""What a step hands to the next [B, H]: the hidden state, and the cell of an LSTM after it."""


class Stepped(NamedTuple):
    """A step's state, and its gates by name [B, H] (of an RNN there are none)."""

    state: State
    gates: dict[str, Tensor]


class Cell(ABC):
    """A layer as a function of one step.

    Attributes:
        kind: what it is called.
        gates: the names of its gates, in the order in which they are shown.
        blocks: what the blocks of H rows of ``recurrent`` belong to.
        recurrent: U, all blocks [G x H, H].
        wide: the states of a step: 2 with a cell, else 1.
    """

    kind: ClassVar[str]
    gates: ClassVar[tuple[str, ...]] = ()
    blocks: ClassVar[tuple[str, ...]]
    wide: ClassVar[int] = 1
    recurrent: Tensor

    def begin(self, batch: int) -> State:
        """The state before the first step."""
        return tuple(self.recurrent.new_zeros(batch, self.recurrent.size(1)) for _ in range(self.wide))

    @abstractmethod
    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        """The step from ``state``, with ``recurrent`` in place of the layer's own U."""


class LSTMCell(Cell):
    """`torch.nn.LSTM`, whose blocks stand in the order i, f, g, o."""

    kind, gates, wide = "LSTM", ("input", "forget", "output", "candidate"), 2
    blocks = ("input", "forget", "candidate", "output")

    def __init__(self, layer: nn.LSTM) -> None:
        self.inputs, self.recurrent, self.bias = _weights(layer)

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        hidden, cell = state
        i, f, g, o = (x_BD @ self.inputs.T + hidden @ recurrent.T + self.bias).chunk(4, -1)
        return _lstm(torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), o, cell)


class PeepholeCell(Cell):
    """`seqcli.models.cells.PeepholeLSTM`."""

    kind, gates, wide = "LSTM with peepholes", ("input", "forget", "output", "candidate"), 2
    blocks = ("input", "forget", "candidate", "output")

    def __init__(self, layer: PeepholeLSTM) -> None:
        self.layer, self.recurrent = layer, layer.recurrent.weight

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        hidden, cell = state
        i, f, g, o = (self.layer.inputs(x_BD) + hidden @ recurrent.T).chunk(4, -1)
        to_input, to_forget, to_output = self.layer.peephole
        i, f = torch.sigmoid(i + to_input * cell), torch.sigmoid(f + to_forget * cell)
        return _lstm(i, f, torch.tanh(g), o, cell, to_output)


def _lstm(
    i: Tensor,
    f: Tensor,
    g: Tensor,
    o: Tensor,
    cell: Tensor,
    peephole: Tensor | None = None,
    squash: Callable[[Tensor], Tensor] = torch.tanh,
) -> Stepped:
    """The end of a step; of the output gate ``o`` the sum before the sigmoid, ``squash`` what the cell goes through."""
    cell = f * cell + i * g
    o = torch.sigmoid(o if peephole is None else o + peephole * cell)
    return Stepped((o * squash(cell), cell), {"input": i, "forget": f, "output": o, "candidate": g})


class GRUCell(Cell):
    """`torch.nn.GRU`, whose blocks stand in the order r, z, n."""

    kind, gates, wide = "GRU", ("reset", "update", "candidate"), 1
    blocks = ("reset", "update", "candidate")

    def __init__(self, layer: nn.GRU) -> None:
        self.layer = layer
        self.recurrent = layer.get_parameter("weight_hh_l0")

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        (hidden,) = state
        weight, bias, addend = (self.layer.get_parameter(name) for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"))
        of_input = (x_BD @ weight.T + bias).chunk(3, -1)
        of_state = (hidden @ recurrent.T + addend).chunk(3, -1)
        reset, update = torch.sigmoid(of_input[0] + of_state[0]), torch.sigmoid(of_input[1] + of_state[1])
        candidate = torch.tanh(of_input[2] + reset * of_state[2])
        gates = {"reset": reset, "update": update, "candidate": candidate}
        return Stepped(((1 - update) * candidate + update * hidden,), gates)


class RNNCell(Cell):
    """`torch.nn.RNN`."""

    kind, wide = "RNN", 1
    blocks = ("state",)

    def __init__(self, layer: nn.RNN) -> None:
        self.inputs, self.recurrent, self.bias = _weights(layer)
        self.activation = torch.relu if layer.nonlinearity == "relu" else torch.tanh

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        return Stepped((self.activation(x_BD @ self.inputs.T + state[0] @ recurrent.T + self.bias),), {})


class PlainCell(Cell):
    """`seqcli.models.cells.PlainRNN`, which begins from a learned state."""

    kind, wide = "RNN", 1
    blocks = ("state",)

    def __init__(self, layer: PlainRNN) -> None:
        self.layer, self.recurrent = layer, layer.recurrent.weight

    def begin(self, batch: int) -> State:
        return (self.layer.start.expand(batch, -1),)

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        hidden = nn.functional.linear(state[0], recurrent, self.layer.recurrent.bias)
        if self.layer.inputs is not None:
            hidden = hidden + self.layer.inputs(x_BD)
        return Stepped((self.layer.activation(hidden),), {})


class ScratchSteps(Cell):
    """The cells of `seqcli.models.scratch`: V is the recurrent matrix there."""

    def __init__(self, layer: ScratchCell) -> None:
        self.layer, self.recurrent = layer, layer.V

    def _read(self, x_BD: Tensor) -> Tensor:
        return x_BD @ self.layer.U.T + self.layer.b


class ScratchRNNSteps(ScratchSteps):
    """`seqcli.models.scratch.ScratchRNN`."""

    kind, blocks = "RNN", ("state",)

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        return Stepped((torch.tanh(self._read(x_BD) + state[0] @ recurrent.T),), {})


class ScratchLSTMSteps(ScratchSteps):
    """`seqcli.models.scratch.ScratchLSTM`, whose blocks stand in the order i, f, c, o."""

    kind, gates, wide = "LSTM", ("input", "forget", "output", "candidate"), 2
    blocks = ("input", "forget", "candidate", "output")
    layer: ScratchLSTM

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        hidden, cell = state
        i, f, g, o = (self._read(x_BD) + hidden @ recurrent.T).chunk(4, -1)
        peephole = None
        if self.layer.p is not None:
            to_input, to_forget, peephole = self.layer.p
            i, f = i + to_input * cell, f + to_forget * cell
        squash = self.layer.squash
        return _lstm(torch.sigmoid(i), torch.sigmoid(f), squash(g), o, cell, peephole, squash)


class ScratchGRUSteps(ScratchSteps):
    """`seqcli.models.scratch.ScratchGRU`, whose blocks stand in the order r, z, n."""

    kind, gates = "GRU", ("reset", "update", "candidate")
    blocks = ("reset", "update", "candidate")
    layer: ScratchGRU

    def step(self, x_BD: Tensor, state: State, recurrent: Tensor) -> Stepped:
        (hidden,) = state
        of_input, of_state = self._read(x_BD).chunk(3, -1), (hidden @ recurrent.T).chunk(3, -1)
        reset, update = torch.sigmoid(of_input[0] + of_state[0]), torch.sigmoid(of_input[1] + of_state[1])
        candidate = torch.tanh(of_input[2] + reset * (of_state[2] + self.layer.c))
        gates = {"reset": reset, "update": update, "candidate": candidate}
        return Stepped((update * hidden + (1 - update) * candidate,), gates)


@singledispatch
def cell_of(layer: nn.Module) -> Cell | None:
    """The steps of a layer; None where it has no state that it carries on. A new kind of layer is registered here."""
    return None


for _layer, _cell in (
    (nn.LSTM, LSTMCell),
    (nn.GRU, GRUCell),
    (nn.RNN, RNNCell),
    (PeepholeLSTM, PeepholeCell),
    (PlainRNN, PlainCell),
    (ScratchRNN, ScratchRNNSteps),
    (ScratchLSTM, ScratchLSTMSteps),
    (ScratchGRU, ScratchGRUSteps),
):
    cell_of.register(_layer, cast(Callable[[nn.Module], Cell], _cell))


def _weights(layer: nn.RNNBase) -> tuple[Tensor, Tensor, Tensor]:
    """W, U and the two biases as one."""
    bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
    return layer.get_parameter("weight_ih_l0"), layer.get_parameter("weight_hh_l0"), bias


@dataclass
class Trace:
    """A recurrent layer as it ran: a value for each step, from its own first to its last.

    Attributes:
        name: as a person says it: ``encoder layer 1 backwards``.
        backwards: its first step is at the last position of a sequence.
        inputs: x [B, D] of each step; ``before``: the state that it began from.
        states: of each step; ``carried``: the same values as the next steps and layers read them, nodes of their own in
            the graph, so that a gradient by them has nothing of the step itself.
        difference: the largest one to what the layer itself makes of the same inputs.
    """

    name: str
    cell: Cell
    backwards: bool = False
    inputs: list[Tensor] = field(default_factory=list)
    before: list[State] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    carried: list[State] = field(default_factory=list)
    gates: list[dict[str, Tensor]] = field(default_factory=list)
    difference: float = 0.0

    @property
    def memories(self) -> list[Tensor]:
        """s of each step [B, H]: the cell of an LSTM, else the hidden state."""
        return [state[-1] for state in self.states]

    def run(self, layer: nn.Module, own: object, x_TBD: Tensor, state: object = None) -> tuple[Tensor, object]:
        """The layer's ``forward``, step by step; ``own`` is that itself."""
        given = self._given(state, x_TBD.size(1))
        with torch.no_grad():
            expected, _ = own(x_TBD, state)  # type: ignore[operator]
        hidden = []
        for x_BD in x_TBD.unbind(0):
            stepped = self.cell.step(x_BD, given, self.cell.recurrent)
            self.inputs.append(x_BD)
            self.before.append(given)
            self.states.append(stepped.state)
            self.gates.append(stepped.gates)
            given = tuple(one.view_as(one) for one in stepped.state)
            self.carried.append(given)
            hidden.append(given[0])
        hidden_TBH = torch.stack(hidden)
        self.difference = max(self.difference, float((hidden_TBH.detach() - expected).abs().max()))
        after = [one.unsqueeze(0) for one in given]
        return hidden_TBH, tuple(after) if len(after) > 1 else after[0]

    def _given(self, state: object, batch: int) -> State:
        """The state to begin from, in a graph wherever gradients are wanted."""
        if state is None:
            begun = self.cell.begin(batch)
        else:
            begun = tuple(one[0] for one in (state if isinstance(state, tuple) else (state,)))
        if torch.is_grad_enabled():
            begun = tuple(one if one.requires_grad else one.detach().requires_grad_() for one in begun)
        return begun


@contextmanager
def traced(network: Network) -> Iterator[list[Trace]]:
    """Inside, the recurrent layers of the network run step by step, and leave what they did in the list.

    A layer that ran in several parts, as a decoder token by token does, has one trace of all its steps.
    """
    traces: list[Trace] = []
    replaced: list[nn.Module] = []
    with torch.nn.utils.parametrize.cached():
        try:
            for path, layer, cell in recurrent_layers(network):
                trace = Trace(layer_name(path), cell, ".back." in path)
                traces.append(trace)
                layer.forward = _forward(trace, layer)  # type: ignore[method-assign]
                replaced.append(layer)
            yield traces
        finally:
            for layer in replaced:
                del layer.forward


def _forward(trace: Trace, layer: nn.Module) -> Callable[..., object]:
    own = layer.forward
    if isinstance(layer, ScratchCell):  # which takes the parts of its state one by one, and gives them so

        def scratch(x_TBD: Tensor, *state: Tensor) -> object:
            def together(x_TBD: Tensor, state: object) -> object:
                return own(x_TBD, *(one.squeeze(0) for one in cast(State, state or ())))

            hidden_TBH, after = trace.run(layer, together, x_TBD, tuple(one.unsqueeze(0) for one in state) or None)
            parts = after if isinstance(after, tuple) else (after,)
            return hidden_TBH, tuple(one.squeeze(0) for one in parts)

        return scratch
    return lambda x_TBD, state=None: trace.run(layer, own, x_TBD, state)


def recurrent_layers(network: Network) -> Iterator[tuple[str, nn.Module, Cell]]:
    """Path, layer and steps of every recurrent layer over positions, in their order; those that spell words are none."""
    for path, layer in network.named_modules():
        if "embedder" not in path and (cell := cell_of(layer)) is not None:
            yield path, layer, cell


def layer_name(path: str) -> str:
    """``members.0.encoder.back.1`` is ``member 1, encoder layer 2 backwards``."""
    found = re.fullmatch(r"(?:members\.(\d+)\.)?(?:.*\.)?(encoder|decoder)\.(ahead|back|layers)\.(\d+)", path)
    if found is None:
        return path
    member, part, direction, number = found.groups()
    name = f"{part} layer {int(number) + 1}{' backwards' if direction == 'back' else ''}"
    return name if member is None else f"member {int(member) + 1}, {name}"
