"""How word vectors measured on analogy questions are shown: a row a section, a column a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqcli.cli import console, show
from seqcli.metrics.score import Score
from seqcli.store.runs import Run, Store


def show_analogies(run: Run, store: Store, file: str, *, as_json: bool) -> None:
    """Ask the questions of ``file`` both ways, 3CosAdd and 3CosMul, and print what came of it.

    Raises:
        UserError: bad questions (65), a model without word vectors (2) or a damaged one (65).
    """
    from seqcli.metrics.analogies import read_questions
    from seqcli.pipeline.analogies import evaluate_analogies
    from seqcli.pipeline.word_vectors import model_vectors
    from seqcli.text.word_vectors import METHODS

    sections = read_questions(file)
    vectors = model_vectors(run, store)
    scores = [evaluate_analogies(vectors, sections, method) for method in METHODS]
    if as_json:
        console.emit_json({"model": str(run), "data": file, "scores": [score.as_json() for score in scores]})
        return
    console.emit_lines(show.wrapped(_lines(scores)))


def _lines(scores: list[Score]) -> list[str]:
    counts = [score.counts for score in scores]
    rows = [_row(parts) for parts in zip(*(one["sections"] for one in counts), strict=True)]
    rows += [_row([one[name] for one in counts]) for name in ("semantic", "syntactic", "all")]
    first = counts[0]
    return [
        *(score.format() for score in scores),
        "",
        *show.table(rows, ("section", "questions", "covered", "%", "3CosAdd", "3CosMul"), right=range(1, 6)),
        "",
        f"covered: all four words are among the {first['words']:,} that have a vector; "
        f"a guess is right in {first['random']:.4f}%",
    ]


def _row(parts: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    part = parts[0]
    right = [f"{one['accuracy']:.2f}" if one["covered"] else "-" for one in parts]
    return part["name"], f"{part['questions']:,}", f"{part['covered']:,}", f"{part['coverage']:.1f}", *right
