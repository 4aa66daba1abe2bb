"""Networks that nobody has trained yet."""

from __future__ import annotations

from typing import Any

import torch

from seqcli.models.network import Network
from seqcli.tasks.base import Task


def new_network(task: Task[Any]) -> Network:
    """The network of a fitted task as training begins with it: initialised from the recipe's seed."""
    torch.manual_seed(task.recipe.training.seed)
    return task.network().eval()
