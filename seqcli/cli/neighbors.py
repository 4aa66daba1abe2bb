"""The verb ``neighbors``."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import JsonLines, Reading, Runs, choice, grouped
from seqcli.cli.word_arguments import (
    MeasureOption,
    ModelOption,
    VectorsOption,
    answer_lines,
    choose_vectors,
    from_stdin,
    json_of,
    rows_of,
    score_name,
)

EPILOG = """Examples:

\b
  seqcli neighbors embedding peace war -k 5
  cut -f1 words.tsv | seqcli neighbors --vectors glove.6B.100d.txt --measure euclidean"""


@grouped
def command(
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] WORD...",
            help="Words; the first argument is the model if there is one of that name, "
            "else the newest model with word vectors is used. No word, or '-': stdin, a word a line.",
        ),
    ] = None,
    model: ModelOption = None,
    vectors: VectorsOption = None,
    k: Annotated[int, typer.Option("-k", help="How many neighbors, the nearest first.")] = 10,
    measure: MeasureOption = "cosine",
    as_json: JsonLines = False,
    reading: Reading,
    runs: Runs = None,
) -> None:
    """The words nearest to a word.

    A row for each neighbor: word, neighbor, similarity (or distance: the smaller, the nearer), tabs between.
    """
    from seqcli.store.runs import Store
    from seqcli.text.word_vectors import MEASURES

    choice("--measure", measure, MEASURES)
    store, given = Store(runs), list(words or [])
    if model is None and vectors is None and given and store.knows(given[0]):
        model = given.pop(0)
    name, known = choose_vectors(store, model, vectors)
    score = score_name(measure)

    def answer(word: str) -> str:
        found = known.neighbors(word, k, measure)
        if not as_json:
            return rows_of(word, found)
        values = {"model": name, "word": word, "measure": measure, "neighbors": json_of(found, score)}
        return console.json_text(values) + "\n"

    if from_stdin(given):
        answer_lines(lambda line: answer(line.strip()), reading)
        return
    for text in [answer(word) for word in given]:  # all of them before the first is shown
        console.write(text)
