"""How far generated tunes are music, and how far they are copies: ABC records on standard input or in a file.

    seqcli sample music -n 200 | python benchmarks/music.py --train train.abc [FILE]

Prints how many tunes parse, how many of those have complete bars, and the longest span (in characters of the tune's
body, exact) that each has in common with the training text. Parsing needs music21: `pip install 'seqcli[music]'`.
`--train` may be given several times. A tune of the training text itself scores its own length: so does a copy.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from seqcli.data.formats import Reading, read_examples

RECORD_START = "X:"


@dataclass(frozen=True)
class Copied:
    """The longest span of a text that the training text has too: where it begins in the text, and its characters."""

    begin: int
    length: int


def longest_copy(text: str, training: str) -> Copied:
    """The longest span of the text that stands in the training text; the first of them where several are as long.

    Exact: from each place on, the best span so far is lengthened by a character as long as the training text has it.
    Each character costs one search through the training text, a fraction of a millisecond a megabyte.
    """
    best = Copied(0, 0)
    for begin in range(len(text)):
        while begin + best.length < len(text) and text[begin : begin + best.length + 1] in training:
            best = Copied(begin, best.length + 1)
    return best


def joined(bodies: Iterable[str]) -> str:
    """Training tunes as one text; a blank line between them, which no tune has, so no span reaches over two."""
    return "\n\n".join(bodies)


def body(tune: str) -> str:
    """The music: what follows the first key field."""
    lines = tune.split("\n")
    key = next((index for index, line in enumerate(lines) if line.startswith("K:")), -1)
    return "\n".join(lines[key + 1 :])


def parse(tune: str) -> Any | None:
    """The tune's tokens (music21's ABCHandler); None where music21 can make no score, or one without a note, of it."""
    from music21 import abcFormat
    from music21.abcFormat import translate
    from music21.exceptions21 import Music21Exception

    if not any(line.startswith("K:") for line in tune.split("\n")):
        return None
    try:
        handler = abcFormat.ABCFile().readstr(tune)
        score = translate.abcToStreamScore(handler)
    except (Music21Exception, ValueError, IndexError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return None  # music21 says "no" in many ways
    return handler if score.recurse().notes else None


def bars_complete(handler: Any) -> bool:
    """Whether every bar lasts what its meter says.

    A bar that begins or ends a part of the tune (at its start or end, at a repeat or double bar) may be shorter, for
    an upbeat and what makes up for it; no bar may be longer. A tune without a bar line or a meter has none complete.
    music21's score is not asked: it cuts bars that are too long in two and makes up a meter for the second.
    """
    from music21 import abcFormat

    meter: Fraction | None = None
    bars = []  # (quarters it lasts, quarters it should last, whether a part of the tune begins or ends here)
    edge_before = True
    try:
        measures = handler.splitByMeasure()
    except IndexError:  # music21's way to say that there is no bar line
        return False
    for bar in measures:
        for token in bar.tokens:
            if isinstance(token, abcFormat.ABCMetadata) and token.isMeter():
                signature = token.getTimeSignatureObject()
                meter = signature and Fraction(signature.barDuration.quarterLength)
        edge_after = _is_edge(bar.rightBarToken)
        if length := sum(map(_quarters, bar.tokens), Fraction()):
            bars.append((length, meter, edge_before or edge_after or _is_edge(bar.leftBarToken)))
            edge_before = False
        edge_before = edge_before or edge_after
    if len(bars) < 2:
        return False
    bars[-1] = (*bars[-1][:2], True)
    return all(
        meter is not None and (length == meter or (length < meter and at_edge)) for length, meter, at_edge in bars
    )


def _quarters(token: Any) -> Fraction:
    """How long a note, chord or rest sounds, in quarters; grace notes take no time."""
    from music21 import abcFormat

    if not isinstance(token, abcFormat.ABCNote) or token.inGrace:
        return Fraction()
    times = token.activeTuplet.tupletMultiplier() if token.activeTuplet else 1
    return Fraction(token.quarterLength).limit_denominator(1000) * Fraction(times)


def _is_edge(bar_line: Any) -> bool:
    """Whether a bar line is more than a plain one: double, final, a repeat or an ending."""
    return bar_line is not None and not bar_line.isRegular()


def report(tunes: Sequence[str], training: str, *, parsing: bool) -> list[str]:
    """The lines to print."""
    copies = [longest_copy(body(tune), training).length for tune in tunes]
    lines = [f"tunes: {len(tunes):,}"]
    if parsing:
        parsed = [handler for handler in map(parse, tunes) if handler is not None]
        complete = sum(map(bars_complete, parsed))
        lines += [f"parse as ABC: {_share(len(parsed), len(tunes))}", f"bars complete: {_share(complete, len(tunes))}"]
    lengths = [len(body(tune)) for tune in tunes]
    longest = copies.index(max(copies))
    lines.append(
        f"longest span copied from training: {copies[longest]:,} of {lengths[longest]:,} characters "
        f"(tune {longest + 1})"
    )
    lines.append(
        f"longest copied span a tune: mean {statistics.mean(copies):.1f}, "
        f"median {statistics.median(copies):g} of {statistics.median(lengths):g} characters"
    )
    whole = sum(copy == length for copy, length in zip(copies, lengths, strict=True))
    return [*lines, f"copied whole: {_share(whole, len(tunes))}"]


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.1%})"


def read_tunes(source: str | None) -> Iterator[str]:
    """The records of an ABC file or of standard input."""
    return (example.source for example in read_examples(source, Reading("records", record_start=RECORD_START)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", nargs="?", help="ABC tunes; - or nothing: standard input")
    parser.add_argument("--train", action="append", required=True, help="an ABC file of the training split")
    options = parser.parse_args()
    tunes = list(read_tunes(options.file))
    if not tunes:
        parser.exit(65, "no tune: none of the lines begins with X:\n")
    try:
        import music21  # noqa: F401
    except ImportError:
        parsing = False
        parser._print_message("music21 is not installed (pip install 'seqcli[music]'): parsing left out\n")
    else:
        parsing = True
    training = joined(body(tune) for path in options.train for tune in read_tunes(path))
    print("\n".join(report(tunes, training, parsing=parsing)))


if __name__ == "__main__":
    main()
