"""Getting a file of the catalogue: the package, the cache, the mirror, then the sources in order.

Whatever comes from outside the package is used only after its sha256 has been checked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from seqcli.corpora.catalogue import EMBEDDED, DataFile, Entry
from seqcli.errors import UserError, io_error
from seqcli.files import cache_folder, sha256_file

Progress = Callable[[str, int, int | None], None]
"""Called with (file, bytes so far, bytes in all or None)."""


def cached_path(entry: Entry, name: str) -> Path:
    """Where a file of a data set lies in the cache, there or not."""
    return cache_folder() / "data" / entry.name / name


def obtain(entry: Entry, name: str, progress: Progress | None = None) -> Path:
    """The path of a file of a data set, fetched if need be.

    Raises:
        UserError: the mirror's file has a wrong checksum, or every source failed: what was tried and what to do (74).
    """
    if entry.embedded:
        return EMBEDDED / entry.name / name
    file = entry.file(name)
    path = cached_path(entry, name)
    if path.is_file():
        if sha256_file(path) == file.sha256:
            return path
        path.unlink()  # damaged since it was fetched: fetch it again
    tried: list[str] = []
    if mirror := os.environ.get("SEQCLI_MIRROR"):
        found = _from_mirror(mirror, entry, file, path, progress, tried)
        if found is not None:
            return found
    raise _nothing_worked(entry, file, tried)


def _from_mirror(
    mirror: str, entry: Entry, file: DataFile, path: Path, progress: Progress | None, tried: list[str]
) -> Path | None:
    own = Path(mirror).expanduser() / entry.name / file.name
    if not own.is_file():
        tried.append(f"{own} (not there)")
        return None
    found = sha256_file(own)
    if found != file.sha256:
        raise io_error(f"wrong checksum in the mirror: sha256 {found}, expected {file.sha256}", file=own)
    return own


def _nothing_worked(entry: Entry, file: DataFile, tried: list[str]) -> UserError:
    return io_error(
        f"cannot fetch {entry.name}/{file.name}; tried {'; '.join(tried)}",
        hint=f"Without a network, put the file in a folder as {entry.name}/{file.name} and set SEQCLI_MIRROR to it.",
    )
