"""Sequences joined in one array, ``.npz`` or ``.npy``, and an index that says where each begins and how long it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from seqcli.data.example import Example
from seqcli.data.formats.base import Columns, Reading
from seqcli.data.formats.frames import fingerprint_of, folder_of, locate
from seqcli.data.formats.looking import TableLook
from seqcli.data.formats.table import Row
from seqcli.data.formats.tsv import Tsv
from seqcli.errors import UserError, data_error, plural
from seqcli.lines import Input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seqcli.data.frame_files import Frames

_TARGETS = ("label", "target", "text")
_FILE = re.compile(r"\.(npy|npz(#.+)?)$", re.IGNORECASE)


class Npz(Tsv):
    """One example a line of a TSV file with a header: ``file``, ``start``, ``length``, and ``label``, ``target`` or
    ``text`` where there is one; any other column is left alone, and ``columns`` may name others.

    ``file`` names an array [sum of T, ...] beside the index, of which the frames from ``start`` (from 0) are the
    sequence; ``file.npz#name`` is one array of several. Paths are relative to the folder of the index and may not
    leave it, also not by a link.
    """

    name = "npz"
    ends = "file"  # each part of an index would unpack the whole array again
    has_frames = True
    needs_source = False
    roles = ("source", "start", "length", "target")
    usual: ClassVar[Columns] = {"source": "file", "start": "start", "length": "length"}

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.columns = {**self.usual, **self.columns}
        self.folder = Path()
        self.opened: tuple[tuple[Path, str | None], NDArray[Any]] | None = None

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        rows = [line.split("\t") for line in lines]
        if not {*cls.usual.values()} <= {*rows[0]}:
            return 0.0
        place = rows[0].index("file")
        return 1.0 if all(len(row) > place and _FILE.search(row[place]) for row in rows[1:]) else 0.0

    def look(self, lines: list[str]) -> TableLook | None:
        return None

    def examples(self, source: Input) -> Iterator[Example]:
        self.folder = folder_of(source)
        yield from super().examples(source)
        self.opened = None

    def _head(self, first: list[Row]) -> bool:
        target = next((name for name in _TARGETS if name in first[0][1]), None)
        if target is not None:
            self.columns.setdefault("target", target)
        return super()._head(first)

    def _parse(self, cells: list[str]) -> tuple[Frames, str | None]:
        from seqcli.data.frame_files import as_frames

        self.check_width(cells)
        name = cells[self.places["source"]]
        start, length = (self._count(key, cells) for key in ("start", "length"))
        try:
            array = self._open(name)
            if start + length > len(array):
                raise data_error(
                    f"holds {plural(len(array), 'frame')}, and this sequence has those from {start:,} to {start + length:,}",
                    hint="'start' counts from 0, and 'length' is a number of frames.",
                )
            frames = as_frames(array[start : start + length])
        except UserError as error:  # said at the line of the index
            raise UserError(f"'{name}': {error.message}", hint=error.hint, code=error.code) from error
        return frames, cells[self.places["target"]] if "target" in self.places else None

    def _count(self, key: str, cells: list[str]) -> int:
        cell = cells[self.places[key]].strip()
        if not (cell.isascii() and cell.isdecimal()):
            raise data_error(f"'{cell[:40]}' in the column '{self.columns[key]}' is no number of frames")
        return int(cell)

    def _open(self, name: str) -> NDArray[Any]:
        """The array that a cell names; the last one is kept, since lines that follow each other mostly name the same."""
        from seqcli.data.frame_files import open_frames

        place = locate(name, self.folder)
        if self.opened is None or self.opened[0] != place:
            self.opened = None  # never two at once
            self.opened = place, open_frames(*place)
        return self.opened[1]

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        """Yield ``(line, file)``, each file at the first line that names it; none is looked at."""
        reader = Npz(replace(self.reading, on_invalid="replace"))
        reader.on_error, known = lambda error: None, set()
        rows = reader.rows(path)
        try:
            reader._head([next(rows, (1, []))])
        except UserError:
            return
        for number, cells in rows:
            try:
                reader.check_width(cells)
                file, _ = locate(cells[reader.places["source"]], folder_of(path))
            except UserError:
                continue
            if file not in known:
                known.add(file)
                yield number, file

    def fingerprint(self, path: Path) -> str:
        return fingerprint_of(path, (file for _, file in self.files_named(path)))
