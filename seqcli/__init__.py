"""One command line for sequence models, and the same from Python: `load` a trained model, `train` a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from seqcli.version import __version__

if TYPE_CHECKING:
    from seqcli.pipeline.model import Model

__all__ = ["__version__", "load", "train"]


def load(name: str, *, runs: str | None = None, device: str = "auto", engine: str = "auto") -> Model[Any]:
    """A trained model by its name (``ner``, ``ner@2``) or folder; see `seqcli.pipeline.model.Model.load`.

    >>> model = seqcli.load("ner")  # doctest: +SKIP
    >>> [tagged.tags for tagged in model.predict(["Angela visited Paris"])]  # doctest: +SKIP
    """
    from seqcli.pipeline.model import Model

    return Model.load(name, runs=runs, device=device, engine=engine)


def train(
    recipe: str | None,
    overrides: Sequence[str] = (),
    *,
    runs: str | None = None,
    device: str = "auto",
    resume: bool = False,
    origin: str | None = None,
    on_event: Callable[[Any], None] = lambda event: None,
) -> Model[Any]:
    """Train a recipe (one of ours by its name, or a file) and load the model.

    Args:
        recipe: None takes that of the model ``origin``.
        overrides: ``a.b=value`` each, as ``--set`` takes them.
        origin: a trained model whose vocabulary and weights are taken as far as they fit, as ``--from`` does.
        on_event: told of each event of `seqcli.pipeline.train.train`: steps, evaluations, notices, the report.
    """
    from seqcli.pipeline.events import Finished
    from seqcli.pipeline.origin import recipe_to_train
    from seqcli.pipeline.train import train as events_of
    from seqcli.store.runs import Store

    store = Store(runs)
    begin = None if origin is None else store.resolve(origin)
    prepared = recipe_to_train(recipe, overrides, begin)
    for event in events_of(prepared, store, device=device, resume=resume, origin=begin):
        on_event(event)
    assert isinstance(event, Finished)
    return load(event.folder, device=device)
