"""The verb ``spans``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seqcli.cli import console, scoring, show
from seqcli.cli.options import ErrorRows, examples, grouped
from seqcli.errors import data_error, usage_error
from seqcli.lines import source_name

if TYPE_CHECKING:
    from seqcli.metrics.conll_pairs import TaggedPair
    from seqcli.metrics.schemes import Span
    from seqcli.metrics.score import Counts
    from seqcli.metrics.spans import SpanScorer

EPILOG = (
    examples(
        "seqcli spans gold.conll predicted.conll",
        "seqcli spans gold.conll mine.conll --compare theirs.conll",
        "seqcli spans both.conll --matching strict --errors errors.tsv",
    )
    + """

Columns are cut at tabs or spaces; the tag is the last one. One file alone holds the gold and the predicted tag in its
last two columns, as conlleval reads it. --errors - prints the errors and nothing else.
"""
)


@grouped
def command(
    gold: Annotated[str, typer.Argument(metavar="GOLD", help="CoNLL file with the right tags; - is stdin.")],
    output: scoring.Output,
    predicted: Annotated[
        str | None, typer.Argument(metavar="[PREDICTED]", help="The same sentences with predicted tags.")
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="io, iob1, bio (IOB2), bioes, bilou; auto finds it out from the tags.")
    ] = "auto",
    matching: Annotated[
        Literal["conlleval", "strict"],
        typer.Option(help="Invalid sequences: read as conlleval does, or ill-formed spans left out."),
    ] = "conlleval",
    errors: ErrorRows = None,
    compare: scoring.Compare = None,
) -> None:
    """Strict span precision, recall and F1 of two CoNLL files."""
    from seqcli.metrics.conll_pairs import read_one, read_pairs
    from seqcli.metrics.schemes import scheme_name
    from seqcli.metrics.spans import SpanScorer

    scheme = scheme if scheme == "auto" else scheme_name(scheme)
    if predicted is not None:
        scoring.check_sources([gold, predicted])
    pairs = list(read_one(gold, output.invalid) if predicted is None else read_pairs(gold, predicted, output.invalid))
    if not pairs:
        raise data_error("has no sentence, so there is nothing to score", file=source_name(gold))
    if scheme == "auto":
        scheme = _recognise(pairs, gold)
    predicted = predicted or gold
    _check_tags(pairs, scheme, gold, predicted)
    scorer = SpanScorer(scheme, matching)
    adds = [scorer.add(pair.gold, pair.predicted) for pair in pairs]
    _warn_of_faults(pairs, scorer, gold, predicted)
    if errors is not None:
        rows = _error_rows(pairs, scorer, predicted)
        if errors == "-":
            console.emit_lines(rows)
            return
        from seqcli.files import atomic_write_text

        atomic_write_text(Path(errors), "".join(f"{row}\n" for row in rows))
    other = None if compare is None else _compared(gold, compare, predicted, scorer, adds, output)
    scoring.show_score(scorer.score(), output, *_present(scorer, output.width), other)


def _compared(
    gold: str, other: str, predicted: str, scorer: SpanScorer, adds: Sequence[Counts], output: scoring.Output
) -> scoring.Compared:
    """A second system on the same sentences, and whether the first is better than it."""
    import numpy as np

    from seqcli.metrics.conll_pairs import read_pairs
    from seqcli.metrics.paired import Sums, compare_sums, f1, with_words
    from seqcli.metrics.spans import SpanScorer

    if gold == predicted:
        raise usage_error("--compare needs GOLD and PREDICTED apart", hint="Give the two tag columns as two files.")
    scoring.check_sources([gold, predicted, other])
    theirs = list(read_pairs(gold, other, output.invalid))
    _check_tags(theirs, scorer.scheme, gold, other)
    counted = SpanScorer(scorer.scheme, scorer.matching)
    their_adds = [counted.add(pair.gold, pair.predicted) for pair in theirs]
    paired = compare_sums(*(Sums("F1", np.array(some, np.float64), f1) for some in (adds, their_adds)))
    return {
        "model": source_name(other),
        "score": counted.score().as_json(),
        "paired": with_words(source_name(predicted), source_name(other), paired),
    }


def _recognise(pairs: Sequence[TaggedPair], gold: str) -> str:
    from seqcli.metrics.schemes import closest_scheme

    scheme = closest_scheme([pair.gold for pair in pairs])
    if scheme is None:
        raise data_error(
            f"the last column holds no span tags ('{pairs[0].gold[0]}')",
            file=source_name(gold),
            line=pairs[0].gold_lines[0],
            hint="Span tags look like B-PER; seqcli accuracy scores other labels.",
        )
    console.note(f"scheme {scheme}, recognised from the gold tags (--scheme says it)")
    return scheme


def _check_tags(pairs: Sequence[TaggedPair], scheme: str, gold: str, predicted: str) -> None:
    """Refuse a tag that the scheme cannot write, naming its line."""
    from seqcli.metrics.schemes import is_tag

    known = set()
    for name, lines, tags in _both_sides(pairs, gold, predicted):
        for line, tag in zip(lines, tags, strict=True):
            if tag in known:
                continue
            if not is_tag(tag, scheme):
                raise data_error(
                    f"'{tag}' is not a tag of the scheme {scheme}",
                    file=source_name(name),
                    line=line,
                    hint="--scheme names another one.",
                )
            known.add(tag)


def _warn_of_faults(pairs: Sequence[TaggedPair], scorer: SpanScorer, gold: str, predicted: str) -> None:
    """Say that a text breaks the scheme and how it was read: other scorers may read it otherwise."""
    from seqcli.metrics.schemes import violations

    reading = "read as conlleval does" if scorer.matching == "conlleval" else "left out by --matching strict"
    faults: dict[str, list[tuple[int, str]]] = {}
    for name, lines, tags in _both_sides(pairs, gold, predicted):
        for position, reason in violations(tags, scorer.scheme):
            faults.setdefault(source_name(name), []).append((lines[position], reason))
    for name, places in faults.items():
        line, reason = places[0]
        more = f" (and {len(places) - 1:,} more)" if len(places) > 1 else ""
        console.warn(f"{name}:{line}: not valid {scorer.scheme}: {reason}{more}; {reading}")


def _both_sides(
    pairs: Sequence[TaggedPair], gold: str, predicted: str
) -> Iterator[tuple[str, Sequence[int], Sequence[str]]]:
    """(file, line numbers, tags) of the gold side and then the predicted side of each sentence."""
    for pair in pairs:
        yield gold, pair.gold_lines, pair.gold
        yield predicted, pair.predicted_lines, pair.predicted


def _error_rows(pairs: Sequence[TaggedPair], scorer: SpanScorer, name: str) -> Iterator[str]:
    """A header, then a row for each wrong span: kind, place, gold and predicted label with tokens, the sentence."""
    from seqcli.metrics.spans import errors

    yield "\t".join(("error", "at", "gold", "gold_tokens", "predicted", "predicted_tokens", "sentence"))
    for pair in pairs:
        for error in errors(pair.gold, pair.predicted, scorer.scheme, scorer.matching):
            first = min(span.start for span in (error.gold, error.predicted) if span)
            place = f"{source_name(name)}:{pair.predicted_lines[first]}"
            sides = *_span_cells(error.gold, pair), *_span_cells(error.predicted, pair)
            yield "\t".join((error.kind, place, *sides, " ".join(pair.tokens)))


def _span_cells(span: Span | None, pair: TaggedPair) -> tuple[str, str]:
    return (span.label, " ".join(pair.tokens[span.start : span.end])) if span else ("", "")


def _present(scorer: SpanScorer, width: int) -> tuple[list[str], list[str]]:
    """The lines for a pipe, and the table for a terminal."""
    total, types, accuracy = scorer.total, scorer.types, f"{scorer.accuracy:.{width}f}"
    plain = [f"F1|{scorer.signature} = {_one_line(total, width)} accuracy = {accuracy}"]
    plain += [f"{label} = {_one_line(counts, width)}" for label, counts in types.items()]
    rows = [(label, counts.as_json()) for label, counts in (*types.items(), ("all", total))]
    tokens = f"accuracy   {accuracy}  {scorer.correct_tokens:,}/{scorer.tokens:,} tokens"
    return plain, [*show.counts_table("type", rows, width), tokens]


def _one_line(counts: Counts, width: int) -> str:
    """F1, precision/recall, and the counts behind them."""
    return (
        f"{counts.f1:.{width}f} {counts.precision:.{width}f}/{counts.recall:.{width}f} "
        f"(correct = {counts.correct} gold = {counts.gold} predicted = {counts.predicted})"
    )
