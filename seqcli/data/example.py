"""What every reader yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """One item of a corpus, before any encoding.

    ``source`` and ``target`` are what the format holds: a list of tokens, a raw line (str), a label, an array of
    frames (T x D), a vector, a series; which of them, the task knows. ``at`` is ``file:line`` of its first line.
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

    An array counts with its shape and all of its values (its ``repr`` leaves most of them out).
    """
    if hasattr(source, "tobytes"):
        return f"{source.shape} {source.dtype}".encode() + bytes(source.tobytes())
    return repr(source).encode("utf-8", "surrogatepass")
