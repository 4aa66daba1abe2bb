"""Writing files so that a crash, a full disk or a kill leaves either the old file or the new one, never half."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seqcli.errors import UserError, io_error

_STREAM = re.compile(r"-|/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d{1,9})")


def user_path(path: str) -> Path:
    """A path in which ``~`` is the home folder; as it stands where there is no such folder or no such user."""
    return Path(os.path.expanduser(path))


def cache_folder() -> Path:
    """Folder of downloads and encoded corpora: ``SEQCLI_CACHE``, ``XDG_CACHE_HOME/seqcli`` or ``~/.cache/seqcli``.

    Raises:
        UserError: none of them is there (74).
    """
    if own := os.environ.get("SEQCLI_CACHE"):
        return Path(own)
    folder = user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "seqcli"
    if folder.parts[0] == "~":
        raise io_error("no home folder to keep the cache in", hint="Set SEQCLI_CACHE to a folder.")
    return folder


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


def remove_whatever(path: Path) -> None:
    """Remove a file, a link or a folder with all in it; a link is never followed, and what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write ``path`` through a temporary neighbour: fsync, then rename over it; on any error the old file stays.

    Only a file is ever replaced: of a link, what it leads to; a device or a pipe is written to where it is.

    Raises:
        UserError: the folder cannot be written or the disk is full (exit code 74).
    """
    with writing(path):
        if stream := _in_place(path):
            with stream:
                yield stream
            return
        path = Path(os.path.realpath(path))
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")
        try:
            with temporary.open("wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
            fsync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _in_place(path: Path) -> IO[bytes] | None:
    """A device, a pipe or an open stream (``-``, ``/dev/fd/63``) to write to; None for what is replaced."""
    if stream := _STREAM.fullmatch(str(path)):
        number = int(stream[2] or (2 if stream[1] == "stderr" else 1))
        return os.fdopen(os.dup(number), "wb")  # which goes on where the other is in a file
    if path.exists() and not path.is_file() and not path.is_dir():
        return path.open("wb")
    return None


def atomic_write_text(path: Path, text: str) -> None:
    """`atomic_write` of a text as UTF-8."""
    with atomic_write(path) as handle:
        handle.write(text.encode("utf-8"))


def cannot_write(path: object, error: OSError) -> UserError:
    """The one message for a file that cannot be written (exit code 74)."""
    return io_error(f"cannot write: {error.strerror or error}", file=path)


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Makes `cannot_write` of what the system refuses inside; a pipe that closed stays a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
