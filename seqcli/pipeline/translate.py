"""Lines of text translated by one model, or by several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from seqcli.data.batch import Side
from seqcli.decode.ensemble import Ensemble
from seqcli.decode.generate import GenerateOptions
from seqcli.decode.stepper import Stepper
from seqcli.engines.stepper import SourceWriter
from seqcli.errors import data_error, usage_error
from seqcli.pipeline.model import Model
from seqcli.tasks.base import CountsEngine, Engine
from seqcli.tasks.translation import Translated, TranslationTask


class EnsembleEngine(SourceWriter, CountsEngine):
    """Several models that write one translation: each next token by the mean of their probabilities."""

    flat = False
    positions = 2048

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines

    def stepper(self, source: Side | None = None) -> Stepper:
        return Ensemble([engine.stepper(source) for engine in self.engines])


def ensemble(models: Sequence[Model[Translated]]) -> Model[Translated]:
    """One model of several, which must read and write the same tokens.

    Raises:
        UserError: they do not (2).
    """
    first, *others = models
    if not others:
        return first
    task = _task(first)
    for other in others:
        theirs = _task(other)
        if task.source.words != theirs.source.words or task.target.words != theirs.target.words:
            raise usage_error(
                f"{other.name} has another vocabulary than {first.name}, so the two cannot write together",
                hint="Train both with the same data, tokenizer and vocabulary, and another training.seed.",
            )
    return Model(" + ".join(model.name for model in models), task, EnsembleEngine([model.engine for model in models]))


class Translator:
    """Translates blocks of lines, in order.

    Args:
        prefix: what every translation begins with.
        attention: also tell where each token looked.
        scores: ln p and score are wanted too.
        refuse_long: a line longer than the model takes in one piece is an error, not cut where sentences end.
    """

    def __init__(
        self,
        model: Model[Translated],
        options: GenerateOptions,
        *,
        prefix: str = "",
        attention: bool = False,
        scores: bool = True,
        refuse_long: bool = False,
    ) -> None:
        self.model, self.task, self.options = model, _task(model), options
        self.attention, self.scores, self.refuse_long = attention, scores, refuse_long
        self.prefix = self.task.target.words.encode(self.task.target.read(prefix, "--prefix")) if prefix else []
        self.lines = 0
        self.cut: list[int] = []
        self.unknown: list[int] = []

    def block(self, lines: Sequence[str]) -> Sequence[Translated]:
        """Translations of some lines; a blank one has an empty translation.

        `cut` are the numbers of the lines that were cut, `unknown` of those of which no token is known.
        """
        if self.refuse_long:
            for number, line in enumerate(lines, self.lines + 1):
                if (length := len(self.task.source.read(line, ""))) > self.task.max_length:
                    raise data_error(
                        f"line {number} has {length:,} tokens; the model takes {self.task.max_length:,} in one piece",
                        hint="Leave out --long refuse to have it cut where sentences end.",
                    )
        found = self.model.predict_block(lines, ask=self._ask)
        for number, one in enumerate(found, self.lines + 1):
            if len(one.source) > self.task.max_length:
                self.cut.append(number)
            tokens = [token for token in one.source if token != "▁"]
            if tokens and not any(map(self.task.source.words.__contains__, tokens)):
                self.unknown.append(number)
        self.lines += len(lines)
        return found

    def _ask(self, side: Side, raws: Sequence[Sequence[str]], numbers: Sequence[int]) -> Sequence[Translated]:
        return self.task.translate(
            self.model.engine,
            side,
            raws,
            self.options,
            prefixes=[self.prefix] * len(raws) if self.prefix else None,
            attention=self.attention,
            scores=self.scores,
            numbers=[self.lines + number for number in numbers],
        )


def options_of(model: Model[Translated], **changes: Any) -> GenerateOptions:
    """The options that a model was measured with, some of them changed."""
    return replace(_task(model).options, **changes)


def _task(model: Model[Translated]) -> TranslationTask:
    assert isinstance(model.task, TranslationTask)
    return model.task
