"""A new network that begins with the weights of a trained one, as far as they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from seqcli.data.batch import Ints
from seqcli.models.network import Network


@dataclass(frozen=True)
class Taken:
    """How many of a network's tensors begin as those of another, and the names of those that cannot."""

    tensors: int
    taken: int
    unlike: list[str]


def take_weights(network: Network, weights: Mapping[str, Tensor], known_rows: Mapping[str, Ints]) -> Taken:
    """Copy into a new network what fits of a trained one; what does not stays as it was initialised.

    A tensor is taken whole where name and shape are equal. Of one with a row for each word, label and so on, the rows
    of known entries are: ``known_rows`` has for each table the row that each entry had in the trained network, or -1.
    """
    state, tables = network.state_dict(), network.tables()
    taken, unlike = 0, []
    for name, tensor in state.items():
        counted = tables.get(name, ())
        old = weights.get(name)
        fits = (
            old is not None and old.dim() == tensor.dim() and old.shape[len(counted) :] == tensor.shape[len(counted) :]
        )
        if old is None or not fits or not known_rows.keys() >= set(counted):
            unlike.append(name)
        elif not counted:
            tensor.copy_(old)
            taken += 1
        else:
            rows = [torch.from_numpy(known_rows[table]) for table in counted]
            new = torch.meshgrid([(row >= 0).nonzero().flatten() for row in rows], indexing="ij")
            tensor[new] = old[torch.meshgrid([row[row >= 0] for row in rows], indexing="ij")]
            taken += new[0].numel() > 0
    return Taken(len(state), taken, unlike)
