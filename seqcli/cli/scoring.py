"""What the verbs that score line against line share: options, reading, warnings, and how a score is shown."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.errors import UserError, data_error, did_you_mean, usage_error
from seqcli.lines import is_stdin, read_lines, source_name

if TYPE_CHECKING:
    from seqcli.metrics.score import Score

Hypothesis = Annotated[str, typer.Argument(metavar="HYP", help="System output, one segment a line; - is stdin.")]
ReferenceFiles = Annotated[
    list[str] | None, typer.Argument(metavar="REF", help="References, line for line with HYP; .gz is read too.")
]
ScoreOnly = Annotated[bool, typer.Option("-b", "--score-only", help="Print the score and nothing else.")]
Width = Annotated[int, typer.Option("-w", "--width", min=0, max=15, help="Digits after the point.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, not rounded.")]
Sentence = Annotated[bool, typer.Option("--sentence", "--sentence-level", "-sl", help="Print one score a line.")]
Errors = Annotated[str, typer.Option("--errors", metavar="strict|replace", help="What to do with invalid UTF-8.")]
NumRefs = Annotated[
    int, typer.Option("--num-refs", "-nr", min=1, help="References a line of each REF, separated by tabs.")
]
VariableRefs = Annotated[
    bool, typer.Option("--variable-refs", help="As many tab-separated references as a line has; an empty one is none.")
]
Confidence = Annotated[
    bool, typer.Option("--confidence", "-ci", help="Add the mean and 95% interval by bootstrap resampling.")
]
ConfidenceN = Annotated[int, typer.Option("--confidence-n", "-cin", min=2, help="Resamples for --confidence.")]
Compare = Annotated[
    list[str] | None,
    typer.Option("--compare", metavar="OTHER_HYP", help="Test another system against HYP; may be given again."),
]
PairedBsN = Annotated[int, typer.Option("--paired-bs-n", "-pbsn", min=2, help="Resamples of the paired bootstrap.")]
PairedArN = Annotated[
    int, typer.Option("--paired-ar-n", "-parn", min=2, help="Trials of the approximate randomisation.")
]
Seed = Annotated[int, typer.Option("--seed", min=1, help="Seed of every resampling.")]


@dataclass(frozen=True)
class Request:
    """What the command line asked for, the metric's own options aside."""

    hypothesis: str
    references: Sequence[str]
    num_refs: int = 1
    variable_refs: bool = False
    score_only: bool = False
    width: int = 1
    as_json: bool = False
    sentence: bool = False
    errors: str = "strict"
    resamples: int = 0
    compare: Sequence[str] = field(default_factory=tuple)
    paired_bs_n: int = 1000
    paired_ar_n: int = 10_000
    seed: int = 12345

    def check(self, verb: str) -> None:
        """Refuse what cannot be meant (exit code 2)."""
        if not self.references:
            raise usage_error(
                "no references", hint=f"seqcli {verb} HYP REF [REF...]; '-' as HYP reads it from standard input."
            )
        check_sources([self.hypothesis, *self.references, *self.compare])
        check_invalid_mode(self.errors)
        if self.num_refs > 1 and self.variable_refs:
            raise usage_error("--num-refs and --variable-refs exclude each other")
        if self.sentence and (self.resamples or self.compare):
            raise usage_error("--sentence goes with neither --confidence nor --compare")
        if self.compare and self.resamples:
            raise usage_error("--compare prints intervals by itself; leave --confidence out")


def check_sources(sources: Sequence[str]) -> None:
    """Refuse standard input read twice, and the same other system twice (exit code 2)."""
    if sum(map(is_stdin, sources)) > 1:
        raise usage_error("'-' given twice", hint="Standard input can be read once; put the other text into a file.")


def check_invalid_mode(errors: str) -> None:
    """Refuse anything but ``strict`` and ``replace`` (exit code 2)."""
    if errors not in {"strict", "replace"}:
        raise usage_error(f"unknown --errors '{errors}'", hint=did_you_mean(errors, ["strict", "replace"]))


