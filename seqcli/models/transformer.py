"""Transformer (Vaswani et al. 2017), normalising before each block (Xiong et al. 2020).

Shapes: B sequences, T positions, S positions that may be attended to, D model size, H heads, E values a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Encoder, only
from seqcli.models.masks import real_positions
from seqcli.recipe.encoders import TransformerConfig


def sinusoids(length: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Position vectors [T, D] of any length (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10_000.0) / dim))
    angle = torch.arange(length, device=device).unsqueeze(1) * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]


def rotate(x_BHTE: Tensor, start: int) -> Tensor:
    """Turn each pair of values by its position, the first of which is ``start`` (Su et al. 2021, eq. 34)."""
    length, size = x_BHTE.size(2), x_BHTE.size(3)
    rate = torch.exp(torch.arange(0, size, 2, device=x_BHTE.device) * (-math.log(10_000.0) / size))
    angle = torch.arange(start, start + length, device=x_BHTE.device).unsqueeze(1) * rate
    sin, cos = angle.sin().to(x_BHTE.dtype), angle.cos().to(x_BHTE.dtype)
    even, odd = x_BHTE[..., 0::2], x_BHTE[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def feedforward(dim: int, hidden: int, activation: str) -> nn.Sequential:
    """The two layers of a block that see each position by itself."""
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.ReLU() if activation == "relu" else nn.GELU(), nn.Linear(hidden, dim)
    )


def attention(
    q_BHTE: Tensor, k_BHSE: Tensor, v_BHSE: Tensor, *, mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    """Scaled dot-product attention [B, H, T, E]; ``mask``: True for what is seen, or what is added to the scores.

    In bf16 on a CPU the fused kernel's backward pass costs more than the products themselves.
    """
    if q_BHTE.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return nn.functional.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, attn_mask=mask, is_causal=is_causal)
    scores_BHTS = (q_BHTE * q_BHTE.size(-1) ** -0.5) @ k_BHSE.transpose(2, 3)
    if is_causal:
        mask = torch.ones(q_BHTE.size(2), q_BHTE.size(2), dtype=torch.bool).tril_()
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape).masked_fill_(~mask, -math.inf)
        scores_BHTS = scores_BHTS + mask.to(scores_BHTS.dtype)
    return scores_BHTS.softmax(-1) @ v_BHSE


class Block(nn.Module):
    """Self-attention and a feed-forward network, each x + f(norm(x))."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.rotary = config.positions == "rotary"
        self.attention_norm = nn.LayerNorm(config.dim)
        self.queries_keys_values = nn.Linear(config.dim, 3 * config.dim)
        self.attention_output = nn.Linear(config.dim, config.dim)
        self.feedforward_norm = nn.LayerNorm(config.dim)
        self.feedforward = feedforward(config.dim, config.feedforward, config.activation)
        self.dropout = SequenceDropout(config.dropout, locked=False)

    def forward(self, x_BTD: Tensor, visible_B11S: Tensor) -> Tensor:
        """Same shape; ``visible_B11S`` is True for the positions that may be attended to."""
        q_BHTE, k_BHTE, v_BHTE = self._project(x_BTD, 0)
        mixed = attention(q_BHTE, k_BHTE, v_BHTE, mask=visible_B11S)
        return self._finish(x_BTD, mixed)

    def stream(self, x_BTD: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """`forward` with no position seeing a later one; ``states``: keys and values [B, H, S, E] so far."""
        past = states[0].size(2) if states else 0
        q_BHTE, k_BHSE, v_BHSE = self._project(x_BTD, past)
        if states:
            k_BHSE, v_BHSE = torch.cat([states[0], k_BHSE], dim=2), torch.cat([states[1], v_BHSE], dim=2)
        length = x_BTD.size(1)
        if past and length > 1:
            columns = torch.arange(past + length, device=x_BTD.device)
            mask = columns <= columns[past:].unsqueeze(1)
            mixed = nn.functional.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, attn_mask=mask)
        else:
            mixed = nn.functional.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, is_causal=not past)
        return self._finish(x_BTD, mixed), [k_BHSE, v_BHSE]

    def _project(self, x_BTD: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, dim = x_BTD.shape
        shape = (batch, length, 3, self.heads, dim // self.heads)
        q_BHTE, k_BHTE, v_BHTE = self.queries_keys_values(self.attention_norm(x_BTD)).view(shape).permute(2, 0, 3, 1, 4)
        if self.rotary:
            q_BHTE, k_BHTE = rotate(q_BHTE, start), rotate(k_BHTE, start)
        return q_BHTE, k_BHTE, v_BHTE

    def _finish(self, x_BTD: Tensor, mixed_BHTE: Tensor) -> Tensor:
        x_BTD = x_BTD + self.dropout(self.attention_output(mixed_BHTE.transpose(1, 2).flatten(2))).to(x_BTD.dtype)
        return x_BTD + self.dropout(self.feedforward(self.feedforward_norm(x_BTD))).to(x_BTD.dtype)


class TransformerEncoder(Encoder):
    """Projection, positions, blocks, a last normalisation."""

    def __init__(self, config: TransformerConfig, input_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(input_dim, config.dim)
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.output_dim = config.dim
        self.kind = config.positions
        self.learned = nn.Embedding(config.max_positions, config.dim) if self.kind == "learned" else None
        if self.learned is not None:
            nn.init.normal_(self.learned.weight, std=0.02)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Hidden states [B, T, output_dim]; every position sees every other."""
        x_BTD = self._placed(self.project(x_BTD), 0)
        visible_B11T = real_positions(lengths_B, x_BTD.size(1))[:, None, None, :]
        for block in self.blocks:
            x_BTD = block(x_BTD, visible_B11T)
        return self.norm(x_BTD)

    def stream(self, x_BTD: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(hidden states, states to read on from)``; a position sees itself and those before it.

        States are the keys and values of each block, [B, H, S, E] after S positions.
        """
        x_BTD = self._placed(self.project(x_BTD), states[0].size(2) if states else 0)
        after: list[Tensor] = []
        for number, block in enumerate(only(Block, self.blocks)):
            x_BTD, own = block.stream(x_BTD, states[2 * number : 2 * number + 2])
            after += own
        return self.norm(x_BTD), after

    def _placed(self, x_BTD: Tensor, start: int) -> Tensor:
        end = start + x_BTD.size(1)
        if self.kind == "sinusoidal":
            x_BTD = x_BTD + sinusoids(end, x_BTD.size(2), x_BTD.device)[start:].to(x_BTD.dtype)
        elif self.learned is not None:
            # past the last learned position there is no better guess than that position
            places = torch.arange(start, end, device=x_BTD.device).clamp(max=self.learned.num_embeddings - 1)
            x_BTD = x_BTD + self.learned(places)
        return self.dropout(x_BTD)
