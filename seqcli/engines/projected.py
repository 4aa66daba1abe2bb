"""A one-layer LSTM over tokens met before: what a token brings to the gates is computed once, not at each position.

The input's part of the gates, W x + b, depends on the token alone, and in a classifier it is most of the work.
Shapes: N tokens, B sequences, T positions, D values of a vector, H state, G = 4 H gates, in the order i, f, o, g.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from seqcli.models.recurrent import RecurrentEncoder


class ProjectedLSTM:
    """The encoder of a trained network, for vectors that `project` has turned into gates. CPU, no gradients."""

    def __init__(self, encoder: RecurrentEncoder) -> None:
        self.layers = [_gates_of(layer) for layer in (encoder.ahead[0], *(encoder.back or ())[:1])]
        self.width = sum(weight.size(0) for weight, _, _ in self.layers)

    @classmethod
    def of(cls, model: Any, device: torch.device) -> ProjectedLSTM | None:
        """That of a classifier's encoder, or None where it is something else."""
        encoder = getattr(model, "encoder", None)
        if device.type != "cpu" or not isinstance(encoder, RecurrentEncoder) or len(encoder.ahead) > 1:
            return None
        if not isinstance(encoder.ahead[0], nn.LSTM) or encoder.norms is not None or encoder.residual:
            return None
        return cls(encoder)

    def project(self, vectors_ND: Tensor) -> Tensor:
        """W x + b of each direction, side by side [N, width]."""
        return torch.cat([torch.addmm(bias, vectors_ND, weight.T) for weight, _, bias in self.layers], dim=-1)

    def __call__(self, index_BT: Tensor, table_NW: Tensor, lengths_B: Tensor) -> Tensor:
        """Hidden states [B, T, H or 2 H] of rows of a table of `project`; those past a length are of no use."""
        directions = len(self.layers)
        rows_NG = table_NW.view(len(table_NW) * directions, -1)  # a row a token and direction
        index_TB = index_BT.T * directions
        states = [_run(rows_NG, index_TB, self.layers[0][1])]
        if directions > 1:  # backwards: each sequence turned round within its length, and back again
            turned_TB = _turned(lengths_B, len(index_TB))
            back_TBH = _run(rows_NG, index_TB.gather(0, turned_TB) + 1, self.layers[1][1])
            flat = turned_TB * len(lengths_B) + torch.arange(len(lengths_B))
            states.append(back_TBH.flatten(0, 1).index_select(0, flat.flatten()).view_as(back_TBH))
        return torch.cat(states, dim=-1).transpose(0, 1)


def _gates_of(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """``(input weights [G, D], recurrent weights [H, G], bias [G])`` of an LSTM, the output gate before g."""
    lstm = cast(nn.LSTM, layer)
    i, f, g, o = torch.arange(4 * lstm.hidden_size).chunk(4)
    order = torch.cat([i, f, o, g])
    weight, recurrent = cast(Tensor, lstm.weight_ih_l0), cast(Tensor, lstm.weight_hh_l0)
    bias = cast(Tensor, lstm.bias_ih_l0) + cast(Tensor, lstm.bias_hh_l0)
    return weight.detach()[order], recurrent.detach()[order].T.contiguous(), bias.detach()[order]


def _run(rows_NG: Tensor, index_TB: Tensor, recurrent_HG: Tensor) -> Tensor:
    """Hidden states [T, B, H] from a zero state (Hochreiter and Schmidhuber 1997, with forget gates).

    The rows are gathered a step at a time: so they stay near the processor.
    """
    size = recurrent_HG.size(0)
    states_TBH = rows_NG.new_empty(*index_TB.shape, size)
    hidden_BH = cell_BH = rows_NG.new_zeros(index_TB.size(1), size)
    for step, index_B in enumerate(index_TB):
        gates_BG = rows_NG.index_select(0, index_B)
        gates_BG.addmm_(hidden_BH, recurrent_HG)
        gates_BG[:, : 3 * size].sigmoid_()
        gates_BG[:, 3 * size :].tanh_()
        cell_BH = cell_BH * gates_BG[:, size : 2 * size]
        cell_BH.addcmul_(gates_BG[:, :size], gates_BG[:, 3 * size :])
        hidden_BH = states_TBH[step]
        torch.tanh(cell_BH, out=hidden_BH)
        hidden_BH.mul_(gates_BG[:, 2 * size : 3 * size])
    return states_TBH


def _turned(lengths_B: Tensor, length: int) -> Tensor:
    """Positions [T, B] that turn each sequence round within its length; its own inverse."""
    steps_T1 = torch.arange(length).unsqueeze(1)
    return torch.where(steps_T1 < lengths_B, lengths_B - 1 - steps_T1, steps_T1)