class Rows:
    """The lines of a hypothesis with their references, read side by side; iterating notes which lines are empty.

    Raises, while iterating:
        UserError: different numbers of lines (both are counted), a line without its references (65), files (74).
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.empty_hypotheses: list[int] = []
        self.empty_references: dict[str, list[int]] = {}

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        request = self.request
        sources = [request.hypothesis, *request.references]
        streams = [read_lines(source, on_invalid=request.errors) for source in sources]  # type: ignore[arg-type]
        number = 0
        for number, row in enumerate(zip_longest(*streams), 1):
            if None in row:
                left = [sum(1 for _ in stream) for stream in streams]
                raise self._unequal([number - (line is None) + more for line, more in zip(row, left, strict=True)])
            hypothesis = row[0][1].rstrip()
            if not hypothesis:
                self.empty_hypotheses.append(number)
            yield hypothesis, self._references(number, [text for _, text in row[1:]])
        if number == 0:
            raise self._unequal([0] * len(sources))

    def _references(self, number: int, texts: Sequence[str]) -> list[str]:
        names = self.request.references
        if self.request.variable_refs:
            found = [cell.strip() for text in texts for cell in text.split("\t") if cell.strip()]
            if not found:
                raise data_error("the line has no reference", file=source_name(names[0]), line=number)
            return found
        found = []
        for name, text in zip(names, texts, strict=True):
            cells = text.split("\t") if self.request.num_refs > 1 else [text]
            if len(cells) != self.request.num_refs:
                raise data_error(
                    f"{len(cells)} tab-separated references, but --num-refs says {self.request.num_refs}",
                    file=source_name(name),
                    line=number,
                    hint="--variable-refs takes as many as each line has.",
                )
            for cell in cells:
                found.append(cell.rstrip())
                if not found[-1]:
                    self.empty_references.setdefault(source_name(name), []).append(number)
        return found

    def _unequal(self, counts: Sequence[int]) -> UserError:
        """The error for texts of these numbers of lines, which differ or are all 0."""
        from seqcli.metrics.parallel import transposed_columns, unequal_lines

        names = [source_name(source) for source in (self.request.hypothesis, *self.request.references)]
        hypothesis, *references = zip(names, counts, strict=True)
        problem = transposed_columns(hypothesis, references[0], self.request.num_refs)
        problem = problem or unequal_lines(hypothesis, references)
        assert problem, "called for texts that fit together"
        return problem

    def warn_of_empty_lines(self) -> None:
        """Warnings for the empty lines that were met."""
        from seqcli.metrics.parallel import empty_lines_warning

        hypothesis = empty_lines_warning(
            source_name(self.request.hypothesis),
            self.empty_hypotheses,
            "hypothesis",
            "it matches nothing and counts against the whole",
        )
        references = [
            empty_lines_warning(name, numbers, "reference", "it stays a reference without words")
            for name, numbers in self.empty_references.items()
        ]
        for text in (hypothesis, *references):
            if text:
                console.warn(text)


def plain_line(score: Score, width: int, details: str = "") -> str:
    """``NAME|signature = value details``, the form of sacrebleu; a signature that begins with the name stands alone."""
    confidence = score.counts.get("confidence")
    interval = f" (μ = {confidence['mean']:.{width}f} ± {confidence['half_width']:.{width}f})" if confidence else ""
    return f"{head(score)} = {score.value:.{width}f}{interval}{details and ' ' + details}"


def head(score: Score) -> str:
    """What stands before the ``=``: the name and the signature."""
    named = score.signature.startswith(f"{score.name.lower()}|")
    return score.signature if named else f"{score.name}|{score.signature}"


def show(score: Score, request: Request, details: str, rows: Sequence[Sequence[object]]) -> None:
    """Print a score: JSON, the number alone, a table on a terminal, or one plain line anywhere else."""
    if request.as_json:
        console.emit_json(score.as_json())
    elif request.score_only:
        console.emit(f"{score.value:.{request.width}f}")
    elif console.stdout_is_terminal():
        body = [(score.name, f"{score.value:.{request.width}f}"), *rows]
        confidence = score.counts.get("confidence")
        if confidence:
            low, high = (confidence["mean"] + sign * confidence["half_width"] for sign in (-1, 1))
            body.append(
                (
                    "95% interval",
                    f"{low:.{request.width}f} to {high:.{request.width}f}",
                    f"mean of {confidence['resamples']:,} resamples {confidence['mean']:.{request.width}f}",
                )
            )
        for line in console.table(pad(body), right=[1]):
            console.emit(line)
        console.emit(f"signature  {score.signature}")
    else:
        console.emit(plain_line(score, request.width, details))


def show_sentence(score: Score | None, request: Request) -> None:
    """Print the score of one line; None is a score that is undefined."""
    if request.as_json:
        console.emit_json(score.as_json() if score else None)
    else:
        console.emit(f"{score.value if score else math.nan:.{request.width}f}")
    if is_stdin(request.hypothesis):
        sys.stdout.flush()


def pad(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Rows filled up with empty cells to the same number of columns."""
    columns = max(map(len, rows))
    return [[*row, *[""] * (columns - len(row))] for row in rows]
