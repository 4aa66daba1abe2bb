"""Models that write, one or several together, and the options they were measured with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from seqcli.data.batch import Outputs, Side
from seqcli.decode.ensemble import Ensemble
from seqcli.decode.generate import GenerateOptions
from seqcli.decode.stepper import Stepper
from seqcli.engines.stepper import SourceWriter
from seqcli.errors import usage_error
from seqcli.pipeline.model import Model
from seqcli.tasks.base import CountsEngine, Engine
from seqcli.tasks.writing import Generated, WritingTask


class EnsembleEngine(SourceWriter, CountsEngine):
    """Several models that write one text: each next token by the mean of their probabilities."""

    flat = False
    positions = 2048

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        return Ensemble([engine.stepper(source) for engine in self.engines])


def ensemble(models: Sequence[Model[Generated]]) -> Model[Generated]:
    """One model of several, which must read and write the same tokens.

    Raises:
        UserError: they do not (2).
    """
    first, *others = models
    if not others:
        return first
    task = task_of(first)
    for other in others:
        theirs = task_of(other)
        if not task.is_like(theirs):
            raise usage_error(
                f"{other.name} has another vocabulary or source than {first.name}, so the two cannot write together",
                hint="Train both with the same data, source and vocabulary, and another training.seed.",
            )
    return Model(" + ".join(model.name for model in models), task, EnsembleEngine([model.engine for model in models]))


def options_of(model: Model[Generated], **changes: Any) -> GenerateOptions:
    """The options that a model was measured with, some of them changed."""
    return replace(task_of(model).options, **changes)


def task_of(model: Model[Generated]) -> WritingTask:
    assert isinstance(model.task, WritingTask)
    return model.task
