"""The network that is looked at: a trained one, or the new one of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqcli.errors import usage_error
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.settle import settle
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store
from seqcli.tasks.base import Task, new_task

if TYPE_CHECKING:
    from seqcli.models.network import Network


@dataclass(frozen=True)
class Opened:
    """A network with its task; ``model`` is None where it is not trained yet."""

    name: str
    task: Task[Any]
    network: Network
    model: Model[Any] | None


def open_network(name: str, runs: str | None = None) -> Opened:
    """The network of a trained model, else the untrained one of a recipe, its fields fitted on the recipe's data.

    Raises:
        UserError: no such model or recipe, or one that is no network (2); damaged files, bad data (65).
    """
    store = Store(runs)
    if store.knows(name) or not (Path(name).suffix in (".yaml", ".yml") or Path(name).is_file()):
        model = Model.load(store.resolve(name))
        _check_network(model.name, model.task)
        return Opened(model.name, model.task, model.network, model)
    from seqcli.inspect.fresh import new_network

    recipe = settle(load_recipe(name).recipe).recipe
    task = new_task(recipe)
    _check_network(name, task)
    task.fit(open_columns(recipe, task, ("train",))["train"])
    return Opened(name, task, new_network(task), None)


def _check_network(name: str, task: Task[Any]) -> None:
    if not task.is_network:
        raise usage_error(
            f"{name} is a model of kind {task.recipe.model.kind}, which has no layers to look into",
            hint="'seqcli models show' says what it is made of.",
        )
