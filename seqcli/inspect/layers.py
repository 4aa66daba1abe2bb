"""The parameters of a network, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from seqcli.models.network import Network


@dataclass(frozen=True)
class Layer:
    """One tensor of weights."""

    name: str
    shape: tuple[int, ...]
    parameters: int


def layers(network: Network) -> list[Layer]:
    """The tensors of a network in the order of its layers."""
    return [Layer(name, tuple(one.shape), one.numel()) for name, one in network.named_parameters()]
