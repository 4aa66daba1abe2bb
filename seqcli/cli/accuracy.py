"""``seqcli accuracy``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, scoring
from seqcli.errors import data_error
from seqcli.lines import source_name

if TYPE_CHECKING:
    from seqcli.metrics.classification import ClassificationReport

EPILOG = """Examples:

\b
  seqcli accuracy gold.txt predicted.txt
  seqcli accuracy gold.txt predicted.txt --confusion | column -t -s "$(printf '\\t')"
"""

_WIDEST_MATRIX = 12
"""More labels than this do not fit a terminal; --confusion prints any number."""


def command(
    gold: Annotated[str, typer.Argument(metavar="GOLD", help="The right labels, one a line; - is stdin.")],
    predicted: Annotated[str, typer.Argument(metavar="PREDICTED", help="Predicted labels, line for line with GOLD.")],
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Print the confusion matrix: gold rows, predicted columns, tabs.")
    ] = False,
    score_only: scoring.ScoreOnly = False,
    width: scoring.Width = 2,
    as_json: scoring.AsJson = False,
    errors: scoring.Errors = "strict",
) -> None:
    """Accuracy, macro F1 and confusion of two files of labels."""
    from seqcli.metrics.accuracy import AccuracyScorer
    from seqcli.metrics.parallel import empty_lines_warning

    request = scoring.Request(predicted, [gold], score_only=score_only, width=width, as_json=as_json, errors=errors)
    request.check("accuracy")
    right, guessed = [], []
    rows = scoring.Rows(request)
    for number, (guess, (label,)) in enumerate(rows, 1):
        if not label.strip():
            raise data_error("the gold label is empty", file=source_name(gold), line=number)
        right.append(label.strip())
        guessed.append(guess.strip())
    scorer = AccuracyScorer(unit="line")
    scorer.add(right, guessed)
    warning = empty_lines_warning(
        source_name(predicted), rows.empty_hypotheses, "predicted label", "it counts as wrong"
    )
    if warning:
        console.warn(warning)
    # Neither of these needs scikit-learn, which takes more than a second to load.
    if score_only and not as_json:
        console.emit(f"{scorer.score().value:.{width}f}")
        return
    if confusion and not as_json:
        for row in _matrix(scorer.confusion):
            console.emit("\t".join(map(str, row)))
        return
    from seqcli.metrics.classification import classification_report

    _show(classification_report(scorer.confusion), width, as_json)


def _show(report: ClassificationReport, width: int, as_json: bool) -> None:
    if as_json:
        console.emit_json(_as_json(report))
        return
    accuracy, kappa = report.accuracy, report.kappa
    right = f"{accuracy.counts['correct']:,}/{accuracy.counts['total']:,}"
    undefined = "undefined (a single label)"
    if not console.stdout_is_terminal():
        details = (
            f"({right.replace(',', '')}) macro_F1 = {report.macro_f1.value:.{width}f} "
            f"kappa = {f'{kappa.value:.{width + 2}f}' if kappa else undefined}"
        )
        console.emit(scoring.plain_line(accuracy, width, details))
        return
    body = [
        ("accuracy", f"{accuracy.value:.{width}f}", right),
        ("macro F1", f"{report.macro_f1.value:.{width}f}", f"over {len(report.labels)} labels"),
        ("kappa", f"{kappa.value:.{width + 2}f}" if kappa else "", "" if kappa else undefined),
    ]
    tables = [
        console.table(body, right=[1]),
        console.table(
            [
                (
                    label or "(empty)",
                    *(f"{value:.{width}f}" for value in (row.precision, row.recall, row.f1)),
                    row.correct,
                    row.gold,
                    row.predicted,
                )
                for label, row in report.labels.items()
            ],
            ["label", "precision", "recall", "F1", "correct", "gold", "predicted"],
            right=range(1, 7),
        ),
    ]
    if len(report.labels) <= _WIDEST_MATRIX:
        header, *rows = _matrix(report.confusion)
        tables.append(console.table(rows, [str(cell) for cell in header], right=range(1, len(header))))
    for lines in tables:
        console.emit("\n".join(lines) + "\n")
    console.emit(f"signature  {accuracy.signature}")


def _matrix(confusion: Mapping[tuple[str, str], int]) -> list[list[object]]:
    """A header and a row for each label: gold labels down, predicted labels across."""
    labels = sorted({label for pair in confusion for label in pair})
    return [
        ["gold \\ predicted", *labels],
        *([label, *(confusion.get((label, other), 0) for other in labels)] for label in labels),
    ]


def _as_json(report: ClassificationReport) -> dict[str, Any]:
    return {
        **report.accuracy.as_json(),
        "macro_f1": report.macro_f1.as_json(),
        "kappa": report.kappa.as_json() if report.kappa else None,
        "labels": {label: vars(row) for label, row in report.labels.items()},
        "confusion": {"labels": list(report.labels), "counts": [row[1:] for row in _matrix(report.confusion)[1:]]},
    }
