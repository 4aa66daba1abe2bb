"""Recurrent cells from scratch, to be read: what they compute at each step, and how a plain one learns.

Letters, here and in what `seqcli inspect` shows: U reads the input, V reads the state before, b is a bias. (Some lectures
call V W, or swap the two; the sizes tell which is which.) sigma(z) = 1 / (1 + e^-z), * between vectors is element by
element. In the equations vectors are columns, U x; in the code they are the rows of a batch, x U'.

Shapes: B sequences, T steps, D values of an input, H values of a state, G = H x (number of gates).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqcli.recipe.encoders import GRUScratchConfig, LSTMScratchConfig, RNNScratchConfig

ScratchConfig = RNNScratchConfig | LSTMScratchConfig | GRUScratchConfig


class ScratchCell(nn.Module, ABC):
    """One layer, one way: U x_t + b for all steps at once, then step by step what needs the state before.

    The gates of a cell stand one below the other in U [G, D], V [G, H] and b [G]. The state is a tuple whose first part
    is the output h; it is all zeros at the start.
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.U = nn.Parameter(torch.empty(self.gates * dim, input_dim))
        self.V = nn.Parameter(torch.empty(self.gates * dim, dim))
        self.b = nn.Parameter(torch.zeros(self.gates * dim))
        nn.init.xavier_uniform_(self.U)
        for gate in self.V.data.split(dim):
            nn.init.orthogonal_(gate)  # W^t of an orthogonal W neither explodes nor fades

    def forward(self, x_TBD: Tensor, *state: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """``(h of every step [T, B, H], the state after the last one)``."""
        if not state:
            state = (x_TBD.new_zeros(x_TBD.size(1), self.dim),) * self.states
        hidden = []
        for read_BG in (x_TBD @ self.U.t() + self.b).unbind(0):
            state = self.step(read_BG, *state)
            hidden.append(state[0])
        return torch.stack(hidden), state

    @abstractmethod
    def step(self, read_BG: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The state after a step; ``read_BG`` is U x_t + b."""


class ScratchRNN(ScratchCell):
    """The plain recurrent network (Elman 1990).

    h_t = tanh(U x_t + V h_{t-1} + b)
    """

    gates = 1

    def step(self, read_BG: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        (h,) = state
        return (torch.tanh(read_BG + h @ self.V.t()),)


class ScratchLSTM(ScratchCell):
    """Long short-term memory: write, read and forget selectively.

    i_t = sigma(U_i x_t + V_i h_{t-1} + b_i)        how much is written
    f_t = sigma(U_f x_t + V_f h_{t-1} + b_f)        how much is kept
    o_t = sigma(U_o x_t + V_o h_{t-1} + b_o)        how much is read
    s_t = f_t * s_{t-1} + i_t * c_t                 the memory

    In the three forms only the candidate c_t, the output h_t and what the gates see differ:

    selective  c_t = sigma(U_c x_t + V_c h_{t-1} + b_c),  h_t = o_t * sigma(s_t)    the lectures': all between 0 and 1
    standard   c_t = tanh(U_c x_t + V_c h_{t-1} + b_c),   h_t = o_t * tanh(s_t)     Gers, Schmidhuber and Cummins 2000
    peephole   as standard; i_t and f_t also see p_i * s_{t-1} and p_f * s_{t-1}, o_t sees p_o * s_t (Gers et al. 2002)
    """

    gates, states = 4, 2

    def __init__(self, input_dim: int, dim: int, form: str = "standard", forget_bias: float = 1.0) -> None:
        super().__init__(input_dim, dim)
        self.form = form
        self.squash = torch.sigmoid if form == "selective" else torch.tanh
        self.p = nn.Parameter(torch.empty(3, dim).uniform_(-(dim**-0.5), dim**-0.5)) if form == "peephole" else None
        with torch.no_grad():
            self.b[dim : 2 * dim] = forget_bias  # remember at first (Jozefowicz et al. 2015)

    def step(self, read_BG: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        h, s = state
        i, f, c, o = (read_BG + h @ self.V.t()).chunk(4, dim=-1)
        if self.p is not None:
            i, f = i + self.p[0] * s, f + self.p[1] * s
        s = torch.sigmoid(f) * s + torch.sigmoid(i) * self.squash(c)
        if self.p is not None:
            o = o + self.p[2] * s
        return torch.sigmoid(o) * self.squash(s), s


class ScratchGRU(ScratchCell):
    """The gated recurrent unit (Cho et al. 2014), as torch has it: the reset gate acts on V_n h, not on h.

    r_t = sigma(U_r x_t + V_r h_{t-1} + b_r)                what of the past the candidate sees
    z_t = sigma(U_z x_t + V_z h_{t-1} + b_z)                how much of the past stays
    n_t = tanh(U_n x_t + b_n + r_t * (V_n h_{t-1} + c))     the candidate
    h_t = z_t * h_{t-1} + (1 - z_t) * n_t
    """

    gates = 3

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__(input_dim, dim)
        self.c = nn.Parameter(torch.zeros(dim))

    def step(self, read_BG: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        (h,) = state
        read_r, read_z, read_n = read_BG.chunk(3, dim=-1)
        past_r, past_z, past_n = (h @ self.V.t()).chunk(3, dim=-1)
        r, z = torch.sigmoid(read_r + past_r), torch.sigmoid(read_z + past_z)
        n = torch.tanh(read_n + r * (past_n + self.c))
        return (z * h + (1 - z) * n,)


class RNNGradients(NamedTuple):
    """dL by the weights, the inputs and the first state of a plain RNN, each in the shape of what it is taken by."""

    U: Tensor
    V: Tensor
    b: Tensor
    x_TBD: Tensor
    h0_BH: Tensor


def backpropagation_through_time(
    x_TBD: Tensor, h0_BH: Tensor, hidden_TBH: Tensor, loss_TBH: Tensor, U: Tensor, V: Tensor
) -> RNNGradients:
    """The backward pass of `ScratchRNN`, by hand (Werbos 1990).

    L depends on h_t itself, by g_t = dL/dh_t of the loss at step t alone, and through all that comes after. With
    a_t = U x_t + V h_{t-1} + b and d_t = dL/da_t, from the last step to the first:

    d_t = (g_t + V' d_{t+1}) * (1 - h_t * h_t)              for tanh'(a) = 1 - tanh(a)^2, d_{T+1} = 0
    dL/dU = sum over t of d_t x_t'      dL/dV = sum over t of d_t h_{t-1}'      dL/db = sum over t of d_t
    dL/dx_t = U' d_t                    dL/dh_0 = V' d_1

    d_t holds a factor V' diag(1 - h^2) for each step between t and the loss: products of many of them vanish or explode.

    Args:
        hidden_TBH: what the forward pass gave.
        loss_TBH: g_t.
    """
    before_TBH = torch.cat([h0_BH.unsqueeze(0), hidden_TBH[:-1]])
    grad_U, grad_V, grad_b = torch.zeros_like(U), torch.zeros_like(V), U.new_zeros(len(U))
    grad_x_TBD, from_later_BH = torch.empty_like(x_TBD), torch.zeros_like(h0_BH)
    for t in reversed(range(len(x_TBD))):
        d_BH = (loss_TBH[t] + from_later_BH) * (1 - hidden_TBH[t] ** 2)
        grad_U += d_BH.t() @ x_TBD[t]
        grad_V += d_BH.t() @ before_TBH[t]
        grad_b += d_BH.sum(0)
        grad_x_TBD[t] = d_BH @ U
        from_later_BH = d_BH @ V
    return RNNGradients(grad_U, grad_V, grad_b, grad_x_TBD, from_later_BH)


def scratch_cell(config: ScratchConfig, input_dim: int, dim: int) -> ScratchCell:
    """The layer that a section of a recipe asks for."""
    if isinstance(config, LSTMScratchConfig):
        return ScratchLSTM(input_dim, dim, config.form, config.forget_bias)
    return (ScratchGRU if isinstance(config, GRUScratchConfig) else ScratchRNN)(input_dim, dim)
