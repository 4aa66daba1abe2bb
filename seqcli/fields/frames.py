"""Frames of real numbers, with the mean and the deviation of each channel of the training split. Shape: D channels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import InputSizes, Side, pad_frames
from seqcli.data.example import MediaFile
from seqcli.errors import data_error, plural
from seqcli.fields.base import Progress, SourceField
from seqcli.fields.derive import Derive
from seqcli.fields.media import MediaReader
from seqcli.files import atomic_write_text
from seqcli.recipe.fields import FrameFieldConfig

FRAMES_FILE = "frames.json"
"""What a run's folder says of the frames that its model reads."""

_AT_ONCE = 2**18


class FrameField(SourceField):
    """Frames [T, D] as they come, or made of media files; the network has the scaling among its weights."""

    unit = "frames"
    media: MediaReader

    def __init__(self, config: FrameFieldConfig, *, flat: bool = False) -> None:
        self.config, self.flat = config, flat
        self.derive = Derive(config.derive) if config.derive is not None else None
        self.media = MediaReader(config.features)
        self.channels = 0
        self.scaling: Scaling | None = None

    def prepare(self, values: Callable[[], Iterable[tuple[Any, str]]], key: str, progress: Progress | None) -> None:
        self.media.prepare(progress)

    def read(self, value: Any, at: str) -> NDArray[np.float32]:
        """The frames, or those of a `MediaFile` or the path of one.

        Raises:
            UserError: no frames, other channels than the model's, a missing value where none may be (65); what
                `Extractor.read` raises.
        """
        if isinstance(value, Path):
            value = MediaFile(value)
        if isinstance(value, MediaFile):
            value = self.media.read(value, at)
        if not isinstance(value, np.ndarray) or value.ndim != 2:
            raise data_error(
                "this recipe reads frames, and here are none",
                file=at,
                hint="Check data.format; for text write source: {kind: text}.",
            )
        if self.channels and value.shape[1] != self.raw(self.channels):
            raise data_error(self._other_channels(value.shape[1]), file=at)
        if self.config.missing == "refuse" and len(value) and (missing := np.isnan(value)).any():
            frame, channel = np.argwhere(missing)[0].tolist()
            raise data_error(
                f"a value is missing (frame {frame}, channel {channel}, both counted from 0)",
                file=at,
                hint="Set 'missing: mask' in the recipe's source, or fill the gaps.",
            )
        return value if self.derive is None else self.derive(value, at)

    def raw(self, channels: int) -> int:
        """Channels of the data, of which so many are made."""
        return channels if self.derive is None else self.derive.raw_channels(channels)

    def _other_channels(self, channels: int) -> str:
        return f"frames of {plural(channels, 'channel')}, but the model was trained on {self.raw(self.channels)}"

    def notes(self) -> list[str]:
        return self.media.notes()

    def fit(self, column: Column, files: Sequence[str]) -> None:
        self.channels = _channels(column)
        if self.start is not None and self.start.channels != self.channels:
            raise data_error(self.start._other_channels(self.raw(self.channels)), file=", ".join(files))
        if self.config.scaling != "none":
            groups = self.derive.groups if self.derive is not None else 1
            self.scaling = scaling_of(column, groups if self.config.scaling == "common" else None)

    def over(self, column: Column, files: Sequence[str]) -> FrameView:
        if _channels(column) != self.channels:
            raise data_error(self._other_channels(self.raw(_channels(column))), file=", ".join(files))
        return FrameView(self, column)

    def side(self, raws: Sequence[NDArray[np.float32]]) -> Side:
        lengths = np.array([len(frames) for frames in raws], np.int64)
        if self.flat:
            return Side({"values": np.concatenate([np.zeros((0, self.channels), np.float32), *raws])}, lengths)
        return Side({"frames_BTD": pad_frames(raws)}, lengths)

    def sizes(self) -> InputSizes:
        return InputSizes(frame_dim=self.channels, frame_gaps=self.config.missing == "mask", scaling=self.scaling)

    def tables(self) -> dict[str, int]:
        return {"channels": self.channels}

    def key(self) -> list[Any]:
        derive = None if self.config.derive is None else self.config.derive.model_dump()
        return ["frames", self.config.missing, derive, *self.media.key()]

    def save(self, folder: Path) -> list[str]:
        values = {"channels": self.channels, **self.media.saved()}
        atomic_write_text(folder / FRAMES_FILE, json.dumps(values) + "\n")
        return [FRAMES_FILE, *self.media.save(folder)]

    def load(self, folder: Path) -> None:
        path = folder / FRAMES_FILE
        try:
            values = json.loads(path.read_bytes())
            self.channels = int(values["channels"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise data_error("the number of channels cannot be read", file=path) from error
        self.media.check(values, path)

    def readable(self, column: Column, row: int, *, as_seen: bool = False) -> str:
        return f"{column.lengths_of(np.array([row]))[0]} frames of {self.raw(self.channels)} channels"

    def summary(self) -> dict[str, int]:
        return {"channels": self.channels}


class FrameView:
    """The frames of a split."""

    def __init__(self, field: FrameField, column: Column) -> None:
        self.field, self.column = field, column

    def side(self, rows: NDArray[np.int64]) -> Side:
        return self.field.side([self.column.sequence(int(row)) for row in rows])


def _channels(column: Column) -> int:
    return int(np.asarray(column.values[:1]).shape[1])


Scaling = tuple[NDArray[np.float32], NDArray[np.float32]]


def scaling_of(frames: Column, groups: int | None = None) -> Scaling:
    """Mean and standard deviation [D] of each channel over all frames; a channel that never changes has deviation 1.

    With ``groups`` one of each for the channels of a group, of which there are so many, equally large.
    """
    mean_D, deviation_D = _moments(frames)
    if groups is not None:
        mean_GD, deviation_GD = (one.reshape(groups, -1) for one in (mean_D, deviation_D))
        mean_G1 = mean_GD.mean(1, keepdims=True)
        deviation_G1 = np.sqrt((deviation_GD**2 + (mean_GD - mean_G1) ** 2).mean(1, keepdims=True))
        mean_D, deviation_D = (np.broadcast_to(one, mean_GD.shape).ravel() for one in (mean_G1, deviation_G1))
    return mean_D.astype(np.float32), np.where(deviation_D > 0, deviation_D, 1).astype(np.float32)


def _moments(frames: Column) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = len(frames.values)
    count = sums = squares = np.zeros(1)
    shift = np.nan_to_num(np.asarray(frames.values[:1], np.float64)).reshape(-1) if total else np.zeros(1)
    for start in range(0, total, _AT_ONCE):
        values = np.asarray(frames.values[start : start + _AT_ONCE], np.float64) - shift
        count = count + (~np.isnan(values)).sum(0)
        sums = sums + np.nansum(values, axis=0)
        squares = squares + np.nansum(values**2, axis=0)
    count = np.maximum(count, 1)
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    deviation[deviation <= 1e-7 * np.abs(mean + shift)] = 0  # what is left is rounding
    return mean + shift, deviation
