"""The verb ``score``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console, show
from seqcli.cli.language import READ_AT_ONCE, open_model
from seqcli.cli.options import File, JsonLines, Reading, Running, Tokens, choice, grouped
from seqcli.lines import batches, is_stdin, read_batches

if TYPE_CHECKING:
    from seqcli.metrics.perplexity import PerplexityScorer
    from seqcli.pipeline.language import LanguageModel
    from seqcli.pipeline.score import ScoredLine

EPILOG = """Examples:

\b
  echo "the cat sat on the mat" | seqcli score lm-word
  seqcli score lm-word news.txt -q | paste - news.txt | sort -n | head -n 3"""

_BASES = {"10": math.log(10), "2": math.log(2), "e": 1.0}


@grouped
def command(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A trained language model: NAME, NAME@VERSION or a run folder; the newest one by "
            "default. An argument alone is the model if a run has that name, else the file.",
        ),
    ] = None,
    file: File = None,
    base: Annotated[str, typer.Option(help="Base of the logarithms: 10, 2 or e.")] = "10",
    per_token: Annotated[
        bool,
        typer.Option(
            "--per-token",
            help="A line for each token: token, tab, log-probability, tab, 1 if unknown else 0; "
            "a blank line ends the sentence.",
        ),
    ] = False,
    as_json: JsonLines = False,
    tokens: Tokens = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="The file is one running text, read as a whole; for models of unit stream.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary/--no-summary", help="Perplexity and counts of the whole on stderr.")
    ] = True,
    reading: Reading,
    running: Running,
) -> None:
    """Log-probability of each line by a language model.

    One number out for each line in: log p(line), the final <EOS> included, each line from a fresh start.
    """
    write = _writer(choice("--base", base, list(_BASES)), per_token, as_json)
    model, file = model_and_file(model, file, running.runs)
    trained = open_model(model, running)
    blocks = read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line, block=READ_AT_ONCE)
    print_scores(trained, blocks, write, tokens=tokens, stream=stream, summary=summary)


def model_and_file(model: str | None, file: str | None, runs: str | None) -> tuple[str | None, str | None]:
    """Tell the two arguments apart when there is only one: a run's name is the model, else a file is the file."""
    from seqcli.store.runs import Store

    if model is None or file is not None or Store(runs).knows(model):
        return model, file
    if is_stdin(model) or Path(model).is_file():
        return None, model
    return model, None


def print_scores(
    model: LanguageModel,
    blocks: Iterable[list[str]],
    write: Callable[[ScoredLine], str],
    *,
    tokens: bool = False,
    stream: bool = False,
    summary: bool = True,
) -> None:
    """Print the scores of blocks of lines, and the summary on stderr."""
    from seqcli.pipeline.score import LineScorer

    scorer = LineScorer(model, tokens=tokens)
    if stream:
        blocks = batches(chain.from_iterable(blocks), sys.maxsize)
    for lines in blocks:
        scored = scorer.score_stream(lines) if stream else scorer.score(lines)
        console.write("".join(map(write, scored)), flush=True)
    if summary and scorer.totals.tokens:
        for line in summary_lines(scorer.totals):
            console.note(line)


def summary_lines(totals: PerplexityScorer) -> list[str]:
    """The figures of all lines, with the counts behind them and the signature."""
    figures = totals.scores()

    def known(name: str) -> str:
        return f"{figures[name]:.4f} without unknown tokens" if totals.unknown and name in figures else ""

    of_words = f"{totals.words:,} words and {totals.ends:,} ends"
    of_characters = f"{totals.characters:,} characters and {totals.ends:,} line ends"
    rows = [
        ("lines", f"{totals.sequences:,}"),
        ("tokens", f"{totals.tokens:,}", f"{totals.tokens - totals.ends:,} without <EOS>; {totals.unknown:,} unknown"),
        ("nats a token", f"{figures['loss']:.4f}", known("loss_known")),
        ("perplexity a token", f"{figures['perplexity']:.4f}", known("perplexity_known")),
        ("perplexity a word", f"{figures['word_perplexity']:.4f}", of_words),
        ("bits a character", f"{figures['bits_per_character']:.4f}", of_characters),
    ]
    return [*show.table(rows, right=[1]), totals.signature]


def _writer(base: str, per_token: bool, as_json: bool) -> Callable[[ScoredLine], str]:
    unit = _BASES[base]

    def one_number(line: ScoredLine) -> str:
        return f"{line.log_prob / unit:z.4f}\n"

    def rows(line: ScoredLine) -> str:
        columns = zip(line.tokens, line.log_probs.tolist(), line.unknown, strict=True)
        return "".join(f"{token}\t{value / unit:z.4f}\t{unknown:d}\n" for token, value, unknown in columns) + "\n"

    def document(line: ScoredLine) -> str:
        values = {
            "text": line.text,
            "log_prob": line.log_prob / unit,
            "tokens": line.tokens,
            "log_probs": [value / unit for value in line.log_probs.tolist()],
            "unknown": [token for token, is_unknown in zip(line.tokens, line.unknown, strict=True) if is_unknown],
            "base": base,
        }
        return console.json_text(values) + "\n"

    return document if as_json else rows if per_token else one_number
