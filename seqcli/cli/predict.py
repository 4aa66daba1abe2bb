"""The verb ``predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, read_batches

EPILOG = """Examples:

\b
  echo "Mohan Sharma was driving a Maruti 800 in Chennai" | seqcli predict ner
  seqcli predict pos@2 news.txt --format conll > news.conll"""


def command(
    model: Annotated[str, typer.Argument(help="A trained model: NAME, NAME@VERSION or a run folder.")],
    file: Annotated[str | None, typer.Argument(help="Text, a sentence a line; '-' or nothing reads stdin.")] = None,
    format_: Annotated[str, typer.Option("--format", help="inline, conll, tsv or jsonl.")] = "inline",
    scores: Annotated[bool, typer.Option("--scores", help="Add the probability of each tag.")] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="The input is cut into tokens by spaces already.")] = False,
    errors: Annotated[str, typer.Option("--errors", help="Invalid UTF-8: strict stops, replace goes on.")] = "strict",
    max_line: Annotated[int, typer.Option(
        "--max-line", help="Longest line accepted, in bytes.", min=1)] = DEFAULT_MAX_LINE,
    runs: Annotated[str | None, typer.Option("--runs", metavar="FOLDER", help="Where runs are kept.",
                                             envvar="SEQCLI_RUNS")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Run a trained model over lines of input."""
    from seqcli.cli.choices import choice
    from seqcli.store.runs import Store

    on_invalid: OnInvalid = choice("--errors", errors, ("strict", "replace"))  # type: ignore[assignment]
    choice("--format", format_, ("inline", "conll", "tsv", "jsonl"))
    run = Store(runs).resolve(model, task_kinds=("tagging",))
    from seqcli.pipeline.predict import FORMATS, Predictor
    from seqcli.training.precision import choose_device

    predictor = Predictor(run, choose_device(device), tokens=tokens)
    write = FORMATS[format_]
    told = False
    for lines in read_batches(file, on_invalid=on_invalid, max_line=max_line):
        tagged = predictor.tag(lines, scores=scores)
        console.write("".join([write(one, predictor.scheme) + "\n" for one in tagged]), flush=True)
        if not told and any(len(one.tokens) > predictor.max_length for one in tagged):
            console.warn(f"a line of more than {predictor.max_length} tokens was tagged in pieces of that length")
            told = True
