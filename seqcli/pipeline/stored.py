"""What every way of loading a trained model reads of its run, without torch."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from seqcli.errors import UserError, data_error
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run


def stored_recipe(run: Run) -> Recipe:
    """The recipe of a finished run, every file checked against the run's manifest first.

    Raises:
        UserError: a damaged or foreign file, a recipe that leaves its folder (65).
    """
    run.verify()
    try:
        recipe = load_recipe(run.recipe_path).recipe
        load_recipe(run.recipe_path, _records(recipe), confine_to=run.path)
    except UserError as error:
        raise data_error(f"the model's recipe cannot be used: {error}") from error
    return recipe


def stored_arrays(run: Run) -> dict[str, NDArray[Any]]:
    """The weights of a run as arrays.

    Raises:
        UserError: not a sound file (65).
    """
    import safetensors
    from safetensors.numpy import load_file

    try:
        return load_file(run.weights_path)
    except (safetensors.SafetensorError, ValueError) as error:
        raise data_error(f"not a sound safetensors file: {error}", file=run.weights_path) from error


def _records(recipe: Recipe) -> list[str]:
    """Overrides that take out of a recipe what only tells where the training read: a model opens none of it."""
    vectors = getattr(recipe.model.embedder, "vectors", None)
    return ["data={corpus: none}", *(["model.embedder.vectors=null"] if vectors is not None else [])]
