"""``seqcli bleu``."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli import scoring
from seqcli.cli.scoring_translation import score_translation

EPILOG = """Examples:

\b
  seqcli bleu hyp.txt ref.txt
  zcat hyp.gz | seqcli bleu - ref.a.txt ref.b.txt --lowercase -b -w 2
"""


def command(
    hyp: scoring.Hypothesis,
    refs: scoring.ReferenceFiles = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", "-lc", help="Ignore case.")] = False,
    tokenize: Annotated[
        str,
        typer.Option("--tokenize", "-tok", help="13a, intl, zh, char, none, ja-mecab, ko-mecab, flores101, flores200."),
    ] = "13a",
    smooth_method: Annotated[
        str, typer.Option("--smooth-method", "--smooth", "-s", help="Smoothing: exp, floor, add-k, none.")
    ] = "exp",
    smooth_value: Annotated[
        float | None, typer.Option("--smooth-value", "-sv", help="Value for floor (0.1) and add-k (1).")
    ] = None,
    max_ngram_order: Annotated[int, typer.Option("--max-ngram-order", min=1, help="Longest n-gram.")] = 4,
    effective_order: Annotated[
        bool, typer.Option("--effective-order", help="Leave out orders without any n-gram (always on by sentence).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Do not warn that HYP looks tokenised.")] = False,
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
    """BLEU of a translation against references."""
    options = {
        "lowercase": lowercase,
        "tokenize": tokenize,
        "smooth_method": smooth_method,
        "smooth_value": smooth_value,
        "max_ngram_order": max_ngram_order,
        "effective_order": effective_order,
    }
    score_translation(
        "bleu",
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
        warn_if_tokenised=not force and tokenize != "none",
    )
