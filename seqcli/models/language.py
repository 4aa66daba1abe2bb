"""Language models: tokens -> the distribution of the next one.

Shapes: B sequences, T positions, D values, V rows of the vocabulary, N = B x T.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.data.batch import IGNORE, Batch, InputSizes, LabelSpace, Side
from seqcli.models.embedders import TokenEmbedder
from seqcli.models.heads import SoftmaxHead
from seqcli.models.layers import Encoder, TokenHead, build
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.recipe.heads import AdaptiveConfig, SoftmaxConfig
from seqcli.recipe.models import NetworkConfig


class AdaptiveHead(TokenHead):
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
        counted = targets_N != IGNORE
        with torch.autocast(hidden_ND.device.type, enabled=False):  # torch's clusters do not mix types
            return -self.softmax(hidden_ND[counted].float(), targets_N[counted]).output.sum()

    def log_probs(self, hidden_ND: Tensor) -> Tensor:
        return self.softmax.log_prob(hidden_ND).float()


class LanguageModel(Network):
    """Embedder, encoder and head of a recipe, for the next token.

    Args:
        carries: a batch goes on from the states that the one before left.
    """

    predicts = "words"

    def __init__(self, config: NetworkConfig, sizes: InputSizes, *, carries: bool = False) -> None:
        super().__init__()
        tied = isinstance(config.head, SoftmaxConfig) and config.head.tied
        self.carries = carries
        self.embedder: TokenEmbedder = build("embedder", config.embedder, sizes, tied=tied)
        dim = self.embedder.output_dim
        self.encoder: Encoder = build("encoder", config.encoder, dim)
        hidden = self.encoder.output_dim
        # a tied output has the size of a word's vector, whatever the size of the state
        self.project = nn.Linear(hidden, dim) if tied and hidden != dim else nn.Identity()
        self.head: TokenHead = build("head", config.head, dim if tied else hidden, LabelSpace(sizes.words))
        if tied:
            assert isinstance(self.head, SoftmaxHead)
            self.head.output.weight = self.words.weight

    @property
    def words(self) -> nn.Embedding:
        """The vectors of the vocabulary."""
        assert self.embedder.words is not None
        return self.embedder.words

    def read(self, words_BT: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``(vectors that predict the token after each position [B, T, D], states to read on from)``."""
        lengths_B = words_BT.new_full((words_BT.size(0),), words_BT.size(1))
        hidden_BTD, states = self.encoder.stream(self.embedder({"words_BT": words_BT}, lengths_B), states)
        return self.project(hidden_BTD), states

    def forward(self, source: Side) -> Tensors:
        """``log_probs_BTV`` of the token after each position, from a fresh state."""
        hidden_BTD, _ = self.read(self.tensors(source)[0]["words_BT"], [])
        return {"log_probs_BTV": self.head.log_probs(hidden_BTD.flatten(0, 1)).view(*hidden_BTD.shape[:2], -1)}

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """Cross-entropy in nats summed over the tokens that count; the states after them without their history."""
        states = [] if batch.fresh else memory.states
        hidden_BTD, states = self.read(self.tensors(batch.source)[0]["words_BT"], states)
        targets_BT = self.tensors(batch.target)[0]["ids_BT"]
        hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
        loss = self.head.next_loss(hidden_ND, targets_N)
        after = Memory([state.detach() for state in states]) if self.carries else Memory()
        return Loss(loss, int((targets_BT != IGNORE).sum()), after)
