"""A network before training: its layers, the first batch as it sees it, and the memory of a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from seqcli.data.batch import Batch
from seqcli.machine import peak_memory_mb
from seqcli.models.device import autocast, choose_device, resolve_precision
from seqcli.models.network import Memory, Network
from seqcli.recipe.schema import Recipe, TrainingConfig
from seqcli.tasks.base import Data, Task
from seqcli.training.memory import check_size, copies


def look(
    task: Task[Any], data: Data, recipe: Recipe, device: str, begin: Callable[[Network], object] = lambda network: None
) -> dict[str, Any]:
    """Run the first batch forward, and the largest forward and back once; ready for JSON.

    ``begin`` gives the new network the weights it is to have. ``memory_mb`` is what that pass took at its peak, plus what the optimizer and a checkpoint will add.
    """
    where, training = choose_device(device), recipe.training
    check_size(task.network, training, where)
    torch.manual_seed(training.seed)
    network = task.network()
    begin(network)
    network.to(where)
    batches = data.training_order(training.batch, seed=training.seed, epoch=0)
    batch = data.batch(batches[0])
    with torch.no_grad(), autocast(resolve_precision(training.precision, where, network), where):
        loss, targets, _ = network.loss(batch, Memory())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    states = copies(training)
    largest = max(batches, key=lambda rows: (len(rows) * data.widths(rows).max(), data.widths(rows).max()))
    summary = task.summary()
    choices = summary.get("labels") or summary.get("tokens in the vocabulary") or 1
    return {
        "layers": _layers(network),
        "parameters": parameters,
        "batch": {
            "sequences": len(batches[0]),
            "positions": batch.positions,
            "shapes": {name: list(value.shape) for name, value in batch.source.arrays.items()},
            "examples": task.describe(data, batches[0][:3].tolist()),
        },
        "loss": float(loss) / max(1, targets),
        "uniform_loss": math.log(choices),
        "state_mb": parameters * 4 * states / 1e6,
        "largest_batch": {"sequences": len(largest), "longest": int(data.widths(largest).max())},
        "memory_mb": _memory_mb(network, data.batch(largest), training, where)
        + parameters * 4 * (2 * states - 3) / 1e6,  # optimizer states, and the copy that a checkpoint makes of all
    }


def _memory_mb(network: Network, batch: Batch, training: TrainingConfig, where: torch.device) -> float:
    """Peak after one forward and backward pass, in MB: of the GPU, or of this process where it trains on the CPU."""
    with autocast(resolve_precision(training.precision, where, network), where):
        loss = network.train().loss(batch, Memory()).sum
    loss.backward()
    return torch.cuda.max_memory_allocated(where) / 1e6 if where.type == "cuda" else peak_memory_mb() or 0.0


def _layers(network: Network) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": "x".join(map(str, parameter.shape)), "parameters": parameter.numel()}
        for name, parameter in network.named_parameters()
    ]
