"""Sequences in files of their own: an index that names them (``frames``), or a folder a label (``csv-folders``; ``media-folders``)."""

from __future__ import annotations

import hashlib
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from seqcli.data.example import Example, MediaFile
from seqcli.data.formats.base import Format
from seqcli.data.formats.tsv import Tsv
from seqcli.errors import UserError, data_error, io_error, reading, usage_error
from seqcli.files import sha256_file
from seqcli.lines import Chunk, Input, is_stdin

_FRAME_FILE = re.compile(r"\.(npy|npz(#[^#]+)?|csv)$", re.IGNORECASE)


class _IndexRows(Tsv):
    target_may_lack = True


class FrameIndex(Format):
    """One example a line: the frames of the file that it names, and the label behind a tab, where there is one.

    Paths are relative to the folder of the index (of standard input: the working folder) and may not leave it, also
    not by a link. ``file.npz#name`` is one array of several.
    """

    name = "frames"
    has_frames = True
    needs_source = True

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 1.0 if all(_FRAME_FILE.search(line.split("\t", 1)[0]) for line in lines) else 0.0

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        if role not in ("source", "target"):
            raise usage_error(f"data.columns: the frames format has source and target, no {key}")
        return role

    def examples(self, source: Input) -> Iterator[Example]:
        from seqcli.data.frame_files import read_frames

        folder = folder_of(source)
        for row in _IndexRows(self.reading).read(source, self.on_error):
            try:
                path, member = locate(row.source, folder)
                frames = read_frames(path, member, max_line=self.reading.max_line, on_invalid=self.reading.on_invalid)
            except UserError as error:  # said at the line of the index
                place = f"'{row.source}'" if error.line is None else f"'{row.source}', line {error.line}"
                message = f"{place}: {error.message}"
                self.report(UserError(message, hint=error.hint, code=error.code), row.line)
                continue
            yield Example(frames, row.target, row.at)

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        """Yield ``(line, file)`` of an index, without what `read` would refuse anyway; no file is looked at."""
        folder = folder_of(path)
        for row in _IndexRows(replace(self.reading, on_invalid="replace")).read(path, lambda error: None):
            try:
                yield row.line, locate(row.source, folder)[0]
            except UserError:
                continue

    def units(self, path: Path, handle: BinaryIO) -> Iterator[tuple[int, int, int]]:
        """One for each line, which costs its own bytes and those of the files it names."""
        costs: dict[int, int] = {}
        for line, file in self.files_named(path):
            costs[line] = file.stat().st_size if file.is_file() else 0
        return ((1, len(raw), len(raw) + costs.get(number, 0)) for number, raw in enumerate(handle, 1))

    def fingerprint(self, path: Path) -> str:
        return fingerprint_of(path, (file for _, file in self.files_named(path)))


class _Folders(Format):
    """A folder that has a folder for each label, ``folder/label/name.wav``; or one file in such a folder.

    Labels and then files come in the order of their names (of their bytes, not of a language).
    """

    ends = "file"
    folders = True
    holds: ClassVar[str]
    """What a file of it is, in words."""

    @abstractmethod
    def value(self, file: Path) -> Any:
        """The source of the example that a file is."""

    @classmethod
    @abstractmethod
    def counts(cls, name: str) -> bool:
        """Whether a file called so is an example."""

    def examples(self, source: Input) -> Iterator[Example]:
        """As in `Format`; standard input or a folder that cannot be read is an error too (74)."""
        if source is None or is_stdin(source):
            raise io_error("a folder cannot come from standard input")
        for file in self.expand(source.path if isinstance(source, Chunk) else Path(source)):
            try:
                value = self.value(file)
            except UserError as error:
                self.report(error)
                continue
            yield Example(value, file.absolute().parent.name, f"{file}:1")

    def expand(self, path: Path) -> list[Path]:
        """The files of a folder's sequences, in order; hidden ones are left out.

        Raises:
            UserError: no sequence at all, or one that lies in no label's folder (65); a folder that cannot be read (74).
        """
        if not path.is_dir():
            return [path]
        files: list[Path] = []
        for child in _children(path):
            if child.is_dir():
                files += [file for file in _children(child) if self.counts(file.name) and file.is_file()]
            elif self.counts(child.name):
                raise data_error(
                    "lies in no folder of a label", file=child, hint="Put it in a folder that is called like its label."
                )
        if not files:
            raise data_error(f"no {self.holds}: expected a folder for each label, with such files in it", file=path)
        return files

    def fingerprint(self, path: Path) -> str:
        digest = hashlib.sha256(f"{path.absolute().parent.name!r} ".encode("utf-8", "surrogatepass"))
        digest.update((sha256_file(path) if path.is_file() else "missing").encode())
        return digest.hexdigest()


class CsvFolders(_Folders):
    """A folder for each label, in which each ``.csv`` or ``.npy`` is a sequence of frames."""

    name = "csv-folders"
    has_frames = True
    holds = "sequences (.csv, .npy)"

    def value(self, file: Path) -> Any:
        from seqcli.data.frame_files import read_frames

        return read_frames(file, max_line=self.reading.max_line, on_invalid=self.reading.on_invalid)

    @classmethod
    def counts(cls, name: str) -> bool:
        from seqcli.data.frame_files import FOLDER_SUFFIXES

        return name.lower().endswith(FOLDER_SUFFIXES)


class MediaFolders(_Folders):
    """A folder for each label, in which each recording, clip or picture is an example; ``source.features`` reads it."""

    name = "media-folders"
    has_media = True
    holds = "recordings, clips or pictures"

    def value(self, file: Path) -> MediaFile:
        with reading(file):
            if not file.stat().st_size:
                raise data_error("the file is empty", file=file)
        return MediaFile(file)

    @classmethod
    def counts(cls, name: str) -> bool:
        from seqcli.data.media_files import is_media

        return is_media(name)

    def text_files(self, path: Path) -> list[Path]:
        return []


def format_of_folder(folder: Path) -> str:
    """Which of the two a folder is: what the first file that counts in one of its folders says.

    Raises:
        UserError: a folder that cannot be read (74).
    """
    for child in _children(folder):
        for file in _children(child) if child.is_dir() else [child]:
            if MediaFolders.counts(file.name):
                return MediaFolders.name
            if CsvFolders.counts(file.name):
                return CsvFolders.name
    return CsvFolders.name


def fingerprint_of(path: Path, files: Iterable[Path]) -> str:
    """A hash of an index and of the files that it names; one that it names many times is read once."""
    digest = hashlib.sha256(sha256_file(path).encode())
    archives: dict[Path, str] = {}
    for file in files:
        sha256 = archives.get(file) or (sha256_file(file) if file.is_file() else "missing")
        if file.suffix.lower() == ".npz":
            archives[file] = sha256
        digest.update(sha256.encode())
    return digest.hexdigest()


def folder_of(index: Input) -> Path:
    path = index.path if isinstance(index, Chunk) else index
    return (Path() if path is None or is_stdin(path) else Path(path).parent).resolve()


def locate(cell: str, folder: Path) -> tuple[Path, str | None]:
    """The file that a cell of an index names, and the array in it where the cell says which.

    Raises:
        UserError: another kind of file, or one outside ``folder`` (65); the file itself is not looked at.
    """
    from seqcli.data.frame_files import SUFFIXES

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


def _children(folder: Path) -> list[Path]:
    with reading(folder):
        names = sorted(os.listdir(folder))
    return [folder / name for name in names if not name.startswith(".")]
