"""Reading members out of a package's archive. Nothing is unpacked, installed or run, and no member names a path.

The archive's own checksum was checked before; the members are joined under names of the catalogue and checked again.
A pattern ``data.tar.gz!notes/*.txt`` means members of an archive that is itself a member, one level deep.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from seqcli.data.catalogue import DataFile
from seqcli.errors import UserError, io_error
from seqcli.files import atomic_write

Member = tuple[str, bool, int, Callable[[], IO[bytes]]]
"""(name, whether it is a plain file, its size in bytes, how to open it)."""

_INNER_BYTES = 2**26
"""The largest archive within an archive that is read: it is held in memory."""


def extract(archive: Path, wanted: Mapping[str, Sequence[str]], files: Mapping[str, DataFile], folder: Path) -> None:
    """Write each wanted file: the members that match its patterns, joined in the order of their names.

    Raises:
        UserError: a member that is missing, a link, or larger than the catalogue says, a wrong checksum, a damaged
            archive (exit code 74).
    """
    contents: dict[str, dict[str, bytes]] = {name: {} for name in wanted}
    room = {name: files[name].bytes or 0 for name in wanted}
    inner = {pattern.partition("!")[0] for patterns in wanted.values() for pattern in patterns if "!" in pattern}
    try:
        for member in _all_members(archive, inner):
            for name, patterns in wanted.items():
                if any(fnmatch.fnmatchcase(member[0], pattern) for pattern in patterns):
                    data = _read(archive, member, room[name], "is larger than the catalogue says")
                    room[name] -= len(data)
                    contents[name][member[0]] = data
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise io_error(f"cannot read the archive: {error}", file=archive) from error
    for name in wanted:
        _write(folder / name, _joined(contents[name]), files[name], archive)


def _all_members(archive: Path, inner: Collection[str]) -> Iterator[Member]:
    """The members, and behind an archive of the names ``inner`` also the members of that, called ``archive!member``."""
    for member in _members(archive):
        yield member
        if member[0] in inner:
            data = _read(archive, member, _INNER_BYTES, f"is larger than {_INNER_BYTES:,} bytes")
            for name, is_plain, size, opener in _members(io.BytesIO(data)):
                yield f"{member[0]}!{name}", is_plain, size, opener


def _read(archive: Path, member: Member, room: int, too_large: str) -> bytes:
    name, is_plain, size, opener = member
    if not is_plain:
        raise _refused(archive, name, "is no plain file")
    if size > room:
        raise _refused(archive, name, too_large)
    with opener() as handle:
        data = handle.read(size + 1)
    if len(data) > size:
        raise _refused(archive, name, "is larger than its header says")
    return data


def _write(path: Path, data: bytes, file: DataFile, archive: Path) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        raise io_error(
            f"{file.name} made of {archive.name} has sha256 {sha256}, expected {file.sha256}",
            file=archive,
            hint="The package changed; report it.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as handle:
        handle.write(data)


def _joined(members: Mapping[str, bytes]) -> bytes:
    """The members in the order of their names, each ended by a newline so that no two lines grow together."""
    parts = [members[name] for name in sorted(members)]
    return b"".join(part if part.endswith(b"\n") or not part else part + b"\n" for part in parts)


def _members(archive: Path | IO[bytes]) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                kind = info.external_attr >> 16 & 0o170000
                plain = not info.is_dir() and kind in (0, 0o100000)
                yield info.filename, plain, info.file_size, partial(opened.open, info)
        return
    name, handle = (archive, None) if isinstance(archive, Path) else (None, archive)
    if handle is not None:
        handle.seek(0)  # the look for a zip file has moved on
    with tarfile.open(name, "r:*", fileobj=handle) as tar:
        for entry in tar:
            yield entry.name, entry.isreg(), entry.size, partial(_open_tar_member, tar, entry)


def _open_tar_member(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", tar.extractfile(entry))  # None only for what is no plain file


def _refused(archive: Path, member: str, why: str) -> UserError:
    return io_error(f"member '{member}' {why}: refused", file=archive)
