"""Measuring a trained model on a split or on files, and listing what it got wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from seqcli.data.kept import keep_stream
from seqcli.decode.sampling import check_numbers
from seqcli.errors import UserError, plural, usage_error
from seqcli.fields.base import Progress
from seqcli.lines import source_name
from seqcli.metrics.paired import with_words
from seqcli.metrics.score import Score
from seqcli.pipeline.fusion import check as check_alike
from seqcli.pipeline.fusion import measure_together
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import corpus_of
from seqcli.pipeline.repeat import SeedSpread, seed_spread
from seqcli.pipeline.train import cut_sequences, unseen_labels
from seqcli.store.runs import Run
from seqcli.tasks.base import Data, Measured, Task
from seqcli.tasks.tagging import TaggingScorer


@dataclass(frozen=True)
class Evaluation:
    """A model measured: what ran, on what, the scores and, where they were asked for, one row an error.

    Attributes:
        accuracy: of a tagger whose score is span F1.
        compared: what stands beside it, each ``{"model": name, "score": its score as JSON}``, and where the two can be
            compared example by example ``paired``.
        error_columns: what the columns of ``errors`` hold.
        seeds: how far trainings with other seeds are from each other, of each of two models that are compared.
    """

    run: str
    data: str
    score: Score
    scores: dict[str, float]
    accuracy: Score | None
    notices: list[str]
    errors: list[tuple[str, ...]]
    compared: list[dict[str, Any]]
    error_columns: tuple[str, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()


def evaluate(
    run: Run,
    data: list[str] | None = None,
    *,
    split: str = "test",
    device: str = "auto",
    engine: str = "auto",
    data_format: str | None = None,
    with_errors: bool = False,
    against: Run | None = None,
    others: Sequence[Run] = (),
    set_up: Callable[[Any], None] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a finished run.

    Args:
        device, engine: see `Model.load`.
        data: files in the format of the model's data; None measures ``split`` of the data it was trained with.
        data_format: format of the files, where it is another.
        with_errors: also list every error (of a tagger or a classifier).
        others: classifiers whose probabilities are averaged with it, each on its own data; ``data`` is then a file each.
        set_up: changes how the task of the loaded model reads its outputs.
        against: a model that is measured on the same data, to compare with; without one, a model that is measured on a
            split of its own has the baselines of its report beside it.

    Raises:
        UserError: bad data (65), a damaged model (65), files that cannot be read (74), an option that the task does
            not have (2), a language model that gives no number (1).
    """
    other: Model[Any] | None = None
    if against is not None:
        other = Model.load(against, device=device, engine=engine)
    model = Model.load(run, device=device, engine=engine)
    if others:
        together = [model, *(Model.load(one, device=device, engine=engine) for one in others)]
        return _evaluate_together(together, data, split, data_format, with_errors=with_errors, progress=progress)
    if set_up is not None:
        set_up(model.task)
    found = evaluate_model(
        model, data, split=split, data_format=data_format, with_errors=with_errors, against=other, progress=progress
    )
    if against is None:
        return found
    theirs = found.compared[0]["score"]["value"]
    difference = math.nan if theirs is None else found.score.value - theirs
    if not math.isfinite(difference):
        return found
    spreads = [seed_spread(one, found.score.name, split, difference) for one in (run, against)]
    return replace(found, seeds=tuple(dict.fromkeys(one for one in spreads if one is not None)))


