"""What a recipe would do, without training: sizes, shapes, the first batch as the model sees it, memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from seqcli.batching.order import epoch_batches
from seqcli.pipeline.environment import peak_memory_mb
from seqcli.pipeline.prepare import new_task, open_splits
from seqcli.recipe.schema import Recipe
from seqcli.training.loop import choose_device

_ADAM_STATES = {"adamw": 2, "adam": 2, "sgd": 0}


def dry_run(recipe: Recipe, device: str = "auto") -> dict[str, Any]:
    """Prepare everything, run the first batch forward and back once, and describe it, ready for JSON."""
    where = choose_device(device)
    task = new_task(recipe)
    splits = open_splits(recipe, task, ("train", "dev", "test"))
    task.fit(splits["train"])
    torch.manual_seed(recipe.training.seed)
    model = task.build_model().to(where)
    data = task.data(splits["train"])
    training = recipe.training
    rows = epoch_batches(data.lengths, tokens=training.batch.tokens, sequences=training.batch.sequences,
                         seed=training.seed, epoch=0)[0]
    batch = data.batch(rows).to(where)
    loss, targets = task.loss(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    states = 2 + _ADAM_STATES.get(training.optimizer.kind, 2) + (training.ema is not None)
    summary = task.summary()
    return {
        "splits": {name: {"examples": len(split), "tokens": int(split.fields["token"].lengths.sum())}
                   for name, split in splits.items()},
        "summary": summary, "layers": _layers(model), "parameters": parameters,
        "batch": {
            "sequences": len(rows), "positions": batch.positions,
            "shapes": {name: list(value.shape) for name, value in batch.inputs.items()},
            "examples": task.describe(data, rows[:3].tolist()),
        },
        "loss": float(loss) / max(1, targets), "uniform_loss": math.log(max(1, summary.get("labels", 1))),
        "state_mb": parameters * 4 * states / 1e6,
        "memory_mb": (peak_memory_mb() or 0.0) + parameters * 4 * (states - 2) / 1e6,
    }


def _layers(model: nn.Module) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": "x".join(map(str, parameter.shape)), "parameters": parameter.numel()}
        for name, parameter in model.named_parameters()
    ]
