"""Faults of sequences of frames: channels, missing values, repeated sequences, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from seqcli.data.corpus import SplitFiles
from seqcli.data.example import Example
from seqcli.data.frame_files import Frames
from seqcli.data.frame_statistics import digest
from seqcli.data.lint import unseen_labels
from seqcli.data.lint_text import Finding
from seqcli.errors import plural


@dataclass(slots=True)
class _Split:
    """One split so far: counts and the first place of each, and the least and greatest value of each channel."""

    labels: Counter[str] = field(default_factory=Counter)
    label_places: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    incomplete: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    least: Frames | None = None
    greatest: Frames | None = None


@dataclass(slots=True)
class FrameLint:
    """The splits so far: the place of each sequence by its hash, the channels, the first split's labels."""

    places: dict[bytes, tuple[int, str]] = field(default_factory=dict)
    channels: tuple[int, str] | None = None
    labels: set[str] = field(default_factory=set)

    def check(self, split: SplitFiles, index: int, items: Iterator[Example | Finding]) -> Iterator[Finding]:
        """Yield what is wrong with the sequences of a split, and what the reader says of lines and files."""
        here = _Split()
        for item in items:
            if isinstance(item, Finding):
                yield item
            else:
                yield from self._check_sequence(item, index, here)
        if here.missing:
            message = f"missing values: {here.missing:,} in {plural(len(here.incomplete), 'sequence')}, this one first"
            yield Finding.at(
                here.incomplete[0], "missing", f"{message} (a recipe that takes them says so: missing: mask)"
            )
        if here.repeated:
            message = f"sequences that stand in this split already: {len(here.repeated):,}, this one first"
            yield Finding.at(here.repeated[0], "repeated", message, is_note=True)
        name = str(split.files[0]) if len(split.files) == 1 else split.name
        if here.least is not None and here.greatest is not None:
            # Notes only: a channel that never changes does no harm, but tells nothing either.
            for channel, (least, greatest) in enumerate(zip(here.least, here.greatest, strict=True), 1):
                if not least < greatest:
                    what = "has no value at all" if np.isnan(least) else f"is {least:g} in every frame"
                    yield Finding(name, None, "constant", f"channel {channel} {what}", is_note=True)
        if index:
            if self.labels:
                yield from unseen_labels(here.labels, here.label_places, self.labels, "sequence")
            return
        self.labels = set(here.labels)
        if len(here.labels) == 1:
            (label,) = here.labels
            message = f"every sequence has the label '{label}': there is nothing to tell apart"
            yield Finding(name, None, "classes", message)

    def _check_sequence(self, item: Example, index: int, here: _Split) -> Iterator[Finding]:
        frames: Frames = item.source
        if item.target is not None:
            here.labels[str(item.target)] += 1
            here.label_places.setdefault(str(item.target), item.at)
        if not len(frames):
            yield Finding.at(item.at, "no-frames", "a sequence without a single frame")
            return
        channels, place = self.channels = self.channels or (frames.shape[1], item.at)
        if frames.shape[1] != channels:
            here_has = plural(frames.shape[1], "channel")
            message = f"{here_has} where the first sequence has {channels} ({place})"
            yield Finding.at(item.at, "channels", message)
            return
        if missing := int(np.isnan(frames).sum()):
            here.missing += missing
            here.incomplete.append(item.at)
        here.least = np.fmin.reduce(frames if here.least is None else np.vstack([frames, here.least]))
        here.greatest = np.fmax.reduce(frames if here.greatest is None else np.vstack([frames, here.greatest]))
        other, place = self.places.setdefault(digest(frames), (index, item.at))
        if other != index:
            yield Finding.at(item.at, "duplicate", f"the same sequence stands in another split, at {place}")
        elif place != item.at:
            here.repeated.append(item.at)
