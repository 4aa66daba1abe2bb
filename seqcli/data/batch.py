"""What a network reads: the two sides of some examples as padded arrays. Shapes: B sequences, T positions, N = sum of lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Outputs = Mapping[str, NDArray[Any]]
"""What a network says of a batch, by name; the letters of a name are its shape."""

IGNORE = -100
"""Target of a position that is not counted."""


@dataclass(frozen=True)
class Side:
    """The source or the target of some examples: arrays by name, and how many positions of each are real."""

    arrays: Mapping[str, NDArray[Any]]
    lengths_B: Ints


@dataclass(frozen=True)
class Batch:
    """``rows`` are the examples' numbers in their split; ``fresh``: nothing is carried over from the batch before."""

    source: Side
    target: Side
    rows: Ints
    fresh: bool = True

    @property
    def positions(self) -> int:
        """Real positions of the source, padding not counted."""
        return int(self.source.lengths_B.sum())


@dataclass(frozen=True)
class InputSizes:
    """What an embedder must know of the source: sizes and training statistics, no words.

    ``words``, ``characters``: rows of the vocabularies; ``affixes``: rows of each affix table; ``word_counts``: how
    often each word was seen in training (for word dropout; 0 for special tokens); ``unknown``: row of <UNK>;
    ``padded``: row 0 is padding; ``vectors``: pretrained ``(rows [M], vectors [M, D])``; ``frame_dim``: values a
    frame; ``frame_gaps``: some of them may be missing (NaN); ``scaling``: mean and deviation [frame_dim] of the training frames.
    """

    words: int = 0
    characters: int = 0
    affixes: tuple[int, ...] = ()
    word_counts: tuple[int, ...] = ()
    unknown: int = 1
    padded: bool = True
    vectors: tuple[Ints, NDArray[np.float32]] | None = None
    frame_dim: int = 0
    frame_gaps: bool = False
    scaling: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None


@dataclass(frozen=True)
class SeriesSizes:
    """What a network of series must know: columns read, which of them are predicted, features of each step, steps read
    and predicted (imputation: as many), the quantiles predicted (none: values), the period of the series, and whether values read may be missing (NaN).
    """

    columns: int
    targets: tuple[int, ...]
    features: int
    look_back: int
    steps: int
    quantiles: tuple[float, ...] = ()
    season: int = 1
    gaps: bool = False

    @property
    def tables(self) -> dict[str, int]:
        """What an engine of such a network is checked by: sizes by name."""
        sizes = {
            "columns": self.columns,
            "predicted columns": len(self.targets),
            "features": self.features,
            "steps of look-back": self.look_back,
            "predicted steps": self.steps,
        }
        return sizes | ({"quantiles": len(self.quantiles)} if self.quantiles else {})


def affix_table(column: int) -> str:
    """What a table of affixes is called among the tables of a field: ``words``, ``characters``, ``labels``, ..."""
    return f"entries of affix table {column + 1}"


@dataclass(frozen=True)
class LabelSpace:
    """How many labels there are and, where a scheme says so, which may follow which.

    ``steps_KK``, ``start_K``, ``end_K`` are boolean (True = allowed) or None when anything goes.
    """

    labels: int
    steps_KK: NDArray[np.bool_] | None = None
    start_K: NDArray[np.bool_] | None = None
    end_K: NDArray[np.bool_] | None = None


def pad_ids(values_N: NDArray[Any], lengths_B: NDArray[Any], *, fill: int = 0) -> Ints:
    """Concatenated ids of several sequences -> [B, T], right-padded with ``fill``."""
    padded = np.full((len(lengths_B), max(1, int(lengths_B.max(initial=0)))), fill, np.int64)
    padded[np.arange(padded.shape[1]) < np.asarray(lengths_B)[:, None]] = values_N
    return padded


def pad_frames(sequences: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Sequences [T, D] -> [B, T, D], right-padded with zeros."""
    longest = max(1, *(len(frames) for frames in sequences))
    padded = np.zeros((len(sequences), longest, sequences[0].shape[1]), np.float32)
    for row, frames in enumerate(sequences):
        padded[row, : len(frames)] = frames
    return padded
