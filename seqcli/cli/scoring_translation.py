"""What ``bleu``, ``chrf`` and ``ter`` do once their options are known."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from seqcli.cli import console, scoring
from seqcli.errors import usage_error
from seqcli.lines import read_lines, source_name

if TYPE_CHECKING:
    from seqcli.metrics.score import Score
    from seqcli.metrics.translation import Comparison, MetricName, TranslationMetric

Streams = list[list[str | None]]


def score_translation(
    name: MetricName, options: Mapping[str, Any], request: scoring.Request, *, warn_if_tokenised: bool
) -> None:
    """Score a hypothesis by line, as a whole, or against other systems, and print the result."""
    from seqcli.metrics.translation import TranslationMetric

    request.check(name)
    metric = TranslationMetric(name, **options)
    rows = scoring.Rows(request)
    if request.sentence:
        _score_sentences(metric, request, rows)
        return
    with _no_garbage_collection():
        _score_corpus(name, metric, request, rows, warn_if_tokenised)


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


def _score_corpus(
    name: MetricName, metric: TranslationMetric, request: scoring.Request, rows: scoring.Rows, warn_if_tokenised: bool
) -> None:
    hypotheses, references = [], []
    for hypothesis, own in rows:
        hypotheses.append(hypothesis)
        references.append(own)
    streams: Streams = [list(stream) for stream in zip_longest(*references)]
    rows.warn_of_empty_lines()
    if warn_if_tokenised:
        _warn_if_tokenised(name, request, hypotheses, streams)
    if request.compare:
        _compare(metric, request, hypotheses, streams)
        return
    score = metric.score(hypotheses, streams, resamples=request.resamples, seed=request.seed)
    if name == "bleu":
        _warn_of_zero(score, hypotheses, streams)
    details, table = _PRESENT[name](score)
    scoring.show(score, request, details, table)


def _score_sentences(metric: TranslationMetric, request: scoring.Request, rows: scoring.Rows) -> None:
    count, signature = 0, ""
    several: set[int] = set()

    def pairs() -> Iterator[tuple[str, Sequence[str]]]:
        for hypothesis, references in rows:
            several.add(len(references))
            yield hypothesis, references

    for score in metric.sentence_scores(pairs()):
        scoring.show_sentence(score, request)
        count, signature = count + 1, scoring.head(score)
    rows.warn_of_empty_lines()
    if len(several) > 1:
        signature = re.sub(r"nrefs:\d+", "nrefs:var", signature)
    console.note(f"{signature}, one score for each of {count:,} line{'s' if count != 1 else ''}")


def _compare(metric: TranslationMetric, request: scoring.Request, hypotheses: Sequence[str], streams: Streams) -> None:
    from seqcli.metrics.parallel import unequal_lines

    systems = {source_name(request.hypothesis): list(hypotheses)}
    for source in request.compare:
        other = source_name(source)
        if other in systems:
            raise usage_error(f"'{other}' is given twice as a system")
        lines = [text.rstrip() for _, text in read_lines(source, on_invalid=request.errors)]  # type: ignore[arg-type]
        problem = unequal_lines((other, len(lines)), [(source_name(request.references[0]), len(hypotheses))])
        if problem:
            raise problem
        systems[other] = lines
    results = metric.compare(
        systems,
        streams,
        bootstrap_resamples=request.paired_bs_n,
        randomisation_trials=request.paired_ar_n,
        seed=request.seed,
    )
    _show_comparison(results, request)


def _show_comparison(results: Sequence[Comparison], request: scoring.Request) -> None:
    width = request.width
    if request.as_json:
        console.emit_json(
            [
                {
                    "system": result.name,
                    **result.score.as_json(),
                    "mean": result.mean,
                    "half_width": result.half_width,
                    "p_bootstrap": result.p_bootstrap,
                    "p_randomisation": result.p_randomisation,
                }
                for result in results
            ]
        )
        return
    if request.score_only:
        for result in results:
            console.emit(f"{result.score.value:.{width}f}")
        return
    if console.stdout_is_terminal():
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
        for line in console.table(body, header, right=[1, 2, 3, 4, 5]):
            console.emit(line)
        console.emit(f"signature  {results[0].score.signature}")
        return
    for result in results:
        interval = f"(μ = {result.mean:.{width}f} ± {result.half_width:.{width}f})"
        tests = (
            "baseline"
            if result.p_bootstrap is None
            else (f"p = {_p_value(result.p_bootstrap)} bootstrap, {_p_value(result.p_randomisation)} randomisation")
        )
        console.emit(f"{scoring.plain_line(result.score, width, interval)} {result.name} ({tests})")


def _p_value(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _warn_if_tokenised(name: str, request: scoring.Request, hypotheses: Sequence[str], streams: Streams) -> None:
    from seqcli.metrics.parallel import looks_tokenised, tokenised_warning

    if name == "bleu":
        advice = (
            "BLEU tokenises by itself and expects plain text: detokenise it, "
            "or say --tokenize none (tokenised on purpose) or --force"
        )
    else:
        tokenised, punctuated = looks_tokenised([text for text in streams[0] if text])
        if 2 * tokenised > punctuated:
            return
        advice = "The reference is not: detokenise the hypothesis, or words will not match"
    text = tokenised_warning(source_name(request.hypothesis), hypotheses, advice)
    if text:
        console.warn(text)


def _warn_of_zero(score: Score, hypotheses: Sequence[str], streams: Streams) -> None:
    from seqcli.metrics.translation import zero_bleu_warning

    text = zero_bleu_warning(score, hypotheses, streams)
    if text:
        console.warn(text)


Shown = tuple[str, list[tuple[object, ...]]]


def _present_bleu(score: Score) -> Shown:
    counts = score.counts
    details = (
        f"{'/'.join(f'{precision:.1f}' for precision in counts['precisions'])} (BP = {counts['bp']:.3f} "
        f"ratio = {counts['ratio']:.3f} hyp_len = {counts['hyp_len']} ref_len = {counts['ref_len']})"
    )
    table: list[tuple[object, ...]] = [
        (f"{order}-gram precision", f"{precision:.1f}", f"{matches:g}/{total:g}")
        for order, (precision, matches, total) in enumerate(
            zip(counts["precisions"], counts["matches"], counts["totals"], strict=True), 1
        )
    ]
    table += [
        ("brevity penalty", f"{counts['bp']:.3f}"),
        ("length ratio", f"{counts['ratio']:.3f}", f"{counts['hyp_len']:,} against {counts['ref_len']:,}"),
        ("lines", f"{counts['lines']:,}"),
    ]
    return details, table


def _present_chrf(score: Score) -> Shown:
    return "", [("lines", f"{score.counts['lines']:,}")]


def _present_ter(score: Score) -> Shown:
    counts = score.counts
    return "", [
        ("edits", f"{counts['edits']:,}", f"of {counts['ref_length']:,g} reference words"),
        ("lines", f"{counts['lines']:,}"),
    ]


_PRESENT = {"bleu": _present_bleu, "chrf": _present_chrf, "ter": _present_ter}
