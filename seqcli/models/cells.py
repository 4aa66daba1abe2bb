"""One-way recurrent layers over padded batches: torch's own, and those it lacks.

Shapes: B sequences, T positions, D input, H state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.scratch import ScratchCell, scratch_cell
from seqcli.recipe.encoders import (
    GRUConfig,
    GRUScratchConfig,
    LSTMConfig,
    LSTMScratchConfig,
    RNNConfig,
    RNNScratchConfig,
)

RecurrentConfig = RNNConfig | LSTMConfig | GRUConfig | RNNScratchConfig | LSTMScratchConfig | GRUScratchConfig


class PeepholeLSTM(nn.Module):
    """LSTM whose gates see the cell state (Gers, Schraudolph and Schmidhuber 2002, eq. 1-6).

    Called like ``nn.LSTM``, positions first.
    """

    def __init__(self, input_dim: int, hidden: int, forget_bias: float = 1.0) -> None:
        super().__init__()
        self.inputs = nn.Linear(input_dim, 4 * hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)
        self.peephole = nn.Parameter(torch.zeros(3, hidden))
        bound = hidden**-0.5
        for weight in (self.inputs.weight, self.recurrent.weight, self.peephole):
            nn.init.uniform_(weight, -bound, bound)
        nn.init.zeros_(self.inputs.bias)
        with torch.no_grad():
            self.inputs.bias[hidden : 2 * hidden] = forget_bias

    def forward(
        self, x_TBD: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Hidden states [T, B, H] and ``(hidden, cell)`` [1, B, H] at the end; ``state`` None: a zero state."""
        gates_TBG = self.inputs(x_TBD)
        if state is None:
            hidden = cell = gates_TBG.new_zeros(x_TBD.size(1), self.peephole.size(1))
        else:
            hidden, cell = state[0][0], state[1][0]
        peep_input, peep_forget, peep_output = self.peephole
        states = []
        for gates in gates_TBG.unbind(0):
            i, f, g, o = (gates + self.recurrent(hidden)).chunk(4, dim=-1)
            i = torch.sigmoid(i + peep_input * cell)
            f = torch.sigmoid(f + peep_forget * cell)
            cell = f * cell + i * torch.tanh(g)
            hidden = torch.sigmoid(o + peep_output * cell) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states), (hidden.unsqueeze(0), cell.unsqueeze(0))


class PlainRNN(nn.Module):
    """h = f(V h + U x + b) from a learned start, with f the identity if need be, and with or without an input.

    Without input and without f it is a linear recurrence, h_t = V^t h_0. Called like ``nn.RNN``, positions first.
    """

    def __init__(self, input_dim: int, dim: int, config: RNNConfig) -> None:
        super().__init__()
        self.recurrent = nn.Linear(dim, dim, bias=config.inputs and config.bias)
        self.inputs = nn.Linear(input_dim, dim, bias=False) if config.inputs else None
        self.start = nn.Parameter(torch.randn(dim) / dim**0.5)
        self.activation = {"tanh": torch.tanh, "relu": torch.relu, "linear": lambda values: values}[config.activation]
        nn.init.orthogonal_(self.recurrent.weight)
        if config.orthogonal:
            nn.utils.parametrizations.orthogonal(self.recurrent)

    def forward(self, x_TBD: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hidden states [T, B, H] and the last one [1, B, H]."""
        hidden = self.start.expand(x_TBD.size(1), -1) if state is None else state[0]
        states = []
        for x_BD in x_TBD.unbind(0):
            hidden = self.recurrent(hidden)
            if self.inputs is not None:
                hidden = hidden + self.inputs(x_BD)
            hidden = self.activation(hidden)
            states.append(hidden)
        return torch.stack(states), hidden.unsqueeze(0)


def build_layer(config: RecurrentConfig, input_dim: int, dim: int | None = None) -> nn.Module:
    """One direction of one layer, initialised; called as ``layer(x_TBD) -> (hidden_TBH, state)``.

    ``dim``: size of the state, where it is not the section's own.
    """
    dim = dim or config.dim
    if isinstance(config, RNNScratchConfig | LSTMScratchConfig | GRUScratchConfig):
        return scratch_cell(config, input_dim, dim)
    if isinstance(config, LSTMConfig):
        if config.peepholes:
            return PeepholeLSTM(input_dim, dim, config.forget_bias)
        lstm = nn.LSTM(input_dim, dim)
        _initialise(lstm)
        with torch.no_grad():  # a bias of 1: remember at first (Jozefowicz et al. 2015)
            lstm.get_parameter("bias_ih_l0")[dim : 2 * dim] = config.forget_bias
        return lstm
    if isinstance(config, GRUConfig):
        gru = nn.GRU(input_dim, dim)
        _initialise(gru)
        return gru
    if config.activation == "linear" or config.orthogonal or not config.inputs:
        return PlainRNN(input_dim, dim, config)
    rnn = nn.RNN(input_dim, dim, nonlinearity=config.activation, bias=config.bias)
    _initialise(rnn)
    if config.activation == "relu":  # Le, Jaitly and Hinton 2015
        nn.init.eye_(rnn.get_parameter("weight_hh_l0"))
    return rnn


def run_layer(layer: nn.Module, x_TBD: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """One layer from ``state`` ([B, H] each; empty: zeros): ``(hidden states [T, B, H], state at the end)``."""
    if isinstance(layer, ScratchCell):
        hidden, own = layer(x_TBD, *state)
        return hidden, list(own)
    if not state:
        hidden, after = layer(x_TBD)
    elif isinstance(layer, nn.LSTM | PeepholeLSTM):
        hidden, after = layer(x_TBD, (state[0].unsqueeze(0), state[1].unsqueeze(0)))
    else:
        hidden, after = layer(x_TBD, state[0].unsqueeze(0))
    return hidden, [one.squeeze(0) for one in (after if isinstance(after, tuple) else (after,))]


def _initialise(layer: nn.RNNBase) -> None:
    """Xavier for the input weights, orthogonal for each gate's recurrent weights, zero biases."""
    weight: Tensor
    for name, weight in layer.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(weight)
        elif name.startswith("weight_hh"):
            for gate in weight.data.split(layer.hidden_size):
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(weight)
