"""One file for one model: pack, unpack and copy.

An archive is a gzipped tar. Its first member, ``archive.json``, is a manifest of the others, so that every size and
checksum is known before a byte is written. Unpacking reads plain file headers itself and nothing else: ``tarfile``
would follow links, make devices and read extended headers of any length into memory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seqcli.errors import data_error
from seqcli.files import atomic_write, cannot_write, fsync_folder
from seqcli.store.manifest import MANIFEST, Entry, Manifest, cannot_read, entry_of_file, is_pickle, is_plain_name
from seqcli.store.runs import Run, Store, check_name

CONTENTS = "archive.json"
FORMAT = "seqcli archive 1"
MAX_BYTES = 4 * 2**30
"""Most bytes an archive may unpack to, unless the caller says otherwise."""

_SUFFIXES = {".yaml", ".txt", ".json", ".jsonl", ".safetensors", ".onnx", ".model"}  # .model: sentencepiece
_NEEDED = ("recipe.yaml", "report.json", MANIFEST)
_MAX_CONTENTS = 2**20
_MAX_FILES = 1000
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 2**20
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
}


def pack(run: Run, out: Path) -> Manifest:
    """Write a finished run to one portable file; the same run gives the same bytes. Returns what is in it.

    Raises:
        UserError: a file of the run is damaged (65), or the archive cannot be written (74).
    """
    manifest = contents(run)
    with (
        atomic_write(out) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        index = manifest.to_bytes()
        tar.addfile(_header(run.name, CONTENTS, len(index)), io.BytesIO(index))
        for name, entry in sorted(manifest.files.items()):
            with (run.path / name).open("rb") as handle:
                tar.addfile(_header(run.name, name, entry.size), handle)
    return manifest


def unpack(archive: Path, store: Store, name: str | None = None, *, max_bytes: int = MAX_BYTES) -> Run:
    """Make an archive the next version of ``name`` (by default the name it was packed under).

    The run becomes visible only when every member has the size and the SHA-256 that the archive promises; nothing of
    it is run or interpreted.

    Raises:
        UserError: a member that is no plain file of a model, a pickle, a lying size or checksum, or more than
            ``max_bytes`` in all (65); a name that cannot be one (2); a disk that is full (74).
    """
    try:
        with archive.open("rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as stream:
            folder, size = _next_member(stream, archive, CONTENTS)
            if size > _MAX_CONTENTS:
                raise data_error(f"'{CONTENTS}' is too long: {size:,} bytes", file=archive)
            promised = Manifest.from_bytes(_read(stream, size, archive), file=f"{archive}: {CONTENTS}")
            _check_contents(promised, archive, max_bytes)
            _skip_padding(stream, size, archive)
            check_name(name or folder)
            with store.staging(name or folder) as stage:
                _extract(stream, stage, folder, promised, archive)
                Run(stage, name or folder).verify()
                return store.adopt(stage, name or folder)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise data_error(f"cut off, damaged or no archive of a model ({error})", file=archive) from error
    except OSError as error:
        raise cannot_read(archive, error) from error


def copy(run: Run, store: Store, name: str) -> Run:
    """Copy a finished run to the next version of ``name``.

    Raises:
        UserError: a file of the run is damaged (65), a name that cannot be one (2), or a disk that is full (74).
    """
    check_name(name)
    files = contents(run).files
    with store.staging(name) as stage:
        try:
            for file in files:
                shutil.copyfile(run.path / file, stage / file)
                _flush_file(stage / file)
        except OSError as error:
            raise cannot_write(store.root / name, error) from error
        Run(stage, name).verify()
        return store.adopt(stage, name)


def contents(run: Run) -> Manifest:
    """What of a finished run travels: its plain files of known kinds, checked; no checkpoints, no links."""
    sealed = run.verify()
    entries = dict(sealed.files)
    try:
        for path in run.path.iterdir():
            if path.name not in entries and _may_travel(path.name) and path.is_file() and not path.is_symlink():
                entries[path.name] = entry_of_file(path)
    except OSError as error:
        raise cannot_read(run.path, error) from error
    if bad := next((name for name in entries if not _may_travel(name)), None):
        raise data_error(f"'{bad}' is of no kind that an archive can hold", file=run.path)
    return Manifest(entries, {"format": FORMAT})


def _may_travel(name: str) -> bool:
    return is_plain_name(name) and Path(name).suffix in _SUFFIXES and name != CONTENTS and len(name) <= 100


def _header(folder: str, name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(f"{folder}/{name}")
    header.size, header.mode, header.mtime = size, 0o644, 0
    return header


def _check_contents(promised: Manifest, archive: Path, max_bytes: int) -> None:
    if promised.about.get("format") != FORMAT:
        raise data_error("not an archive of this version of seqcli", file=archive)
    if len(promised.files) > _MAX_FILES:
        raise data_error(f"{len(promised.files):,} files, more than a model has", file=archive)
    for name in promised.files:
        if not _may_travel(name):
            raise data_error(f"refused: '{name}' is no file of a model", file=archive)
    for name in _NEEDED:
        if name not in promised.files:
            raise data_error(f"there is no '{name}' in it", file=archive)
    total = sum(entry.size for entry in promised.files.values())
    if total > max_bytes:
        raise data_error(
            f"refused: it unpacks to {total:,} bytes, more than the {max_bytes:,} allowed",
            file=archive,
            hint="Raise --max-size if you trust it.",
        )


def _extract(stream: gzip.GzipFile, stage: Path, folder: str, promised: Manifest, archive: Path) -> None:
    missing = dict(promised.files)
    while (member := _next_header(stream, archive)) is not None:
        name = _plain_member(member, archive, folder)
        entry = missing.pop(name, None)
        if entry is None:
            why = "is there twice" if name in promised.files or name == CONTENTS else f"is not listed in {CONTENTS}"
            raise data_error(f"refused: '{member.name}' {why}", file=archive)
        if member.size != entry.size:
            raise data_error(
                f"refused: '{name}' has {member.size:,} bytes where {CONTENTS} says {entry.size:,}", file=archive
            )
        _write_member(stream, stage / name, entry, archive)
        _skip_padding(stream, entry.size, archive)
    if missing:
        raise data_error(f"cut off: '{min(missing)}' is missing", file=archive)
    try:
        fsync_folder(stage)
    except OSError as error:
        raise cannot_write(stage, error) from error


def _write_member(stream: gzip.GzipFile, path: Path, entry: Entry, archive: Path) -> None:
    """Stream one member to disk; its checksum decides whether it may stay."""
    digest = hashlib.sha256()
    left = entry.size
    with _writing(path) as write:
        while left:
            chunk = _read(stream, min(left, _CHUNK), archive)
            if left == entry.size and is_pickle(chunk[:64], text=path.suffix == ".safetensors"):
                raise data_error(f"refused: '{path.name}' is a pickle, which can run code", file=archive)
            digest.update(chunk)
            left -= len(chunk)
            write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise data_error(f"refused: '{path.name}' is damaged, its checksum is not the one in {CONTENTS}", file=archive)


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[bytes], object]]:
    """A function that writes to a new file, flushed to disk at the end; every failure of it is 'cannot write' (74).

    The file is unbuffered, so that a failure comes from the write itself and not from a later close.
    """

    def write(chunk: bytes) -> None:
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            raise cannot_write(path, error) from error

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield write
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise cannot_write(path, error) from error
    finally:
        os.close(descriptor)


def _next_member(stream: gzip.GzipFile, archive: Path, wanted: str) -> tuple[str, int]:
    """The folder and the size of the member that must come next."""
    member = _next_header(stream, archive)
    if member is None or not member.name.endswith("/" + wanted):
        raise data_error(f"not an archive of a model: it does not begin with '{wanted}'", file=archive)
    folder = member.name.split("/")[0]
    _plain_member(member, archive, folder)
    return folder, member.size


def _next_header(stream: gzip.GzipFile, archive: Path) -> tarfile.TarInfo | None:
    block = _read(stream, _BLOCK, archive)
    if not any(block):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise data_error(f"damaged, or no archive of a model ({error})", file=archive) from error


def _plain_member(member: tarfile.TarInfo, archive: Path, folder: str) -> str:
    """The name of a member that is a plain file directly in ``folder``; every other is refused by name."""
    shown = member.name.encode("unicode_escape").decode()
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise data_error(f"refused: '{shown}' is {_KINDS.get(member.type, 'no plain file')}", file=archive)
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        raise data_error(f"refused: '{shown}' leads out of the folder", file=archive)
    if len(parts) != 2 or parts[0] != folder or not (_may_travel(parts[1]) or parts[1] == CONTENTS):
        raise data_error(f"refused: '{shown}' is no file of a model", file=archive)
    return parts[1]


def _read(stream: gzip.GzipFile, size: int, archive: Path) -> bytes:
    """Exactly ``size`` bytes; never more are held than were asked for."""
    data = stream.read(size)
    if len(data) != size:
        raise data_error("cut off: it ends in the middle", file=archive)
    return data


def _skip_padding(stream: gzip.GzipFile, size: int, archive: Path) -> None:
    _read(stream, -size % _BLOCK, archive)


def _flush_file(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
