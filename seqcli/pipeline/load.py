"""A trained model from its run folder, which alone is enough."""

from __future__ import annotations

from typing import Any

import torch

from seqcli.errors import UserError, data_error
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run
from seqcli.tasks.build import new_task
from seqcli.training.checkpoint import check_shapes, load_weights


def load_run(run: Run) -> tuple[Any, Any]:
    """``(task, model)`` of a finished run, every file checked against the run's manifest first.

    The model is a network, or what a task that is not trained by gradients makes of its weights.

    Raises:
        UserError: a damaged or foreign file, weights of another shape, a recipe that leaves its folder (65).
    """
    run.verify()
    torch.set_flush_denormal(True)
    try:
        recipe = load_recipe(run.recipe_path).recipe
        load_recipe(run.recipe_path, _records(recipe), confine_to=run.path)
    except UserError as error:
        raise data_error(f"the model's recipe cannot be used: {error}") from error
    task = new_task(recipe)
    task.load(run.path)
    weights = load_weights(run.weights_path)
    if hasattr(task, "model_of"):
        return task, task.model_of(weights)
    model = task.empty_model()
    check_shapes(model.state_dict(), weights, file=run.weights_path)
    model.load_state_dict(weights)
    return task, model.eval()


def _records(recipe: Recipe) -> list[str]:
    """Overrides that take out of a recipe what only tells where the training read: a model opens none of it."""
    vectors = getattr(recipe.model.embedder, "vectors", None)
    return ["data={corpus: none}", *(["model.embedder.vectors=null"] if vectors is not None else [])]
