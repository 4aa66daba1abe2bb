"""The network that is looked at: a trained one, or the new one of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqcli.errors import usage_error
from seqcli.fields.text import TextField
from seqcli.pipeline.model import Model, stored_recipe
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.settle import settle
from seqcli.recipe import registry
from seqcli.recipe.folder import recipe_names
from seqcli.recipe.load import load_recipe
from seqcli.recipe.models import CountsConfig
from seqcli.store.runs import Store
from seqcli.store.weights import load_arrays
from seqcli.tasks.base import Task, new_task
from seqcli.text.vocabulary import UNK

if TYPE_CHECKING:
    from seqcli.models.network import Network


@dataclass(frozen=True, eq=False)
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
    is_recipe = Path(name).suffix in (".yaml", ".yml") or Path(name).is_file() or name in recipe_names()
    if store.knows(name) or not is_recipe:
        model = Model.load(store.resolve(name))
        _check_network(model.name, model.task)
        return Opened(model.name, model.task, model.network, model)
    from seqcli.inspect.fresh import new_network

    recipe = settle(load_recipe(name).recipe).recipe
    task = new_task(recipe)
    _check_network(name, task)
    task.fit(open_columns(recipe, task, ("train",))["train"])
    return Opened(name, task, new_network(task), None)


def sentence_tokens(opened: Opened, sentence: str | None) -> list[str] | None:
    """The tokens of a sentence as the network reads them, those that it does not know with <UNK> below; None: of none.

    Raises:
        UserError: a network that reads no text, a sentence of no token (2).
    """
    field = opened.task.source
    if sentence is None:
        return None
    if not isinstance(field, TextField):
        raise usage_error(f"{opened.name} reads {field.unit}, not a sentence", hint="Leave the sentence out.")
    tokens = field.read(sentence, "")
    if not tokens:
        raise usage_error("the sentence has no token")
    return [
        f"{token}\n{seen}" if seen == UNK and token != UNK else token
        for token, seen in zip(tokens, field.words.decode(field.encode(tokens).words.tolist()), strict=True)
    ]


@dataclass(frozen=True)
class Array:
    """What a model that is no network has learned, by name."""

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int


@dataclass(frozen=True)
class Counts:
    """A trained model that is no network."""

    name: str
    title: str
    arrays: list[Array]


def open_counts(name: str, runs: str | None = None) -> Counts | None:
    """What a trained model that is no network is made of; None of a network and of a recipe.

    Raises:
        UserError: damaged files (65).
    """
    store = Store(runs)
    if not store.knows(name):
        return None
    run = store.resolve(name)
    run.verify()
    config = stored_recipe(run).model
    if new_task(stored_recipe(run)).is_network:
        return None
    counts = isinstance(config, CountsConfig)  # and not word vectors, which are trained another way
    title = registry.implementation("model", config.kind).title(config) if counts else config.kind
    arrays = load_arrays(run.weights_path).items()
    return Counts(str(run), title, [Array(key, one.shape, str(one.dtype), one.nbytes) for key, one in arrays])


def _check_network(name: str, task: Task[Any]) -> None:
    if not task.is_network:
        raise usage_error(
            f"{name} is a model of kind {task.recipe.model.kind}, which has no layers to look into",
            hint="'seqcli models show' says what it is made of.",
        )
