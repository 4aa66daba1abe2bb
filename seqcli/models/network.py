"""What every network offers: the outputs of a batch, and a loss.

Shapes: B sequences. A network takes numpy arrays to its own device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqcli.data.batch import Batch, Side
from seqcli.models.layers import Embedder, Head, Tables

Tensors = dict[str, Tensor]


@dataclass
class Memory:
    """States [B, ...] that the next batch goes on from, without their history; empty where each batch is on its own."""

    states: list[Tensor] = field(default_factory=list)

    def part(self, rows: slice) -> Memory:
        """The states of some of the sequences."""
        return Memory([state[rows] for state in self.states])

    @classmethod
    def joined(cls, parts: list[Memory]) -> Memory:
        """The states of several parts of a batch, one after the other."""
        return cls([torch.cat(states) for states in zip(*(part.states for part in parts), strict=True)])


class Loss(NamedTuple):
    """A loss in nats summed over the targets, their number (of weighted ones the sum of the weights), what is left."""

    sum: Tensor
    targets: float
    memory: Memory


class Network(nn.Module, ABC):
    """Layers of a recipe, from the source of a batch to outputs by name (their letters are their shapes).

    ``predicts``: the table that its head chooses from.
    """

    predicts: ClassVar[str] = "labels"

    @abstractmethod
    def forward(self, source: Side) -> Tensors:
        """What the network says of some examples."""

    @abstractmethod
    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The loss over the targets of a batch; ``memory`` is what the batch before left."""

    def tables(self) -> Tables:
        """Its tensors with a row for each entry of a table, under the names of its state."""
        found: Tables = {}
        for path, layer in self.named_modules():
            if isinstance(layer, Embedder | Head):
                own = layer.tables() if isinstance(layer, Embedder) else layer.tables(self.predicts)
                found |= {f"{path}.{name}": counted for name, counted in own.items()}
        return found

    def tensors(self, side: Side) -> tuple[Tensors, Tensor]:
        """``(arrays, lengths_B)`` on the network's device; from pinned memory and without waiting where that is a GPU."""
        device = next(self.parameters()).device

        def move(tensor: Tensor) -> Tensor:
            if device.type == "cpu":
                return tensor
            return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

        arrays = {name: move(torch.from_numpy(array)) for name, array in side.arrays.items()}
        return arrays, move(torch.from_numpy(side.lengths_B))
