"""Writing files so that a crash, a full disk or a kill leaves either the old file or the new one, never half."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seqcli.errors import UserError, io_error


def cache_folder() -> Path:
    """Folder of downloads and encoded corpora: ``SEQCLI_CACHE``, ``XDG_CACHE_HOME/seqcli`` or ``~/.cache/seqcli``."""
    if own := os.environ.get("SEQCLI_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seqcli"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` durable (a no-op where folders cannot be opened)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write ``path`` through a temporary neighbour: fsync, then rename over it; on any error the old file stays.

    Raises:
        UserError: the folder cannot be written or the disk is full (exit code 74).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path):
            with temporary.open("wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
            fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """`atomic_write` of a text as UTF-8."""
    with atomic_write(path) as handle:
        handle.write(text.encode("utf-8"))


def cannot_write(path: object, error: OSError) -> UserError:
    """The one message for a file that cannot be written (exit code 74)."""
    return io_error(f"cannot write: {error.strerror or error}", file=path)


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Makes `cannot_write` of what the system refuses inside."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
