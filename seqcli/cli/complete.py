"""The verb ``complete``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.language import READ_AT_ONCE, ModelOrFile, model_and_file, open_model, warn_of_unknown
from seqcli.cli.options import File, JsonLines, Reading, Running, grouped
from seqcli.errors import usage_error
from seqcli.lines import read_batches

if TYPE_CHECKING:
    from seqcli.pipeline.language import LanguageModel

EPILOG = """Examples:

\b
  seqcli complete lm-word --prompt "I woke up in the" -k 5
  seqcli complete lm-char --words --prompt "The king and the "
  seqcli complete lm-word prompts.txt -k 1
  cut -f 2 prompts.tsv | seqcli complete lm-word --json"""


@grouped
def command(
    *,
    model: ModelOrFile = None,
    file: File = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Text to complete; without it, each line of the file or of stdin is."),
    ] = None,
    count: Annotated[int, typer.Option("-k", "--count", help="How many tokens to list.", min=1)] = 5,
    words: Annotated[bool, typer.Option("--words", help="Whole words, of a model of characters or bytes.")] = False,
    as_json: JsonLines = False,
    reading: Reading,
    running: Running,
) -> None:
    """List the most probable next words after a text.

    With --prompt a line for each word: word, tab, probability. From a file or stdin one line for each line, the
    pairs on it with tabs between; for a blank line, how a line begins. <EOS> is the end of the line.
    """
    model, file = model_and_file(model, file, running.runs)
    if prompt is not None and file is not None:
        raise usage_error(f"--prompt and the file {file}: which of the two?")
    trained = open_model(model, running)
    if prompt is not None:
        print_prompt(trained, prompt, count, words=words, as_json=as_json)
    else:
        lines = read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line, block=READ_AT_ONCE)
        print_lines(trained, lines, count, words=words, as_json=as_json)


def print_prompt(model: LanguageModel, prompt: str, count: int, *, words: bool = False, as_json: bool) -> None:
    """Print the words that complete one text, a line each."""
    warn_of_unknown(model, prompt)
    (found,) = _completions(model, [prompt], count, words)
    if as_json:
        console.emit_json(_as_json(prompt, found))
    else:
        console.write("".join(f"{token}\t{probability:.4f}\n" for token, probability in found))


def print_lines(
    model: LanguageModel, batches: Iterable[Sequence[str]], count: int, *, words: bool = False, as_json: bool
) -> None:
    """Print one line for each line: the words that complete it."""
    for lines in batches:
        for line, found in zip(lines, _completions(model, lines, count, words), strict=True):
            if as_json:
                console.emit_json(_as_json(line, found))
            else:
                console.emit("\t".join(f"{token}\t{probability:.4f}" for token, probability in found))
        console.write("", flush=True)


def _completions(
    model: LanguageModel, lines: Sequence[str], count: int, words: bool
) -> Sequence[Sequence[tuple[str, float]]]:
    from seqcli.pipeline.complete import complete, complete_words

    return [complete_words(model, line, count) for line in lines] if words else complete(model, lines, count)


def _as_json(prompt: str, found: Sequence[tuple[str, float]]) -> dict[str, object]:
    return {"prompt": prompt, "next": [{"token": token, "probability": value} for token, value in found]}
