"""Sequences in files of their own: an index that names them (``frames``), or a folder a label (``csv-folders``)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from seqcli.data import tsv
from seqcli.data.blocks import OnError, Part, Source, name_of, report
from seqcli.data.example import Example
from seqcli.data.frame_files import SUFFIXES, read_frames
from seqcli.errors import UserError, data_error, io_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, is_stdin

FOLDER_SUFFIXES = (".csv", ".npy")
"""What counts as a sequence in a folder of `read_folder`."""


def read_index(
    source: Source,
    *,
    columns: Mapping[str, int | str] | None = None,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a line of an index: the frames of the file that it names, and the label behind a tab.

    Paths are relative to the folder of the index (of standard input: the working folder) and may not leave it, also
    not by a link. ``file.npz#name`` is one array of several.

    Args:
        columns: as in `tsv.read`; a file of one column has no label.

    Raises:
        UserError: a path that leaves the folder, names no file or another kind of file, and what `read_frames`
            refuses (65, at the line of the index); what `tsv.read` raises.
    """
    folder = index_folder(source)
    name = name_of(source)
    for row in tsv.read(
        source, columns=columns, lone_source=True, max_line=max_line, on_invalid=on_invalid, on_error=on_error
    ):
        line = int(row.at.rpartition(":")[2])
        try:
            path, member = locate(row.source, folder)
            frames = read_frames(path, member, max_line=max_line, on_invalid=on_invalid)
        except UserError as error:
            report(_at_index(error, row.source, name, line), on_error)
            continue
        yield Example(frames, row.target, row.at)


def index_folder(source: Source) -> Path:
    """The folder that the paths of an index are relative to."""
    path = source.path if isinstance(source, Part) else source
    return (Path() if path is None or is_stdin(path) else Path(path).parent).resolve()


def locate(cell: str, folder: Path) -> tuple[Path, str | None]:
    """The file that a cell of an index names, and the array in it where the cell says which.

    Raises:
        UserError: another kind of file, or one outside ``folder`` (65); the file itself is not looked at.
    """
    file, member = cell, None
    if "#" in cell:
        before, _, after = cell.rpartition("#")
        if before.lower().endswith(".npz"):
            file, member = before, after
    if not file.lower().endswith(SUFFIXES):
        raise data_error(
            "is no .npy, .npz or .csv file",
            hint="If the first line is a header, name its columns: {source: ..., target: ...}.",
        )
    try:
        path = (folder / file).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path, links in a circle
        raise data_error(f"is no path: {error}") from error
    if not path.is_relative_to(folder):
        raise data_error("lies outside the folder of the index: refused")
    return path, member


def listed_files(index: Source, columns: Mapping[str, int | str] | None, max_line: int) -> Iterator[tuple[int, Path]]:
    """Yield ``(line, file)`` of an index, without what `read_index` would refuse anyway; no file is looked at."""
    folder = index_folder(index)
    for row in tsv.read(
        index, columns=columns, lone_source=True, max_line=max_line, on_invalid="replace", on_error=lambda error: None
    ):
        try:
            yield int(row.at.rpartition(":")[2]), locate(row.source, folder)[0]
        except UserError:
            continue


def read_folder(
    source: Source,
    *,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield the sequences of a folder that has a folder for each label, or the one sequence of a file in such a folder.

    Labels and then files come in the order of their names (of their bytes, not of a language).

    Raises:
        UserError: what `sequence_files` and `read_frames` refuse (65), standard input or a folder that cannot be read
            (74).
    """
    if source is None or is_stdin(source):
        raise io_error("a folder cannot come from standard input")
    path = source.path if isinstance(source, Part) else Path(source)
    for file in sequence_files(path) if path.is_dir() else [path]:
        try:
            frames = read_frames(file, max_line=max_line, on_invalid=on_invalid)
        except UserError as error:
            report(error, on_error)
            continue
        yield Example(frames, file.absolute().parent.name, f"{file}:1")


def sequence_files(folder: Path) -> list[Path]:
    """The files of a folder's sequences, ``folder/label/name.csv`` or ``.npy``, in order; hidden ones are left out.

    Raises:
        UserError: no sequence at all, or one that lies in no label's folder (65); a folder that cannot be read (74).
    """
    found: list[Path] = []
    for entry in _entries(folder):
        if entry.is_dir():
            found.extend(file for file in _entries(entry) if file.suffix.lower() in FOLDER_SUFFIXES and file.is_file())
        elif entry.suffix.lower() in FOLDER_SUFFIXES:
            raise data_error(
                "lies in no folder of a label", file=entry, hint="Put it in a folder that is called like its label."
            )
    if not found:
        raise data_error("no sequences: expected a folder for each label, with .csv or .npy files in it", file=folder)
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise io_error(f"cannot read: {error.strerror or error}", file=folder) from error
    return [folder / name for name in names if not name.startswith(".")]


def _at_index(error: UserError, cell: str, name: str, line: int) -> UserError:
    """An error of a file, told at the line of the index that names it."""
    place = f"'{cell}'" if error.line is None else f"'{cell}', line {error.line}"
    return UserError(f"{place}: {error.message}", file=name, line=line, hint=error.hint, code=error.code)
