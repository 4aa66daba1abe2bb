"""The verb ``translate``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.language import READ_AT_ONCE, model_and_file
from seqcli.cli.options import File, Knobs, Reading, Running, Searching, Tokens, choice, grouped
from seqcli.cli.writing import open_writer, writing_options
from seqcli.errors import usage_error
from seqcli.lines import read_batches, source_name

if TYPE_CHECKING:
    from seqcli.pipeline.translate import Translator
    from seqcli.tasks.translation import TranslationTask
    from seqcli.tasks.writing import Generated, Written

EPILOG = """Examples:

\b
  echo "A dog runs across the grass." | seqcli translate
  seqcli translate translate-en-de in.en > hyp.de && seqcli bleu hyp.de ref.de
  seqcli translate translate-en-de in.en --n-best 5 --scores
  echo "A dog runs." | seqcli translate --engine torch --attention dog.png"""


@grouped
def command(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A trained translator: NAME, NAME@VERSION or a run folder; the newest one by default. An argument "
            "alone is the model if a run has that name, else the file.",
        ),
    ] = None,
    file: File = None,
    alignments: Annotated[
        bool,
        typer.Option("--alignments", help="Add where each token looked most: pairs source-target, counted from 0."),
    ] = False,
    attention: Annotated[
        str | None,
        typer.Option("--attention", metavar="PNG", help="Draw where each token of one sentence looked (matplotlib)."),
    ] = None,
    coverage_penalty: Annotated[
        float, typer.Option(help="Weight of source tokens that nothing looked at (Wu et al. 2016).", min=0)
    ] = 0.0,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="What every translation begins with.")] = "",
    long: Annotated[
        str,
        typer.Option("--long", metavar="split|refuse", help="A line too long for the model: in parts, or an error."),
    ] = "split",
    tokens: Tokens = False,
    searching: Searching,
    knobs: Knobs,
    reading: Reading,
    running: Running,
) -> None:
    """Translate lines of text.

    One line out for each line in, as it comes in; a blank line stays blank. With --n-best each line gives N lines,
    numbered by the line they are of.
    """
    choice("--long", long, ("split", "refuse"))
    model, file = model_and_file(model, file, running.runs)
    trained = open_writer("translation", model, running, searching, knobs)
    from seqcli.pipeline.translate import Translator

    options = writing_options(trained, searching, knobs, coverage_penalty=coverage_penalty)
    jsonl, scores = searching.jsonl, searching.scores
    looks = alignments or jsonl or attention is not None
    if trained.notice is not None:
        console.warn(trained.notice)
    translator = Translator(
        trained, options, prefix=prefix, attention=looks, scores=scores or jsonl, refuse_long=long == "refuse"
    )
    if tokens:
        translator.task.source.read_tokens()
    if attention is not None:
        _draw(translator, file, attention, reading)
        return
    write = _writer(translator.task, searching.n_best, scores=scores, alignments=alignments, jsonl=jsonl, tokens=tokens)
    number, said = 0, set[str]()
    for block in read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line, block=READ_AT_ONCE):
        found = translator.block(block)
        console.write("".join(write(at, one) for at, one in enumerate(found, number + 1)), flush=True)
        number += len(block)
        for odd, what in (
            (translator.cut, trained.task.long_input),
            (translator.unknown, "the model knows none of the line's tokens, so its translation means nothing"),
        ):
            if odd and what not in said:
                said.add(what)
                console.warn(f"{source_name(file)}:{odd[0]}: {what}")


def _writer(
    task: TranslationTask, n_best: int, *, scores: bool, alignments: bool, jsonl: bool, tokens: bool
) -> Callable[[int, Generated], str]:
    from seqcli.tasks.translation import alignment

    def pairs(one: Generated, best: Written) -> str:
        return " ".join(f"{source}-{target}" for source, target in alignment(one.source, best))

    def document(number: int, one: Generated) -> str:
        return console.json_text({"line": number, **task.document(one)}) + "\n"

    def lines(number: int, one: Generated) -> str:
        rows = []
        for best in one.hypotheses:
            text = " ".join(best.tokens) if tokens else best.text
            cells = [str(number)] * (n_best > 1) + [f"{best.score:.4f}"] * scores + [text]
            rows.append("\t".join([*cells, *([pairs(one, best)] if alignments else [])]) + "\n")
        return "".join(rows)

    return document if jsonl else lines


def _draw(translator: Translator, file: str | None, picture: str, reading: Reading) -> None:
    """Write the picture of one sentence, and print its translation."""
    from seqcli.cli.attention import draw_attention

    lines = [
        line
        for block in read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line)
        for line in block
        if line.strip()
    ]
    if len(lines) != 1:
        raise usage_error(
            f"--attention draws one sentence, and {source_name(file)} has {len(lines):,}", hint="Give it one line."
        )
    (one,) = translator.block(lines)
    draw_attention(one, Path(picture))
    console.emit(one.text)
