"""Tag schemes: how spans of tokens are written as one tag a token, and read back.

A tag is ``O`` (outside) or ``LETTER-LABEL``, cut at the first ``-`` (labels may hold more of them); a letter alone has
the empty label. ``io`` writes I; ``iob1`` writes I, and B only where a span touches one of its own label before it;
``bio`` (IOB2) starts each span with B; ``bioes`` also ends it with E and writes S for a span of one token; ``bilou`` is
``bioes`` with the letters L and U.

Whether a tag may stand after another is a question about two neighbours in every scheme, so that is how it is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from seqcli.errors import data_error, did_you_mean, usage_error

Matching = Literal["conlleval", "strict"]

OUTSIDE = "O"


class Span(NamedTuple):
    """Tokens ``start`` to ``end`` (from 0, ``end`` not included) that carry ``label``."""

    start: int
    end: int
    label: str


class Fault(NamedTuple):
    """A tag that cannot stand where it stands: its position from 0, and why."""

    position: int
    reason: str


@dataclass(frozen=True)
class _Letters:
    """The letters of a scheme by what they do; an empty string for what it cannot say."""

    begin: str = ""
    inside: str = "I"
    end: str = ""
    single: str = ""

    def all(self) -> str:
        return self.begin + self.inside + self.end + self.single


_LETTERS = {
    "io": _Letters(),
    "iob1": _Letters(begin="B"),
    "bio": _Letters(begin="B"),
    "bioes": _Letters(begin="B", end="E", single="S"),
    "bilou": _Letters(begin="B", end="L", single="U"),
}
_ALIASES = {"iob2": "bio", "iob": "iob1", "iobes": "bioes", "bilu": "bilou", "bioul": "bilou"}

SCHEMES = tuple(_LETTERS)
"""The names of the schemes, the most specific first: whatever is valid ``io`` is valid ``iob1``."""


def scheme_name(name: str) -> str:
    """The one name of a scheme: lower case, aliases resolved (``IOB2`` is ``bio``, ``IOBES`` is ``bioes``).

    Raises:
        UserError: no such scheme (exit code 2).
    """
    known = name.lower()
    known = _ALIASES.get(known, known)
    if known not in _LETTERS:
        names = [*SCHEMES, *_ALIASES]
        raise usage_error(
            f"unknown tag scheme '{name}'", hint=did_you_mean(known, names) or f"Schemes: {', '.join(SCHEMES)}."
        )
    return known


def split_tag(tag: str) -> tuple[str, str]:
    """``("B", "PER")`` of ``B-PER``; cut at the first ``-``; the label of ``O`` and of a letter alone is empty."""
    letter, _, label = tag.partition("-")
    return letter, label


def is_tag(tag: str, scheme: str) -> bool:
    """Whether ``tag`` can be written in ``scheme`` at all (a part of speech cannot)."""
    letter, _ = split_tag(tag)
    if tag.endswith("-") and len(tag) == 2:  # a label was meant and is missing; a letter alone has none
        return False
    return tag == OUTSIDE or (len(letter) == 1 and letter in _LETTERS[scheme_name(scheme)].all())


@lru_cache(maxsize=65536)
def _role(tag: str, scheme: str) -> tuple[bool, bool, str]:
    """Whether a tag always begins a span, whether it always ends one, and its label."""
    letters = _LETTERS[scheme]
    if not is_tag(tag, scheme):
        labelled = ", ".join(f"{letter}-LABEL" for letter in letters.all())
        raise data_error(f"'{tag}' is not a tag of the scheme {scheme}", hint=f"It writes O, {labelled}.")
    letter, label = split_tag(tag)
    return letter in letters.begin + letters.single, letter in letters.end + letters.single, label


def spans(tags: Sequence[str], scheme: str = "bio", matching: Matching = "conlleval") -> list[Span]:
    """The spans that ``tags`` write, in order, for any sequence, valid or not.

    ``conlleval`` is the definition of the CoNLL shared tasks' scorer: a span begins at B, at any tag after O, and
    where the label changes; it ends before O, before a B, and where the label changes. In ``bioes`` and ``bilou`` S
    (U) is a span of its own and E (L) ends one, as in the scorer's ports, for the Perl original only knows B, I and O.
    ``strict`` leaves out each of those spans that has a tag the scheme does not allow where it stands. On valid
    sequences the two are the same.

    Raises:
        UserError: a tag that the scheme cannot write (65), an unknown scheme (2).
    """
    scheme = scheme_name(scheme)
    result: list[Span] = []
    start, label = -1, ""
    for index, tag in enumerate(tags):
        if tag == OUTSIDE:
            if start >= 0:
                result.append(Span(start, index, label))
                start = -1
            continue
        begins, ends, own = _role(tag, scheme)
        if start >= 0:
            if not begins and own == label:
                if ends:
                    result.append(Span(start, index + 1, label))
                    start = -1
                continue
            result.append(Span(start, index, label))
        if ends:
            result.append(Span(index, index + 1, own))
            start = -1
        else:
            start, label = index, own
    if start >= 0:
        result.append(Span(start, len(tags), label))
    if matching == "strict" and result:
        faulty = {fault.position for fault in violations(tags, scheme)}
        if faulty:
            return [span for span in result if faulty.isdisjoint(range(span.start, span.end))]
    return result


def violations(tags: Sequence[str], scheme: str) -> list[Fault]:
    """Every tag that breaks the scheme, in order of position; an empty list for a valid sequence.

    A span that is never closed (``bioes``, ``bilou``) is reported at its last tag.
    """
    scheme = scheme_name(scheme)
    return [
        Fault(index + offset, reason)
        for index, (previous, tag) in enumerate(pairwise([None, *tags, None]))
        for offset, reason in _step_faults(previous, tag, scheme)
    ]


def legal_step(previous: str | None, tag: str | None, scheme: str) -> bool:
    """Whether ``tag`` may follow ``previous``; ``None`` is the start (the end) of the sequence."""
    return not _step_faults(previous, tag, scheme_name(scheme))


def closest_scheme(tag_sequences: Iterable[Sequence[str]]) -> str | None:
    """The scheme that the fewest tags of the data break, so that a fault can be named; None where no scheme fits.

    A scheme that cannot write some tag at all does not fit. Data without a span is called ``bio``.
    """
    steps: Counter[tuple[str | None, str | None]] = Counter()
    for sequence in tag_sequences:
        steps.update(pairwise([None, *sequence, None]))
    tags = {tag for step in steps for tag in step if tag is not None}
    if tags <= {OUTSIDE}:
        return "bio"
    broken = {
        scheme: sum(count * len(_step_faults(*step, scheme)) for step, count in steps.items())
        for scheme in SCHEMES
        if all(is_tag(tag, scheme) for tag in tags)
    }
    return min(broken, key=lambda scheme: broken[scheme]) if broken else None


def convert(tags: Sequence[str], source: str, target: str, *, repair: bool = False) -> list[str]:
    """``tags`` written in the scheme ``target`` instead of ``source``.

    Args:
        repair: read an invalid sequence as conlleval does, and let ``io`` join two spans that touch.

    Raises:
        UserError: a tag breaks ``source`` (its position is named), or ``io`` would join two spans (exit code 65).
    """
    source, target = scheme_name(source), scheme_name(target)
    if not repair:
        for position, reason in violations(tags, source):
            raise data_error(f"tag {position}: {reason}")
    read = spans(tags, source)
    if target == "io" and not repair:
        for before, after in pairwise(read):
            if before.end == after.start and before.label == after.label:
                raise data_error(f"tag {after.start}: two {after.label} spans touch, and the scheme io would join them")
    return write_tags(read, len(tags), target)


def write_tags(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of ``length`` tokens with these spans, which are in order and do not overlap."""
    scheme = scheme_name(scheme)
    letters = _LETTERS[scheme]
    tags = [OUTSIDE] * length
    before = Span(0, -1, "")
    for span in spans:
        touches = before.end == span.start and before.label == span.label
        first = letters.begin if scheme != "iob1" or touches else letters.inside
        suffix = f"-{span.label}" if span.label else ""
        tags[span.start : span.end] = [letters.inside + suffix] * (span.end - span.start)
        tags[span.start] = (first or letters.inside) + suffix
        if letters.end:
            tags[span.end - 1] = letters.end + suffix
        if letters.single and span.end == span.start + 1:
            tags[span.start] = letters.single + suffix
        before = span
    return tags


