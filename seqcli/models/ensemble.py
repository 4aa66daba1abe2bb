"""Several networks as one, whatever they are for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from seqcli.data.batch import Batch
from seqcli.models.network import Loss, Memory, Network


class Ensemble(Network):
    """Networks that differ in their start and their dropout alone, each learning for itself
    (Lakshminarayanan, Pritzel and Blundell 2017). A subclass says how they answer together.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)

    @abstractmethod
    def networks(self) -> Sequence[Network]:
        """The members."""

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The mean of the members' summed losses, and the number they sum over."""
        losses = [network.loss(batch, memory) for network in self.networks()]
        return Loss(torch.stack([loss.sum for loss in losses]).mean(), losses[0].targets, memory)