def evaluate_model(
    model: Model[Any],
    data: list[str] | None = None,
    *,
    split: str = "test",
    data_format: str | None = None,
    with_errors: bool = False,
    against: Model[Any] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """`evaluate` of loaded models."""
    task = model.task
    if not task.score_names:
        raise usage_error(
            f"{model.name} is a model for {task.kind}, which has no score on a split",
            hint="A file of analogy questions measures word vectors.",
        )
    if with_errors and not task.error_columns:
        raise usage_error(
            f"errors can be listed for taggers, classifiers and what writes text; {model.name} is a model for {task.kind}"
        )
    if against is not None:
        check_kinds(model, against)
    names = [source_name(path) for path in data or ()]
    data = data and [str(keep_stream(path) or path) for path in data]  # a pipe is read once, for both models
    columns = model.columns(data, split, data_format=data_format, progress=progress)
    batches = task.data(columns)
    measured = task.measure(model.engine, batches, mistakes=with_errors)
    score = measured.scorer.score()
    check_score(score)
    notices = [*([] if model.notice is None else [model.notice]), *_notices(task, batches)]
    compared: list[dict[str, Any]] = []
    if against is not None:
        other = against.task
        notices += task.differences(other, against.name)
        if data is None:
            with suppress(UserError):  # what became of the other's data is of no concern here
                if (apart := other_examples(model, against, split)) is not None:
                    notices.append(f"{apart}; both are measured on that of {model.name}")
        theirs = model.columns(data, split, data_format=data_format, reader=other, progress=progress)
        compared = [_compared(model.name, against.name, measured, other.measure(against.engine, other.data(theirs)))]
        if "paired" not in compared[0] and measured.scorer.sums() is not None:
            notices.append("one example is too few to say whether a difference is more than chance")
    elif data is None:
        compared = [_stored(model.name, entry, split) for entry in model.report.get("baselines", []) if split in entry]
    scorer = measured.scorer
    return Evaluation(
        model.name,
        ", ".join(names) or split,
        score,
        scorer.scores(),
        scorer.accuracy.score() if isinstance(scorer, TaggingScorer) and scorer.spans is not None else None,
        notices,
        list(task.error_rows(measured.mistakes)),
        compared,
        task.error_columns,
    )


def _evaluate_together(
    models: Sequence[Model[Any]],
    data: Sequence[str] | None,
    split: str,
    data_format: str | None,
    *,
    with_errors: bool,
    progress: Progress | None,
) -> Evaluation:
    """Classifiers of different sensors as one, beside each of them alone."""
    check_alike(models)
    if data is not None and len(data) != len(models):
        raise usage_error(
            f"{plural(len(models), 'model')} and {plural(len(data), 'file')}",
            hint="Give each model a file of its own sensor, in their order, or none.",
        )
    splits = [
        model.columns(None if data is None else [data[number]], split, data_format=data_format, progress=progress)
        for number, model in enumerate(models)
    ]
    measured, alone = measure_together(models, splits, mistakes=with_errors)
    task = models[0].task
    return Evaluation(
        " + ".join(model.name for model in models),
        ", ".join(map(source_name, data or ())) or split,
        measured.scorer.score(),
        measured.scorer.scores(),
        None,
        [model.notice for model in models if model.notice is not None],
        list(task.error_rows(measured.mistakes)),
        [_compared("together", model.name, measured, one) for model, one in zip(models, alone, strict=True)],
        task.error_columns,
    )


def check_score(score: Score) -> None:
    """Raises UserError (1): a language model that gives no number."""
    if "nats" in score.counts:
        check_numbers(np.array([-score.counts["nats"]]))


def _stored(name: str, entry: dict[str, Any], split: str) -> dict[str, Any]:
    """A baseline of a report as something compared with the model ``name``."""
    score = dict(entry[split])
    paired = with_words(name, entry["model"], score.pop("paired", None) or {})
    return {"model": entry["model"], "score": score, **({"paired": paired} if paired else {})}


def check_kinds(model: Model[Any], other: Model[Any]) -> None:
    """Refuse two models of different tasks (2)."""
    if other.task.kind != model.task.kind:
        raise usage_error(f"{other.name} is a model for {other.task.kind}, and {model.name} one for {model.task.kind}")


def other_examples(model: Model[Any], other: Model[Any], split: str) -> str | None:
    """How the split of the data that another model was trained with differs, by the SHA-256 of its files; None: not at all.

    Other data of the catalogue is told by its name: nothing is fetched for this.

    Raises:
        UserError: the files of one are not there any more (74).
    """
    mine, theirs = model.task.recipe.data, other.task.recipe.data
    if mine == theirs:
        return None
    if theirs.corpus not in (None, mine.corpus) and getattr(theirs, split) is None:
        return f"the {split} sets differ: {other.name} was trained with {theirs.corpus}, {model.name} was not"
    corpora = [corpus_of(one.task.recipe, one.task, (split,)) for one in (model, other)]
    for one, corpus in zip((model, other), corpora, strict=True):
        if split not in corpus.splits:
            return f"{one.name} was trained with data that has no {split} split"
    here, there = (corpus.checksums(split) for corpus in corpora)
    if [*here.values()] != [*there.values()]:
        files = zip_longest(here.items(), there.items())
        unlike = next(pair for pair in files if None in pair or pair[0][1] != pair[1][1])
        named = (
            f"{one.name} has " + ("no other file" if file is None else f"{file[0]} (sha256 {file[1][:12]})")
            for one, file in zip((model, other), unlike, strict=True)
        )
        return f"the {split} sets differ: {', '.join(named)}"
    cuts = [None if split in one.split_files else (one.dev_share, one.steps) for one in corpora]
    return None if cuts[0] == cuts[1] else f"{other.name} divides the same files otherwise into its splits"


def paired_of(one: str, other: str, mine: Measured[Any], theirs: Measured[Any]) -> dict[str, Any]:
    """Two models example by example; refused (2) where they read other examples."""
    try:
        return mine.paired(theirs)
    except ValueError as error:
        raise usage_error(f"{one} and {other} do not read the same examples of this data: {error}") from error


def _compared(mine: str, name: str, measured: Measured[Any], theirs: Measured[Any]) -> dict[str, Any]:
    score = theirs.scorer.score()
    check_score(score)
    paired = with_words(mine, name, paired_of(mine, name, measured, theirs))
    return {"model": name, "score": score.as_json(), **({"paired": paired} if paired else {})}


def _notices(task: Task[Any], data: Data) -> list[str]:
    notices = []
    if unseen := task.unseen(data):
        notices.append(unseen_labels("labels that the model does not know", unseen, task))
    if data.columns.cut:
        notices.append(cut_sequences(data.columns.cut, task, task.too_long[1]))
    return notices
