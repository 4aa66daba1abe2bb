"""Every fault of a data set with its file and line, so that a training run meets none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from seqcli.data.corpus import SplitFiles
from seqcli.data.example import Example, MediaFile, place
from seqcli.data.formats import read_examples
from seqcli.data.lint_text import Finding, check_text
from seqcli.data.oddities import Labelled, oddities
from seqcli.data.statistics import tags_of, tokens_of
from seqcli.errors import ExitCode, UserError
from seqcli.lines import source_name
from seqcli.metrics import schemes
from seqcli.recipe.features import Media

KINDS = {
    "encoding": "invalid UTF-8",
    "control": "control characters",
    "long": "long lines",
    "newline": "final newline",
    "format": "format",
    "separators": "mixed separators",
    "empty": "no example",
    "tags": "tag steps",
    "duplicate": "sentences of another split",
    "label": "labels unseen in training",
    "bom": "byte order mark",
    "crlf": "CRLF",
    "outside": "lines outside a record",
    "no-frames": "sequences without frames",
    "channels": "other channels",
    "missing": "missing values",
    "classes": "one label only",
    "swapped": "text and label swapped",
    "many": "as many labels as examples",
    "header": "header as an example",
    "blank": "empty texts",
    "media": "media files that cannot be read",
}
"""Each kind of finding in words."""

STOPS = frozenset(
    {"encoding", "long", "format", "empty", "tags", "no-frames", "channels", "missing", "classes", "media"}
)
"""Kinds that end a training; a model can be trained on all others, right or not."""


class Opens(Protocol):
    """Decodes a media file; see `seqcli.media.check`."""

    def __call__(self, file: MediaFile, at: str, media: Media | None = None) -> None: ...


def lint(splits: Sequence[SplitFiles], scheme: str | None, opens: Opens | None = None) -> Iterator[Finding]:
    """Yield what is wrong, file by file: the text, the format, then tags, labels and sentences against the others.

    The first split is the one that is trained on. ``scheme`` None leaves the order of tags unchecked; media files that the
    data names are opened by ``opens``, and without it only looked for.

    Raises:
        UserError: an unreadable file (74), columns that the format does not know (2).
    """
    has_frames = any(split.has_frames for split in splits)
    if has_frames:
        from seqcli.data.lint_frames import FrameLint  # it needs numpy, which text does not

        check = FrameLint().check
    elif any(split.has_series for split in splits):
        from seqcli.data.lint_series import SeriesLint

        check = SeriesLint().check
    else:
        check = _TextLint(scheme).check
    for index, split in enumerate(splits):
        for path in split.files:
            if path.suffix.lower() != ".npy" or not has_frames:
                for file in split.format.text_files(path):
                    yield from check_text(file, split.reading.max_line)
            yield from split.format.lint(path)
        yield from check(split, index, _opened(split, _examples_and_findings(split), opens))


def _opened(split: SplitFiles, items: Iterator[Example | Finding], opens: Opens | None) -> Iterator[Example | Finding]:
    """The items, and a finding where a media file cannot be read."""
    media: Media | None = "image" if split.has_images else None
    for item in items:
        yield item
        if opens is None or isinstance(item, Finding) or not isinstance(item.source, MediaFile):
            continue
        try:
            opens(item.source, item.at, media)
        except UserError as error:
            if error.code == ExitCode.USAGE:  # what cannot be read here is not the data's fault
                yield Finding(source_name(item.source.path), None, "media", f"was not opened: {error}", is_note=True)
                opens = None
            else:
                yield Finding(error.file or source_name(item.source.path), error.line, "media", error.message)


def _examples_and_findings(split: SplitFiles) -> Iterator[Example | Finding]:
    """Examples, and a finding where a line or a sentence is none."""
    reading = replace(split.reading, on_invalid="replace")
    for path in split.files:
        errors: list[UserError] = []
        count = 0
        try:
            for example in read_examples(path, reading, on_error=errors.append):
                yield from _findings(path, errors)
                errors.clear()
                count += 1
                yield example
        except UserError as error:
            if error.code != ExitCode.DATA:
                raise
            errors.append(error)
        yield from _findings(path, errors)
        if not count and not errors:
            yield Finding(source_name(path), None, "empty", "no example: the file is empty or has only blank lines")


def _findings(path: Path, errors: list[UserError]) -> list[Finding]:
    return [Finding(error.file or source_name(path), error.line, "format", error.message) for error in errors]


def unseen_labels(counts: Counter[str], first_place: dict[str, str], labels: set[str], what: str) -> Iterator[Finding]:
    """Yield the labels that are not among those of the training data."""
    for label, count in counts.items():
        if label not in labels:
            message = f"label '{label}' does not occur in the training data"
            yield Finding.at(
                first_place[label], "label", f"{message} (times here: {count:,}; this {what} is the first)"
            )


@dataclass(slots=True)
class _TextLint:
    """The splits so far: the place of each sentence by its hash, and the first split's labels."""

    scheme: str | None
    places: dict[int, tuple[int, str]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)

    def check(self, split: SplitFiles, index: int, items: Iterator[Example | Finding]) -> Iterator[Finding]:
        """Yield what is wrong with the examples of a split, and what the reader says of lines."""
        counts: Counter[str] = Counter()
        what = "file" if split.has_media else "sentence"
        first_place: dict[str, str] = {}
        whole_labels, words, empty = 0, 0, []
        first: Example | None = None
        for item in items:
            if isinstance(item, Finding):
                yield item
                continue
            first = first or item
            words += len(tokens_of(item))
            for tag in () if split.has_target_texts else tags_of(item):
                first_place.setdefault(tag, item.at)
                counts[tag] += 1
            if isinstance(item.target, str) or (item.target is not None and isinstance(item.source, str)):
                whole_labels += not split.has_target_texts
                if not tokens_of(item):
                    empty.append(item.at)
                    continue
            elif self.scheme is not None and item.target is not None:
                yield from _check_tags(item, self.scheme, line_per_token=split.reading.format == "conll")
            if split.reading.blank_lines != "keep":  # a line of a running text may well stand in another one too
                key = hash("\x1f".join(tokens_of(item)))
                other, other_place = self.places.setdefault(key, (index, item.at))
                if other != index:
                    yield Finding.at(item.at, "duplicate", f"the same {what} stands in another split, at {other_place}")
        if empty:
            message = f"labelled examples whose text is empty: {len(empty):,}, this one first"
            yield Finding.at(empty[0], "blank", message, is_note=True)
        if index == 0:
            self.labels = set(counts)
            if whole_labels > 1 and len(counts) == 1:
                (label,) = counts
                message = f"every example has one and the same label, '{label}': there is nothing to tell apart"
                yield Finding(place(first_place[label])[0], None, "classes", message)
            if first is not None and counts:
                texts = sum(split_index == 0 for split_index, _ in self.places.values()) if whole_labels else None
                for odd in oddities(_labelled(first, counts, texts, words)):
                    yield Finding.at(odd.at, odd.kind, odd.message)
        elif self.labels:
            yield from unseen_labels(counts, first_place, self.labels, what)


def _labelled(first: Example, counts: Counter[str], texts: int | None, words: int) -> Labelled:
    total = counts.total()
    label_words = sum(len(label.split()) * count for label, count in counts.items()) / total
    source = " ".join(tokens_of(first)) if texts is not None else tokens_of(first)[0]
    return Labelled(counts, first.at, source, tags_of(first)[0], texts, label_words, words / total)


def _check_tags(example: Example, scheme: str, *, line_per_token: bool) -> Iterator[Finding]:
    file, line = place(example.at)
    for position, fault in schemes.violations(example.target, scheme):
        reason = fault if scheme in fault else f"{fault} ({scheme})"
        if line_per_token:
            yield Finding(file, line + position, "tags", reason)
        else:
            yield Finding(file, line, "tags", f"token {position + 1}: {reason}")
