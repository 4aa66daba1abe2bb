"""From a labelled example to the fields that are encoded. Imports no torch: the workers that encode run this."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.data.encode import Cut
from seqcli.data.example import Example
from seqcli.errors import data_error
from seqcli.files import atomic_write_text
from seqcli.tasks.tokenizing import Tokenizing

FRAMES_FILE = "frames.json"
"""What a run's folder says of the frames that its model reads."""


@dataclass(frozen=True)
class LabelledText(Tokenizing):
    """Fields ``token`` and ``label`` of an example; of a text over ``max_length`` the first tokens are kept.

    ``separator``: what stands between the labels of an example that may have several; None where each has one.
    """

    separator: str | None
    max_length: int

    def __call__(self, example: Example) -> Iterator[dict[str, Any]]:
        """Yield one mapping of fields.

        Raises:
            UserError: no text, no label, or an empty one (65), with file and line.
        """
        source = example.source
        if isinstance(source, str):
            source = self.built.tokenize(source)
        if not isinstance(source, list):
            raise data_error(
                "this recipe classifies text, and here is none",
                file=example.at,
                hint="Check data.format and data.columns.",
            )
        yield fields_of("token", source, labels_of(example, self.separator), self.max_length)


@dataclass(frozen=True)
class LabelledFrames:
    """Fields ``frames`` [T, channels] and ``label`` of an example; of more than ``max_length`` frames the first ones.

    ``missing``: whether values may be missing (NaN).
    """

    missing: bool
    separator: str | None
    max_length: int

    def __call__(self, example: Example) -> Iterator[dict[str, Any]]:
        """Yield one mapping of fields.

        Raises:
            UserError: no frames, a missing value where none may be, no label (65), with file and line.
        """
        frames = example.source
        if not isinstance(frames, np.ndarray):
            raise data_error(
                "this recipe classifies frames, and here are none",
                file=example.at,
                hint="Check data.format; 'seqcli components' lists embedders for text.",
            )
        check_frames(frames, self.missing, example.at)
        yield fields_of("frames", frames, labels_of(example, self.separator), self.max_length)


def check_frames(frames: np.ndarray[Any, Any], missing: bool, at: str) -> None:
    """Refuse missing values where the model has no place for them.

    Raises:
        UserError: the first of them, with file and line (65).
    """
    if missing or not len(frames):
        return
    found = np.isnan(frames)
    if found.any():
        frame, channel = np.argwhere(found)[0].tolist()
        raise data_error(
            f"a value is missing (frame {frame}, channel {channel}, both counted from 0)",
            file=at,
            hint="Set 'missing: mask' in the recipe's embedder, or fill the gaps.",
        )


def check_channels(found: int, wanted: int, where: str) -> None:
    """Refuse frames that the model was not made for.

    Raises:
        UserError: another number of channels (65).
    """
    if found != wanted:
        raise data_error(f"frames of {found} channels, but the model was trained on {wanted}", file=where)


def write_channels(folder: Path, channels: int) -> None:
    """Keep the number of channels of a model of frames."""
    atomic_write_text(folder / FRAMES_FILE, json.dumps({"channels": channels}) + "\n")


def read_channels(folder: Path) -> int:
    """Read what `write_channels` wrote.

    Raises:
        UserError: it cannot be read (65).
    """
    path = folder / FRAMES_FILE
    try:
        return int(json.loads(path.read_bytes())["channels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise data_error("the number of channels cannot be read", file=path) from error


def labels_of(example: Example, separator: str | None) -> list[str]:
    """The labels of an example: one, or with a separator any number of different ones.

    Raises:
        UserError: no label, or an empty one (65), with file and line.
    """
    target = example.target
    if target is None:
        raise data_error("no label", file=example.at, hint="Check data.format and data.columns.")
    if separator is None:
        if not isinstance(target, str):
            raise data_error(
                "one label is expected, and here is a list",
                file=example.at,
                hint="Set task.separator where an example may have several.",
            )
        if not target.strip():
            raise data_error("the label is empty", file=example.at)
        return [_writable(target.strip(), example.at)]
    parts = target if isinstance(target, list) else target.split(separator)
    return list(dict.fromkeys(_writable(part.strip(), example.at) for part in parts if part.strip()))


def fields_of(name: str, source: Any, labels: list[str], max_length: int) -> dict[str, Any]:
    """The fields, cut and marked as `Cut` where the source is too long."""
    if len(source) <= max_length:
        return {name: source, "label": labels}
    return Cut({name: source[:max_length], "label": labels})


def _writable(label: str, at: str) -> str:
    """Refuse what a file of labels, or a line of predictions, could not hold; JSON can bring it."""
    if any(character in label for character in "\n\r\t"):
        raise data_error("a label holds a tab or a line break", file=at)
    return label
