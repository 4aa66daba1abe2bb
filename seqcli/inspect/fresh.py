"""Networks that nobody has trained yet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from seqcli.models.network import Network
from seqcli.tasks.base import Task


def new_network(task: Task[Any], *, uniform: bool = False) -> Network:
    """The network of a fitted task as training begins with it: initialised from the recipe's seed.

    Args:
        uniform: recurrent layers begin as torch's own do, all weights uniform in +-1 / sqrt(H), where seqcli begins with
            an orthogonal recurrent matrix, which keeps lengths.
    """
    torch.manual_seed(task.recipe.training.seed)
    network = task.network().eval()
    for layer in network.modules() if uniform else ():
        if isinstance(layer, nn.RNNBase):
            layer.reset_parameters()
    return network
