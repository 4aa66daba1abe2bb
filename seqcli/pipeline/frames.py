"""Sequences of frames to predict on: from a .ts file, an index, a folder, one file, or standard input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seqcli.data import catalogue
from seqcli.data.example import Example
from seqcli.data.formats import FRAME_FORMATS, Reading, guess_format, read_examples
from seqcli.data.frame_files import FOLDER_SUFFIXES, SUFFIXES, read_frames
from seqcli.errors import io_error, usage_error
from seqcli.lines import OnInvalid, batches, is_stdin
from seqcli.pipeline.model import Model

_AT_ONCE = 64
"""Sequences of a file that are classified together."""


def frame_batches(
    model: Model[Any], file: str | None, *, on_invalid: OnInvalid, max_line: int
) -> Iterator[list[NDArray[Any]]]:
    """Yield the sequences, some at a time; from standard input each as soon as it is there.

    Labels that a file has are not looked at. Standard input holds the lines of a .ts file, or of an index where the
    model was trained on one.

    Raises:
        UserError: no frames (2); frames that the model was not made for, bad data (65); an unreadable file (74).
    """
    sequences = (model.task.source.read(one.source, one.at) for one in _examples(model, file, on_invalid, max_line))
    return batches(sequences, 1 if is_stdin(file) else _AT_ONCE)


def _examples(model: Model[Any], file: str | None, on_invalid: OnInvalid, max_line: int) -> Iterator[Example]:
    if not is_stdin(file) and Path(str(file)).suffix.lower() in SUFFIXES:
        path = Path(str(file))
        return iter([Example(read_frames(path, max_line=max_line, on_invalid=on_invalid), None, str(path))])
    if not is_stdin(file) and (found := _unlabelled(Path(str(file)))):
        return (Example(read_frames(path, max_line=max_line, on_invalid=on_invalid), None, str(path)) for path in found)
    if is_stdin(file):
        form = "frames" if _trained_on(model) == "frames" else "ts"
    else:
        form = guess_format(file)
    if form not in FRAME_FORMATS:
        raise usage_error(
            f"{file}: {model.name} reads frames, and this looks like {form}",
            hint="Give a .ts file, an index, a .npy or .csv file, or a folder of them.",
        )
    return read_examples(file, Reading(form, on_invalid=on_invalid, max_line=max_line))


def _unlabelled(path: Path) -> list[Path]:
    """The files of a folder that has no folders of labels, in the order of their names; of anything else none."""
    if not path.is_dir():
        return []
    try:
        return sorted(
            file
            for file in path.iterdir()
            if file.suffix.lower() in FOLDER_SUFFIXES and file.is_file() and not file.name.startswith(".")
        )
    except OSError as error:
        raise io_error(f"cannot read: {error.strerror or error}", file=path) from error


def _trained_on(model: Model[Any]) -> str | None:
    """Format of the data that a model was trained on, None where that was guessed."""
    data = model.task.recipe.data
    if data.format is None and data.corpus is not None:
        known = catalogue.data_sets().get(data.corpus)
        return known.format if known else None
    return data.format
