"""Measuring a trained model on a split or on files, and listing what it got wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from seqcli.batching.arrays import Split
from seqcli.decode.sampling import check_numbers
from seqcli.errors import usage_error
from seqcli.files import sha256_file
from seqcli.metrics.schemes import spans
from seqcli.metrics.score import Score
from seqcli.metrics.spans import span_errors
from seqcli.pipeline.load import load_run
from seqcli.pipeline.measure import POSITIONS, measure, unseen_labels
from seqcli.pipeline.prepare import Progress, open_splits
from seqcli.recipe.data import DataConfig
from seqcli.store.runs import Run
from seqcli.training.precision import choose_device


@dataclass(frozen=True)
class Evaluation:
    """A model measured: what ran, on what, the scores and (for tagging) one row an error.

    ``floor``: what is compared with, ``{"model": name, "score": its score as JSON}``, or None.
    """

    run: str
    data: str
    score: Score
    scores: dict[str, float]
    accuracy: Score | None
    notices: list[str]
    errors: list[tuple[str, ...]]
    floor: dict[str, Any] | None = None


ERROR_COLUMNS = ("place", "kind", "gold", "predicted", "gold_text", "predicted_text", "sentence")


def evaluate(
    run: Run, data: list[str] | None = None, *, split: str = "test", device: str = "auto",
    data_format: str | None = None, with_errors: bool = False, against: Run | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a finished run.

    Args:
        data: files in the format of the model's data; None measures ``split`` of the data it was trained with.
        data_format: format of the files, where it is another.
        with_errors: also list every error (of a tagger).
        against: a model that is measured on the same data, to compare with; a language model that is measured on a
            split of its own has the n-gram floor of its report.

    Raises:
        UserError: bad data (65), a damaged model (65), files that cannot be read (74), an option that the task does
            not have (2), a language model that gives no number (1).
    """
    where = choose_device(device)
    task, model = load_run(run)
    kind = task.recipe.task.kind
    if kind not in ("tagging", "language-model"):
        raise usage_error(f"{run} is a model for {kind}, which has no score on a split",
                          hint="A file of analogy questions measures word vectors." if kind == "embedding" else None)
    if with_errors and kind != "tagging":
        raise usage_error(f"errors can be listed for a tagger; {run} is a model for {kind}")
    if against is not None and kind != "language-model":
        raise usage_error(f"language models can be compared so; {run} is a model for {kind}")
    if isinstance(model, nn.Module):
        model.to(where)
    encoded = _open(task, data, split, data_format, progress)
    batches = task.data(encoded)
    scorer = measure(task, model, batches, where)
    score = scorer.score()
    if kind == "language-model":
        check_numbers(np.array([-score.counts["nats"]]))
    errors = list(tagging_errors(task, model, batches, where)) if with_errors else []
    accuracy = scorer.accuracy.score() if getattr(scorer, "spans", None) is not None else None  # type: ignore[attr-defined]
    notices = _notices(task, batches)
    floor = None
    if against is not None:
        floor = _compared(task, against, encoded, where, notices)
    elif data is None and split in (stored := run.report().get("floor", {})):
        floor = {"model": stored["model"], "score": stored[split]}
    return Evaluation(str(run), ", ".join(data) if data else split, score, scorer.scores(), accuracy, notices,
                      errors, floor)


def _compared(task: Any, against: Run, encoded: Split, where: torch.device, notices: list[str]) -> dict[str, Any]:
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
        notices.append(f"{batches.split.cut} sequences are longer than data.max_length = "
                       f"{task.recipe.data.max_length} tokens and were measured in pieces")
    return notices


def _open(task: Any, data: list[str] | None, split: str, data_format: str | None, progress: Progress | None) -> Split:
    recipe = task.recipe
    if data is not None:
        changed: DataConfig = recipe.data.model_copy(update={
            split: data, "dev_share": None, **({"format": data_format} if data_format else {})})
        recipe = recipe.model_copy(update={"data": changed})
    splits = open_splits(recipe, task, (split,), progress)
    if split not in splits:
        raise usage_error(f"the data that the model was trained with has no {split} split",
                          hint="Give a file, or another --split.")
    return splits[split]


def tagging_errors(task: Any, model: nn.Module, data: Any, device: torch.device) -> Iterator[tuple[str, ...]]:
    """Rows of `ERROR_COLUMNS` in the order of the data: each wrong span by kind, or each wrong tag."""
    model.eval()
    rows_of: dict[int, list[str]] = {}
    with torch.inference_mode():
        for rows in data.measuring_order(POSITIONS):
            batch = data.batch(rows).to(device)
            hidden_BTD = model(batch.inputs, batch.lengths_B)
            found = model.head.decode(hidden_BTD, batch.lengths_B).tolist()  # type: ignore[operator, union-attr]
            for row, length, labels in zip(rows.tolist(), batch.lengths_B.tolist(), found, strict=True):
                rows_of[row] = task.written(labels[:length])
    for row in sorted(rows_of):
        tokens = [data.tokens.tokens.symbols[token] for token in data.tokens.tokens.sequence(row)]
        yield from _rows(task.scheme, data.split.place(row), tokens, data.gold_tags(row), rows_of[row])


def _rows(
    scheme: str | None, place: str, tokens: list[str], gold: list[str], found: list[str]
) -> Iterator[tuple[str, ...]]:
    sentence = " ".join(tokens)
    if scheme is None:
        for token, right, wrong in zip(tokens, gold, found, strict=True):
            if right != wrong:
                yield place, "tag", right, wrong, token, token, sentence
        return
    for error in span_errors(spans(gold, scheme), spans(found, scheme)):
        sides = [("", "") if span is None else (span.label, " ".join(tokens[span.start : span.end]))
                 for span in (error.gold, error.predicted)]
        yield place, error.kind, sides[0][0], sides[1][0], sides[0][1], sides[1][1], sentence
