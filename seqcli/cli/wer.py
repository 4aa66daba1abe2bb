"""``seqcli wer``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seqcli.cli import console, scoring
from seqcli.errors import UserError

if TYPE_CHECKING:
    from seqcli.metrics.score import Score

EPILOG = """Examples:

\b
  seqcli wer hyp.txt ref.txt --lowercase --remove-punctuation
  seqcli wer hyp.txt ref.txt --characters --sentence
"""


def command(
    hyp: scoring.Hypothesis,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The right transcript, line for line with HYP.")],
    characters: Annotated[bool, typer.Option("--characters", "-c", help="Count characters instead of words.")] = False,
    lowercase: Annotated[bool, typer.Option("--lowercase", "-lc", help="Ignore case.")] = False,
    remove_punctuation: Annotated[
        bool, typer.Option("--remove-punctuation", help="Drop every punctuation character (Unicode category P).")
    ] = False,
    unicode_form: Annotated[
        Literal["NFC", "NFKC", "NFD", "NFKD"] | None,
        typer.Option("--unicode-form", help="Bring both texts to one Unicode normal form."),
    ] = None,
    score_only: scoring.ScoreOnly = False,
    width: scoring.Width = 2,
    as_json: scoring.AsJson = False,
    sentence: scoring.Sentence = False,
    errors: scoring.Errors = "strict",
) -> None:
    """Word (or character) error rate of a transcript."""
    from seqcli.metrics.wer import Normalisation, error_rate

    request = scoring.Request(
        hyp, [ref], score_only=score_only, width=width, as_json=as_json, sentence=sentence, errors=errors
    )
    request.check("wer")
    normalisation = Normalisation(lowercase, remove_punctuation, unicode_form)
    rows = scoring.Rows(request)
    if sentence:
        count, signature = 0, ""
        for hypothesis, (reference,) in rows:
            try:
                score = error_rate([hypothesis], [reference], characters=characters, normalisation=normalisation)
            except UserError:  # no words in this reference
                scoring.show_sentence(None, request)
            else:
                scoring.show_sentence(score, request)
                signature = scoring.head(score)
            count += 1
        rows.warn_of_empty_lines()
        console.note(f"{signature}, one score for each of {count:,} line{'s' if count != 1 else ''}")
        return
    pairs = [(hypothesis, reference) for hypothesis, (reference,) in rows]
    rows.warn_of_empty_lines()
    score = error_rate(
        [pair[0] for pair in pairs], [pair[1] for pair in pairs], characters=characters, normalisation=normalisation
    )
    scoring.show(score, request, *_present(score))


def _present(score: Score) -> tuple[str, list[tuple[object, ...]]]:
    counts = score.counts
    names = ("substitutions", "deletions", "insertions", "ref_len", "hyp_len")
    details = " ".join(f"{name} = {counts[name]}" for name in names)
    unit = "characters" if score.name == "CER" else "words"
    table: list[tuple[object, ...]] = [(name, f"{counts[name]:,}") for name in (*names[:3], "hits")]
    table += [
        (f"reference {unit}", f"{counts['ref_len']:,}"),
        (f"hypothesis {unit}", f"{counts['hyp_len']:,}"),
        ("lines", f"{counts['lines']:,}", f"{counts['correct_lines']:,} without an error"),
    ]
    return f"({details})", table
