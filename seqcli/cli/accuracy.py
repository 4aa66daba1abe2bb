"""The verb ``accuracy``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console, scoring, show
from seqcli.cli.options import examples, grouped
from seqcli.errors import data_error
from seqcli.lines import source_name

if TYPE_CHECKING:
    from seqcli.metrics.classes import ClassificationReport

EPILOG = examples(
    "seqcli accuracy gold.txt predicted.txt",
    "seqcli accuracy gold.txt mine.txt --compare theirs.txt",
    """seqcli accuracy gold.txt predicted.txt --confusion | column -t -s "$(printf '\\t')\"""",
)

_WIDEST_MATRIX = 12
"""More labels than this do not fit a terminal; --confusion prints any number."""


@grouped
def command(
    gold: Annotated[str, typer.Argument(metavar="GOLD", help="The right labels, one a line; - is stdin.")],
    predicted: Annotated[str, typer.Argument(metavar="PREDICTED", help="Predicted labels, line for line with GOLD.")],
    output: scoring.Output,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Print the confusion matrix: gold rows, predicted columns, tabs.")
    ] = False,
    compare: scoring.Compare = None,
) -> None:
    """Accuracy, macro F1 and confusion of two files of labels."""
    from seqcli.metrics.classes import classification_report

    pairs = _labels(gold, predicted, output)
    report = classification_report(Counter(pairs))
    other = None if compare is None else _compared(pairs, gold, predicted, compare, output)
    if output.as_json:
        console.emit_json(
            {
                **report.accuracy.as_json(),
                **({"compared": [other]} if other is not None else {}),
                "macro_f1": report.macro_f1.as_json(),
                "kappa": report.kappa.as_json() if report.kappa else None,
                "labels": {label: one.as_json() for label, one in report.labels.items()},
                "confusion": {
                    "labels": list(report.labels),
                    "counts": [row[1:] for row in _matrix(report.confusion)[1:]],
                },
            }
        )
    elif confusion and not output.score_only:
        console.emit_lines("\t".join(map(str, row)) for row in _matrix(report.confusion))
    else:
        scoring.show_score(report.accuracy, output, *_present(report, output.width), other)


def _labels(gold: str, predicted: str, output: scoring.Output) -> list[tuple[str, str]]:
    """(gold, predicted) of each line."""
    pairs = []
    rows = scoring.Rows(predicted, [gold], output.invalid)
    for number, (guess, (label,)) in enumerate(rows, 1):
        if not label.strip():
            raise data_error("the gold label is empty", file=source_name(gold), line=number)
        pairs.append((label.strip(), guess.strip()))
    rows.warn_of_empty_lines("predicted label", "it counts as wrong")
    return pairs


def _compared(
    pairs: Sequence[tuple[str, str]], gold: str, predicted: str, other: str, output: scoring.Output
) -> scoring.Compared:
    """A second system on the same lines, and whether the first is better than it."""
    import numpy as np

    from seqcli.metrics.classes import classification_report
    from seqcli.metrics.paired import compare_right, with_words

    scoring.check_sources([gold, predicted, other])
    theirs = _labels(gold, other, output)
    paired = compare_right(*(np.array([label == guess for label, guess in some]) for some in (pairs, theirs)))
    return {
        "model": source_name(other),
        "score": classification_report(Counter(theirs)).accuracy.as_json(),
        "paired": with_words(source_name(predicted), source_name(other), paired),
    }


def _present(report: ClassificationReport, width: int) -> tuple[list[str], list[str]]:
    """The line for a pipe, and the tables for a terminal."""
    counts, kappa = report.accuracy.counts, report.kappa
    undefined = "undefined (a single label)"
    kappa_text = f"{kappa.value:.{width + 2}f}" if kappa else ""
    plain = scoring.plain_line(
        report.accuracy,
        width,
        f"({counts['correct']}/{counts['total']}) macro_F1 = {report.macro_f1.value:.{width}f} "
        f"kappa = {kappa_text or undefined}",
    )
    body = [
        ("accuracy", f"{report.accuracy.value:.{width}f}", f"{counts['correct']:,}/{counts['total']:,}"),
        ("macro F1", f"{report.macro_f1.value:.{width}f}", f"over {len(report.labels)} labels"),
        ("kappa", kappa_text, "" if kappa else undefined),
    ]
    labels = [(label or "(empty)", counts.as_json()) for label, counts in report.labels.items()]
    tables = [show.table(body, right=[1]), show.counts_table("label", labels, width)]
    if len(labels) <= _WIDEST_MATRIX:
        header, *rows = _matrix(report.confusion)
        tables.append(show.table(rows, [str(cell) for cell in header], right=range(1, len(header))))
    return [plain], [line for lines in tables for line in (*lines, "")]


def _matrix(confusion: Mapping[tuple[str, str], int]) -> list[list[object]]:
    """A header and a row for each label: gold labels down, predicted labels across."""
    labels = sorted({label for pair in confusion for label in pair})
    return [
        ["gold \\ predicted", *labels],
        *([label, *(confusion.get((label, other), 0) for other in labels)] for label in labels),
    ]
