"""A new network that begins with the weights of a trained one, as far as they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from seqcli.data.batch import Ints
from seqcli.models.layers import Counted
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
    of known entries are, and a new word begins as the unknown one: ``known_rows`` has for each table the row that each
    entry had in the trained network, or -1.
    """
    state, tables = network.state_dict(), network.tables()
    taken, unlike = 0, []
    for name, tensor in state.items():
        old, counted = weights.get(name), tables.get(name, Counted(()))
        axes = len(counted.tables)
        alike = old is not None and old.dim() == tensor.dim() and old.shape[axes:] == tensor.shape[axes:]
        if old is None or not alike or not known_rows.keys() >= set(counted.tables):
            unlike.append(name)
        elif not axes:
            tensor.copy_(old)
            taken += 1
        else:
            rows = [torch.from_numpy(known_rows[table]) for table in counted.tables]
            taken += all(bool((row >= 0).any()) for row in rows)
            if counted.unknown is not None:
                rows = [torch.where(row < 0, counted.unknown, row) for row in rows]
            new = torch.meshgrid([(row >= 0).nonzero().flatten() for row in rows], indexing="ij")
            tensor[new] = old[torch.meshgrid([row[row >= 0] for row in rows], indexing="ij")]
    return Taken(len(state), taken, unlike)
