"""``seqcli chrf``."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli import scoring
from seqcli.cli.scoring_translation import score_translation

EPILOG = """Examples:

\b
  seqcli chrf hyp.txt ref.txt
  seqcli chrf hyp.txt ref.txt --chrf-word-order 2 --confidence
"""


def command(
    hyp: scoring.Hypothesis,
    refs: scoring.ReferenceFiles = None,
    char_order: Annotated[
        int, typer.Option("--char-order", "--chrf-char-order", "-cc", min=1, help="Longest character n-gram.")
    ] = 6,
    word_order: Annotated[
        int, typer.Option("--word-order", "--chrf-word-order", "-cw", min=0, help="Longest word n-gram; 2 is chrF++.")
    ] = 0,
    beta: Annotated[
        int, typer.Option("--beta", "--chrf-beta", min=1, help="How much more recall counts than precision.")
    ] = 2,
    whitespace: Annotated[
        bool, typer.Option("--whitespace", "--chrf-whitespace", help="Let n-grams hold spaces.")
    ] = False,
    lowercase: Annotated[bool, typer.Option("--lowercase", "--chrf-lowercase", "-lc", help="Ignore case.")] = False,
    eps_smoothing: Annotated[
        bool, typer.Option("--eps-smoothing", "--chrf-eps-smoothing", help="Smooth by epsilon, as chrF++.py does.")
    ] = False,
    num_refs: scoring.NumRefs = 1,
    variable_refs: scoring.VariableRefs = False,
    score_only: scoring.ScoreOnly = False,
    width: scoring.Width = 1,
    as_json: scoring.AsJson = False,
    sentence: scoring.Sentence = False,
    confidence: scoring.Confidence = False,
    confidence_n: scoring.ConfidenceN = 1000,
    compare: scoring.Compare = None,
    paired_bs_n: scoring.PairedBsN = 1000,
    paired_ar_n: scoring.PairedArN = 10_000,
    seed: scoring.Seed = 12345,
    errors: scoring.Errors = "strict",
) -> None:
    """chrF of a translation against references."""
    options = {
        "char_order": char_order,
        "word_order": word_order,
        "beta": beta,
        "whitespace": whitespace,
        "lowercase": lowercase,
        "eps_smoothing": eps_smoothing,
    }
    score_translation(
        "chrf",
        options,
        scoring.Request(
            hyp,
            refs or (),
            num_refs,
            variable_refs,
            score_only,
            width,
            as_json,
            sentence,
            errors,
            confidence_n if confidence else 0,
            compare or (),
            paired_bs_n,
            paired_ar_n,
            seed,
        ),
        warn_if_tokenised=word_order > 0 or whitespace,
    )
