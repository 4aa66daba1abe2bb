"""A split of a corpus as arrays on disk: what training reads, whatever the size of the corpus.

Arrays are memory-mapped, except large ones: those are read a piece at a time, so that a corpus larger than memory also
fits into a limited address space (``ulimit -v``), which a mapping would use up.

A field is either symbols (strings, stored as ids into a table of the distinct ones with their counts) or numbers
(float32 rows of one width, for frames and series; float64 where the reader gives it). Each field of an example is a sequence, so each field has offsets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import UserError, data_error
from seqcli.store.manifest import MANIFEST, FileRecord, Manifest, read_manifest

FORMAT_VERSION = 5

MAX_SYMBOLS = 2**19
"""Most distinct strings of a field that are told apart; bounds the memory of an endless list of types."""

MAPPED_BYTES = 2**25
"""Larger arrays are read, not mapped."""

_BLOCK = 2**20


class DiskArray:
    """An array in a file, of which only the pieces asked for are read: by number, slice or array of numbers.

    ``width`` 0: shape [total], else [total, width].
    """

    def __init__(self, path: Path, dtype: Any, width: int = 0) -> None:
        self.dtype = np.dtype(dtype)
        self._item: tuple[int, ...] = (width,) if width else ()
        self._bytes = self.dtype.itemsize * (width or 1)
        self._handle = path.open("rb", buffering=0)
        self._size = path.stat().st_size // self._bytes

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, _ = index.indices(self._size)
            return self._read(start, max(start, stop))
        if np.ndim(index) == 0:
            return self._read(int(index), int(index) + 1)[0]
        values = np.empty((len(index), *self._item), self.dtype)
        for place, number in enumerate(index):
            values[place] = self._read(int(number), int(number) + 1)[0]
        return values

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        values = np.empty((stop - start, *self._item), self.dtype)
        if len(values):
            self._handle.seek(start * self._bytes)
            if self._handle.readinto(values.data) != values.nbytes:
                raise OSError(f"{self._handle.name}: cut off")
        return values

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            handle.close()


@dataclass(frozen=True)
class Column:
    """One column: a field of every example of a split: ``values[offsets[i]:offsets[i + 1]]`` belongs to example i.

    ``symbols`` and ``counts`` are the distinct strings and how often each occurs; empty for number fields, whose
    values have the shape [total, width].
    """

    values: NDArray[Any] | DiskArray
    offsets: NDArray[np.int64] | DiskArray
    symbols: list[str]
    counts: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Length of each example's sequence, of all examples: computed anew each time it is asked for."""
        size = len(self.offsets) - 1
        lengths = np.empty(size, np.int32)
        for start in range(0, size, _BLOCK):  # no array of 64-bit numbers beside it
            lengths[start : start + _BLOCK] = np.diff(self.offsets[start : start + _BLOCK + 1])
        return lengths

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(self.offsets[rows + 1] - self.offsets[rows], np.int64)

    def sequence(self, row: int) -> NDArray[Any]:
        start, end = self.offsets[row : row + 2]
        return np.asarray(self.values[start:end])

    def gather(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[Any]:
        return np.concatenate([self.sequence(int(row)) for row in rows])


class Columns:
    """An encoded split, opened from its folder.

    Args:
        files: what the files are called, where that is not what they were called when the split was encoded.

    Raises:
        UserError: a file is missing or is not as it was written (65).
    """

    def __init__(self, folder: Path, files: Sequence[str] | None = None) -> None:
        for name, record in read_manifest(folder).files.items():
            record.check(folder / name)
        self.folder = folder
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        self.size: int = meta["size"]
        self.files: list[str] = list(files or meta["files"])
        self.cut: int = meta["cut"]
        self.notes: list[str] = meta.get("notes", [])
        self.columns = {name: self._open(name, spec) for name, spec in meta["fields"].items()}
        self._lines = _open(folder / "lines.bin", np.int64)
        self._file_of = _open(folder / "file_of.bin", np.uint16)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def place(self, row: int) -> str:
        """``file:line`` where an example begins."""
        return f"{self.files[self._file_of[row]]}:{self._lines[row]}"

    def _open(self, name: str, spec: dict[str, Any]) -> Column:
        values = _open(self.folder / f"{name}.bin", np.dtype(spec["dtype"]), spec["width"])
        symbols: list[str] = []
        counts = np.zeros(0, np.int64)
        if spec["symbols"]:
            blob = (self.folder / f"{name}.symbols.bin").read_bytes()
            ends = np.fromfile(self.folder / f"{name}.symbols.ends.bin", np.int64).tolist()
            symbols = [blob[start:end].decode("utf-8") for start, end in zip([0, *ends], ends, strict=False)]
            counts = np.fromfile(self.folder / f"{name}.counts.bin", np.int64)
        return Column(values, _open(self.folder / f"{name}.offsets.bin", np.int64), symbols, counts)


def _open(path: Path, dtype: Any, width: int = 0) -> NDArray[Any] | DiskArray:
    size = path.stat().st_size
    if size > MAPPED_BYTES:
        return DiskArray(path, dtype, width)
    # an empty file cannot be mapped
    values = np.memmap(path, dtype=dtype, mode="r") if size else np.zeros(0, dtype)
    return values.reshape(-1, width) if width else values


def other_width(width: int, expected: int, file: str, line: int) -> UserError:
    """The error of an example whose frames have not as many values as those of the split's first example (65)."""
    return data_error(f"frames of width {width}, those before have width {expected} (channels)", file=file, line=line)


class SplitWriter:
    """Writes a split part by part into ``folder``, which becomes readable by `Columns` after `close`."""

    def __init__(self, folder: Path, files: Sequence[str], *, max_symbols: int = MAX_SYMBOLS) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.files = list(files)
        self.max_symbols = max_symbols
        self.size = 0
        self.cut = 0
        self.notes: dict[str, None] = {}
        self.fields: dict[str, _FieldWriter] = {}
        self.lines = (folder / "lines.bin").open("wb")
        self.file_of = (folder / "file_of.bin").open("wb")

    def add(self, part: Part) -> None:
        """Append one part; its own symbol ids become the split's.

        Raises:
            UserError: numbers of another width than those before (65).
        """
        for name, field in part.fields.items():
            if name not in self.fields:
                self.fields[name] = _FieldWriter(self.folder, name, self.max_symbols)
            width = field.values.shape[1] if field.values.ndim == 2 else 0
            if self.size and width != self.fields[name].width:  # within a part all have one width
                raise other_width(width, self.fields[name].width, self.files[part.file], int(part.lines[0]))
            self.fields[name].add(field)
        self.lines.write(part.lines.tobytes())
        self.file_of.write(np.full(len(part.lines), part.file, np.uint16).tobytes())
        self.size += len(part.lines)
        self.cut += part.cut
        self.notes |= dict.fromkeys(part.notes)

    def close(self) -> None:
        """Write the tables, the meta file and the manifest of all files last."""
        self.lines.close()
        self.file_of.close()
        fields = {name: writer.close() for name, writer in self.fields.items()}
        meta = {
            "version": FORMAT_VERSION,
            "size": self.size,
            "cut": self.cut,
            "notes": [*self.notes],
            "files": self.files,
            "fields": fields,
        }
        (self.folder / "meta.json").write_text(json.dumps(meta), encoding="ascii")  # names of files may be no UTF-8
        records = {path.name: FileRecord.of_file(path) for path in self.folder.iterdir()}
        (self.folder / MANIFEST).write_bytes(Manifest(records).to_bytes())


@dataclass
class PartField:
    """A field of a part: ids into its own ``symbols``, or rows of numbers; ``lengths`` of each example."""

    values: NDArray[Any]
    lengths: NDArray[np.int64]
    symbols: list[str]


@dataclass
class Part:
    """Some consecutive examples of one file, as a worker hands them over. ``cut`` counts over-long sequences, ``notes`` say what
    was done to files that are not as the recipe wants them."""

    file: int
    lines: NDArray[np.int64]
    fields: dict[str, PartField]
    cut: int = 0
    notes: Sequence[str] = ()


class _FieldWriter:
    def __init__(self, folder: Path, name: str, max_symbols: int) -> None:
        self.folder, self.name, self.max_symbols = folder, name, max_symbols
        self.table: dict[str, int] = {}
        self.counts = np.zeros(max_symbols + 1, np.int64)  # one more for the overflow entry
        self.values: BinaryIO = (folder / f"{name}.bin").open("wb")
        self.offsets: BinaryIO = (folder / f"{name}.offsets.bin").open("wb")
        self.offsets.write(np.zeros(1, np.int64).tobytes())
        self.total = 0
        self.dtype, self.width, self.is_symbols = "uint16", 0, False

    def add(self, field: PartField) -> None:
        values = field.values
        if values.ndim == 2:
            self.dtype = self.dtype if self.total else str(values.dtype)
            self.width = values.shape[1]
        else:
            self.is_symbols = True
            mapping = self._global_ids(field.symbols)
            counts = np.bincount(values, minlength=len(mapping))
            np.add.at(self.counts, mapping, counts)  # several spellings may share the overflow entry
            values = mapping[values]
            if self.dtype == "uint16" and len(self.table) > 2**16:
                self._widen()
        self.values.write(values.astype(self.dtype, copy=False).tobytes())
        offsets = self.total + np.cumsum(field.lengths, dtype=np.int64)
        self.offsets.write(offsets.tobytes())
        self.total += len(values)

    def _widen(self) -> None:
        """Two bytes an id no longer do: write what is there again with four."""
        self.values.close()
        path = Path(self.values.name)
        narrow = path.with_suffix(".narrow")
        path.rename(narrow)
        self.dtype = "uint32"
        self.values = path.open("wb")
        with narrow.open("rb") as handle:
            while data := handle.read(2 * _BLOCK):
                self.values.write(np.frombuffer(data, np.uint16).astype(np.uint32).tobytes())
        narrow.unlink()

    def _global_ids(self, symbols: list[str]) -> NDArray[np.int64]:
        table = self.table
        if len(table) + len(symbols) <= self.max_symbols:
            return np.array([table.setdefault(symbol, len(table)) for symbol in symbols], np.int64)
        # Beyond the cap new spellings share one entry, so that a table of endless types cannot eat the memory.
        overflow = table.setdefault("<UNK>", len(table))
        return np.array([table.get(symbol, overflow) for symbol in symbols], np.int64)

    def close(self) -> dict[str, Any]:
        self.values.close()
        self.offsets.close()
        if self.is_symbols:
            blobs = [symbol.encode("utf-8") for symbol in self.table]
            (self.folder / f"{self.name}.symbols.bin").write_bytes(b"".join(blobs))
            ends = np.cumsum([len(blob) for blob in blobs], dtype=np.int64)
            (self.folder / f"{self.name}.symbols.ends.bin").write_bytes(ends.tobytes())
            (self.folder / f"{self.name}.counts.bin").write_bytes(self.counts[: len(self.table)].tobytes())
        return {"dtype": self.dtype, "width": self.width, "symbols": self.is_symbols}


def publish(temporary: Path, final: Path) -> None:
    """Move a finished split into place; when another process was first, its result is as good."""
    try:
        os.rename(temporary, final)
    except OSError:
        if not (final / MANIFEST).exists():
            raise
