"""How far generated tunes are music, and how far they are copies: ABC records on standard input or in a file.

    seqcli sample music -n 200 | python benchmarks/music.py --train train.abc [FILE]

Prints how many tunes parse, how many of those have complete bars, and the longest span (in characters of the tune's
body, exact) that each has in common with the training text. Parsing needs music21: `pip install 'seqcli[music]'`.
`--train` may be given several times; a tune of the training text itself scores its own length, which is what a copy looks like.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from seqcli.corpora import records

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
    """The tune as a music21 score; None where music21 refuses it or finds no key field or no note in it."""
    from music21 import abcFormat
    from music21.abcFormat import translate
    from music21.exceptions21 import Music21Exception

    if not any(line.startswith("K:") for line in tune.split("\n")):
        return None
    try:
        score = translate.abcToStreamScore(abcFormat.ABCFile().readstr(tune))
    except (Music21Exception, ValueError, IndexError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return None  # music21 says "no" in many ways
    return score if score.recurse().notes else None


def bars_complete(score: Any) -> bool:
    """Whether every bar lasts what its meter says.

    A bar that begins or ends a part of the tune (at its start or end, at a repeat or double bar) may be shorter, for
    an upbeat and what makes up for it; no bar may be longer. A tune without a bar or without a meter has none complete.
    """
    from music21.exceptions21 import Music21Exception

    try:
        bars = [list(part.getElementsByClass("Measure")) for part in score.parts]
        return all(bars) and bool(bars) and all(_part_is_complete(part) for part in bars)
    except (Music21Exception, AttributeError, TypeError):
        return False


def _part_is_complete(bars: Sequence[Any]) -> bool:
    meter = None
    for index, bar in enumerate(bars):
        meter = bar.timeSignature or meter  # a bar states its meter only where that changes
        if meter is None:
            return False
        missing = Fraction(meter.barDuration.quarterLength) - Fraction(bar.duration.quarterLength)
        at_edge = (index in (0, len(bars) - 1) or _is_edge(bar.leftBarline) or _is_edge(bar.rightBarline)
                   or _is_edge(bars[index - 1].rightBarline) or _is_edge(bars[index + 1].leftBarline))
        if missing < 0 or (missing > 0 and not at_edge):
            return False
    return True


def _is_edge(line: Any) -> bool:
    return line is not None and line.type != "regular"


def report(tunes: Sequence[str], training: str, *, parsing: bool) -> list[str]:
    """The lines to print."""
    copies = [longest_copy(body(tune), training).length for tune in tunes]
    lines = [f"tunes: {len(tunes):,}"]
    if parsing:
        scores = [score for score in map(parse, tunes) if score is not None]
        complete = sum(map(bars_complete, scores))
        lines += [f"parse as ABC: {_share(len(scores), len(tunes))}", f"bars complete: {_share(complete, len(tunes))}"]
    lengths = [len(body(tune)) for tune in tunes]
    longest = copies.index(max(copies))
    lines.append(f"longest span copied from training: {copies[longest]:,} of {lengths[longest]:,} characters "
                 f"(tune {longest + 1})")
    lines.append(f"longest copied span a tune: mean {statistics.mean(copies):.1f}, median {statistics.median(copies):g} of "
                 f"{statistics.median(lengths):g} characters")
    whole = sum(copy == length for copy, length in zip(copies, lengths, strict=True))
    return [*lines, f"copied whole: {_share(whole, len(tunes))}"]


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.1%})"


def read_tunes(source: str | None) -> Iterator[str]:
    """The records of an ABC file or of standard input."""
    return (example.source for example in records.read(source, record_start=RECORD_START))


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
