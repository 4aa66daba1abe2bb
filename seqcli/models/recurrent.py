"""Recurrent encoders: stacks of RNN, LSTM or GRU layers, one-way or both ways.

Shapes: B sequences, T positions, D input, H state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.cells import RecurrentConfig, build_layer, run_layer
from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Encoder


class RecurrentEncoder(Encoder):
    """Layers over right-padded batches, without packing.

    A backward direction is a one-way layer over the sequences turned round by their lengths: equal to packing to the
    last digits, and about twice as fast, since packing leaves the fused kernels.
    """

    def __init__(self, config: RecurrentConfig, input_dim: int) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        dims = config.sizes or [config.dim] * config.layers
        outputs = [dim * directions for dim in dims]
        self.output_dim = outputs[-1]
        sizes = list(zip([input_dim, *outputs], dims, strict=False))
        self.ahead = nn.ModuleList(build_layer(config, *size) for size in sizes)
        self.back = nn.ModuleList(build_layer(config, *size) for size in sizes) if config.bidirectional else None
        self.norms = nn.ModuleList(nn.LayerNorm(output) for output in outputs) if config.layer_norm else None
        self.dropout = SequenceDropout(config.dropout, locked=config.locked_dropout)
        self.residual, self.bidirectional = config.residual, config.bidirectional

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        x_TBD = x_BTD.transpose(0, 1).contiguous()  # positions first: the layout of the fused kernels
        turned = _turned_rows(lengths_B, x_BTD.size(1))
        for layer in range(len(self.ahead)):
            hidden = self.ahead[layer](x_TBD)[0]
            if self.back is not None:
                back = self.back[layer](_turn(x_TBD, turned))[0]
                hidden = torch.cat([hidden, _turn(back, turned)], dim=-1)
            x_TBD = self._finished(layer, hidden, x_TBD)
        return x_TBD.transpose(0, 1).contiguous()

    def stream(self, x_BTD: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(hidden states [B, T, output_dim], states to read on from)``; one-way layers only.

        States are [B, H] each, layer by layer: the hidden state, and the cell of an LSTM after it.
        """
        x_TBD = x_BTD.transpose(0, 1).contiguous()
        width = len(states) // len(self.ahead)
        after: list[Tensor] = []
        for number, layer in enumerate(self.ahead):
            hidden, own = run_layer(layer, x_TBD, states[number * width : (number + 1) * width])
            after += own
            x_TBD = self._finished(number, hidden, x_TBD)
        return x_TBD.transpose(0, 1).contiguous(), after

    def _finished(self, layer: int, hidden_TBD: Tensor, x_TBD: Tensor) -> Tensor:
        """What a layer gives to the next one: dropout, the way around it, its norm."""
        hidden_TBD = self.dropout(hidden_TBD, sequence_dim=0)
        if self.residual and hidden_TBD.shape == x_TBD.shape:
            hidden_TBD = hidden_TBD + x_TBD
        return hidden_TBD if self.norms is None else self.norms[layer](hidden_TBD)


def _turned_rows(lengths_B: Tensor, length: int) -> Tensor:
    """Rows of a flattened [T, B, ...] that turn each sequence round within its length; its own inverse."""
    steps_T1 = torch.arange(length, device=lengths_B.device).unsqueeze(1)
    source_TB = torch.where(steps_T1 < lengths_B, lengths_B - 1 - steps_T1, steps_T1)
    return (source_TB * len(lengths_B) + torch.arange(len(lengths_B), device=lengths_B.device)).flatten()


def _turn(x_TBD: Tensor, rows: Tensor) -> Tensor:
    return x_TBD.flatten(0, 1).index_select(0, rows).view_as(x_TBD)
