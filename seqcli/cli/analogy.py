"""The verb ``analogy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from seqcli.store.runs import Store

EPILOG = """Examples:

\b
  seqcli analogy embedding man men child
  echo "man woman king" | seqcli analogy --vectors glove.6B.100d.txt --method 3cosmul -k 1"""


@grouped
def command(
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] A B C",
            help="Three words, after a model or without (the newest with word vectors). "
            "No word, or '-': stdin, three words a line.",
        ),
    ] = None,
    model: ModelOption = None,
    vectors: VectorsOption = None,
    k: Annotated[int, typer.Option("-k", help="How many answers, the best first.")] = 5,
    method: Annotated[str, typer.Option(help="3cosadd or 3cosmul.")] = "3cosadd",
    measure: MeasureOption = "cosine",
    as_json: JsonLines = False,
    reading: Reading,
    runs: Runs = None,
) -> None:
    """Complete an analogy: man is to woman as king is to ?

    A row for each answer: the three words, the answer, its score, tabs between the three. The score is the cosine (or
    the distance) to the point b - a + c, with 3cosmul the product that is made as large as can be.
    """
    from seqcli.store.runs import Store
    from seqcli.text.word_vectors import MEASURES, METHODS

    choice("--measure", measure, MEASURES)
    choice("--method", method, METHODS)
    store, given = Store(runs), list(words or [])
    if model is None and vectors is None and _begins_with_model(given, store):
        model = given.pop(0)
    if not from_stdin(given):
        _three(given)
    name, known = choose_vectors(store, model, vectors)
    score = "product" if method == "3cosmul" else score_name(measure)

    def answer(asked: list[str]) -> str:
        a, b, c = _three(asked)
        found = known.analogy(a, b, c, k, method, measure)
        if not as_json:
            return rows_of(" ".join(asked), found)
        answers = json_of(found, score)
        values = {"model": name, "words": asked, "method": method, "measure": measure, "answers": answers}
        return console.json_text(values) + "\n"

    if from_stdin(given):
        answer_lines(lambda line: answer(line.split()), reading)
    else:
        console.write(answer(given))


def _begins_with_model(given: list[str], store: Store) -> bool:
    """Four arguments begin with the model; a lone one, or one before ``-``, is the model if there is such a model."""
    return len(given) == 4 or (len(given) in (1, 2) and given[1:] in ([], ["-"]) and store.knows(given[0]))


def _three(words: list[str]) -> list[str]:
    if len(words) != 3:
        raise usage_error(
            f"an analogy is asked with three words, here {'is' if len(words) == 1 else 'are'} {len(words)}",
            hint="Such as: man woman king.",
        )
    return words
