"""Measuring a trained model on a split or on files, and listing what it got wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from seqcli.data.arrays import Split
from seqcli.decode.sampling import check_numbers
from seqcli.errors import usage_error
from seqcli.files import sha256_file
from seqcli.metrics.paired import compare_right
from seqcli.metrics.score import Score
from seqcli.pipeline.errors_of import COLUMNS, errors_of
from seqcli.pipeline.load import load_run
from seqcli.pipeline.measure import measure, unseen_labels
from seqcli.pipeline.notices import cut_sequences
from seqcli.pipeline.prepare import Progress, open_splits
from seqcli.recipe.data import DataConfig
from seqcli.store.runs import Run
from seqcli.training.precision import choose_device


@dataclass(frozen=True)
class Evaluation:
    """A model measured: what ran, on what, the scores and, where they were asked for, one row an error.

    Attributes:
        accuracy: of a tagger whose score is span F1.
        compared: what stands beside it, each ``{"model": name, "score": its score as JSON}``, and for classifiers
            ``paired``, the two compared example by example.
        error_columns: what the columns of ``errors`` hold.
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


def evaluate(
    run: Run,
    data: list[str] | None = None,
    *,
    split: str = "test",
    device: str = "auto",
    data_format: str | None = None,
    with_errors: bool = False,
    against: Run | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a finished run.

    Args:
        data: files in the format of the model's data; None measures ``split`` of the data it was trained with.
        data_format: format of the files, where it is another.
        with_errors: also list every error (of a tagger or a classifier).
        against: a model that is measured on the same data, to compare with; without one, a model that is measured on a
            split of its own has the baselines of its report beside it.

    Raises:
        UserError: bad data (65), a damaged model (65), files that cannot be read (74), an option that the task does
            not have (2), a language model that gives no number (1).
    """
    where = choose_device(device)
    task, model = load_run(run)
    kind = task.recipe.task.kind
    if kind == "embedding":
        raise usage_error(
            f"{run} is a model for {kind}, which has no score on a split",
            hint="A file of analogy questions measures word vectors.",
        )
    if with_errors and kind not in COLUMNS:
        raise usage_error(f"errors can be listed for taggers and classifiers; {run} is a model for {kind}")
    if against is not None and kind == "tagging":
        raise usage_error(f"language models and classifiers can be compared so; {run} is a model for {kind}")
    if isinstance(model, nn.Module):
        model.to(where)
    encoded = _open(task, data, split, data_format, progress)
    batches = task.data(encoded)
    scorer = measure(task, model, batches, where)
    score = scorer.score()
    if kind == "language-model":
        check_numbers(np.array([-score.counts["nats"]]))
    errors = list(errors_of(task, model, batches, where)) if with_errors else []
    accuracy = scorer.accuracy.score() if getattr(scorer, "spans", None) is not None else None  # type: ignore[attr-defined]
    notices = _notices(task, batches)
    compared: list[dict[str, Any]] = []
    if against is not None and kind == "language-model":
        compared = [_beside(task, against, encoded, where, notices)]
    elif against is not None:

        def opened(other: Any) -> Split:
            return _open(task, data, split, data_format, progress, other)

        compared = [_paired(scorer, against, opened, where)]
    elif data is None:
        compared = [_stored(entry, split) for entry in run.report().get("baselines", []) if split in entry]
    return Evaluation(
        str(run),
        ", ".join(data) if data else split,
        score,
        scorer.scores(),
        accuracy,
        notices,
        errors,
        compared,
        COLUMNS.get(kind, ()),
    )


def _stored(entry: dict[str, Any], split: str) -> dict[str, Any]:
    """A baseline of a report as something compared."""
    score = dict(entry[split])
    paired = score.pop("paired", None)
    return {"model": entry["model"], "score": score, **({"paired": paired} if paired else {})}


def _paired(scorer: Any, against: Run, opened: Callable[[Any], Split], where: torch.device) -> dict[str, Any]:
    """The score of another classifier on the same examples, and the two compared example by example."""
    other, model = load_run(against)
    if (other_kind := other.recipe.task.kind) != "classification":
        raise usage_error(f"{against} is a model for {other_kind}, not a classifier to compare with")
    if isinstance(model, nn.Module):
        model.to(where)
    theirs: Any = measure(other, model, other.data(opened(other)), where)
    return {
        "model": str(against),
        "score": theirs.score().as_json(),
        "paired": compare_right(scorer.right, theirs.right),
    }


def _beside(task: Any, against: Run, encoded: Split, where: torch.device, notices: list[str]) -> dict[str, Any]:
    """The score of another language model on the same encoded data."""
    other, model = load_run(against)
    if (other_kind := other.recipe.task.kind) != "language-model":
        raise usage_error(f"{against} is a model for {other_kind}, not a language model to compare with")
    if _tokens(other) != _tokens(task):
        raise usage_error(f"{against} cuts text into other tokens, so the two cannot be compared token by token")
    if other.vocabulary.tokens != task.vocabulary.tokens:
        notices.append(f"{against} has another vocabulary: its figures compare only as far as <UNK> means the same")
    if isinstance(model, nn.Module):
        model.to(where)
    score = measure(other, model, other.data(encoded), where).score()
    check_numbers(np.array([-score.counts["nats"]]))
    return {"model": str(against), "score": score.as_json()}


def _tokens(task: Any) -> list[Any]:
    """What decides how a language model cuts text: equal means equal tokens."""
    pieces = task.pieces()
    kind, model = pieces.tokenizer.kind, pieces.model
    return [kind, pieces.lowercase, None if model is None else sha256_file(model)]


def _notices(task: Any, batches: Any) -> list[str]:
    notices = []
    if getattr(batches, "unseen", None):
        notices.append(unseen_labels("labels that the model does not know", batches.unseen, task))
    if batches.split.cut:
        notices.append(cut_sequences(f"{batches.split.cut} sequences", task, "were measured in pieces"))
    return notices


def _open(
    task: Any,
    data: list[str] | None,
    split: str,
    data_format: str | None,
    progress: Progress | None,
    reader: Any = None,
) -> Split:
    """The data of a task; ``reader``: another task that encodes it instead."""
    recipe = task.recipe
    if data is not None:
        changed: DataConfig = recipe.data.model_copy(
            update={split: data, "dev_share": None, **({"format": data_format} if data_format else {})}
        )
        recipe = recipe.model_copy(update={"data": changed})
    splits = open_splits(recipe, reader or task, (split,), progress)
    if split not in splits:
        raise usage_error(
            f"the data that the model was trained with has no {split} split", hint="Give a file, or another --split."
        )
    return splits[split]
