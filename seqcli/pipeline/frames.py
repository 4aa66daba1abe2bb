"""Sequences of frames to predict on: from a .ts file, an index, a folder, one file, or standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seqcli.data import catalogue
from seqcli.data.example import Example
from seqcli.data.formats import Reading, guess_format, has_frames, read_examples
from seqcli.data.frame_files import FOLDER_SUFFIXES, SUFFIXES, read_frames
from seqcli.data.media_files import media_files
from seqcli.errors import UserError, io_error, usage_error
from seqcli.lines import OnInvalid, batches, is_stdin
from seqcli.media.features import Extractor
from seqcli.pipeline.features import features_of
from seqcli.pipeline.model import Model

_AT_ONCE = 64
"""Sequences of a file that are classified together."""


def frame_batches(
    model: Model[Any], file: str | None, *, on_invalid: OnInvalid, max_line: int
) -> Iterator[list[NDArray[Any]]]:
    """Yield the sequences as they stand there, some at a time; from standard input each as soon as it is there.

    Labels that a file has are not looked at. Standard input holds the lines of a .ts file, or of an index where the
    model was trained on one.

    Raises:
        UserError: no frames (2); frames that the model was not made for, bad data (65); an unreadable file (74).
    """
    sequences = (one.source for one in frame_examples(model, file, on_invalid, max_line))
    return batches(sequences, 1 if is_stdin(file) else _AT_ONCE)


def takes_media(model: Model[Any], files: Sequence[str]) -> bool:
    """Whether these are recordings, clips or pictures, of which the model's source makes its frames."""
    numbers = (*SUFFIXES, ".ts", ".tsv")
    return extractor_of(model) is not None and not any(file.lower().endswith(numbers) for file in files)


def extractor_of(model: Model[Any]) -> Extractor | None:
    """What computes the features that a model reads; None where it reads numbers, or text."""
    media = model.task.source.media
    return media.extractor if media is not None else None


def media_batches(
    model: Model[Any], files: Sequence[str], skipped: Callable[[UserError], None] | None = None
) -> Iterator[list[tuple[str, NDArray[Any]]]]:
    """Yield ``(name, frames)`` of media files and of those in folders, some at a time.

    Args:
        skipped: takes what is wrong with a file, which is then left out.

    Raises:
        UserError: no such file (74), one that cannot be read (65, 74), frames that the model was not made for (65).
    """
    computes = extractor_of(model)
    assert computes is not None
    found = media_files(files, computes.config.media)

    def readable() -> Iterator[tuple[str, NDArray[Any]]]:
        for (_, name), frames in zip(found, features_of([path for path, _ in found], computes), strict=True):
            if not isinstance(frames, UserError):
                yield name, frames
            elif skipped is None:
                raise frames
            else:
                skipped(frames)

    return batches(readable(), _AT_ONCE)


def frame_examples(model: Model[Any], file: str | None, on_invalid: OnInvalid, max_line: int) -> Iterator[Example]:
    """The sequences of a file, or of a folder, with the place of each; see `frame_batches`."""
    for one in _examples(model, file, on_invalid, max_line):
        model.task.source.read(one.source, one.at)  # what cannot be read is said with its place
        yield one


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
    if not has_frames(form):
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
