"""A training that starts from a trained model: what it knows and the weights that fit are taken, the rest is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.data.rules import KNOWN_CORPUS
from seqcli.errors import UserError, usage_error
from seqcli.pipeline.events import Started, TableTaken
from seqcli.pipeline.model import stored_recipe, without_vectors
from seqcli.pipeline.own_data import data_override, settings_for_other_files
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.manifest import read_manifest
from seqcli.store.runs import Run
from seqcli.tasks.base import Task, new_task

if TYPE_CHECKING:
    from seqcli.models.network import Network
    from seqcli.models.weights import Tensors

_OWN_RECIPE = "The model's own recipe fits: leave RECIPE out, and --set of this."


@dataclass(frozen=True)
class Origin:
    """The model that a training starts from: its run, its fitted task, the SHA-256 of its weights."""

    run: Run
    task: Task[Any]
    sha256: str

    @classmethod
    def open(cls, run: Run) -> Origin:
        """The model of a finished run, every file checked first.

        Raises:
            UserError: it is no network (2); a damaged or foreign file (65).
        """
        task = new_task(stored_recipe(run))
        if not task.is_network:
            raise usage_error(
                f"cannot start from {run}: {task.recipe.model.kind} is no network, so it has no layers to go on with",
                hint="Only a network can be started from.",
            )
        task.load(run.path)
        return cls(run, task, read_manifest(run.path).files[run.weights_path.name].sha256)

    @property
    def record(self) -> dict[str, str]:
        """What a run keeps of where it started."""
        return {"model": str(self.run), "sha256": self.sha256}

    def lend_to(self, task: Task[Any]) -> None:
        """Let a task that is not yet fitted start from what this one knows.

        Raises:
            UserError: another kind of task, a source that is read in another way, or a model without weights (2).
        """
        try:
            if task.kind != self.task.kind:
                raise usage_error(f"it is a model for {self.task.kind}, and the recipe is for {task.kind}")
            if not task.is_network:
                raise usage_error(f"the recipe's model is {task.recipe.model.kind}, which is not trained in steps")
            task.start_from(self.task)
        except UserError as error:
            error.message = f"cannot start from {self.run}: {error.message}"
            error.hint = _OWN_RECIPE
            raise

    def weights(self) -> Tensors:
        """The weights, on the CPU; draws random numbers.

        Raises:
            UserError: they are not those of the model's recipe (65).
        """
        from seqcli.engines.torch_engine import load_network

        return load_network(self.task, self.run.weights_path, "cpu").state_dict()

    def give(self, weights: Tensors, network: Network, task: Task[Any]) -> Started:
        """Put what fits of the weights into the new network of a fitted task."""
        from seqcli.models.start import take_weights

        known = task.known_rows()
        taken = take_weights(network, weights, known)
        if not taken.taken:
            raise usage_error(
                f"cannot start from {self.run}: none of its weights fits the recipe's network", hint=_OWN_RECIPE
            )
        before = self.task.tables
        tables = {
            name: TableTaken(int((rows >= 0).sum()), int((rows < 0).sum()), before[name] - int((rows >= 0).sum()))
            for name, rows in known.items()
        }
        return Started(str(self.run), taken.tensors, taken.taken, tables, taken.unlike)


def recipe_to_train(name: str | None, overrides: Sequence[str], origin: Run | None) -> Recipe:
    """The recipe of this name; without one that of the model which training starts from, but for its data.

    Raises:
        UserError: what `load_recipe` raises.
    """
    if name is not None or origin is None:
        return load_recipe(name or "", overrides, rules=[KNOWN_CORPUS]).recipe
    stored = stored_recipe(origin)
    # its data is not for this training, and the weights have its pretrained vectors
    changes = [data_override(settings_for_other_files(stored.data)), *without_vectors(stored), *overrides]
    return load_recipe(origin.recipe_path, changes, rules=[KNOWN_CORPUS], confine_to=origin.path).recipe
