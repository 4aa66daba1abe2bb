"""What is in a data set of frames: sequences, channels, lengths, labels, missing values, and the splits' overlap."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seqcli.data.corpus import SplitFiles
from seqcli.data.example import place, source_bytes
from seqcli.data.frame_files import Frames
from seqcli.data.statistics import common, percentiles, share, tags_of
from seqcli.errors import data_error, plural


@dataclass(slots=True)
class FrameStatistics:
    """Counts of one split. ``lengths`` are in frames; ``missing_values`` counts single values of a frame.

    ``seen_sequences`` is the share of sequences that the first split has too, value by value; None in the first.
    """

    name: str
    files: list[str]
    format: str
    sequences: int = 0
    frames: int = 0
    channels: int = 0
    mean_length: float = 0.0
    lengths: dict[str, int] = field(default_factory=dict)
    missing_values: int = 0
    incomplete_sequences: int = 0
    repeated_sequences: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    seen_sequences: float | None = None
    unseen_labels: list[str] = field(default_factory=list)


def describe_frames(splits: Sequence[SplitFiles]) -> list[FrameStatistics]:
    """Count each split, and compare each but the first with the first.

    Raises:
        UserError: bad data, sequences of one split with different numbers of channels (65); an unreadable file (74).
    """
    first: Counter[bytes] | None = None
    result: list[FrameStatistics] = []
    for split in splits:
        counts, sequences = _count(split)
        if first is None:
            first = sequences
        else:
            counts.seen_sequences = share(common(sequences, first), counts.sequences)
            counts.unseen_labels = sorted(set(counts.labels) - set(result[0].labels))
        result.append(counts)
    return result


def digest(frames: Frames) -> bytes:
    """A hash that is equal where two sequences are."""
    return hashlib.blake2b(source_bytes(frames), digest_size=16).digest()


def _count(split: SplitFiles) -> tuple[FrameStatistics, Counter[bytes]]:
    result = FrameStatistics(split.name, [str(path) for path in split.files], str(split.reading.format))
    lengths: Counter[int] = Counter()
    labels: Counter[str] = Counter()
    sequences: Counter[bytes] = Counter()
    for example in split.examples():
        frames: Frames = example.source
        if not result.channels:
            result.channels = frames.shape[1]
        elif frames.shape[1] != result.channels:
            file, line = place(example.at)
            message = f"{plural(frames.shape[1], 'channel')} where the first sequence has {result.channels}"
            raise data_error(message, file=file, line=line)
        lengths[len(frames)] += 1
        labels.update(tags_of(example))
        missing = int(np.isnan(frames).sum())
        result.missing_values += missing
        result.incomplete_sequences += missing > 0
        sequences[digest(frames)] += 1
    result.sequences = lengths.total()
    result.frames = sum(length * count for length, count in lengths.items())
    result.mean_length = round(result.frames / result.sequences, 2) if result.sequences else 0.0
    result.lengths = percentiles(lengths)
    result.labels = dict(labels.most_common())
    result.repeated_sequences = result.sequences - len(sequences)
    return result, sequences
