"""Faults of sequences of frames: channels, missing values, repeated sequences, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from seqcli.data.corpus import Split
from seqcli.data.example import Example
from seqcli.data.frame_statistics import digest
from seqcli.data.lint_text import Finding
from seqcli.data.numbers import Frames, counted


@dataclass(slots=True)
class FrameMemory:
    """What was seen in the splits so far: the place of each sequence by its hash, the channels, the first's labels."""

    places: dict[bytes, tuple[int, str]] = field(default_factory=dict)
    channels: tuple[int, str] | None = None
    labels: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Seen:
    """What was seen of one split: a count and the first place each, and the least and greatest value of a channel."""

    labels: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    incomplete: int = 0
    repeated: int = 0
    least: Frames | None = None
    greatest: Frames | None = None

    def note(self, what: str, at: str) -> None:
        self.places.setdefault(what, at)


def check_frames(
    split: Split, index: int, items: Iterator[Example | Finding], memory: FrameMemory
) -> Iterator[Finding]:
    """Yield what is wrong with the sequences of a split, after what the reader found wrong with lines and files."""
    seen = _Seen()
    for item in items:
        if isinstance(item, Finding):
            yield item
            continue
        yield from _check_sequence(item, index, memory, seen)
    if seen.missing:
        yield _at(
            seen.places["missing"],
            "missing",
            f"missing values: {seen.missing:,} in "
            f"{counted(seen.incomplete, 'sequence')}, this one first (a recipe that takes them says so: "
            "missing: mask)",
        )
    if seen.repeated:
        yield _at(
            seen.places["repeated"],
            "repeated",
            f"sequences that stand in this split already: {seen.repeated:,}, this one first",
            is_note=True,
        )
    yield from _check_channels(split, seen)
    yield from _check_labels(split, index, memory, seen)


def _check_sequence(item: Example, index: int, memory: FrameMemory, seen: _Seen) -> Iterator[Finding]:
    frames: Frames = item.source
    if item.target is not None:
        seen.labels[str(item.target)] += 1
        seen.note(f"label {item.target}", item.at)
    if not len(frames):
        yield _at(item.at, "no-frames", "a sequence without a single frame")
        return
    channels, place = memory.channels = memory.channels or (frames.shape[1], item.at)
    if frames.shape[1] != channels:
        yield _at(
            item.at,
            "channels",
            f"{counted(frames.shape[1], 'channel')} where the first sequence has {channels} ({place})",
        )
        return
    if missing := int(np.isnan(frames).sum()):
        seen.note("missing", item.at)
        seen.missing += missing
        seen.incomplete += 1
    seen.least = np.fmin.reduce(frames if seen.least is None else np.vstack([frames, seen.least]))
    seen.greatest = np.fmax.reduce(frames if seen.greatest is None else np.vstack([frames, seen.greatest]))
    before = memory.places.setdefault(digest(frames), (index, item.at))
    if before[0] != index:
        yield _at(item.at, "duplicate", f"the same sequence stands in another split, at {before[1]}")
    elif before[1] != item.at:
        seen.note("repeated", item.at)
        seen.repeated += 1


def _check_channels(split: Split, seen: _Seen) -> Iterator[Finding]:
    """Notes only: a channel that never changes does no harm, but tells nothing either."""
    if seen.least is None or seen.greatest is None:
        return
    for channel, (least, greatest) in enumerate(zip(seen.least.tolist(), seen.greatest.tolist(), strict=True), 1):
        if not least < greatest:
            what = "has no value at all" if np.isnan(least) else f"is {least:g} in every frame"
            yield Finding(_whole(split), None, "constant", f"channel {channel} {what}", is_note=True)


def _check_labels(split: Split, index: int, memory: FrameMemory, seen: _Seen) -> Iterator[Finding]:
    if index == 0:
        memory.labels = set(seen.labels)
        if len(seen.labels) == 1:
            (label,) = seen.labels
            yield Finding(
                _whole(split),
                None,
                "classes",
                f"every sequence has the label '{label}': there is nothing to tell apart",
            )
    elif memory.labels:
        for label, count in seen.labels.items():
            if label not in memory.labels:
                yield _at(
                    seen.places[f"label {label}"],
                    "label",
                    f"label '{label}' does not occur in the training "
                    f"data (times here: {count:,}; this sequence is the first)",
                )


def _whole(split: Split) -> str:
    return str(split.files[0]) if len(split.files) == 1 else split.name


def _at(at: str, kind: str, message: str, *, is_note: bool = False) -> Finding:
    file, _, line = at.rpartition(":")
    return Finding(file, int(line), kind, message, is_note)
