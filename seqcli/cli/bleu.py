"""The verb ``bleu``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from seqcli.cli.options import examples, grouped
from seqcli.cli.scoring_translation import Request, score_translation

EPILOG = examples("seqcli bleu hyp.txt ref.txt", "zcat hyp.gz | seqcli bleu - ref.a.txt ref.b.txt --lowercase -b -w 2")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of BLEU, under sacrebleu's names."""

    lowercase: Annotated[bool, typer.Option("--lowercase", "-lc", help="Ignore case.")] = False
    tokenize: Annotated[
        str,
        typer.Option("--tokenize", "-tok", help="13a, intl, zh, char, none, ja-mecab, ko-mecab, flores101, flores200."),
    ] = "13a"
    smooth_method: Annotated[
        str, typer.Option("--smooth-method", "--smooth", "-s", help="Smoothing: exp, floor, add-k, none.")
    ] = "exp"
    smooth_value: Annotated[
        float | None, typer.Option("--smooth-value", "-sv", help="Value for floor (0.1) and add-k (1).")
    ] = None
    max_ngram_order: Annotated[int, typer.Option(min=1, max=100, help="Longest n-gram.")] = 4
    effective_order: Annotated[
        bool, typer.Option("--effective-order", help="Leave out orders without any n-gram (always on by sentence).")
    ] = False


@grouped
def command(
    options: Options,
    request: Request,
    force: Annotated[bool, typer.Option("--force", help="Do not warn that HYP looks tokenised.")] = False,
) -> None:
    """BLEU of a translation against references."""
    warn = not force and options.tokenize != "none"
    score_translation("bleu", options, request, warn_if_tokenised=warn)
