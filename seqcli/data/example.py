"""What every reader yields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from seqcli.files import sha256_file


@dataclass(frozen=True)
class MediaFile:
    """A value that is a file: a photograph, a recording, a clip, or the part of it between two times (in seconds)."""

    path: Path
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One item of a corpus, before any encoding.

    ``source`` and ``target`` are what the format holds: a list of tokens, a raw line (str), a label, an array of
    frames (T x D), a vector, a series, a `MediaFile`; which of them, the task knows. ``at`` is ``file:line`` of its
    first line.
    """

    source: Any
    target: Any = None
    at: str = ""

    @property
    def line(self) -> int:
        """The number of its first line, 0 where it comes from no file."""
        return place(self.at)[1]


def place(at: str) -> tuple[str, int]:
    """``file:line`` as two."""
    file, _, line = at.rpartition(":")
    return file, int(line or 0)


def source_bytes(source: Any) -> bytes:
    """Bytes that are equal exactly where two sources are: what is hashed to tell examples apart.

    An array counts with its shape and all of its values (its ``repr`` leaves most of them out), a media file with what
    is in it, wherever it lies.
    """
    if hasattr(source, "tobytes"):
        return f"{source.shape} {source.dtype}".encode() + bytes(source.tobytes())
    if isinstance(source, MediaFile):
        return f"{_contents(source.path)} {source.start} {source.end}".encode("utf-8", "surrogatepass")
    return repr(source).encode("utf-8", "surrogatepass")


def _contents(path: Path) -> str:
    """The SHA-256 of a file; the path where it cannot be read, which reading it will say."""
    try:
        state = path.stat()
        return _sha256(path, state.st_mtime_ns, state.st_size)
    except OSError:
        return str(path)


@lru_cache(4)
def _sha256(path: Path, changed: int, size: int) -> str:
    """Once for all parts of a file."""
    return sha256_file(path)
