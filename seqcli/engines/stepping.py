"""One step of a recurrent network at a time, as sampling needs it.

The fused layers are made for many steps: each call rearranges all weights first, which takes longer than one step
does. Here the weights of a gate stand ready as one matrix, so a step is one product a layer.

Shapes: B sequences, D input, H state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from seqcli.models.cells import run_layer
from seqcli.models.language import LanguageModel
from seqcli.models.recurrent import RecurrentEncoder

Step = Callable[[Tensor, list[Tensor]], list[Tensor]]
"""``(x [B, D], state) -> state``; the first of a state is the output."""


class RecurrentStepper:
    """The same function as ``model(ids, states)`` for one more token of each sequence."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.encoder = cast(RecurrentEncoder, model.encoder)
        self.steps = [step_of(layer) for layer in self.encoder.ahead]

    def __call__(self, ids_B: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(vectors that predict the next token [B, D], states to read on from)``."""
        x_BD = self.model.embedder(ids_B)
        width = len(states) // len(self.steps)
        after: list[Tensor] = []
        for number, step in enumerate(self.steps):
            own = step(x_BD, states[number * width : (number + 1) * width])
            after += own
            hidden = own[0]
            if self.encoder.residual and hidden.shape == x_BD.shape:
                hidden = hidden + x_BD
            if self.encoder.norms is not None:
                hidden = self.encoder.norms[number](hidden)
            x_BD = hidden
        return self.model.project(x_BD), after


def step_of(layer: nn.Module) -> Step:
    """One step of a layer, from its weights."""
    if isinstance(layer, nn.LSTM):
        return _lstm(layer)
    if isinstance(layer, nn.GRU):
        return _gru(layer)
    if isinstance(layer, nn.RNN):
        return _rnn(layer)
    return lambda x_BD, state: run_layer(layer, x_BD.unsqueeze(0), state)[1]


def _merged(layer: nn.RNNBase) -> tuple[Tensor, Tensor]:
    """Weights of input and state side by side, transposed [D + H, gates], and the sum of the biases."""
    weight = torch.cat([cast(Tensor, layer.weight_ih_l0), cast(Tensor, layer.weight_hh_l0)], dim=1)
    return weight.detach().t(), (cast(Tensor, layer.bias_ih_l0) + cast(Tensor, layer.bias_hh_l0)).detach()


def _lstm(layer: nn.LSTM) -> Step:
    weight, bias = _merged(layer)
    size = layer.hidden_size

    def step(x_BD: Tensor, state: list[Tensor]) -> list[Tensor]:
        hidden, cell = state
        gates = torch.addmm(bias, torch.cat([x_BD, hidden], dim=1), weight)
        keep = torch.sigmoid(gates[:, : 2 * size])
        cell = keep[:, size:] * cell + keep[:, :size] * torch.tanh(gates[:, 2 * size : 3 * size])
        return [torch.sigmoid(gates[:, 3 * size :]) * torch.tanh(cell), cell]

    return step


def _rnn(layer: nn.RNN) -> Step:
    weight, bias = _merged(layer)
    activation = torch.tanh if layer.nonlinearity == "tanh" else torch.relu
    return lambda x_BD, state: [activation(torch.addmm(bias, torch.cat([x_BD, state[0]], dim=1), weight))]


def _gru(layer: nn.GRU) -> Step:
    size = layer.hidden_size
    weight_in, weight_state = cast(Tensor, layer.weight_ih_l0).detach(), cast(Tensor, layer.weight_hh_l0).detach()
    bias_in, bias_state = cast(Tensor, layer.bias_ih_l0).detach(), cast(Tensor, layer.bias_hh_l0).detach()

    def step(x_BD: Tensor, state: list[Tensor]) -> list[Tensor]:
        from_input = nn.functional.linear(x_BD, weight_in, bias_in)
        from_state = nn.functional.linear(state[0], weight_state, bias_state)
        reset, update = torch.sigmoid(from_input[:, : 2 * size] + from_state[:, : 2 * size]).chunk(2, dim=1)
        new = torch.tanh(from_input[:, 2 * size :] + reset * from_state[:, 2 * size :])
        return [new + update * (state[0] - new)]

    return step
