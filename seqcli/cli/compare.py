"""The verb ``models compare``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Json, Runs, choice, examples
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.compare import Comparison, Rated

EPILOG = examples(
    "seqcli models compare ner ner-small",
    "seqcli models compare sentiment sentiment-bag majority --data reviews.tsv --examples 3",
)

_ABREAST = 3
"""Models that stand side by side in a table of 80 columns; more follow below."""

_COLUMNS = (
    ("model", "score", "value", "compared_by", "figure", "low", "high", "parameters", "engine_bytes")
    + ("folder_bytes", "training_minutes", "first_answer_seconds", "items_per_second")
    + ("difference", "difference_low", "difference_high", "p", "says")
)


def command(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Trained models of one task, the first the one to beat.")
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Examples to measure on, - for stdin; may be given again (default: the test split of their data).",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data they were trained with: test or dev.")] = "test",
    most: Annotated[
        int,
        typer.Option("--examples", metavar="N", min=0, help="Show N examples that one model alone has right, of each."),
    ] = 0,
    runs: Runs = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a row for each model.")] = False,
) -> None:
    """Compare models of one task on the same examples: score, size, speed, and whether a difference is chance.

    All is measured on one core of this machine, each model in turn with the others.
    """
    from seqcli.cli.training_display import open_display
    from seqcli.pipeline.compare import compare
    from seqcli.store.runs import Store

    choice("--split", split, ("test", "dev"))
    if as_json and as_csv:
        raise usage_error("--json and --csv: which of the two?")
    if as_csv and most:
        raise usage_error("--csv has a row for each model and no room for --examples", hint="Take --json.")
    store = Store(runs)
    with open_display() as display:
        found = compare(
            [store.resolve(model) for model in models],
            data or None,
            split=split,
            examples=most,
            progress=display.progress,
        )
    for notice in found.notices:
        console.warn(notice)
    if as_json:
        console.emit_json(found.as_json())
    elif as_csv:
        console.write(_csv(found.models))
        console.note(f"measured on {found.where}")
    else:
        console.emit_lines(show.wrapped(_lines(found)))


def _lines(found: Comparison) -> list[str]:
    models, lines = found.models, list[str]()
    rows = _rows(models)
    for start in range(0, len(models), _ABREAST):
        part = slice(start + 1, start + 1 + _ABREAST)
        cells = [(row[0], *row[part]) for row in rows]
        header = ("", *(one.name for one in models[start : start + _ABREAST]))
        lines += [*show.table(cells, header, right=range(1, len(header))), ""]
    lines += [f"{one.name}: {one.paired['says']}" for one in models if one.paired]
    lines += [""] * any(one.paired for one in models)
    examples = "1 example" if found.examples == 1 else f"{found.examples:,} examples"
    lines.append(f"{examples} of {found.data}; measured on {found.where}")
    for one in models:
        if one.alone is not None:
            lines += ["", f"{one.name} alone has right: {one.alone.count:,}"]
            lines += [line for row in one.alone.rows for line in _example_lines(row)]
    return lines


def _rows(models: Sequence[Rated]) -> list[list[str]]:
    """A row for each property, its name first; those that no model has are left out."""
    rows: list[list[str]] = []
    of_first = models[0].score.counts.get("tokens")
    for name in dict.fromkeys(one.score.name for one in models):
        # a score by the token says nothing across models of other tokens
        values = [one.score.value if one.score.name == name else None for one in models]
        if "nats" in models[0].score.counts:
            alike = [one.score.counts.get("tokens") == of_first for one in models]
            values = [value if same else None for value, same in zip(values, alike, strict=True)]
        rows.append([name, *(_number(value) for value in values)])
    metric = next((one.figure["metric"] for one in models if one.figure), None)
    if metric is not None and metric != rows[0][0]:
        rows.append([metric, *(_number(one.figure.get("value")) for one in models)])
    bounds = [(one.figure.get("low"), one.figure.get("high")) for one in models]
    rows.append(["  95% interval", *("-" if low is None else f"{_number(low)} to {_number(high)}" for low, high in bounds)])
    rows.append(["parameters", *("-" if one.parameters is None else f"{one.parameters:,}" for one in models)])
    rows.append(["what runs it, on disk", *(show.size(one.engine_bytes) for one in models)])
    rows.append(["its whole folder", *(show.size(one.folder_bytes) for one in models)])
    rows.append(["training", *("-" if one.minutes is None else show.duration(one.minutes) for one in models)])
    rows.append(["first answer", *("-" if one.first_answer is None else f"{one.first_answer:.2f} s" for one in models)])
    rows.append(["items a second", *("-" if one.speed is None else f"{one.speed:,.0f}" for one in models)])
    return rows


def _number(value: float | None) -> str:
    from seqcli.cli.series_table import figure

    if value is None:
        return "-"
    return f"{value:.2f}" if value == 0 else figure(value)


def _example_lines(row: dict[str, Any]) -> list[str]:
    """An example, and below it what each other model makes of it."""
    lines = [f"  {row['place']}  {row['source']}"]
    for name, errors in row["errors"].items():
        for error in errors:
            cells = [f"{key.replace('_', ' ')} {value}" for key, value in error.items() if value not in ("", row["place"], row["source"])]
            lines.append(f"    {name}: {', '.join(cells)}")
    return lines


def _csv(models: Sequence[Rated]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in models:
        cells = [one.name, one.score.name, one.score.value]
        cells += [one.figure.get(key) for key in ("metric", "value", "low", "high")]
        cells += [one.parameters, one.engine_bytes, one.folder_bytes, one.minutes, one.first_answer, one.speed]
        cells += [one.paired.get(key) for key in ("difference", "low", "high", "p", "says")]
        writer.writerow(cells)
    return text.getvalue()
