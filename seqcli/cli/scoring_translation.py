"""What ``bleu``, ``chrf`` and ``ter`` do once their own options are known."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, scoring, show
from seqcli.errors import usage_error
from seqcli.lines import read_lines, source_name
from seqcli.metrics.parallel import check_lines, looks_tokenised, tokenised_warning

if TYPE_CHECKING:
    from seqcli.metrics.translation import Comparison, MetricName, TranslationMetric

Streams = list[list[str | None]]


@dataclass(frozen=True, kw_only=True)
class Request(scoring.Output):
    """What the three take, their own options aside."""

    hyp: scoring.Hypothesis
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="REF", help="References, line for line with HYP; .gz is read too.")
    ] = None
    width: Annotated[int, typer.Option("-w", "--width", min=0, max=15, help="Digits after the point.")] = 1
    num_refs: Annotated[
        int, typer.Option("--num-refs", "-nr", min=1, help="References a line of each REF, separated by tabs.")
    ] = 1
    variable_refs: Annotated[
        bool,
        typer.Option("--variable-refs", help="As many tab-separated references as a line has; an empty one is none."),
    ] = False
    sentence: scoring.Sentence = False
    confidence: Annotated[
        bool, typer.Option("--confidence", "-ci", help="Add the mean and 95% interval by bootstrap resampling.")
    ] = False
    confidence_n: Annotated[
        int, typer.Option("--confidence-n", "-cin", min=2, max=10**6, help="Resamples for --confidence.")
    ] = 1000
    compare: Annotated[
        list[str] | None, typer.Option(metavar="OTHER_HYP", help="Test another system against HYP; may be given again.")
    ] = None
    paired_bs_n: Annotated[
        int, typer.Option("--paired-bs-n", "-pbsn", min=2, max=10**6, help="Resamples of the paired bootstrap.")
    ] = 1000
    paired_ar_n: Annotated[
        int, typer.Option("--paired-ar-n", "-parn", min=2, max=10**6, help="Trials of the approximate randomisation.")
    ] = 10_000
    seed: Annotated[int, typer.Option(min=1, max=2**32 - 1, help="Seed of every resampling.")] = 12345

    def rows(self, verb: str) -> scoring.Rows:
        """The texts, once what cannot be meant is refused (exit code 2)."""
        if not self.refs:
            raise usage_error(
                "no references", hint=f"seqcli {verb} HYP REF [REF...]; '-' as HYP reads it from standard input."
            )
        scoring.check_sources([self.hyp, *self.refs, *(self.compare or ())])
        if self.num_refs > 1 and self.variable_refs:
            raise usage_error("--num-refs and --variable-refs exclude each other")
        if self.sentence and (self.confidence or self.compare):
            raise usage_error("--sentence goes with neither --confidence nor --compare")
        if self.compare and self.confidence:
            raise usage_error("--compare prints intervals by itself; leave --confidence out")
        return scoring.Rows(self.hyp, self.refs, self.invalid, None if self.variable_refs else self.num_refs)


def score_translation(name: MetricName, options: Any, request: Request, *, warn_if_tokenised: bool) -> None:
    """Score a hypothesis by line, as a whole, or against other systems, and print the result.

    Args:
        options: a dataclass of the metric's own options, under sacrebleu's names.
    """
    from seqcli.metrics.translation import TranslationMetric

    rows = request.rows(name)
    metric = TranslationMetric(name, **asdict(options))
    if request.sentence:
        scoring.show_sentences(metric.sentence_scores(rows), rows, request)
        return
    with _no_garbage_collection():
        _score_corpus(metric, request, rows, warn_if_tokenised)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Spare the collector: the million n-grams of a corpus are in no cycle, and walking over them costs a tenth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _score_corpus(metric: TranslationMetric, request: Request, rows: scoring.Rows, warn_if_tokenised: bool) -> None:
    from seqcli.metrics.translation import zero_bleu_warning

    pairs = list(rows)
    hypotheses = [hypothesis for hypothesis, _ in pairs]
    streams: Streams = [list(stream) for stream in zip_longest(*(references for _, references in pairs))]
    rows.warn_of_empty_lines()
    if warn_if_tokenised:
        _warn_if_tokenised(metric.name, rows.names[0], hypotheses, streams)
    if request.compare:
        _show_comparison(_compare(metric, request, rows, hypotheses, streams), request)
        return
    resamples = request.confidence_n if request.confidence else 0
    score = metric.score(hypotheses, streams, resamples=resamples, seed=request.seed)
    if metric.name == "bleu" and (warning := zero_bleu_warning(score, hypotheses, streams)):
        console.warn(warning)
    details, table = _PRESENT[metric.name](score.counts)
    scoring.show_details(score, request, details, [*table, ("lines", f"{score.counts['lines']:,}")])


def _compare(
    metric: TranslationMetric, request: Request, rows: scoring.Rows, hypotheses: Sequence[str], streams: Streams
) -> list[Comparison]:
    systems = {rows.names[0]: list(hypotheses)}
    for source in request.compare or ():
        other = source_name(source)
        if other in systems:
            raise usage_error(f"'{other}' is given twice as a system")
        lines = [text.rstrip() for _, text in read_lines(source, on_invalid=request.invalid)]
        check_lines((other, len(lines)), [(rows.names[1], len(hypotheses))])
        systems[other] = lines
    return metric.compare(
        systems,
        streams,
        bootstrap_resamples=request.paired_bs_n,
        randomisation_trials=request.paired_ar_n,
        seed=request.seed,
    )


def _show_comparison(results: Sequence[Comparison], request: Request) -> None:
    width = request.width
    if request.as_json:
        console.emit_json([result.as_json() for result in results])
    elif request.score_only:
        console.emit_lines(f"{result.score.value:.{width}f}" for result in results)
    elif console.stdout_is_terminal():
        header = ["system", results[0].score.name, "mean", "95%", "p bootstrap", "p randomisation"]
        body = [
            [
                result.name,
                f"{result.score.value:.{width}f}",
                f"{result.mean:.{width}f}",
                f"± {result.half_width:.{width}f}",
                *map(_p_value, (result.p_bootstrap, result.p_randomisation)),
            ]
            for result in results
        ]
        console.emit_lines(show.table(body, header, right=range(1, 6)))
        console.emit(f"signature  {results[0].score.signature}")
    else:
        for result in results:
            interval = f"(μ = {result.mean:.{width}f} ± {result.half_width:.{width}f})"
            tests = "baseline"
            if result.p_bootstrap is not None:
                bootstrap, randomisation = map(_p_value, (result.p_bootstrap, result.p_randomisation))
                tests = f"p = {bootstrap} bootstrap, {randomisation} randomisation"
            console.emit(f"{scoring.plain_line(result.score, width, interval)} {result.name} ({tests})")


def _p_value(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _warn_if_tokenised(metric: str, name: str, hypotheses: Sequence[str], streams: Streams) -> None:
    if metric == "bleu":
        advice = (
            "BLEU tokenises by itself and expects plain text: detokenise it, "
            "or say --tokenize none (tokenised on purpose) or --force"
        )
    else:
        tokenised, punctuated = looks_tokenised([text for text in streams[0] if text])
        if 2 * tokenised > punctuated:
            return
        advice = "The reference is not: detokenise the hypothesis, or words will not match"
    if warning := tokenised_warning(name, hypotheses, advice):
        console.warn(warning)


def _present_bleu(counts: Mapping[str, Any]) -> tuple[str, scoring.Details]:
    details = (
        f"{'/'.join(f'{precision:.1f}' for precision in counts['precisions'])} (BP = {counts['bp']:.3f} "
        f"ratio = {counts['ratio']:.3f} hyp_len = {counts['hyp_len']} ref_len = {counts['ref_len']})"
    )
    orders = enumerate(zip(counts["precisions"], counts["matches"], counts["totals"], strict=True), 1)
    table = [
        *(
            (f"{order}-gram precision", f"{precision:.1f}", f"{matches:g}/{total:g}")
            for order, (precision, matches, total) in orders
        ),
        ("brevity penalty", f"{counts['bp']:.3f}"),
        ("length ratio", f"{counts['ratio']:.3f}", f"{counts['hyp_len']:,} against {counts['ref_len']:,}"),
    ]
    return details, table


def _present_ter(counts: Mapping[str, Any]) -> tuple[str, scoring.Details]:
    return "", [("edits", f"{counts['edits']:,}", f"of {counts['ref_length']:,g} reference words")]


_PRESENT = {"bleu": _present_bleu, "chrf": lambda counts: ("", ()), "ter": _present_ter}
