"""Many to many, aligned: embedder, encoder and head, chosen by the recipe. Shapes: B sequences, T positions."""

from __future__ import annotations

from torch import Tensor

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.layers import Embedder, Encoder, PositionHead, build
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
