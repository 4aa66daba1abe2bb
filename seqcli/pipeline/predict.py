"""Prediction over lines of text: tokens in, tags out, one result for each line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqcli.engines.tagging import TaggingEngine
from seqcli.metrics.schemes import spans
from seqcli.pipeline.load import load_run
from seqcli.store.runs import Run
from seqcli.text.tokenizers import build_tokenizer, split_tokens


class Tagged(NamedTuple):
    """One line, tagged; ``scores`` are the probabilities of the tags, where they were asked for."""

    tokens: list[str]
    tags: list[str]
    scores: list[float] | None


class Predictor:
    """A trained model that turns lines into tagged lines, in order, a blank line into a blank one."""

    def __init__(self, run: Run, device: torch.device, *, tokens: bool = False) -> None:
        self.task, model = load_run(run)
        self.engine = TaggingEngine(self.task, model, device)
        self.scheme: str | None = self.task.scheme
        self.max_length: int = self.task.recipe.data.max_length
        config = self.task.recipe.text.tokenizer
        model_file = getattr(config, "model", None)
        tokenizer = build_tokenizer(config.kind, None if model_file is None else run.inside(Path(model_file).name))
        self.tokenize: Callable[[str], list[str]] = split_tokens if tokens else tokenizer.tokenize

    def tag(self, lines: Sequence[str], *, scores: bool = False) -> list[Tagged]:
        """Tag some lines at once."""
        sentences = [self.tokenize(line) for line in lines]
        found = self.engine.tag(sentences, scores=scores)
        return [Tagged(tokens, tags, chance) for tokens, (tags, chance) in zip(sentences, found, strict=True)]


def format_conll(tagged: Tagged, scheme: str | None) -> str:
    """A token, its tag (and its score) a line, tabs between; a blank line ends the sentence."""
    columns: list[Sequence[str]] = [tagged.tokens, tagged.tags]
    if tagged.scores is not None:
        columns.append([f"{score:.4f}" for score in tagged.scores])
    return "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True))


def format_inline(tagged: Tagged, scheme: str | None) -> str:
    """``token/tag`` (or ``token/tag/score``) with spaces between, one line a line."""
    if tagged.scores is None:
        return " ".join(map("/".join, zip(tagged.tokens, tagged.tags, strict=True)))
    rows = zip(tagged.tokens, tagged.tags, tagged.scores, strict=True)
    return " ".join(f"{token}/{tag}/{score:.4f}" for token, tag, score in rows)


def format_tsv(tagged: Tagged, scheme: str | None) -> str:
    """Tokens, a tab, tags (a tab, scores): one line a line."""
    columns = [" ".join(tagged.tokens), " ".join(tagged.tags)]
    if tagged.scores is not None:
        columns.append(" ".join(f"{score:.4f}" for score in tagged.scores))
    return "\t".join(columns) if tagged.tokens else ""


def format_jsonl(tagged: Tagged, scheme: str | None) -> str:
    """A JSON object a line: tokens, tags, the spans they make, scores."""
    value: dict[str, Any] = {"tokens": tagged.tokens, "tags": tagged.tags}
    if scheme is not None:
        value["spans"] = [
            {"start": start, "end": end, "label": label, "text": " ".join(tagged.tokens[start:end])}
            for start, end, label in spans(tagged.tags, scheme)
        ]
    if tagged.scores is not None:
        value["scores"] = [round(score, 4) for score in tagged.scores]
    return json.dumps(value, ensure_ascii=False)


FORMATS: dict[str, Callable[[Tagged, str | None], str]] = {
    "inline": format_inline,
    "conll": format_conll,
    "tsv": format_tsv,
    "jsonl": format_jsonl,
}
"""Output formats by name; each gives the text of one line's result."""
