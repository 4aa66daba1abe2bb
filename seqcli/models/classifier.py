"""Many to one: a sequence of tokens or frames -> one vector -> label(s).

Shapes: B sequences, T positions, D values, K labels, M members.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.ensemble import Ensemble
from seqcli.models.layers import Embedder, Encoder, Pooling, SequenceHead, build, only
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.recipe.models import NetworkConfig

Weights = NDArray[np.float32] | None


class SequenceClassifier(Network):
    """Embedder, encoder, pooling and head, chosen by the recipe. ``weights_K``: what a label counts in the loss."""

    weights_K: Tensor | None

    def __init__(self, config: NetworkConfig, sizes: InputSizes, space: LabelSpace, weights_K: Weights = None) -> None:
        super().__init__()
        self.embedder: Embedder = build("embedder", config.embedder, sizes)
        self.encoder: Encoder = build("encoder", config.encoder, self.embedder.output_dim)
        dim, bidirectional = self.encoder.output_dim, self.encoder.bidirectional
        self.pooling: Pooling = build("pooling", config.pooling, dim, bidirectional=bidirectional)
        self.head: SequenceHead = build("head", config.head, self.pooling.output_dim, space)
        weights = None if weights_K is None else torch.as_tensor(weights_K)
        self.register_buffer("weights_K", weights, persistent=False)

    def forward(self, source: Side) -> Tensors:
        """``log_probs_BK``."""
        return {"log_probs_BK": self.head.log_probs(self._pooled(source))}

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """Cross-entropy summed over the sequences, and their number (or the sum of their weights)."""
        (labels,) = self.tensors(batch.target)[0].values()
        loss, targets = self.head.sequence_loss(self._pooled(batch.source), labels, self.weights_K)
        return Loss(loss, targets, memory)

    def pool(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """Vectors [B, D] of sequences out of the embedder's vectors; an empty sequence has the zero vector."""
        lengths_B = self.embedder.positions(lengths_B)
        real_B = lengths_B.clamp(min=1)
        pooled_BD = self.pooling(self.encoder(x_BTD, real_B), real_B)
        return torch.where((lengths_B > 0).unsqueeze(1), pooled_BD, torch.zeros_like(pooled_BD))

    def _pooled(self, source: Side) -> Tensor:
        inputs, lengths_B = self.tensors(source)
        return self.pool(self.embedder(inputs, lengths_B), lengths_B)


class EnsembleClassifier(Ensemble):
    """Its probabilities are the mean of its members'."""

    def networks(self) -> list[SequenceClassifier]:
        return only(SequenceClassifier, self.members)

    def forward(self, source: Side) -> Tensors:
        each_MBK = torch.stack([network(source)["log_probs_BK"] for network in self.networks()])
        return {"log_probs_BK": each_MBK.logsumexp(0) - math.log(len(self.members))}


Classifier = SequenceClassifier | EnsembleClassifier


def new_classifier(config: NetworkConfig, sizes: InputSizes, space: LabelSpace, weights_K: Weights) -> Classifier:
    """One network, or several where the recipe asks for members."""
    members = [SequenceClassifier(config, sizes, space, weights_K) for _ in range(config.members)]
    return EnsembleClassifier(members) if len(members) > 1 else members[0]
