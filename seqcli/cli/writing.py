"""What the verbs share whose models write: opening the model, or several as one, and the options of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seqcli.cli import console
from seqcli.cli.language import seed_or_new
from seqcli.cli.options import Knobs, Running, Searching

if TYPE_CHECKING:
    from seqcli.decode.generate import GenerateOptions
    from seqcli.pipeline.model import Model
    from seqcli.tasks.writing import Generated


def open_writer(kind: str, model: str | None, running: Running, searching: Searching, knobs: Knobs) -> Model[Generated]:
    """The model of a task, the newest one where none is named, which is said; or several as one.

    Raises:
        UserError: there is none, or it is a model for another task (2); it is damaged (65).
    """
    from seqcli.store.runs import Store

    store = Store(running.runs)
    runs = [store.resolve(name, task_kinds=(kind,)) for name in (model, *(searching.ensemble or []))]
    if model is None:
        console.note(f"using {runs[0]}")
    from seqcli.pipeline.model import Model
    from seqcli.pipeline.writing import ensemble

    # what draws or averages asks the model token by token, which not every engine can
    steps = searching.samples(knobs) or bool(searching.ensemble)
    return ensemble([Model.load(run, device=running.device, engine=running.engine, steps=steps) for run in runs])


def writing_options(trained: Model[Generated], searching: Searching, knobs: Knobs, **changes: Any) -> GenerateOptions:
    """The options that a model was measured with, changed as the command line says."""
    from seqcli.decode.sampling import SamplingOptions
    from seqcli.pipeline.writing import options_of

    samples = searching.samples(knobs)
    changes |= {"min_length": searching.min_length, "no_repeat": searching.no_repeat}
    if searching.beam is not None or samples or searching.n_best > options_of(trained).beam:
        changes["beam"] = searching.beam or (1 if samples else searching.n_best)
    if searching.max_length is not None:
        changes["max_length"] = searching.max_length
    if searching.length_penalty is not None:
        changes["length_penalty"] = searching.length_penalty
    if samples:
        changes |= {"sampling": SamplingOptions(**knobs.turned()), "seed": seed_or_new(searching.seed)}
    return options_of(trained, best=searching.n_best, **changes)
