"""Data that can be read once only, a pipe or standard input: kept in the cache under its hash, and read from there."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from seqcli.errors import io_error, reading
from seqcli.files import cache_folder, writing
from seqcli.lines import call_source, is_stdin, open_binary, source_name

_BLOCK = 2**20


def keep_stream(path: str) -> Path | None:
    """The file in which the bytes of a pipe, or of ``-`` for standard input, are kept; None for what is no stream.

    Raises:
        UserError: a device or a socket, which is no data; a cache that cannot be written (74).
    """
    if is_stdin(path):
        return _kept("-")
    if not os.path.exists(path):
        return None
    with reading(path):
        mode = os.stat(path).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    if stat.S_ISFIFO(mode):
        return _kept(path)
    what = "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise io_error(f"is {what}, not a file of data", file=path, hint="Give a file, a pipe, or - for standard input.")


def is_kept(path: Path) -> bool:
    """Whether a file is what came through a pipe."""
    return path.parent == _folder()


def _folder() -> Path:
    return cache_folder() / "read-once"


def _kept(path: str) -> Path:
    folder = _folder()
    digest = hashlib.sha256()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix="reading-")
    try:
        with open(handle, "wb") as copy, open_binary(path) as source:
            for data in _blocks(source, source_name(path)):
                digest.update(data)
                with writing(folder):
                    copy.write(data)
        kept = folder / digest.hexdigest()[:32]
        os.replace(name, kept)
        call_source(kept, source_name(path))
    finally:
        Path(name).unlink(missing_ok=True)
    return kept


def _blocks(source: IO[bytes], name: str) -> Iterator[bytes]:
    with reading(name):
        while data := source.read(_BLOCK):
            yield data
