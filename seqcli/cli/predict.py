"""The verb ``predict``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.options import Model, Reading, Running, Tokens, choice, grouped
from seqcli.errors import usage_error
from seqcli.lines import read_batches

if TYPE_CHECKING:
    from seqcli.pipeline.explain import Explained
    from seqcli.pipeline.model import Model as Trained

EPILOG = """Examples:

\b
  echo "Mohan Sharma was driving a Maruti 800 in Chennai" | seqcli predict ner
  seqcli predict pos@2 news.txt --format conll > news.conll
  echo "Good movie, not bad at all" | seqcli predict sentiment --attribution
  seqcli predict stars reviews.txt --top 2 --jsonl > stars.jsonl"""


@grouped
def command(
    *,
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
        typer.Option(metavar="K", help="Classifiers: the K most probable labels with their probabilities.", min=1),
    ] = None,
    attribution: Annotated[
        bool,
        typer.Option("--attribution", help="Classifiers: how much each token carried the decision (gradient x input)."),
    ] = False,
    tokens: Tokens = False,
    reading: Reading,
    running: Running,
) -> None:
    """Run a trained model over lines of input."""
    from seqcli.recipe import registry
    from seqcli.store.runs import Store

    if jsonl and format_ not in (None, "jsonl"):
        raise usage_error(f"--jsonl and --format {format_}: which of the two?")
    able = [kind for kind in registry.kinds("task") if registry.config_class("task", kind).predicts]
    run = Store(running.runs).resolve(model, task_kinds=able)
    is_tagger = run.report()["task"] == "tagging"
    for option, given in (("--top", top is not None), ("--attribution", attribution)):
        if given and is_tagger:
            raise usage_error(f"{option} is for classifiers; {run} is a tagger")
    from seqcli.pipeline.model import Model as Trained

    loaded: Trained[Any] = Trained.load(run, device=running.device, engine=running.engine)
    task = loaded.task
    form = choice(
        "--format", "jsonl" if jsonl else task.output_formats[0] if format_ is None else format_, task.output_formats
    )
    if tokens and task.source.unit == "frames":
        raise usage_error(f"--tokens is for text; {run} reads frames")
    blocks = _blocks(loaded, file, reading, tokens=tokens)
    notices = Notices(loaded)
    if attribution:
        _print_explained(loaded, blocks, form, top, notices)
        return
    write = task.writer(form, scores=scores, top=top)
    for block in blocks:
        predictions = loaded.predict_block(block, scores=scores)
        console.write(write(predictions), flush=True)
        lengths = task.lengths(predictions)
        notices.about(min(lengths, default=1), max(lengths, default=0))


def _blocks(model: Trained[Any], file: str | None, reading: Reading, *, tokens: bool) -> Iterable[list[Any]]:
    """What to predict: lines, the tokens of lines, or sequences of frames."""
    if model.task.source.unit == "frames":
        from seqcli.pipeline.frames import frame_batches

        return frame_batches(model, file, on_invalid=reading.invalid, max_line=reading.max_line)
    lines = read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line)
    if not tokens:
        return lines
    from seqcli.text.tokenizers import split_tokens

    return ([split_tokens(line) for line in block] for block in lines)


class Notices:
    """What is odd about the input, said once."""

    def __init__(self, model: Trained[Any]) -> None:
        self.task, self.empty, self.long = model.task, False, False

    def about(self, shortest: int, longest: int) -> None:
        """Say it of sequences with these lengths."""
        if shortest == 0 and not self.empty and self.task.empty_input:
            self.empty = True
            console.warn(self.task.empty_input)
        if longest > self.task.max_length and not self.long:
            self.long = True
            console.warn(self.task.long_input)


def _print_explained(
    model: Trained[Any], blocks: Iterable[list[Any]], form: str, top: int | None, notices: Notices
) -> None:
    from seqcli.pipeline.explain import explain

    write = _explained_writer(model, form, top)
    for block in blocks:
        for item in block:
            one = explain(model, item)
            console.write(write(one), flush=True)
            notices.about(one.classified.length, one.classified.length)


def _explained_writer(model: Trained[Any], form: str, top: int | None) -> Callable[[Explained], str]:
    from seqcli.tasks.classification import ClassificationTask, ranked

    task = model.task
    assert isinstance(task, ClassificationTask)
    frames = task.source.unit == "frames"
    paint = _coloured if _colours() else _signed

    def document(one: Explained) -> str:
        values = {
            **task.document(one.classified, scores=True, top=top),
            "explains": one.classified.ranked(1)[0][0],
            task.source.unit: [int(at) for at in one.positions] if frames else one.positions,
            "attribution": [round(share, 6) for share in one.shares],
        }
        return console.json_text(values) + "\n"

    def row(one: Explained) -> str:
        return f"{ranked(one.classified, top or 1)}\t{paint(one)}\n"

    return document if form == "jsonl" else row


def _colours() -> bool:
    """Whether stdout is a terminal that shows colours and nobody said no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def _signed(one: Explained) -> str:
    return " ".join(f"{position}({share:+.2f})" for position, share in zip(one.positions, one.shares, strict=True))


def _coloured(one: Explained) -> str:
    """Green speaks for the label, red against it, stronger where the share is larger."""
    largest = max(map(abs, one.shares), default=0.0) or 1.0
    return " ".join(
        _painted(position, share / largest) for position, share in zip(one.positions, one.shares, strict=True)
    )


def _painted(position: str, strength: float) -> str:
    """Text on green or red of five strengths (the 256-colour cube), plain where the share is next to nothing."""
    level = min(5, int(abs(strength) * 6))
    if level == 0:
        return position
    colour = 16 + 6 * level if strength > 0 else 16 + 36 * level
    return f"\x1b[48;5;{colour};38;5;{16 if level > 2 else 231}m{position}\x1b[0m"
