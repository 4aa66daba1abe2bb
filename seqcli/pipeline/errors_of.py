"""What a model got wrong on a split, a row each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from seqcli.metrics.schemes import spans
from seqcli.metrics.spans import span_errors
from seqcli.pipeline.measure import POSITIONS

COLUMNS = {
    "tagging": ("place", "kind", "gold", "predicted", "gold_text", "predicted_text", "sentence"),
    "classification": ("place", "gold", "predicted", "confidence", "source"),
}
"""What the columns hold, by task."""

Rows = Iterator[tuple[str, ...]]


def errors_of(task: Any, model: Any, data: Any, device: torch.device) -> Rows:
    """Rows of `COLUMNS`; a classifier's most confident mistakes come first, a tagger's in the order of the data."""
    if isinstance(model, nn.Module):
        model.eval()
    kind = task.recipe.task.kind
    with torch.inference_mode():
        yield from {"tagging": tagging_errors, "classification": classification_errors}[kind](task, model, data, device)


def classification_errors(task: Any, model: Any, data: Any, device: torch.device) -> Rows:
    """Each example whose labels are not those given, the most confident mistake first."""
    scorer = task.scorer(data)
    found: list[tuple[float, int, str]] = []
    for rows in data.measuring_order(POSITIONS):
        batch = data.batch(rows).to(device)
        probs_BK = np.exp(scorer.log_probs(model, batch))
        scorer.count(rows, np.log(probs_BK))
        for row, probs in zip(rows.tolist(), probs_BK, strict=True):
            if not scorer.right[row]:
                labels, confidence = scorer.given(probs)
                found.append((confidence, row, task.written(labels)))
    for confidence, row, labels in sorted(found, key=lambda error: (-error[0], error[1])):
        yield (
            data.split.place(row),
            task.written(data.gold(row)),
            labels,
            f"{confidence:.4f}",
            task.source.readable(data.split, row),
        )


def tagging_errors(task: Any, model: Any, data: Any, device: torch.device) -> Rows:
    """Each wrong span by kind, or each wrong tag."""
    rows_of: dict[int, list[str]] = {}
    for rows in data.measuring_order(POSITIONS):
        batch = data.batch(rows).to(device)
        hidden_BTD = model(batch.inputs, batch.lengths_B)
        found = model.head.decode(hidden_BTD, batch.lengths_B).tolist()
        for row, length, labels in zip(rows.tolist(), batch.lengths_B.tolist(), found, strict=True):
            rows_of[row] = task.written(labels[:length])
    for row in sorted(rows_of):
        tokens = [data.tokens.tokens.symbols[token] for token in data.tokens.tokens.sequence(row)]
        yield from _rows(task.scheme, data.split.place(row), tokens, data.gold_tags(row), rows_of[row])


def _rows(scheme: str | None, place: str, tokens: list[str], gold: list[str], found: list[str]) -> Rows:
    sentence = " ".join(tokens)
    if scheme is None:
        for token, right, wrong in zip(tokens, gold, found, strict=True):
            if right != wrong:
                yield place, "tag", right, wrong, token, token, sentence
        return
    for error in span_errors(spans(gold, scheme), spans(found, scheme)):
        sides = [
            ("", "") if span is None else (span.label, " ".join(tokens[span.start : span.end]))
            for span in (error.gold, error.predicted)
        ]
        yield place, error.kind, sides[0][0], sides[1][0], sides[0][1], sides[1][1], sentence
