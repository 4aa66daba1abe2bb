"""The verb ``predict``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Device, Invalid, MaxLine, Model, Runs, Tokens
from seqcli.errors import usage_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, read_batches

if TYPE_CHECKING:
    from seqcli.store.runs import Run

EPILOG = """Examples:

\b
  echo "Mohan Sharma was driving a Maruti 800 in Chennai" | seqcli predict ner
  seqcli predict pos@2 news.txt --format conll > news.conll
  echo "Good movie, not bad at all" | seqcli predict sentiment --attribution
  seqcli predict stars reviews.txt --top 2 --jsonl > stars.jsonl"""

TAGGING_FORMATS = ("inline", "conll", "tsv", "jsonl")
CLASS_FORMATS = ("tsv", "jsonl")


def command(
    model: Model,
    file: Annotated[
        str | None,
        typer.Argument(
            help="Text, a sentence a line; '-' or nothing reads stdin. A model of frames reads .ts, an index, .npy, .csv "
            "or a folder of them."
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
    scores: Annotated[bool, typer.Option("--scores", help="Add the probability of each tag, or of the label.")] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", metavar="K", help="Classifiers: the K most probable labels with their probabilities.", min=1
        ),
    ] = None,
    attribution: Annotated[
        bool,
        typer.Option("--attribution", help="Classifiers: how much each token carried the decision (gradient x input)."),
    ] = False,
    tokens: Tokens = False,
    invalid: Invalid = "strict",
    max_line: MaxLine = DEFAULT_MAX_LINE,
    runs: Runs = None,
    device: Device = "auto",
) -> None:
    """Run a trained model over lines of input."""
    from seqcli.cli.choices import choice
    from seqcli.store.runs import Store

    if jsonl and format_ not in (None, "jsonl"):
        raise usage_error(f"--jsonl and --format {format_}: which of the two?")
    run = Store(runs).resolve(model, task_kinds=("tagging", "classification"))
    kind = run.report()["task"]
    wanted = "jsonl" if jsonl else format_
    if kind == "classification":
        from seqcli.cli.classes import print_classes

        form = choice("--format", wanted or "tsv", CLASS_FORMATS)
        print_classes(
            run,
            file,
            form=form,
            scores=scores,
            top=top,
            attribution=attribution,
            tokens=tokens,
            on_invalid=invalid,
            max_line=max_line,
            device=device,
        )
        return
    for option, given in (("--top", top is not None), ("--attribution", attribution)):
        if given:
            raise usage_error(f"{option} is for classifiers; {run} is a tagger")
    form = choice("--format", wanted or "inline", TAGGING_FORMATS)
    _print_tags(
        run, file, form=form, scores=scores, tokens=tokens, on_invalid=invalid, max_line=max_line, device=device
    )


def _print_tags(
    run: Run,
    file: str | None,
    *,
    form: str,
    scores: bool,
    tokens: bool,
    on_invalid: OnInvalid,
    max_line: int,
    device: str,
) -> None:
    from seqcli.pipeline.predict import FORMATS, Predictor
    from seqcli.training.precision import choose_device

    predictor = Predictor(run, choose_device(device), tokens=tokens)
    write = FORMATS[form]
    told = False
    for lines in read_batches(file, on_invalid=on_invalid, max_line=max_line):
        tagged = predictor.tag(lines, scores=scores)
        console.write("".join([write(one, predictor.scheme) + "\n" for one in tagged]), flush=True)
        if not told and any(len(one.tokens) > predictor.max_length for one in tagged):
            console.warn(f"a line of more than {predictor.max_length} tokens was tagged in pieces of that length")
            told = True
