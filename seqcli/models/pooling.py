"""Pooling: a vector for each position -> one for the sequence.

Shapes: B sequences, T positions, D values, A values of an attention score. Every sequence has a position at least.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Pooling
from seqcli.models.masks import real_positions
from seqcli.recipe.pooling import AttentionConfig, LastConfig, MaxConfig, MeanConfig


class LastPooling(Pooling):
    """The state after the last position; a backward direction is done at the first one."""

    def __init__(self, config: LastConfig, dim: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.ahead = dim // 2 if bidirectional else dim
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output_dim = dim

    def forward(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        rows = torch.arange(len(lengths_B), device=hidden_BTD.device)
        ahead = hidden_BTD[rows, lengths_B - 1, : self.ahead]
        return self.dropout(torch.cat([ahead, hidden_BTD[:, 0, self.ahead :]], dim=-1))


class MeanPooling(Pooling):
    """The mean over the real positions."""

    def __init__(self, config: MeanConfig, dim: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output_dim = dim

    def forward(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        padding_BT1 = ~real_positions(lengths_B, hidden_BTD.size(1)).unsqueeze(-1)
        return self.dropout(hidden_BTD.masked_fill(padding_BT1, 0).sum(1) / lengths_B.unsqueeze(1))


class MaxPooling(Pooling):
    """The largest value of each dimension over the real positions."""

    def __init__(self, config: MaxConfig, dim: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output_dim = dim

    def forward(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        padding_BT1 = ~real_positions(lengths_B, hidden_BTD.size(1)).unsqueeze(-1)
        return self.dropout(hidden_BTD.masked_fill(padding_BT1, -torch.inf).amax(1))


class AttentionPooling(Pooling):
    """A mean weighted by softmax(u tanh(W h)) over the real positions (Yang et al. 2016, eq. 5-7)."""

    def __init__(self, config: AttentionConfig, dim: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, config.dim)
        self.score = nn.Linear(config.dim, 1, bias=False)
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output_dim = dim

    def forward(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        padding_BT = ~real_positions(lengths_B, hidden_BTD.size(1))
        hidden_BTD = hidden_BTD.masked_fill(padding_BT.unsqueeze(-1), 0)  # 0 times what padding may hold is not 0
        scores_BT = self.score(torch.tanh(self.hidden(hidden_BTD))).squeeze(-1).float()
        weights_BT = scores_BT.masked_fill(padding_BT, -torch.inf).softmax(-1)
        return self.dropout((weights_BT.unsqueeze(-1) * hidden_BTD).sum(1))
