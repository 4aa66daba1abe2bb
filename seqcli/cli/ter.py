"""The verb ``ter``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from seqcli.cli.options import examples, grouped
from seqcli.cli.scoring_translation import Request, score_translation

EPILOG = examples("seqcli ter hyp.txt ref.txt", "seqcli ter hyp.txt ref.txt --case-sensitive --normalized --json")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of TER, under sacrebleu's names."""

    case_sensitive: Annotated[
        bool, typer.Option("--case-sensitive", "--ter-case-sensitive", help="Count a difference of case.")
    ] = False
    normalized: Annotated[
        bool, typer.Option("--normalized", "--ter-normalized", help="Tokenise punctuation, undo XML escapes.")
    ] = False
    no_punct: Annotated[bool, typer.Option("--no-punct", "--ter-no-punct", help="Drop punctuation.")] = False
    asian_support: Annotated[
        bool, typer.Option("--asian-support", "--ter-asian-support", help="Treat CJK characters one by one.")
    ] = False


@grouped
def command(options: Options, request: Request) -> None:
    """Translation edit rate against references."""
    score_translation("ter", options, request, warn_if_tokenised=not options.normalized)
