"""A trained model from its run folder, which alone is enough."""

from __future__ import annotations

from typing import Any

import torch

from seqcli.pipeline.stored import stored_recipe
from seqcli.store.runs import Run
from seqcli.tasks.build import new_task
from seqcli.training.checkpoint import check_shapes, load_weights


def load_run(run: Run) -> tuple[Any, Any]:
    """``(task, model)`` of a finished run, every file checked against the run's manifest first.

    The model is a network, or what a task that is not trained by gradients makes of its weights.

    Raises:
        UserError: a damaged or foreign file, weights of another shape, a recipe that leaves its folder (65).
    """
    task = new_task(stored_recipe(run))
    torch.set_flush_denormal(True)
    task.load(run.path)
    weights = load_weights(run.weights_path)
    if hasattr(task, "model_of"):
        return task, task.model_of(weights)
    model = task.empty_model()
    check_shapes(model.state_dict(), weights, file=run.weights_path)
    model.load_state_dict(weights)
    return task, model.eval()
