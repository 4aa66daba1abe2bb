"""The verb ``predict``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.options import Model, Reading, Running, Tokens, choice, grouped
from seqcli.cli.predict_input import ConllLook, Input, TableInput, open_input
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.explain import Explained
    from seqcli.pipeline.model import Model as Trained

EPILOG = """Examples:

\b
  echo "Mohan Sharma was driving a Maruti 800 in Chennai" | seqcli predict ner
  seqcli predict ner news.txt --html news.html
  seqcli predict pos@2 test.conll > predicted.conll
  seqcli predict sentiment reviews.csv --column review > rated.csv
  seqcli predict words recordings/*.wav
  echo "Good movie, not bad at all" | seqcli predict sentiment --attribution"""


@grouped
def command(
    *,
    model: Model,
    file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE...]",
            help="Text, a sentence a line; '-' or nothing reads stdin. A .csv, .tsv or .jsonl file with --column, and "
            "for taggers a .conll or .conllu file, keep their rows and get a column more. A model of frames reads .ts, "
            "an index, .npy, .csv or a folder of them; one of recordings, clips or pictures reads such files, or folders "
            "of them.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Of taggers inline (the default), conll, tsv or jsonl; of classifiers tsv (the default) or jsonl.",
        ),
    ] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="The same as --format jsonl.")] = False,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write a page with the tags or labels marked, and print nothing."),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Add the probability of each tag, or of the label.")] = False,
    top: Annotated[
        int | None,
        typer.Option(metavar="K", help="Classifiers: the K most probable labels with their probabilities.", min=1),
    ] = None,
    attribution: Annotated[
        bool,
        typer.Option("--attribution", help="Classifiers: how much each token carried the decision (gradient x input)."),
    ] = False,
    tokens: Tokens = False,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Media files: go on after one that cannot be read, which is said on stderr."),
    ] = False,
    table: TableInput,
    reading: Reading,
    running: Running,
) -> None:
    """Run a trained model over lines of input, or over a column of a table.

    One line out for each line in. On a terminal names are coloured (NO_COLOR=1 switches it off).
    """
    from seqcli.recipe import registry
    from seqcli.store.runs import Store

    if jsonl and format_ not in (None, "jsonl"):
        raise usage_error(f"--jsonl and --format {format_}: which of the two?")
    format_ = "jsonl" if jsonl else format_
    for option, other in (("--attribution", attribution), (f"--format {format_}", format_ is not None)):
        if other and html is not None:
            raise usage_error(f"--html and {option}: which of the two?")
    able = [kind for kind in registry.kinds("task") if registry.config_class("task", kind).predicts]
    run = Store(running.runs).resolve(model, task_kinds=able)
    is_tagger = run.report()["task"] == "tagging"
    for option, given in (("--top", top is not None), ("--attribution", attribution)):
        if given and is_tagger:
            raise usage_error(f"{option} is for classifiers; {run} is a tagger")
    from seqcli.fields.text import TextField
    from seqcli.pipeline.model import Model as Trained

    loaded: Trained[Any] = Trained.load(run, device=running.device, engine=running.engine)
    if loaded.notice is not None:
        console.warn(loaded.notice)
    task = loaded.task
    if task.kind == "forecasting":
        from seqcli.cli.forecast import print_forecasts
        from seqcli.pipeline.forecast import Forecaster

        form = choice("--format", format_ or "csv", task.output_formats)
        for name in file or ["-"]:
            print_forecasts(Forecaster(loaded, name), as_json=form == "jsonl")
        return
    for option, needed in (("--tokens", tokens), ("--html", html is not None)):
        if needed and not isinstance(task.source, TextField):
            raise usage_error(f"{option} is for text; {run} reads {task.source.unit}")
    if tokens and isinstance(task.source, TextField):
        task.source.read_tokens()
    skipped = (lambda error: console.warn(f"skipped: {error}")) if skip_bad else None
    source = open_input(loaded, file or [], table, reading, skipped)
    notices = Notices(source)
    if html is not None:
        from seqcli.cli.page import write_page

        write_page(source, html, notices.about, scores=scores, top=top)
    elif not attribution and source.keeps_rows(format_):
        print_rows(source, notices, scores=scores, top=top)
    else:
        form = choice("--format", task.output_formats[0] if format_ is None else format_, task.output_formats)
        if attribution:
            print_explained(source, form, top, notices)
        else:
            print_predictions(source, form, notices, scores=scores, top=top)


def print_predictions(source: Input, form: str, notices: Notices, *, scores: bool, top: int | None) -> None:
    """Print a line (in CoNLL a sentence) for each item."""
    from seqcli.cli import colours
    from seqcli.tasks.tagging import TaggingTask

    task = source.model.task
    write = task.writer(form, scores=scores, top=top)
    if isinstance(task, TaggingTask) and form == "inline" and colours.wanted():
        write = colours.tagged_writer(task, scores=scores)
    if source.media:
        print_media(source, write, notices, scores=scores)
        return
    for block in source.blocks():
        predictions = source.model.predict_block(block, scores=scores, offsets=form == "jsonl")
        console.write(write(predictions), flush=True)
        notices.about(block, task.lengths(predictions))


def print_media(source: Input, write: Callable[[Any], str], notices: Notices, *, scores: bool) -> None:
    """Print a line for each recording, clip or picture; of several, and of a folder, with its name before it."""
    is_one = len(source.media) == 1 and not Path(source.media[0]).is_dir()
    for block in source.media_blocks():
        frames = [one for _, one in block]
        predictions = source.model.predict_block(frames, scores=scores)
        lines = write(predictions).removesuffix("\n").split("\n")
        for (name, _), line in zip(block, lines, strict=True):
            if is_one:
                console.emit(line, flush=True)
            elif line.startswith("{"):
                console.emit(f'{{"file": {console.json_text(name)}, {line[1:]}', flush=True)
            else:
                console.emit(f"{name}\t{line}", flush=True)
        notices.about(frames, source.model.task.lengths(predictions))
    for note in source.model.task.source.notes():
        console.note(note)


def print_rows(source: Input, notices: Notices, *, scores: bool, top: int | None) -> None:
    """Print the rows of a table, the prediction added to each."""
    task = source.model.task
    addition = task.addition(source.form, scores=scores, top=top)
    table = source.table(addition.names)
    for rows in table.rows():
        offsets = source.form == "jsonl"
        predictions = source.model.predict_block(rows.items, scores=scores, offsets=offsets) if rows.items else []
        console.write(rows.write([addition.values(one) for one in predictions]), flush=True)
        notices.about(rows.items, task.lengths(predictions))
    if table.notice:
        console.warn(table.notice)


class Notices:
    """What is odd about the input, said once."""

    def __init__(self, source: Input) -> None:
        from seqcli.tasks.tagging import TaggingTask

        self.task, self.name, self.empty, self.long = source.model.task, source.name, False, False
        task = self.task
        self.look = ConllLook(task.target.labels) if source.form == "lines" and isinstance(task, TaggingTask) else None

    def about(self, items: Sequence[Any], lengths: Sequence[int]) -> None:
        """Say it of items, and of sequences with these lengths."""
        if min(lengths, default=1) == 0 and not self.empty and self.task.empty_input:
            self.empty = True
            console.warn(self.task.empty_input)
        if max(lengths, default=0) > self.task.max_length and not self.long:
            self.long = True
            console.warn(self.task.long_input)
        if self.look is not None and self.look.sees(items):
            console.warn(
                f"{self.name} looks like CoNLL, a token and its tag a line, and each line was read as a sentence: "
                "add --input conll"
            )


def print_explained(source: Input, form: str, top: int | None, notices: Notices) -> None:
    """Print what carried each decision of a classifier."""
    from seqcli.pipeline.explain import explain

    write = _explained_writer(source.model, form, top)
    for block in source.blocks():
        for item in block:
            one = explain(source.model, item)
            console.write(write(one), flush=True)
            notices.about([item], [one.classified.length])


def _explained_writer(model: Trained[Any], form: str, top: int | None) -> Callable[[Explained], str]:
    from seqcli.cli import colours
    from seqcli.tasks.classification import ClassificationTask, ranked

    task = model.task
    assert isinstance(task, ClassificationTask)
    frames = task.source.unit == "frames"

    def document(one: Explained) -> str:
        values = {
            **task.document(one.classified, scores=True, top=top),
            "explains": one.classified.ranked(1)[0][0],
            task.source.unit: [int(at) for at in one.positions] if frames else one.positions,
            "attribution": [round(share, 6) for share in one.shares],
        }
        return console.json_text(values) + "\n"

    def row(one: Explained) -> str:
        return f"{ranked(one.classified, top or 1)}\t{colours.explained(one)}\n"

    return document if form == "jsonl" else row
