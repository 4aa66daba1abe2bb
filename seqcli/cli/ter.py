"""``seqcli ter``."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli import scoring
from seqcli.cli.scoring_translation import score_translation

EPILOG = """Examples:

\b
  seqcli ter hyp.txt ref.txt
  seqcli ter hyp.txt ref.txt --case-sensitive --normalized --json
"""


def command(
    hyp: scoring.Hypothesis,
    refs: scoring.ReferenceFiles = None,
    case_sensitive: Annotated[
        bool, typer.Option("--case-sensitive", "--ter-case-sensitive", help="Count a difference of case.")
    ] = False,
    normalized: Annotated[
        bool, typer.Option("--normalized", "--ter-normalized", help="Tokenise punctuation, undo XML escapes.")
    ] = False,
    no_punct: Annotated[bool, typer.Option("--no-punct", "--ter-no-punct", help="Drop punctuation.")] = False,
    asian_support: Annotated[
        bool, typer.Option("--asian-support", "--ter-asian-support", help="Treat CJK characters one by one.")
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
    """Translation edit rate against references."""
    options = {
        "case_sensitive": case_sensitive,
        "normalized": normalized,
        "no_punct": no_punct,
        "asian_support": asian_support,
    }
    score_translation(
        "ter",
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
        warn_if_tokenised=not normalized,
    )