@lru_cache(maxsize=65536)
def _step_faults(previous: str | None, tag: str | None, scheme: str) -> tuple[tuple[int, str], ...]:
    """What is wrong between two neighbours: (-1, reason) is about ``previous``, (0, reason) about ``tag``."""
    if tag is not None and not is_tag(tag, scheme):
        what = "has no type behind its '-', which it needs in" if tag[1:] == "-" else "is not a tag of"
        return ((0, f"'{tag}' {what} the scheme {scheme}"),)
    letters = _LETTERS[scheme]
    before, before_label = split_tag(previous or OUTSIDE)
    here, label = split_tag(tag or OUTSIDE)
    opened = before != "" and before in letters.begin + letters.inside
    follows = opened and before_label == label
    continues = here != "" and here in letters.inside + letters.end
    faults = []
    if letters.end and opened and not (continues and follows):
        suffix = f"-{before_label}" if before_label else ""
        faults.append((-1, f"{previous} is not followed by {letters.inside}{suffix} or {letters.end}{suffix}"))
    if scheme == "iob1" and here == letters.begin and not follows:
        faults.append((0, f"{tag} does not touch a span of its label before it"))
    if scheme in {"bio", "bioes", "bilou"} and continues and not follows:
        faults.append((0, f"{tag} does not continue a span of its label"))
    return tuple(faults)
