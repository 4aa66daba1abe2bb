"""The verb ``models compare``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Json, Runs, choice, examples
from seqcli.errors import plural, usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.compare import Comparison, Rated

EPILOG = examples(
    "seqcli models compare ner ner-small",
    "seqcli models compare sentiment sentiment-bag majority --data reviews.tsv --examples 3",
)

_ABREAST = 3
"""Models that stand side by side in a table of 80 columns; more follow below."""


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

    Times are those of this machine, of each model in turn with the others.
    """
    from seqcli.cli.progress import counting
    from seqcli.pipeline.compare import compare, steps
    from seqcli.store.runs import Store

    choice("--split", split, ("test", "dev"))
    if as_json and as_csv:
        raise usage_error("--json and --csv: which of the two?")
    if as_csv and most:
        raise usage_error("--csv has a row for each model and no room for --examples", hint="Take --json.")
    store = Store(runs)
    chosen = [store.resolve(model) for model in models]
    with counting("comparing", steps(len(chosen))) as tick:
        found = compare(chosen, data or None, split=split, examples=most, tick=tick)
    for notice in found.notices:
        console.warn(notice)
    if as_json:
        console.emit_json(found.as_json())
    elif as_csv:
        console.write(_csv(found.models))
        console.note(_where(found))
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
    lines.append(f"{plural(found.examples, 'example')} of {found.data}; {_where(found)}")
    for one in models:
        if one.alone is not None:
            lines += ["", f"{one.name} alone has right: {one.alone.count:,}"]
            lines += [line for row in one.alone.rows for line in _example_lines(row)]
    return lines


def _where(found: Comparison) -> str:
    return f"measured on {found.processor}, items a second on {plural(found.cores, 'core')} of it"


def _rows(models: Sequence[Rated]) -> list[list[str]]:
    """A row for each property, its name first; ``-`` where it could not be measured."""
    from seqcli.cli.series_table import figure

    def row(name: str, values: Sequence[Any], write: Callable[[Any], str]) -> list[str]:
        return [name, *("-" if value is None else write(value) for value in values)]

    tokens = models[0].score.counts.get("tokens")  # a score by the token says nothing across models of other tokens
    rows = []
    for name in dict.fromkeys(one.score.name for one in models):
        alike = [one.score.name == name and one.score.counts.get("tokens") == tokens for one in models]
        rows.append(
            row(name, [one.score.value if same else None for one, same in zip(models, alike, strict=True)], figure)
        )
    metric = models[0].figure.get("metric")
    if metric not in (None, rows[0][0]):
        rows.append(row(metric, [one.figure.get("value") for one in models], figure))
    bounds = [(one.figure["low"], one.figure["high"]) if "low" in one.figure else None for one in models]
    if any(bounds):
        rows.append(row("  95% interval", bounds, lambda both: " to ".join(map(figure, both))))
    return [
        *rows,
        row("parameters", [one.parameters for one in models], "{:,}".format),
        row("what runs it, on disk", [one.engine_bytes for one in models], show.size),
        row("its whole folder", [one.folder_bytes for one in models], show.size),
        row("training", [one.minutes for one in models], show.duration),
        row("first answer", [one.first_answer for one in models], "{:.2f} s".format),
        row("items a second", [one.speed for one in models], "{:,.0f}".format),
    ]


def _example_lines(row: dict[str, Any]) -> list[str]:
    """An example, and below it what each other model makes of it."""
    lines = [f"  {row['place']}  {row['source']}"]
    for name, errors in row["errors"].items():
        for error in errors:
            cells = [
                f"{key.replace('_', ' ')} {value}"
                for key, value in error.items()
                if value not in ("", row["place"], row["source"])
            ]
            lines.append(f"    {name}: {', '.join(cells)}")
    return lines


def _csv(models: Sequence[Rated]) -> str:
    """A row for each model; an empty cell where there is nothing."""
    rows = [
        {
            "model": one.name,
            "score": one.score.name,
            "value": one.score.value,
            "compared_by": one.figure.get("metric"),
            "figure": one.figure.get("value"),
            "low": one.figure.get("low"),
            "high": one.figure.get("high"),
            "parameters": one.parameters,
            "engine_bytes": one.engine_bytes,
            "folder_bytes": one.folder_bytes,
            "training_minutes": one.minutes,
            "first_answer_seconds": one.first_answer,
            "items_per_second": one.speed,
            "difference": one.paired.get("difference"),
            "difference_low": one.paired.get("low"),
            "difference_high": one.paired.get("high"),
            "p": one.paired.get("p"),
            "says": one.paired.get("says"),
        }
        for one in models
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
