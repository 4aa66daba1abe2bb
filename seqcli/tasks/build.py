"""The task of a recipe."""

from __future__ import annotations

from seqcli.recipe import registry
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import Task


def new_task(recipe: Recipe) -> Task:
    """The task that a recipe names, not yet fitted."""
    return registry.implementation("task", recipe.task.kind)(recipe)  # type: ignore[no-any-return]
