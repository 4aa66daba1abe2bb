"""The memory that a network will take, known before any of it is taken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from seqcli.errors import UserError, usage_error
from seqcli.machine import memory_bytes
from seqcli.recipe.schema import TrainingConfig

_ADAM_STATES = {"adamw": 2, "adam": 2, "sgd": 0}
_FLOAT = 4


def copies(training: TrainingConfig) -> int:
    """How many numbers a training keeps for each parameter: itself, its gradient, what the optimizer remembers."""
    return 2 + _ADAM_STATES.get(training.optimizer.kind, 2) + (training.ema is not None)


def check_size(build: Callable[[], nn.Module], training: TrainingConfig, device: torch.device) -> None:
    """Refuse a network that cannot fit, before it is built.

    Raises:
        UserError: it needs more than all the memory of the device, and how much (2).
    """
    there = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else memory_bytes()
    try:
        with torch.device("meta"):  # shapes without numbers
            parameters = sum(parameter.numel() for parameter in build().parameters())
    except (RuntimeError, TypeError, OverflowError) as error:
        if "meta tensor" in str(error):  # a layer that looks at its own numbers cannot be counted so
            return
        if "overflow" not in str(error).lower():
            raise
        raise _too_large("more parameters than can be counted", "more than any machine has", there) from error
    needed = parameters * _FLOAT * copies(training)
    if there is not None and needed > there:
        raise _too_large(f"{parameters:,} parameters", f"{needed / 1e9:,.1f} GB", there)


def _too_large(parameters: str, needed: str, there: int | None) -> UserError:
    have = "" if there is None else f"; there are {there / 1e9:,.1f} GB"
    return usage_error(
        f"the network is too large: it has {parameters}, which take {needed} with their gradients and the "
        f"optimizer's memory{have}",
        hint="Lower the sizes in the recipe's model section (dim, layers, feedforward ...).",
    )
