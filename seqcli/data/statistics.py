"""What is in a data set: counts, lengths, labels, spans, and how far its splits overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seqcli.data.corpus import SplitFiles
from seqcli.data.example import Example
from seqcli.data.formats import read_examples
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

    A word, sentence or span is unknown (seen) when the first split lacks (has) it; a span is its words and its label.
    """

    name: str
    files: list[str]
    format: str
    sentences: int = 0
    tokens: int = 0
    types: int = 0
    characters: int | None = None
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
class _Seen:
    """What the first split holds, by hash where the text itself is not needed."""

    words: set[str] = field(default_factory=set)
    sentences: set[int] = field(default_factory=set)
    spans: set[int] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)


def describe(splits: Sequence[SplitFiles], scheme: str | None) -> list[SplitStatistics]:
    """Count each split, and compare each but the first with the first.

    Raises:
        UserError: bad data (65), an unreadable file (74).
    """
    first: _Seen | None = None
    result = []
    for split in splits:
        counts, seen = _count(split, scheme, first)
        first = first or seen
        result.append(counts)
    return result


def tokens_of(example: Example) -> list[str]:
    """The words of an example; those of raw text are what stands between spaces."""
    return example.source if isinstance(example.source, list) else str(example.source).split()


def tags_of(example: Example) -> list[str]:
    """The labels of an example: a tag a token, one label, or none."""
    if example.target is None:
        return []
    return example.target if isinstance(example.target, list) else [str(example.target)]


def scheme_of(split: SplitFiles) -> str | None:
    """The tag scheme that a split's tags follow, or come nearest to; None where the tags do not mark spans."""
    counts: Counter[str] = Counter()
    lenient = replace(split, reading=replace(split.reading, on_invalid="replace"))
    # Lines and sentences that cannot be read are not what is asked here: whoever reads on will say so.
    closest = schemes.closest_scheme(_span_like(split_examples(lenient, on_error=lambda error: None), counts))
    tags = counts.total()
    alien = sum(count for tag, count in counts.items() if not _is_span_like(tag))
    marked = tags - alien - counts["O"]
    return closest if marked and alien <= _MOST_ALIEN * tags else None


def split_examples(split: SplitFiles, **options: Any) -> Iterator[Example]:
    """The examples of all files of a split."""
    for path in split.files:
        yield from read_examples(path, split.reading, **options)


def _span_like(examples: Iterable[Example], counts: Counter[str]) -> Iterator[list[str]]:
    """The tags of the sentences whose every tag could mark a span; all tags are counted on the way."""
    for example in examples:
        if isinstance(example.target, list):
            counts.update(example.target)
            if all(map(_is_span_like, example.target)):
                yield example.target


def _is_span_like(tag: str) -> bool:
    return tag == "O" or (tag[:1] in _SPAN_LETTERS and tag[1:2] == "-")


def _count(split: SplitFiles, scheme: str | None, first: _Seen | None) -> tuple[SplitStatistics, _Seen]:
    words: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    spans: Counter[str] = Counter()
    seen = _Seen()
    repeated = known_sentences = known_spans = characters = 0
    for example in split_examples(split):
        tokens, tags = tokens_of(example), tags_of(example)
        lengths[len(tokens)] += 1
        words.update(tokens)
        labels.update(tags)
        if isinstance(example.source, str):
            characters += len(example.source) + 1
        if not tokens:
            continue
        sentence = hash("\x1f".join(tokens))
        repeated += sentence in seen.sentences
        seen.sentences.add(sentence)
        known_sentences += first is not None and sentence in first.sentences
        if scheme is not None and tags:
            for span in schemes.spans(tags, scheme):
                spans[span.label] += 1
                key = hash((span.label, *tokens[span.start : span.end]))
                known_spans += first is not None and key in first.spans
                seen.spans.add(key)
    seen.words, seen.labels = set(words), set(labels)
    sentences = lengths.total()
    result = SplitStatistics(
        split.name,
        [str(path) for path in split.files],
        str(split.reading.format),
        sentences=sentences,
        tokens=words.total(),
        types=len(words),
        characters=characters or None,
        mean_length=round(words.total() / sentences, 2) if sentences else 0.0,
        lengths=percentiles(lengths),
        repeated_sentences=repeated,
        labels=dict(labels.most_common()),
        spans=dict(spans.most_common()),
    )
    if first is not None:
        unknown = {word: count for word, count in words.items() if word not in first.words}
        result.unknown_tokens = share(sum(unknown.values()), words.total())
        result.unknown_types = share(len(unknown), len(words))
        result.seen_sentences = share(known_sentences, sentences)
        result.seen_spans = share(known_spans, spans.total())
        result.unseen_labels = sorted(seen.labels - first.labels)
    return result, seen


def share(part: int, whole: int) -> float | None:
    """A part of the whole; None where there is no whole."""
    return part / whole if whole else None


def percentiles(lengths: Counter[int]) -> dict[str, int]:
    """Shortest, longest and percentiles by nearest rank: the least length that p% of the sentences do not exceed."""
    if not lengths:
        return {}
    ordered, total = sorted(lengths.items()), lengths.total()
    result = {"min": ordered[0][0]}
    for percent in PERCENTILES:
        covered = 0
        for length, count in ordered:
            covered += count
            if covered * 100 >= percent * total:
                result[f"p{percent}"] = length
                break
    return {**result, "max": ordered[-1][0]}
