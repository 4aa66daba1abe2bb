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
from pathlib import Path

from seqcli.errors import cannot_read, data_error, in_file, reading
from seqcli.files import atomic_write, fsync_folder, writing
from seqcli.store.manifest import MANIFEST, FileRecord, Manifest, is_pickle, is_plain_name
from seqcli.store.runs import CT2_FILE, Run, Store, check_name

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
        for name, record in sorted(manifest.files.items()):
            with (run.path / name).open("rb") as handle:
                tar.addfile(_header(run.name, name, record.size), handle)
    return manifest


def unpack(archive: Path, store: Store, name: str | None = None, *, max_bytes: int = MAX_BYTES) -> Run:
    """Make an archive the next version of ``name`` (by default the name it was packed under).

    The run becomes visible only when every member has the size and the SHA-256 that the archive promises; nothing of
    it is run or interpreted.

    Raises:
        UserError: a member that is no plain file of a model, a pickle, a lying size or checksum, or more than
            ``max_bytes`` in all (65); a name that cannot be one (2); a disk that is full (74).
    """
    with reading(archive), archive.open("rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as stream:
        with in_file(archive):
            folder, promised = _read_contents(stream, archive, max_bytes)
        name = folder if name is None else name
        check_name(name)
        with store.staging(name) as stage:
            with in_file(archive):
                _extract(stream, stage, folder, promised)
            Run(stage, name).verify()
            return store.adopt(stage, name)


def copy(run: Run, store: Store, name: str) -> Run:
    """Copy a finished run to the next version of ``name``.

    Raises:
        UserError: a file of the run is damaged (65), a name that cannot be one (2), or a disk that is full (74).
    """
    check_name(name)
    files = contents(run).files
    with store.staging(name) as stage:
        with writing(store.root / name):
            for file in files:
                shutil.copyfile(run.path / file, stage / file)
                with (stage / file).open("rb") as handle:
                    os.fsync(handle.fileno())
        Run(stage, name).verify()
        return store.adopt(stage, name)


def contents(run: Run) -> Manifest:
    """What of a finished run travels: its plain files of known kinds, checked; no checkpoints, no links."""
    sealed = run.verify()
    records = dict(sealed.files)
    with reading(run.path):
        for path in run.path.iterdir():
            if path.name not in records and _may_travel(path.name) and path.is_file() and not path.is_symlink():
                records[path.name] = FileRecord.of_file(path)
    if bad := next((name for name in records if not _may_travel(name)), None):
        raise data_error(f"'{bad}' is of no kind that an archive can hold", file=run.path)
    return Manifest(records, {"format": FORMAT})


def _may_travel(name: str) -> bool:
    known = Path(name).suffix in _SUFFIXES or name == CT2_FILE
    return is_plain_name(name) and known and name != CONTENTS and len(name) <= 100


def _header(folder: str, name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(f"{folder}/{name}")
    header.size, header.mode, header.mtime = size, 0o644, 0
    return header


def _read_contents(stream: gzip.GzipFile, archive: Path, max_bytes: int) -> tuple[str, Manifest]:
    """The folder that all members lie in, and what the first of them promises of the others."""
    member = _next_header(stream)
    if member is None or not member.name.endswith("/" + CONTENTS):
        raise data_error(f"not an archive of a model: it does not begin with '{CONTENTS}'")
    folder = member.name.split("/")[0]
    _plain_member(member, folder)
    if member.size > _MAX_CONTENTS:
        raise data_error(f"'{CONTENTS}' is too long: {member.size:,} bytes")
    promised = Manifest.from_bytes(_read(stream, member.size), file=f"{archive}: {CONTENTS}")
    if promised.about.get("format") != FORMAT:
        raise data_error("not an archive of this version of seqcli")
    if len(promised.files) > _MAX_FILES:
        raise data_error(f"{len(promised.files):,} files, more than a model has")
    for name in promised.files:
        if not _may_travel(name):
            raise data_error(f"refused: '{name}' is no file of a model")
    for name in _NEEDED:
        if name not in promised.files:
            raise data_error(f"there is no '{name}' in it")
    total = sum(record.size for record in promised.files.values())
    if total > max_bytes:
        raise data_error(
            f"refused: it unpacks to {total:,} bytes, more than the {max_bytes:,} allowed",
            hint="Raise --max-size if you trust it.",
        )
    _skip_padding(stream, member.size)
    return folder, promised


def _extract(stream: gzip.GzipFile, stage: Path, folder: str, promised: Manifest) -> None:
    missing = dict(promised.files)
    while (member := _next_header(stream)) is not None:
        name = _plain_member(member, folder)
        record = missing.pop(name, None)
        if record is None:
            why = "is there twice" if name in promised.files or name == CONTENTS else f"is not listed in {CONTENTS}"
            raise data_error(f"refused: '{member.name}' {why}")
        if member.size != record.size:
            raise data_error(f"refused: '{name}' has {member.size:,} bytes where {CONTENTS} says {record.size:,}")
        _write_member(stream, stage / name, record)
        _skip_padding(stream, record.size)
    if missing:
        raise data_error(f"cut off: '{min(missing)}' is missing")
    with writing(stage):
        fsync_folder(stage)


def _write_member(stream: gzip.GzipFile, path: Path, record: FileRecord) -> None:
    """Stream one member to disk; its checksum decides whether it may stay."""
    digest = hashlib.sha256()
    left = record.size
    with writing(path), path.open("xb") as handle:
        while left:
            chunk = _read(stream, min(left, _CHUNK))
            if left == record.size and is_pickle(chunk[:64], text=path.suffix in (".safetensors", ".onnx", ".bin")):
                raise data_error(f"refused: '{path.name}' is a pickle, which can run code")
            digest.update(chunk)
            left -= len(chunk)
            handle.write(chunk)
        handle.flush()
        os.fsync(handle.fileno())
    if digest.hexdigest() != record.sha256:
        raise data_error(f"refused: '{path.name}' is damaged, its checksum is not the one in {CONTENTS}")


def _next_header(stream: gzip.GzipFile) -> tarfile.TarInfo | None:
    block = _read(stream, _BLOCK)
    if not any(block):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise data_error(f"damaged, or no archive of a model ({error})") from error


def _plain_member(member: tarfile.TarInfo, folder: str) -> str:
    """The name of a member that is a plain file directly in ``folder``; every other is refused by name."""
    shown = member.name.encode("unicode_escape").decode()
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise data_error(f"refused: '{shown}' is {_KINDS.get(member.type, 'no plain file')}")
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        raise data_error(f"refused: '{shown}' leads out of the folder")
    if len(parts) != 2 or parts[0] != folder or not (_may_travel(parts[1]) or parts[1] == CONTENTS):
        raise data_error(f"refused: '{shown}' is no file of a model")
    return parts[1]


def _read(stream: gzip.GzipFile, size: int) -> bytes:
    """Exactly ``size`` bytes; never more are held than were asked for."""
    try:
        data = stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise data_error(f"cut off, damaged or no archive of a model ({error})") from error
    except OSError as error:
        raise cannot_read(stream.name, error) from error
    if len(data) != size:
        raise data_error("cut off: it ends in the middle")
    return data


def _skip_padding(stream: gzip.GzipFile, size: int) -> None:
    _read(stream, -size % _BLOCK)
