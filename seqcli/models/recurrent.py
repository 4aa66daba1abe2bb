"""Recurrent encoders: stacks of RNN, LSTM or GRU layers, one-way or both ways.

Shapes: B sequences, T positions, D input, H state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.cells import RecurrentConfig, build_layer
from seqcli.models.dropout import SequenceDropout
from seqcli.models.masks import reverse_sequences


class RecurrentEncoder(nn.Module):
    """Layers over right-padded batches, without packing.

    A backward direction is a one-way layer over the sequences turned round by their lengths: equal to packing to the
    last digits, and about twice as fast, since packing leaves the fused kernels.
    """

    def __init__(self, config: RecurrentConfig, input_dim: int) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        self.output_dim = config.dim * directions
        sizes = [input_dim] + [self.output_dim] * (config.layers - 1)
        self.ahead = nn.ModuleList(build_layer(config, size) for size in sizes)
        self.back = nn.ModuleList(build_layer(config, size) for size in sizes) if config.bidirectional else None
        self.norms = nn.ModuleList(nn.LayerNorm(self.output_dim) for _ in sizes) if config.layer_norm else None
        self.dropout = SequenceDropout(config.dropout, locked=config.locked_dropout)
        self.residual = config.residual

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Hidden states [B, T, output_dim]; positions past a length hold nothing of use."""
        for layer in range(len(self.ahead)):
            hidden = self.ahead[layer](x_BTD)[0]
            if self.back is not None:
                back = self.back[layer](reverse_sequences(x_BTD, lengths_B))[0]
                hidden = torch.cat([hidden, reverse_sequences(back, lengths_B)], dim=-1)
            hidden = self.dropout(hidden)
            if self.residual and hidden.shape == x_BTD.shape:
                hidden = hidden + x_BTD
            if self.norms is not None:
                hidden = self.norms[layer](hidden)
            x_BTD = hidden
        return x_BTD
