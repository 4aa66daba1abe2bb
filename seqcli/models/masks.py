"""Padding: which positions are real, and how to turn sequences round without moving the padding.

Shapes: B sequences, T positions, D values.
"""

from __future__ import annotations

import torch
from torch import Tensor


def real_positions(lengths_B: Tensor, length: int) -> Tensor:
    """Mask [B, T], True where a position holds something real."""
    return torch.arange(length, device=lengths_B.device) < lengths_B.unsqueeze(1)


def reverse_sequences(x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
    """Each sequence from its last real position to its first; the padding stays at the end.

    Flipping the padded batch instead would let the backward direction start on padding.
    """
    batch, length, dim = x_BTD.shape
    steps_T = torch.arange(length, device=x_BTD.device)
    last_B1 = lengths_B.unsqueeze(1) - 1
    source_BT = torch.where(steps_T <= last_B1, last_B1 - steps_T, steps_T)
    rows_BT = source_BT + torch.arange(batch, device=x_BTD.device).unsqueeze(1) * length
    return x_BTD.reshape(batch * length, dim).index_select(0, rows_BT.flatten()).view(batch, length, dim)
