"""The verb ``score``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.language import READ_AT_ONCE, ModelOrFile, model_and_file, open_run
from seqcli.cli.options import File, JsonLines, Reading, Running, Tokens, choice, grouped
from seqcli.errors import usage_error
from seqcli.lines import batches, read_batches, source_name

if TYPE_CHECKING:
    from seqcli.metrics.perplexity import PerplexityScorer
    from seqcli.pipeline.language import LanguageModel
    from seqcli.pipeline.score import ScoredLine
    from seqcli.store.runs import Run

EPILOG = """Examples:

\b
  echo "the cat sat on the mat" | seqcli score lm-word
  echo "the cat sat on the mat" | seqcli score lm-word --probability
  paste in.en out.de | seqcli score translate-en-de
  seqcli score lm-word news.txt -q | paste - news.txt | sort -n | head -n 3"""

_BASES = {"10": math.log(10), "2": math.log(2), "e": 1.0}
_LEAST = math.log(sys.float_info.min)


@grouped
def command(
    *,
    model: ModelOrFile = None,
    file: File = None,
    base: Annotated[str | None, typer.Option(help="Base of the logarithms: 10 (the default), 2 or e.")] = None,
    probability: Annotated[
        bool,
        typer.Option(
            "--probability",
            help="Probabilities in place of their logarithms, from 0 to 1, as 6.1359e-10; no line is too long for it.",
        ),
    ] = False,
    per_token: Annotated[
        bool,
        typer.Option(
            "--per-token",
            help="A line for each token: token, tab, log-probability (or probability), tab, 1 if unknown else "
            "0; a blank line ends the sentence.",
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
    """Log-probability of each line by a language model, or of a translation by a translator.

    One number out for each line in: log p(line), the final <EOS> included, each line from a fresh start. A translator
    reads source TAB target and tells log p(target | source). With --json, --probability adds 'probability' and 'probabilities', null where a number of 64 bits would be 0.
    """
    if probability and base is not None:
        raise usage_error("--base is of logarithms, and --probability prints none", hint="Leave one of them out.")
    base = choice("--base", base or "10", list(_BASES))
    write = _writer(base, per_token, as_json, probability=probability)
    model, file = model_and_file(model, file, running.runs)
    run = open_run(model, running, ("language-model", "translation"))
    blocks = read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line, block=READ_AT_ONCE)
    if run.report()["task"] == "translation":
        if stream:
            raise usage_error(f"--stream is for language models; {run} is a translator")
        print_pairs(run, running, blocks, source_name(file), write, tokens=tokens, summary=summary)
        return
    from seqcli.pipeline.language import load_language_model

    trained = load_language_model(run, running.device, running.engine)
    print_scores(trained, blocks, write, tokens=tokens, stream=stream, summary=summary)


def print_pairs(
    run: Run,
    running: Running,
    blocks: Iterable[list[str]],
    name: str,
    write: Callable[[ScoredLine], str],
    *,
    tokens: bool,
    summary: bool,
) -> None:
    """Print how probable each target is, given its source, and the summary on stderr."""
    from seqcli.pipeline.model import Model
    from seqcli.pipeline.score import PairScorer

    scorer = PairScorer(Model.load(run, device=running.device, engine=running.engine), name, tokens=tokens)
    for lines in blocks:
        for pairs in batches(map(scorer.pair, lines), len(lines)):  # those before a bad line too
            console.write("".join(map(write, scorer.score(pairs))), flush=True)
    if summary and scorer.totals.tokens:
        for line in summary_lines(scorer.totals):
            console.note(line)


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


def _writer(base: str, per_token: bool, as_json: bool, *, probability: bool = False) -> Callable[[ScoredLine], str]:
    unit = _BASES[base]
    shown: Callable[[float], str] = probability_text if probability else lambda nats: f"{nats / unit:z.4f}"

    def one_number(line: ScoredLine) -> str:
        return f"{shown(line.log_prob)}\n"

    def rows(line: ScoredLine) -> str:
        columns = zip(line.tokens, map(shown, line.log_probs.tolist()), line.unknown, strict=True)
        return "".join(f"{token}\t{value}\t{unknown:d}\n" for token, value, unknown in columns) + "\n"

    def document(line: ScoredLine) -> str:
        nats = line.log_probs.tolist()
        values: dict[str, Any] = {
            "text": line.text,
            "log_prob": line.log_prob / unit,
            "tokens": line.tokens,
            "log_probs": [value / unit for value in nats],
            "unknown": [token for token, is_unknown in zip(line.tokens, line.unknown, strict=True) if is_unknown],
            "base": base,
        }
        if probability:
            values |= {"probability": _as_number(line.log_prob), "probabilities": [*map(_as_number, nats)]}
        return console.json_text(values) + "\n"

    return document if as_json else rows if per_token else one_number


def probability_text(nats: float) -> str:
    """e to the power of ``nats`` with five digits, ``6.1359e-10``: where a float would be 0 too."""
    if nats == -math.inf:
        return f"{0:.4e}"
    exponent, rest = divmod(nats / math.log(10), 1)
    digits, _, carried = f"{10**rest:.4e}".partition("e")  # 9.99996 is written 1.0000e+01
    exponent += int(carried)
    return f"{digits}e{'-' if exponent < 0 else '+'}{abs(exponent):02.0f}"


def _as_number(nats: float) -> float | None:
    """e to the power of ``nats``; None where that is not 0, and smaller than a float can tell."""
    return math.exp(nats) if nats == -math.inf or nats > _LEAST else None
