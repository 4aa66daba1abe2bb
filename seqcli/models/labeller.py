"""Many to many, aligned: embedder, encoder and head, chosen by the recipe. Shapes: B sequences, T positions."""

from __future__ import annotations

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.network import Loss, Memory, Network, Tensors, build
from seqcli.recipe.models import NetworkConfig


class Labeller(Network):
    """A hidden vector for each position, and the head's label for it."""

    def __init__(self, config: NetworkConfig, sizes: InputSizes, space: LabelSpace) -> None:
        super().__init__()
        self.embedder = build("embedder", config.embedder, sizes)
        self.encoder = build("encoder", config.encoder, self.embedder.output_dim)
        self.head = build("head", config.head, self.encoder.output_dim, space)

    def forward(self, source: Side) -> Tensors:
        """``logits_BTK``, and of a CRF the scores of steps, starts and ends."""
        inputs, lengths_B = self.tensors(source)
        hidden_BTD = self.encoder(self.embedder(inputs, lengths_B), self.embedder.positions(lengths_B))
        return self.head.outputs(hidden_BTD)

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        inputs, lengths_B = self.tensors(batch.source)
        positions_B = self.embedder.positions(lengths_B)
        hidden_BTD = self.encoder(self.embedder(inputs, lengths_B), positions_B)
        labels_BT = self.tensors(batch.target)[0]["ids_BT"]
        loss, targets = self.head.loss(hidden_BTD, labels_BT, positions_B)
        return Loss(loss, targets, memory)
