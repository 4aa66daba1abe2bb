"""Encoders that see a few neighbours or no order: a fixed window, convolutions, a bag.

Shapes: B sequences, T positions, D input, F filters, W positions a window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Encoder
from seqcli.models.masks import real_positions
from seqcli.recipe.encoders import BagConfig, CNNConfig, WindowConfig


class WindowEncoder(Encoder):
    """Neighbours' vectors side by side, a dense layer, ReLU (Collobert et al. 2011, section 3.3.1)."""

    def __init__(self, config: WindowConfig, input_dim: int) -> None:
        super().__init__()
        self.left, self.right = config.left, config.right
        self.dense = nn.Linear((config.left + 1 + config.right) * input_dim, config.dim)
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Vectors [B, T, output_dim]; beyond a sequence's ends stand zeros."""
        length = x_BTD.size(1)
        x_BTD = x_BTD * real_positions(lengths_B, length).unsqueeze(-1)
        padded = nn.functional.pad(x_BTD, (0, 0, self.left, self.right))
        width = self.left + 1 + self.right
        window = torch.cat([padded[:, offset : offset + length] for offset in range(width)], dim=-1)
        return self.dropout(torch.relu(self.dense(window)))

    def stream(self, x_BTD: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(vectors [B, T, output_dim], states to read on from)``: the window ends at each position (no right side).

        The state is the vectors of the last ``left`` positions [B, left, D].
        """
        batch, length, dim = x_BTD.shape
        before = states[0] if states else x_BTD.new_zeros(batch, self.left, dim)
        seen = torch.cat([before, x_BTD], dim=1)
        window = torch.cat([seen[:, offset : offset + length] for offset in range(self.left + 1)], dim=-1)
        return self.dropout(torch.relu(self.dense(window))), [seen[:, length:]]


class CNNEncoder(Encoder):
    """Filters over windows of several widths, ReLU (Kim 2014, eq. 2); beyond a sequence's ends stand zeros."""

    def __init__(self, config: CNNConfig, input_dim: int) -> None:
        super().__init__()
        self.widths = config.widths
        self.filters = nn.ModuleList(nn.Linear(width * input_dim, config.filters) for width in config.widths)
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.filters * len(config.widths)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Vectors [B, T, output_dim]; a window of width W begins (W - 1) // 2 positions to the left."""
        x_BTD = x_BTD * real_positions(lengths_B, x_BTD.size(1)).unsqueeze(-1)
        parts = []
        for width, filters in zip(self.widths, self.filters, strict=True):
            left = (width - 1) // 2
            padded = nn.functional.pad(x_BTD, (0, 0, left, width - 1 - left))
            # windows as a view: one matrix product over all of them is faster on a CPU than conv1d
            window = padded.unfold(1, width, 1).transpose(2, 3).flatten(2)
            parts.append(torch.relu(filters(window)))
        return self.dropout(torch.cat(parts, dim=-1))


class BagEncoder(Encoder):
    """Each position's own vector beside the mean of its sequence, a dense layer, ReLU: no order at all."""

    def __init__(self, config: BagConfig, input_dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * input_dim, config.dim)
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        x_BTD = x_BTD * real_positions(lengths_B, x_BTD.size(1)).unsqueeze(-1)
        mean_B1D = x_BTD.sum(1, keepdim=True) / lengths_B.clamp(min=1).view(-1, 1, 1)
        return self.dropout(torch.relu(self.dense(torch.cat([x_BTD, mean_B1D.expand_as(x_BTD)], dim=-1))))
