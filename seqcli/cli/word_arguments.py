"""What ``neighbors`` and ``analogy`` share: which model is meant, words from the command line or from stdin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Reading
from seqcli.errors import ExitCode, UserError
from seqcli.lines import read_blocks

if TYPE_CHECKING:
    from seqcli.store.runs import Store
    from seqcli.text.word_vectors import Near, WordVectors

ModelOption = Annotated[
    str | None, typer.Option("-m", "--model", metavar="MODEL", help="The model; then every argument is a word.")
]
VectorsOption = Annotated[
    Path | None,
    typer.Option(
        "--vectors", metavar="FILE", help="A word2vec, GloVe or fastText text file (.gz too) instead of a model."
    ),
]
MeasureOption = Annotated[
    str, typer.Option("--measure", help="cosine (a similarity), euclidean or manhattan (distances).")
]


def choose_vectors(store: Store, model: str | None, file: Path | None) -> tuple[str, WordVectors]:
    """The vectors to use; a model that was not named is told on stderr."""
    from seqcli.pipeline.word_vectors import open_vectors

    name, vectors = open_vectors(store, model, file)
    if model is None and file is None:
        console.note(f"word vectors of {name}")
    return name, vectors


def from_stdin(words: list[str]) -> bool:
    """Whether the words come from standard input: none is given, or ``-`` alone."""
    return words in ([], ["-"])


def answer_lines(answer: Callable[[str], str], reading: Reading) -> None:
    """Write what ``answer`` makes of each line of stdin, at once; a blank line stays one.

    Raises:
        UserError: what ``answer`` raises, as bad data (65) with its line.
    """
    for first, lines in read_blocks(None, on_invalid=reading.invalid, max_line=reading.max_line):
        for number, line in enumerate(lines, first):
            try:
                text = answer(line) if line.strip() else "\n"
            except UserError as error:
                error.file, error.line, error.code = "<stdin>", number, ExitCode.DATA
                raise
            console.write(text, flush=True)


def rows_of(query: str, found: list[Near]) -> str:
    """``query<TAB>word<TAB>score`` rows."""
    return "".join(f"{query}\t{word}\t{score:.4f}\n" for word, score in found)


def json_of(found: list[Near], score: str) -> list[dict[str, object]]:
    """The words with their scores under the name ``score``."""
    return [{"word": word, score: value} for word, value in found]


def score_name(measure: str) -> str:
    """``similarity`` or ``distance``."""
    return "similarity" if measure == "cosine" else "distance"
