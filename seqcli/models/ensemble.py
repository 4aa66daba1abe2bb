"""Several networks side by side whose probabilities are averaged (Lakshminarayanan, Pritzel and Blundell 2017).

Shapes: M members, B sequences, T positions, U different tokens, D values (of all members together where it says so),
K labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqcli.models.classifier import SequenceClassifier
from seqcli.models.embedders import Inputs, InputSizes
from seqcli.recipe.schema import ModelConfig


class EnsembleClassifier(nn.Module):
    """Networks that differ in their start and their dropout alone; used like one `SequenceClassifier`."""

    def __init__(self, config: ModelConfig, sizes: InputSizes, labels: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(SequenceClassifier(config, sizes, labels) for _ in range(config.members))

    def networks(self) -> Sequence[SequenceClassifier]:
        """The members."""
        return [member for member in self.members if isinstance(member, SequenceClassifier)]

    # Not modules themselves: each weight is kept once, under its member's name.

    @property
    def embedder(self) -> Embedders:
        """The members' embedders as one."""
        return Embedders(self.networks())

    @property
    def head(self) -> Heads:
        """The members' heads as one."""
        return Heads(self.networks())

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [M, B, D] of the sequences."""
        return torch.stack([network(inputs, lengths_B) for network in self.networks()])

    def pool(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """The same from the embedders' vectors, side by side, and their number."""
        parts = x_BTD.split([network.embedder.output_dim for network in self.networks()], dim=-1)
        return torch.stack(
            [network.pool(part.contiguous(), lengths_B) for network, part in zip(self.networks(), parts, strict=True)]
        )


class Embedders:
    """The members' vectors of a position side by side."""

    def __init__(self, networks: Sequence[SequenceClassifier]) -> None:
        self.parts = [network.embedder for network in networks]
        self.output_dim = sum(part.output_dim for part in self.parts)

    def __call__(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, T, D]."""
        return torch.cat([part(inputs, lengths_B) for part in self.parts], dim=-1)

    def embed_types(self, inputs: Inputs) -> Tensor:
        """Vectors [U, D] of the different tokens."""
        return torch.cat([part.embed_types(inputs) for part in self.parts], dim=-1)

    def positions(self, lengths_B: Tensor) -> Tensor:
        """Vectors that come of so many tokens or frames."""
        return self.parts[0].positions(lengths_B)  # type: ignore[no-any-return]

    @property
    def mean_D(self) -> Tensor:
        """Mean of each channel of the training frames."""
        return self.parts[0].mean_D  # type: ignore[no-any-return]


class Heads:
    """Probabilities averaged over the members; each learns for itself."""

    def __init__(self, networks: Sequence[SequenceClassifier]) -> None:
        self.parts = [network.head for network in networks]

    def sequence_loss(self, pooled_MBD: Tensor, labels: Tensor, weights_K: Tensor | None) -> tuple[Tensor, float]:
        """Mean of the members' summed losses, and the number they sum over."""
        found = [
            part.sequence_loss(pooled_BD, labels, weights_K)
            for part, pooled_BD in zip(self.parts, pooled_MBD, strict=True)
        ]
        return torch.stack([loss for loss, _ in found]).mean(), found[0][1]

    def sequence_log_probs(self, pooled_MBD: Tensor) -> Tensor:
        """Log of the mean probability [B, K]."""
        each_MBK = torch.stack(
            [part.sequence_log_probs(pooled_BD) for part, pooled_BD in zip(self.parts, pooled_MBD, strict=True)]
        )
        return each_MBK.logsumexp(0) - math.log(len(self.parts))

    def output(self, pooled_MBD: Tensor) -> Tensor:
        """Mean of the members' logits [B, K]."""
        return torch.stack(
            [part.output(pooled_BD) for part, pooled_BD in zip(self.parts, pooled_MBD, strict=True)]
        ).mean(0)
