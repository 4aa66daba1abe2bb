"""The verb ``wer``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seqcli.cli import scoring
from seqcli.cli.options import examples, grouped
from seqcli.errors import UserError

if TYPE_CHECKING:
    from seqcli.metrics.score import Score

EPILOG = examples(
    "seqcli wer hyp.txt ref.txt --lowercase --remove-punctuation", "seqcli wer hyp.txt ref.txt --characters --sentence"
)


@grouped
def command(
    hyp: scoring.Hypothesis,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The right transcript, line for line with HYP.")],
    output: scoring.Output,
    characters: Annotated[bool, typer.Option("--characters", "-c", help="Count characters instead of words.")] = False,
    lowercase: Annotated[bool, typer.Option("--lowercase", "-lc", help="Ignore case.")] = False,
    remove_punctuation: Annotated[
        bool, typer.Option("--remove-punctuation", help="Drop every punctuation character (Unicode category P).")
    ] = False,
    unicode_form: Annotated[
        Literal["NFC", "NFKC", "NFD", "NFKD"] | None, typer.Option(help="Bring both texts to one Unicode normal form.")
    ] = None,
    sentence: scoring.Sentence = False,
) -> None:
    """Word (or character) error rate of a transcript."""
    from seqcli.metrics.wer import Normalisation, error_rate

    rows = scoring.Rows(hyp, [ref], output.invalid)
    normalisation = Normalisation(lowercase, remove_punctuation, unicode_form)

    def rate(hypotheses: list[str], references: list[str]) -> Score:
        return error_rate(hypotheses, references, characters=characters, normalisation=normalisation)

    def sentence_scores() -> Iterator[Score | None]:
        for hypothesis, references in rows:
            try:
                score = rate([hypothesis], references)
            except UserError:  # no words in this reference
                yield None
            else:
                yield score

    if sentence:
        scoring.show_sentences(sentence_scores(), rows, output)
        return
    pairs = [(hypothesis, reference) for hypothesis, (reference,) in rows]
    rows.warn_of_empty_lines()
    score = rate([hypothesis for hypothesis, _ in pairs], [reference for _, reference in pairs])
    scoring.show_details(score, output, *_present(score))


def _present(score: Score) -> tuple[str, scoring.Details]:
    counts = score.counts
    names = ("substitutions", "deletions", "insertions", "ref_len", "hyp_len")
    unit = "characters" if score.name == "CER" else "words"
    return f"({' '.join(f'{name} = {counts[name]}' for name in names)})", [
        *((name, f"{counts[name]:,}") for name in (*names[:3], "hits")),
        (f"reference {unit}", f"{counts['ref_len']:,}"),
        (f"hypothesis {unit}", f"{counts['hyp_len']:,}"),
        ("lines", f"{counts['lines']:,}", f"{counts['correct_lines']:,} without an error"),
    ]
