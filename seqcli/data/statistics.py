"""What is in a data set: counts, lengths, labels, spans, and how far its splits overlap."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from seqcli.data.corpus import SplitFiles
from seqcli.data.example import Example, source_bytes
from seqcli.data.oddities import are_texts
from seqcli.lines import source_name
from seqcli.metrics import schemes

PERCENTILES = (1, 10, 50, 90, 99)
_SPAN_LETTERS = frozenset("BIESLU")
_MOST_ALIEN = 0.05
"""Share of tags that may fit no scheme in data whose tags still mark spans: typing errors, not another kind."""


@dataclass(slots=True)
class SplitStatistics:
    """Counts of one split; shares are None where there is no first split to compare with, or nothing to count.

    A sentence is an example, also where that is a line or a record; blank lines are no repeated ones. ``characters``
    counts those of sources that are text, line breaks included (one ends each example); None where tokens are given.

    ``target_tokens`` and ``target_types`` are of targets that are texts, all ``references`` of a sentence together; None
    where they are labels.

    A word, sentence or span is unknown (seen) when the first split lacks (has) it; a span is its words and its label.
    """

    name: str
    files: list[str]
    format: str
    sentences: int = 0
    tokens: int = 0
    types: int = 0
    characters: int | None = None
    target_tokens: int | None = None
    target_types: int | None = None
    references: int = 0
    mean_length: float = 0.0
    lengths: dict[str, int] = field(default_factory=dict)
    repeated_sentences: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    unknown_tokens: float | None = None
    unknown_types: float | None = None
    seen_sentences: float | None = None
    seen_spans: float | None = None
    unseen_labels: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Counts:
    """What a split holds; sentences and spans by their hash, the text itself is not needed."""

    words: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    sentences: Counter[int] = field(default_factory=Counter)
    spans: Counter[int] = field(default_factory=Counter)
    span_labels: Counter[str] = field(default_factory=Counter)
    target_words: Counter[str] = field(default_factory=Counter)
    references: int = 0
    characters: int = 0


def describe(splits: Sequence[SplitFiles], scheme: str | None) -> list[SplitStatistics]:
    """Count each split, and compare each but the first with the first.

    Raises:
        UserError: bad data (65), an unreadable file (74).
    """
    first: _Counts | None = None
    result = []
    for split in splits:
        counts = _count(split, scheme)
        result.append(_statistics(split, counts, first))
        first = first or counts
    return result


def tokens_of(example: Example) -> list[str]:
    """The words of an example; those of raw text are what stands between spaces, and a media file is one, known by its hash."""
    if isinstance(example.source, str | list):
        return example.source if isinstance(example.source, list) else example.source.split()
    return [hashlib.blake2b(source_bytes(example.source), digest_size=16).hexdigest()]


def tags_of(example: Example) -> list[str]:
    """The labels of an example: a tag a token, one label, or none."""
    if example.target is None:
        return []
    return example.target if isinstance(example.target, list) else [str(example.target)]


def scheme_of(*splits: SplitFiles) -> str | None:
    """The tag scheme that the tags of splits follow, or come nearest to; None where the tags do not mark spans."""
    counts: Counter[str] = Counter()
    lenient = [replace(split, reading=replace(split.reading, on_invalid="replace")) for split in splits]
    # Lines and sentences that cannot be read are not what is asked here: whoever reads on will say so.
    examples = (example for split in lenient for example in split.examples(lambda error: None))
    closest = schemes.closest_scheme(_span_like(examples, counts))
    tags = counts.total()
    alien = sum(count for tag, count in counts.items() if not _is_span_like(tag))
    marked = tags - alien - counts["O"]
    return closest if marked and alien <= _MOST_ALIEN * tags else None


def _span_like(examples: Iterable[Example], counts: Counter[str]) -> Iterator[list[str]]:
    """The tags of the sentences whose every tag could mark a span; all tags are counted on the way."""
    for example in examples:
        if isinstance(example.target, list):
            counts.update(example.target)
            if all(map(_is_span_like, example.target)):
                yield example.target


def _is_span_like(tag: str) -> bool:
    return tag == "O" or (len(tag) > 2 and tag[:1] in _SPAN_LETTERS and tag[1] == "-")


def _count(split: SplitFiles, scheme: str | None) -> _Counts:
    counts = _Counts()
    for example in split.examples():
        tokens, tags = tokens_of(example), tags_of(example)
        counts.lengths[len(tokens)] += 1
        counts.words.update(tokens)
        if split.has_target_texts:
            counts.references = max(counts.references, len(tags))
            counts.target_words.update(word for text in tags for word in text.split())
        else:
            counts.labels.update(tags)
        if isinstance(example.source, str):
            counts.characters += len(example.source) + 1
        if tokens:
            counts.sentences[hash("\x1f".join(tokens))] += 1
            for span in schemes.spans(tags, scheme) if scheme is not None and tags else ():
                counts.span_labels[span.label] += 1
                counts.spans[hash((span.label, *tokens[span.start : span.end]))] += 1
    if counts.labels and counts.characters and _translates(counts):
        for text, count in counts.labels.items():
            counts.target_words.update({word: count for word in text.split()})
        counts.labels.clear()
    return counts


def _translates(counts: _Counts) -> bool:
    """Whether what nobody says to be labels or texts are texts."""
    words = sum(len(label.split()) * count for label, count in counts.labels.items())
    total = counts.lengths.total()
    return are_texts(counts.labels, len(counts.sentences), words / counts.labels.total(), counts.words.total() / total)


def _statistics(split: SplitFiles, counts: _Counts, first: _Counts | None) -> SplitStatistics:
    words, sentences = counts.words, counts.lengths.total()
    result = SplitStatistics(
        split.name,
        [source_name(path) for path in split.files],
        str(split.reading.format),
        sentences=sentences,
        tokens=words.total(),
        types=len(words),
        characters=counts.characters or None,
        target_tokens=counts.target_words.total() if counts.target_words else None,
        target_types=len(counts.target_words) if counts.target_words else None,
        references=counts.references,
        mean_length=round(words.total() / sentences, 2) if sentences else 0.0,
        lengths=percentiles(counts.lengths),
        repeated_sentences=counts.sentences.total() - len(counts.sentences),
        labels=dict(counts.labels.most_common()),
        spans=dict(counts.span_labels.most_common()),
    )
    if first is not None:
        result.unknown_tokens = share(words.total() - common(words, first.words), words.total())
        result.unknown_types = share(len(words.keys() - first.words.keys()), len(words))
        result.seen_sentences = share(common(counts.sentences, first.sentences), sentences)
        result.seen_spans = share(common(counts.spans, first.spans), counts.spans.total())
        result.unseen_labels = sorted(counts.labels.keys() - first.labels.keys())
    return result


def common(here: Counter[Any], first: Counter[Any]) -> int:
    """How many of the things counted here the first split has too."""
    return sum(count for key, count in here.items() if key in first)


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def percentiles(lengths: Counter[int]) -> dict[str, int]:
    """Shortest, longest and percentiles by nearest rank: the least length that p% of the sentences do not exceed."""
    if not lengths:
        return {}
    ordered = sorted(lengths)
    covered = list(accumulate(lengths[length] for length in ordered))
    places = {f"p{percent}": bisect_left(covered, percent * covered[-1] / 100) for percent in PERCENTILES}
    return {"min": ordered[0], **{name: ordered[place] for name, place in places.items()}, "max": ordered[-1]}
