"""Language models: tokens -> the distribution of the next one.

Shapes: B sequences, T positions, D values, V rows of the vocabulary, N = B x T.

An encoder of a language model has ``stream(x_BTD, states) -> (hidden_BTD, states)``: it reads on from ``states`` (an
empty list at the start of a sequence), no position sees a later one, and every state has the sequences in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout, keep_mask, uniform_like
from seqcli.models.heads import LabelSpace
from seqcli.models.output import IGNORE, linear_cross_entropy
from seqcli.recipe import registry
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.heads import AdaptiveConfig, SoftmaxConfig
from seqcli.recipe.schema import ModelConfig

UNKNOWN = 0
"""Row of <UNK>."""


class WordEmbedder(nn.Module):
    """A vector for each row of the vocabulary; rare words are read as <UNK> now and then in training."""

    forget_V: Tensor

    def __init__(self, config: TokensConfig, counts: Sequence[int], *, tied: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(len(counts), config.dim)
        # What the encoder reads has values of size 1. The same numbers as output weights must be small, so they are
        # scaled on the way in (Vaswani et al. 2017, section 3.4).
        self.scale = config.dim**0.5 if tied else 1.0
        nn.init.normal_(self.words.weight, std=1 / self.scale)
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim
        seen = torch.tensor(counts, dtype=torch.float32)
        forget = torch.where(seen > 0, config.word_dropout / seen.clamp(min=1), torch.zeros_like(seen))
        self.register_buffer("forget_V", forget, persistent=False)
        self.forgets, self.token_dropout = config.word_dropout > 0, config.token_dropout

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Vectors [B, T, D]."""
        if self.training and self.forgets:
            chance_BT = self.forget_V[ids_BT]
            ids_BT = torch.where(uniform_like(chance_BT) < chance_BT, UNKNOWN, ids_BT)
        x_BTD = self.words(ids_BT)
        if self.training and self.token_dropout:
            x_BTD = x_BTD * keep_mask([*ids_BT.shape, 1], self.token_dropout, x_BTD)
        return self.dropout(x_BTD * self.scale if self.scale != 1 else x_BTD)  # type: ignore[no-any-return]


class AdaptiveHead(nn.Module):
    """Softmax in clusters (Grave et al. 2017): rare words cost little, and share fewer weights."""

    def __init__(self, config: AdaptiveConfig, input_dim: int, space: LabelSpace) -> None:
        super().__init__()
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
            input_dim,
            space.labels,
            [cut for cut in config.cutoffs if cut < space.labels - 1] or [space.labels // 2],
            div_value=config.shrink,
        )

    def next_loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Cross-entropy in nats, summed over the targets that count."""
        counted = targets_N != IGNORE
        with torch.autocast(hidden_ND.device.type, enabled=False):  # torch's clusters do not mix types
            return -self.softmax(hidden_ND[counted].float(), targets_N[counted]).output.sum()

    def log_probs(self, hidden_ND: Tensor) -> Tensor:
        """ln p of every row of the vocabulary [N, V]."""
        return self.softmax.log_prob(hidden_ND).float()


class LanguageModel(nn.Module):
    """Embedder, encoder and head of a recipe, for the next token."""

    def __init__(self, config: ModelConfig, counts: Sequence[int]) -> None:
        """``counts``: how often each row of the vocabulary was seen in training."""
        super().__init__()
        assert config.encoder is not None
        embedder = cast(TokensConfig, config.embedder)
        head = cast(SoftmaxConfig | AdaptiveConfig, config.head)
        tied = isinstance(head, SoftmaxConfig) and head.tied
        self.embedder = WordEmbedder(embedder, counts, tied=tied)
        self.encoder = registry.implementation("encoder", config.encoder.kind)(config.encoder, embedder.dim)
        hidden = int(self.encoder.output_dim)
        # a tied output has the size of a word's vector, whatever the size of the state
        self.project = nn.Linear(hidden, embedder.dim) if tied and hidden != embedder.dim else nn.Identity()
        self.head = registry.implementation("head", head.kind)(
            head, embedder.dim if tied else hidden, LabelSpace(len(counts))
        )
        if tied:
            self.head.output.weight = self.embedder.words.weight

    def forward(self, ids_BT: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(vectors that predict the token after each position [B, T, D], states to read on from)``."""
        hidden_BTD, states = self.encoder.stream(self.embedder(ids_BT), states)
        return self.project(hidden_BTD), states

    def loss(self, hidden_BTD: Tensor, targets_BT: Tensor) -> Tensor:
        """Cross-entropy in nats, summed over the targets that count."""
        hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
        if isinstance(self.head, AdaptiveHead):
            return self.head.next_loss(hidden_ND, targets_N)
        output = self.head.output
        return linear_cross_entropy(hidden_ND, output.weight, output.bias, targets_N)

    def log_probs(self, hidden_ND: Tensor) -> Tensor:
        """ln p of every row of the vocabulary [N, V], float32."""
        if isinstance(self.head, AdaptiveHead):
            return self.head.log_probs(hidden_ND)
        return self.head.output(hidden_ND).float().log_softmax(-1)  # type: ignore[no-any-return]
