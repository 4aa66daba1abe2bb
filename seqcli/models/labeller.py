"""Many to many, aligned: embedder, encoder and head, chosen by the recipe. Shapes: B sequences, T positions, K labels."""

from __future__ import annotations

import torch
from torch import Tensor

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.ensemble import Ensemble
from seqcli.models.layers import Embedder, Encoder, PositionHead, build, only
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.recipe.models import NetworkConfig


class Labeller(Network):
    """A hidden vector for each position, and the head's label for it."""

    def __init__(self, config: NetworkConfig, sizes: InputSizes, space: LabelSpace) -> None:
        super().__init__()
        self.embedder: Embedder = build("embedder", config.embedder, sizes)
        self.encoder: Encoder = build("encoder", config.encoder, self.embedder.output_dim)
        self.head: PositionHead = build("head", config.head, self.encoder.output_dim, space)

    def forward(self, source: Side) -> Tensors:
        """``logits_BTK``, and of a CRF the scores of steps, starts and ends."""
        return self.head.outputs(self._hidden(source)[0])

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        hidden_BTD, positions_B = self._hidden(batch.source)
        labels_BT = self.tensors(batch.target)[0]["ids_BT"]
        loss, targets = self.head.loss(hidden_BTD, labels_BT, positions_B)
        return Loss(loss, targets, memory)

    def _hidden(self, source: Side) -> tuple[Tensor, Tensor]:
        """``(hidden vectors [B, T, D], how many of them are real [B])``."""
        inputs, lengths_B = self.tensors(source)
        positions_B = self.embedder.positions(lengths_B)
        return self.encoder(self.embedder(inputs, lengths_B), positions_B), positions_B


class EnsembleLabeller(Ensemble):
    """The score of a sequence of labels is the mean of its members' scores: their geometric mean, normalised anew."""

    def networks(self) -> list[Labeller]:
        return only(Labeller, self.members)

    def forward(self, source: Side) -> Tensors:
        each = [network(source) for network in self.networks()]
        return {name: torch.stack([one[name] for one in each]).mean(0) for name in each[0]}


def new_labeller(config: NetworkConfig, sizes: InputSizes, space: LabelSpace) -> Labeller | EnsembleLabeller:
    """One network, or several where the recipe asks for members."""
    members = [Labeller(config, sizes, space) for _ in range(config.members)]
    return EnsembleLabeller(members) if len(members) > 1 else members[0]
