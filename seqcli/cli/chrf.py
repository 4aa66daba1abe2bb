"""The verb ``chrf``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from seqcli.cli.options import examples, grouped
from seqcli.cli.scoring_translation import Request, score_translation

EPILOG = examples("seqcli chrf hyp.txt ref.txt", "seqcli chrf hyp.txt ref.txt --chrf-word-order 2 --confidence")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of chrF, under sacrebleu's names."""

    char_order: Annotated[
        int, typer.Option("--char-order", "--chrf-char-order", "-cc", min=1, max=100, help="Longest character n-gram.")
    ] = 6
    word_order: Annotated[
        int,
        typer.Option(
            "--word-order", "--chrf-word-order", "-cw", min=0, max=100, help="Longest word n-gram; 2 is chrF++."
        ),
    ] = 0
    beta: Annotated[
        int, typer.Option("--beta", "--chrf-beta", min=1, max=1000, help="How much more recall counts than precision.")
    ] = 2
    whitespace: Annotated[bool, typer.Option("--whitespace", "--chrf-whitespace", help="Let n-grams hold spaces.")] = (
        False
    )
    lowercase: Annotated[bool, typer.Option("--lowercase", "--chrf-lowercase", "-lc", help="Ignore case.")] = False
    eps_smoothing: Annotated[
        bool, typer.Option("--eps-smoothing", "--chrf-eps-smoothing", help="Smooth by epsilon, as chrF++.py does.")
    ] = False


@grouped
def command(options: Options, request: Request) -> None:
    """chrF of a translation against references."""
    score_translation("chrf", options, request, warn_if_tokenised=options.word_order > 0 or options.whitespace)
