"""What the verbs that score line against line share: options, reading, warnings, and how a score is shown."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Invalid, Json
from seqcli.errors import data_error, plural, usage_error
from seqcli.lines import OnInvalid, is_stdin, read_lines, source_name
from seqcli.metrics.parallel import check_lines, empty_lines_warning

if TYPE_CHECKING:
    from seqcli.metrics.score import Score

Hypothesis = Annotated[str, typer.Argument(metavar="HYP", help="System output, one segment a line; - is stdin.")]
Sentence = Annotated[bool, typer.Option("--sentence", "--sentence-level", "-sl", help="Print one score a line.")]

Compare = Annotated[
    str | None,
    typer.Option("--compare", metavar="OTHER", help="Another system's file: is the difference more than chance?"),
]

Compared = Mapping[str, Any]
"""Another system, for JSON: ``model``, its ``score``, and what a ``paired`` test says."""

Details = Sequence[tuple[object, ...]]
"""Rows of a table: a name, a number, and what there is to say about it."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """How texts are read and their score is shown."""

    score_only: Annotated[bool, typer.Option("-b", "--score-only", help="Print the score and nothing else.")] = False
    width: Annotated[int, typer.Option("-w", "--width", min=0, max=15, help="Digits after the point.")] = 2
    as_json: Json = False
    invalid: Invalid = "strict"


def check_sources(sources: Sequence[str]) -> None:
    """Refuse standard input read twice (exit code 2)."""
    if sum(map(is_stdin, sources)) > 1:
        raise usage_error("'-' given twice", hint="Standard input can be read once; put the other text into a file.")


class Rows:
    """The lines of a hypothesis with their references, read side by side; iterating notes which lines are empty.

    Args:
        columns: references a line of each file, separated by tabs; None is as many as a line has.

    Raises, while iterating:
        UserError: different numbers of lines (both are counted), a line without its references (65), files (74).
    """

    def __init__(self, hypothesis: str, references: Sequence[str], invalid: OnInvalid, columns: int | None = 1) -> None:
        check_sources([hypothesis, *references])
        self.sources, self.invalid, self.columns = [hypothesis, *references], invalid, columns
        self.names = [source_name(source) for source in self.sources]
        self.empty_hypotheses: list[int] = []
        self.empty_references: dict[str, list[int]] = {}
        self.reference_counts: set[int] = set()

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        streams = [read_lines(source, on_invalid=self.invalid) for source in self.sources]
        number = 0
        for number, row in enumerate(zip_longest(*streams), 1):
            if None in row:
                left = [sum(1 for _ in stream) for stream in streams]
                self._check_lines([number - (line is None) + more for line, more in zip(row, left, strict=True)])
            hypothesis = row[0][1].rstrip()
            if not hypothesis:
                self.empty_hypotheses.append(number)
            references = self._references(number, [text for _, text in row[1:]])
            self.reference_counts.add(len(references))
            yield hypothesis, references
        if number == 0:
            self._check_lines([0] * len(self.sources))

    def _references(self, number: int, texts: Sequence[str]) -> list[str]:
        if self.columns is None:
            references = [cell.strip() for text in texts for cell in text.split("\t") if cell.strip()]
            if not references:
                raise data_error("the line has no reference", file=self.names[1], line=number)
            return references
        references = []
        for name, text in zip(self.names[1:], texts, strict=True):
            cells = text.split("\t") if self.columns > 1 else [text]
            if len(cells) != self.columns:
                raise data_error(
                    f"{plural(len(cells), 'tab-separated reference')}, but --num-refs says {self.columns}",
                    file=name,
                    line=number,
                    hint="--variable-refs takes as many as each line has.",
                )
            for cell in cells:
                references.append(cell.rstrip())
                if not references[-1]:
                    self.empty_references.setdefault(name, []).append(number)
        return references

    def _check_lines(self, counts: Sequence[int]) -> None:
        hypothesis, *references = zip(self.names, counts, strict=True)
        check_lines(hypothesis, references, self.columns or 1)

    def warn_of_empty_lines(
        self, what: str = "hypothesis", effect: str = "it matches nothing and counts against the whole"
    ) -> None:
        if self.empty_hypotheses:
            console.warn(empty_lines_warning(self.names[0], self.empty_hypotheses, what, effect))
        for name, numbers in self.empty_references.items():
            console.warn(empty_lines_warning(name, numbers, "reference", "it stays a reference without words"))


def plain_line(score: Score, width: int, details: str = "") -> str:
    """``NAME|signature = value details``, the form of sacrebleu; a signature that begins with the name stands alone."""
    confidence = score.counts.get("confidence")
    interval = f" (μ = {confidence['mean']:.{width}f} ± {confidence['half_width']:.{width}f})" if confidence else ""
    return f"{_head(score)} = {score.value:.{width}f}{interval}{details and ' ' + details}"


def _head(score: Score) -> str:
    named = score.signature.startswith(f"{score.name.lower()}|")
    return score.signature if named else f"{score.name}|{score.signature}"


def show_score(
    score: Score, output: Output, plain: Iterable[str], table: Iterable[str], compared: Compared | None = None
) -> None:
    """Print a score: JSON, the number alone, ``table`` on a terminal, or ``plain`` lines anywhere else.

    ``compared``: another system's, which comes behind it.
    """
    if compared is not None:
        line = f"{compared['model']}: {compared['score']['name']} = {compared['score']['value']:.{output.width}f}"
        plain, table = ([*some, line, compared["paired"]["says"]] for some in (plain, table))
    if output.as_json:
        console.emit_json(score.as_json() | ({"compared": [compared]} if compared is not None else {}))
    elif output.score_only:
        console.emit(f"{score.value:.{output.width}f}")
    elif console.stdout_is_terminal():
        console.emit_lines([*table, f"signature  {score.signature}"])
    else:
        console.emit_lines(plain)


def show_details(score: Score, output: Output, details: str, rows: Details) -> None:
    """Print a score as one line with details, or on a terminal as the first row of a table."""
    width, confidence = output.width, score.counts.get("confidence")
    body = [(score.name, f"{score.value:.{width}f}"), *rows]
    if confidence:
        low, high = (f"{confidence['mean'] + sign * confidence['half_width']:.{width}f}" for sign in (-1, 1))
        mean = f"mean of {confidence['resamples']:,} resamples {confidence['mean']:.{width}f}"
        body.append(("95% interval", f"{low} to {high}", mean))
    show_score(score, output, [plain_line(score, width, details)], show.table(body, right=[1]))


def show_sentences(scores: Iterable[Score | None], rows: Rows, output: Output) -> None:
    """Print the score of each line as it comes; None is a score that is undefined."""
    count, signature = 0, ""
    for score in scores:
        count += 1
        if output.as_json:
            console.emit_json(score.as_json() if score else None)
        else:
            console.emit(f"{score.value if score else math.nan:.{output.width}f}")
        if is_stdin(rows.sources[0]):
            sys.stdout.flush()
        signature = _head(score) if score else signature
    rows.warn_of_empty_lines()
    if len(rows.reference_counts) > 1:
        signature = re.sub(r"nrefs:\d+", "nrefs:var", signature)
    console.note(f"{signature}, one score for each of {plural(count, 'line')}")
