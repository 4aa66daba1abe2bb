"""Several models of one task on the same examples: how good each is, how sure that is, and at what price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from seqcli.data.kept import keep_stream
from seqcli.errors import usage_error
from seqcli.lines import source_name
from seqcli.machine import cores, one_core, processor
from seqcli.metrics.paired import apart, briefly, interval, mean
from seqcli.metrics.score import Score
from seqcli.pipeline.evaluate import check_kinds, check_score, other_examples, paired_of
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import corpus_of
from seqcli.pipeline.timing import ROUNDS, Tick, first_answers, speeds
from seqcli.store.manifest import read_manifest
from seqcli.store.runs import BESIDE_FILE, ENGINE_FILES, Run
from seqcli.tasks.base import Measured

_MOST_TIMED = 4_000
"""Examples over which models are timed at most."""


@dataclass(frozen=True)
class Alone:
    """The examples that one model alone has right: how many, and of the first of them what each other model makes of it."""

    count: int
    rows: list[dict[str, Any]]


@dataclass
class Rated:
    """A model of a comparison; None is what could not be measured.

    Attributes:
        figure: ``metric``, ``value`` and the bounds ``low`` and ``high`` of what models are compared by, which is the
            score or one beside it; empty where examples do not add up to a score.
        engine_bytes, folder_bytes: the files that run the model, and the whole folder.
        minutes: of its training.
        first_answer: seconds from the start of the program to its first line about one example.
        speed: see `seqcli.pipeline.timing.speeds`.
        paired: how it compares with the first model, from its own side.
    """

    name: str
    score: Score
    figure: dict[str, Any]
    parameters: int | None
    engine_bytes: int
    folder_bytes: int
    minutes: float | None
    first_answer: float | None = None
    speed: float | None = None
    paired: dict[str, Any] = field(default_factory=dict)
    alone: Alone | None = None

    def as_json(self) -> dict[str, Any]:
        document = {**vars(self), "score": self.score.as_json()}
        alone = document.pop("alone")
        return document if alone is None else {**document, "alone": vars(alone)}


@dataclass(frozen=True)
class Comparison:
    """Models measured on the same examples.

    Attributes:
        cores: of the processor that were used, but for the first answers.
    """

    data: str
    examples: int
    processor: str
    cores: int
    notices: list[str]
    models: list[Rated]

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "models": [one.as_json() for one in self.models]}


def steps(models: int) -> int:
    """How often `compare` of so many models says that it has gone on."""
    return models * (1 + 2 * ROUNDS)


def compare(
    runs: Sequence[Run],
    data: list[str] | None = None,
    *,
    split: str = "test",
    examples: int = 0,
    timed: bool = True,
    tick: Tick = lambda: None,
) -> Comparison:
    """Measure finished runs side by side, each in the same way: on one core, their first answers as the program is started.

    Args:
        data: files in the format of the first model's data; None measures ``split`` of the data of all of them.
        examples: of those that one model alone has right, so many are listed of each.
        timed: measure how long they take, too.
        tick: called `steps` times.

    Raises:
        UserError: one model alone or twice, other tasks, labels or test sets (2); all that `evaluate` raises.
    """
    paths = [run.path.resolve() for run in runs]
    if twice := next((run for place, run in enumerate(runs) if paths[place] in paths[:place]), None):
        raise usage_error(f"{twice} is named twice", hint="Another version of it is NAME@VERSION.")
    if len(runs) < 2:
        raise usage_error(
            f"{runs[0]} alone is nothing to compare", hint="Name two models or more; 'seqcli evaluate' measures one."
        )
    name = ", ".join(map(source_name, data or ())) or split
    data = data and [str(keep_stream(path) or path) for path in data]  # a pipe is read once, for all models
    with one_core():
        models = [Model.load(run) for run in runs]
        notices = _check(models, data, split, examples)
        found = _compare(models, data, split, name, examples, notices, tick)
        if not timed:
            return found
        corpus = corpus_of(models[0].recipe(data, split), models[0].task, (split,))
        items = [one.source for one in islice(corpus.examples(split), _MOST_TIMED)]
        splits = [model.task.data(models[0].columns(data, split, reader=model.task)) for model in models]
        for one, speed in zip(found.models, speeds(models, splits, items, tick), strict=True):
            one.speed = speed
    answers = first_answers(models, items[0], corpus.files(split)[0], tick)
    for one, answer in zip(found.models, answers, strict=True):
        one.first_answer = answer
    return found


def _check(models: Sequence[Model[Any]], data: list[str] | None, split: str, examples: int) -> list[str]:
    """Refuse what cannot be compared; returns what makes a comparison less than fair."""
    first = models[0]
    if not first.task.score_names:
        raise usage_error(f"{first.name} is a model for {first.task.kind}, which has no score on a split")
    if examples and not first.task.error_columns:
        raise usage_error(
            "what one model alone has right can be listed of taggers, classifiers and what writes text; "
            f"{first.name} is a model for {first.task.kind}"
        )
    notices = [model.notice for model in models if model.notice is not None]
    for other in models[1:]:
        check_kinds(first, other)
        notices += first.task.differences(other.task, other.name)
        if data is None and (unlike := other_examples(first, other, split)) is not None:
            raise usage_error(unlike, hint="Say --data FILE: the examples that all are measured on.")
    return notices


def _compare(
    models: Sequence[Model[Any]],
    data: list[str] | None,
    split: str,
    name: str,
    examples: int,
    notices: list[str],
    tick: Tick,
) -> Comparison:
    measured: list[Measured[Any]] = []
    for model in models:
        columns = models[0].columns(data, split, reader=model.task)
        measured.append(model.task.measure(model.engine, model.task.data(columns), mistakes=examples > 0))
        tick()
    rated = [_rated(model, one) for model, one in zip(models, measured, strict=True)]
    for one, mine in zip(rated[1:], measured[1:], strict=True):
        paired = paired_of(one.name, rated[0].name, mine, measured[0]) or _apart(one.score, rated[0].score)
        one.paired = briefly(rated[0].name, paired)
    if len(columns) == 1 and rated[0].figure:
        notices.append("one example is too few for an interval, and to say whether a difference is more than chance")
    if examples:
        for one, alone in zip(rated, _alone(models, measured, examples), strict=True):
            one.alone = alone
    return Comparison(name, len(columns), processor() or "an unknown processor", cores(), notices, rated)


def _rated(model: Model[Any], measured: Measured[Any]) -> Rated:
    """All that needs no other model and no clock."""
    score, run, report = measured.scorer.score(), model.run, model.report
    check_score(score)
    sums = measured.sums()
    if sums is None and len(measured.right):
        sums = mean(score.name, np.where(measured.right, 100.0, 0.0))
    figure = {} if sums is None else {"metric": sums.name, "less_is_better": sums.less_is_better, **interval(sums)}
    assert run is not None
    files = read_manifest(run.path).files
    engine = [name for name in ENGINE_FILES if name in files] or [run.weights_path.name]
    return Rated(
        model.name,
        score,
        figure,
        report.get("parameters"),
        sum(files[name].size for name in (*engine, BESIDE_FILE) if name in files),
        sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()),
        report.get("minutes"),
    )


def _apart(one: Score, other: Score) -> dict[str, Any]:
    """How far two scores are apart; empty where they do not compare: of tokens that are not the same."""
    alike = one.name == other.name and one.counts.get("tokens") == other.counts.get("tokens")
    return apart(one, other) if alike else {}


def _alone(models: Sequence[Model[Any]], measured: Sequence[Measured[Any]], most: int) -> Iterator[Alone]:
    """Of each model what it alone has right; of the first of these what is wrong with the other models' answers."""
    rights_MN = np.stack([one.right for one in measured])
    wrongs = [{mistake.row: mistake for mistake in one.mistakes} for one in measured]
    task = models[0].task
    for right_N in rights_MN:
        rows = np.flatnonzero(right_N & (rights_MN.sum(0) == 1))
        shown = []
        for row in rows[:most].tolist():
            mistakes = {model.name: wrong[row] for model, wrong in zip(models, wrongs, strict=True) if row in wrong}
            one = next(iter(mistakes.values()))
            errors = {
                name: [dict(zip(task.error_columns, cells, strict=True)) for cells in task.error_rows([mistake])]
                for name, mistake in mistakes.items()
            }
            shown.append({"place": one.at, "source": one.source, "errors": errors})
        yield Alone(len(rows), shown)
