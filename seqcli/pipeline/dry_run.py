"""What a recipe would do, without training: sizes, shapes, the first batch as the model sees it, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seqcli.pipeline.adapt import adapt
from seqcli.pipeline.events import Started
from seqcli.pipeline.origin import Origin
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.settle import settle
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run
from seqcli.tasks.base import new_task

if TYPE_CHECKING:
    from seqcli.models.network import Network


def dry_run(
    recipe: Recipe,
    device: str = "auto",
    origin: Run | None = None,
    tell: Callable[[Started], None] = lambda started: None,
) -> dict[str, Any]:
    """Prepare everything and look at it; ready for JSON. A model that is no network has ``splits`` and ``summary``."""
    recipe = settle(recipe).recipe
    task = new_task(recipe)
    opened = None if origin is None else Origin.open(origin)
    if opened is not None:
        opened.lend_to(task)
    columns = open_columns(recipe, task, ("train", "dev", "test"))
    task.fit(columns["train"])
    data = {name: task.data(split) for name, split in columns.items()}
    sizes: dict[str, Any] = {
        "splits": {name: task.extent(one) for name, one in data.items()},
        "unit": task.source.unit,
        "summary": task.summary(),
    }
    if not task.is_network:
        return sizes
    from seqcli.training.dry_run import look

    recipe, changes = adapt(recipe, data["train"])
    sizes["adapted"] = [*map(str, changes)]
    if opened is None:
        return {**sizes, **look(task, data["train"], recipe, device)}
    weights = opened.weights()

    def begin(network: Network) -> None:
        started = opened.give(weights, network, task)
        sizes["from"] = asdict(started)
        tell(started)

    return {**look(task, data["train"], recipe, device, begin), **sizes}
