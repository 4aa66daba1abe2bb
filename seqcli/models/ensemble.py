"""Several networks as one, whatever they are for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import nn

from seqcli.data.batch import Batch
from seqcli.models.network import Loss, Memory, Network

N = TypeVar("N", bound=Network)


class Ensemble(Network, Generic[N]):
    """Networks that differ in their start and their dropout alone, each learning for itself
    (Lakshminarayanan, Pritzel and Blundell 2017). A subclass says how they answer together.
    """

    def __init__(self, networks: Iterable[N]) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)

    def networks(self) -> list[N]:
        return list(self.members)  # type: ignore[arg-type]

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The mean of the members' summed losses, and the number they sum over."""
        losses = [network.loss(batch, memory) for network in self.networks()]
        return Loss(torch.stack([loss.sum for loss in losses]).mean(), losses[0].targets, memory)
