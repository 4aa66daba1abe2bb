"""Many to one: a sequence of tokens or frames -> one vector -> label(s).

Shapes: B sequences, T positions, D values, K labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.models.embedders import Inputs, InputSizes
from seqcli.models.heads import LabelSpace
from seqcli.recipe import registry
from seqcli.recipe.schema import ModelConfig


class SequenceClassifier(nn.Module):
    """Embedder, encoder, pooling and head, chosen by the recipe."""

    def __init__(self, config: ModelConfig, sizes: InputSizes, labels: int) -> None:
        super().__init__()
        assert config.embedder is not None
        assert config.encoder is not None
        assert config.pooling is not None
        assert config.head is not None
        self.embedder = registry.implementation("embedder", config.embedder.kind)(config.embedder, sizes)
        self.encoder = registry.implementation("encoder", config.encoder.kind)(config.encoder, self.embedder.output_dim)
        self.pooling = registry.implementation("pooling", config.pooling.kind)(
            config.pooling, self.encoder.output_dim, bidirectional=getattr(config.encoder, "bidirectional", False)
        )
        self.head = registry.implementation("head", config.head.kind)(
            config.head, self.pooling.output_dim, LabelSpace(labels)
        )

    def networks(self) -> list[SequenceClassifier]:
        """This one; an ensemble has several."""
        return [self]

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, D] of the sequences."""
        x_BTD = self.embedder(inputs, lengths_B)
        return self.pool(x_BTD, self.embedder.positions(lengths_B))

    def pool(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """The same from the embedder's vectors and their number; an empty sequence has the zero vector."""
        return self.pool_states(self.encoder(x_BTD, lengths_B.clamp(min=1)), lengths_B)

    def pool_states(self, hidden_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """The same from the encoder's states."""
        pooled_BD = self.pooling(hidden_BTD, lengths_B.clamp(min=1))
        return torch.where((lengths_B > 0).unsqueeze(1), pooled_BD, torch.zeros_like(pooled_BD))
