"""What a recipe would do, without training: sizes, shapes, the first batch as the model sees it, memory."""

from __future__ import annotations

from typing import Any

from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.settle import settle
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import new_task


def dry_run(recipe: Recipe, device: str = "auto") -> dict[str, Any]:
    """Prepare everything and look at it; ready for JSON. A model that is no network has ``splits`` and ``summary``."""
    recipe = settle(recipe).recipe
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev", "test"))
    task.fit(columns["train"])
    data = {name: task.data(split) for name, split in columns.items()}
    sizes: dict[str, Any] = {
        "splits": {
            name: {"examples": len(one.columns), "tokens": int(one.lengths.sum())} for name, one in data.items()
        },
        "unit": task.source.unit,
        "summary": task.summary(),
    }
    if not task.is_network:
        return sizes
    from seqcli.training.dry_run import look

    return {**sizes, **look(task, data["train"], recipe, device)}
