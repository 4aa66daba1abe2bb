"""Transformer encoder (Vaswani et al. 2017), normalising before each block (Xiong et al. 2020).

Shapes: B sequences, T positions, D model size, H heads, E values a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.masks import real_positions
from seqcli.recipe.encoders import TransformerConfig


def sinusoids(length: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Position vectors [T, D] of any length (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10_000.0) / dim))
    angle = torch.arange(length, device=device).unsqueeze(1) * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]


class Block(nn.Module):
    """Self-attention and a feed-forward network, each x + f(norm(x))."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.dim)
        self.queries_keys_values = nn.Linear(config.dim, 3 * config.dim)
        self.attention_output = nn.Linear(config.dim, config.dim)
        self.feedforward_norm = nn.LayerNorm(config.dim)
        self.feedforward = nn.Sequential(
            nn.Linear(config.dim, config.feedforward), nn.GELU(), nn.Linear(config.feedforward, config.dim)
        )
        self.dropout = SequenceDropout(config.dropout, locked=False)

    def forward(self, x_BTD: Tensor, visible_B11T: Tensor) -> Tensor:
        """Same shape; ``visible_B11T`` is True for the positions that may be attended to."""
        x_BTD = x_BTD + self.dropout(self._attend(self.attention_norm(x_BTD), visible_B11T))
        return x_BTD + self.dropout(self.feedforward(self.feedforward_norm(x_BTD)))

    def _attend(self, x_BTD: Tensor, visible_B11T: Tensor) -> Tensor:
        batch, length, dim = x_BTD.shape
        shape = (batch, length, 3, self.heads, dim // self.heads)
        q_BHTE, k_BHTE, v_BHTE = self.queries_keys_values(x_BTD).view(shape).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, attn_mask=visible_B11T)
        return self.attention_output(mixed.transpose(1, 2).reshape(batch, length, dim))


class TransformerEncoder(nn.Module):
    """Projection, sinusoidal positions, blocks, a last normalisation."""

    def __init__(self, config: TransformerConfig, input_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(input_dim, config.dim)
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.output_dim = config.dim

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Hidden states [B, T, output_dim]."""
        x_BTD = self.project(x_BTD)
        x_BTD = self.dropout(x_BTD + sinusoids(x_BTD.size(1), x_BTD.size(2), x_BTD.device).to(x_BTD.dtype))
        visible_B11T = real_positions(lengths_B, x_BTD.size(1))[:, None, None, :]
        for block in self.blocks:
            x_BTD = block(x_BTD, visible_B11T)
        return self.norm(x_BTD)
