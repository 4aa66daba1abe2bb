"""The trunk that every aligned task shares: embedder, encoder, head, chosen by the recipe.

Shapes: B sequences, T positions, D values.
"""

from __future__ import annotations

from torch import Tensor, nn

from seqcli.models.embedders import Inputs, InputSizes
from seqcli.models.heads import LabelSpace
from seqcli.recipe import registry
from seqcli.recipe.schema import ModelConfig


class SequenceModel(nn.Module):
    """Inputs -> a hidden vector for each position -> the head."""

    def __init__(self, config: ModelConfig, sizes: InputSizes, space: LabelSpace) -> None:
        super().__init__()
        assert config.embedder is not None
        assert config.encoder is not None
        assert config.head is not None
        self.embedder = registry.implementation("embedder", config.embedder.kind)(config.embedder, sizes)
        self.encoder = registry.implementation("encoder", config.encoder.kind)(config.encoder, self.embedder.output_dim)
        self.head = registry.implementation("head", config.head.kind)(config.head, self.encoder.output_dim, space)

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Hidden states [B, T, D]."""
        x_BTD = self.embedder(inputs, lengths_B)
        return self.encoder(x_BTD, lengths_B)  # type: ignore[no-any-return]
