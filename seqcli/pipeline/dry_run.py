"""What a recipe would do, without training: sizes, shapes, the first batch as the model sees it, memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from seqcli.batching.batch import Batch
from seqcli.pipeline.environment import peak_memory_mb
from seqcli.pipeline.prepare import open_splits
from seqcli.recipe.schema import Recipe, TrainingConfig
from seqcli.tasks.base import Task
from seqcli.tasks.build import new_task
from seqcli.training.precision import autocast, choose_device, resolve_precision

_ADAM_STATES = {"adamw": 2, "adam": 2, "sgd": 0}


def dry_run(recipe: Recipe, device: str = "auto") -> dict[str, Any]:
    """Prepare everything, look at the first batch, run the largest forward and back once; ready for JSON.

    ``memory_mb`` is what that pass took at its peak, plus what the optimizer and a checkpoint will add. A model that is
    not made by gradients has ``splits`` and ``summary`` alone.
    """
    where = choose_device(device)
    task = new_task(recipe)
    splits = open_splits(recipe, task, ("train", "dev", "test"))
    task.fit(splits["train"])
    summary = task.summary()
    found: dict[str, Any] = {
        "splits": {
            name: {"examples": len(split), "tokens": int(task.data(split).lengths.sum())}
            for name, split in splits.items()
        },
        "summary": summary,
    }
    if hasattr(task, "fit_weights"):
        return found
    torch.manual_seed(recipe.training.seed)
    model = task.build_model().to(where)
    data = task.data(splits["train"])
    training = recipe.training
    batches = data.training_order(training.batch, seed=training.seed, epoch=0)
    rows = batches[0]
    batch = data.batch(rows).to(where)
    with torch.no_grad(), autocast(resolve_precision(training.precision, where), where):
        loss, targets = task.loss(model, batch)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    states = 2 + _ADAM_STATES.get(training.optimizer.kind, 2) + (training.ema is not None)
    largest = max(batches, key=lambda rows: (len(rows) * data.widths(rows).max(), data.widths(rows).max()))
    choices = summary.get("labels") or summary.get("tokens in the vocabulary") or 1
    return {
        **found,
        "layers": _layers(model),
        "parameters": parameters,
        "batch": {
            "sequences": len(rows),
            "positions": batch.positions,
            "shapes": {name: list(value.shape) for name, value in batch.inputs.items() if name != "fresh"},
            "examples": task.describe(data, rows[:3].tolist()),
        },
        "loss": float(loss.detach()) / max(1, targets),
        "uniform_loss": math.log(choices),
        "state_mb": parameters * 4 * states / 1e6,
        "largest_batch": {"sequences": len(largest), "longest": int(data.widths(largest).max())},
        "memory_mb": _memory_mb(task, model, data.batch(largest).to(where), training, where)
        + parameters * 4 * (2 * states - 3) / 1e6,  # optimizer states, and the copy that a checkpoint makes of all
    }


def _memory_mb(task: Task, model: nn.Module, batch: Batch, training: TrainingConfig, where: torch.device) -> float:
    """Peak after one forward and backward pass, in MB: of the GPU, or of this process where it trains on the CPU."""
    with autocast(resolve_precision(training.precision, where), where):
        loss, _ = task.loss(model.train(), batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated(where) / 1e6
    return peak_memory_mb() or 0.0


def _layers(model: nn.Module) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": "x".join(map(str, parameter.shape)), "parameters": parameter.numel()}
        for name, parameter in model.named_parameters()
    ]
