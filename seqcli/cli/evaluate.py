"""The verb ``evaluate``."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import ErrorRows, Format, Json, Model, Running, With, choice, grouped
from seqcli.cli.searching import Searching
from seqcli.errors import usage_error
from seqcli.recipe.registry import FORMATS

if TYPE_CHECKING:
    from seqcli.pipeline.evaluate import Evaluation
    from seqcli.pipeline.repeat import SeedSpread

EPILOG = """Examples:

\b
  seqcli evaluate ner
  seqcli evaluate ner@2 my/test.conll --errors errors.tsv
  seqcli evaluate sentiment --against sentiment-bag --errors mistakes.tsv
  seqcli evaluate translate-en-de my/test.tsv --errors worst.tsv
  seqcli evaluate activity-skeleton --with activity-inertial
  seqcli evaluate an4 --split dev --lm words --lm-weight 0.6 --word-bonus 2
  seqcli evaluate embedding questions-words.txt"""


_OF_ALL_TOKENS = ("word_perplexity", "bits_per_character")
"""Figures of language models that compare whatever their tokens are."""


@grouped
def command(
    *,
    model: Model,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files in the format the model was trained on, - for stdin; without any, the test split of its own data."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of its own data: train, dev or test.")] = "test",
    format_: Format = None,
    errors: ErrorRows = None,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Also measure this model of the same task, and compare the two.")
    ] = None,
    others: With = None,
    searching: Searching,
    as_json: Json = False,
    running: Running,
) -> None:
    """Measure a trained model on a data set."""
    from seqcli.store.runs import Store

    choice("--split", split, ("train", "dev", "test"))
    if format_ is not None:
        choice("--format", format_, tuple(FORMATS))
    store = Store(running.runs)
    run = store.resolve(model)
    if data and len(data) == 1 and format_ is None and _are_questions(data[0]):
        from seqcli.cli.analogies_table import show_analogies

        show_analogies(run, store, data[0], as_json=as_json)
        return
    if run.report().get("task") == "word-vectors":
        raise usage_error(
            "word vectors are measured with analogy questions, and no file of them is given",
            hint="Sections ': name', then four words a line, as in questions-words.txt.",
        )
    from seqcli.cli.training_display import open_display
    from seqcli.pipeline.evaluate import evaluate

    if others and (against is not None or searching.is_asked):
        raise usage_error("--with measures several models as one: --against and the options of speech are of one")
    if searching.is_asked and run.report().get("task") != "transcription":
        raise usage_error(
            f"--beam, --lm, --lexicon and --ctc-weight are of speech; {run} is a model for {run.report()['task']}"
        )
    with open_display() as display:
        found = evaluate(
            run,
            data or None,
            split=split,
            device=running.device,
            engine=running.engine,
            data_format=format_,
            with_errors=errors is not None,
            against=store.resolve(against) if against is not None else None,
            others=[store.resolve(one, task_kinds=("classification",)) for one in others or ()],
            set_up=(lambda task: searching.set_up(task, running)) if searching.is_asked else None,
            progress=display.progress,
        )
    for notice in found.notices:
        console.warn(notice)
    if errors is not None:
        _write_errors(Path(errors), found)
    if as_json:
        console.emit_json(
            {
                "model": found.run,
                "data": found.data,
                "score": found.score.as_json(),
                "scores": found.scores,
                **({"accuracy": found.accuracy.as_json()} if found.accuracy else {}),
                **({"compared": found.compared} if found.compared else {}),
                **({"seeds": [{**asdict(one), "inside": one.inside} for one in found.seeds]} if found.seeds else {}),
            }
        )
        return
    console.emit_lines(show.wrapped([*_lines(found), *map(_of_seeds, found.seeds)]))


def _of_seeds(one: SeedSpread) -> str:
    """Whether the difference of two models is one that another seed could make."""
    from seqcli.cli.train_seeds import number

    difference, spread = (number(one.score, value) for value in (abs(one.difference), one.range))
    return (
        f"seeds of {one.name} differ by {spread} {one.score} on {one.split} ({one.versions} versions): this difference, "
        f"{difference}, is {'inside it' if one.inside else 'larger'}"
    )


def _are_questions(file: str) -> bool:
    from seqcli.metrics.analogies import looks_like_questions

    return Path(file).is_file() and looks_like_questions(file)


def _lines(found: Evaluation) -> list[str]:
    """The score with its signature, then a table by type where there are types."""
    counts: dict[str, Any] = dict(found.score.counts)
    lines = [found.score.format()]
    if "nats" in counts:
        return lines + _language(found)
    if "steps" in counts:
        from seqcli.cli.series_table import detail_lines, score_lines

        score = found.score.as_json()
        return [*score_lines(found.run, score, found.compared), *detail_lines(score, found.compared)]
    if "also" in counts:
        others = [f"{one['name']} = {one['value']:.2f} ({one['signature']})" for one in counts["also"]]
        lines += [*others, f"{counts['lines']:,} lines, {counts['right']:,} of them equal to a reference"]
        return [*lines, *_beside(found)]
    if "labels" in counts:
        from seqcli.cli.classes_table import class_lines

        return lines + class_lines(found)
    if "types" not in counts:
        return [
            *lines,
            f"{counts['correct']:,} of {counts['total']:,} tokens right, {counts['correct_sequences']:,} of "
            f"{counts['sequences']:,} sentences without an error",
            *_beside(found),
        ]
    return [
        *lines,
        "",
        *show.counts_table("type", [*counts["types"].items(), ("all", counts)]),
        "",
        f"accuracy {counts['accuracy']:.2f} ({counts['correct_tokens']:,} of {counts['tokens']:,} tokens)",
        *_beside(found),
    ]


def _beside(found: Evaluation) -> list[str]:
    """What stands beside a score, and how sure the difference is."""
    lines = []
    for other in found.compared:
        lines.append(f"{other['model']}: {other['score']['name']} = {other['score']['value']:.2f}")
        if paired := other.get("paired"):
            lines.append(paired["says"])
    return lines


def _language(found: Evaluation) -> list[str]:
    """The figures of a language model, beside those of what it is compared with."""
    from seqcli.metrics.metric import LANGUAGE_METRICS

    counts: dict[str, Any] = {**found.score.counts, "perplexity": found.score.value}
    lines = [
        f"{counts['tokens']:,} tokens, {counts['ends']:,} of them <EOS>, {counts['unknown']:,} <UNK>; "
        f"{counts['words']:,} words, {counts['characters']:,} characters",
        "",
    ]
    columns, header = [counts], ["", found.run]
    for other in found.compared:
        score = other["score"]
        columns.append({**score["counts"], "perplexity": score["value"]})
        header += [other["model"], "ratio"]
    rows = []
    for metric in LANGUAGE_METRICS:
        # a report has None for what is infinite; the figures of known words are missing where there is none
        values = [math.inf if (value := column.get(metric.name, math.nan)) is None else value for column in columns]
        cells = [metric.title, *("-" if math.isnan(value) else f"{value:,.4f}" for value in values)]
        if len(values) > 1:
            alike = metric.name in _OF_ALL_TOKENS or columns[1]["tokens"] == counts["tokens"]
            cells.append(f"{values[0] / values[1]:.3f}" if alike and all(map(math.isfinite, values)) else "-")
        rows.append(cells)
    says = [paired["says"] for other in found.compared if (paired := other.get("paired", {}))]
    return [*lines, *show.table(rows, header, right=range(1, len(header))), *says]


def _write_errors(path: Path, found: Evaluation) -> None:
    from seqcli.files import atomic_write_text

    table = (found.error_columns, *found.errors)
    rows = ["\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row) for row in table]
    atomic_write_text(path, "".join(row + "\n" for row in rows))
    console.note(f"{len(found.errors):,} errors in {path}")
