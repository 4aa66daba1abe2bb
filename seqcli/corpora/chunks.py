"""Cutting a file into parts that workers read at the same time, each part whole examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from seqcli.corpora.blocks import Part
from seqcli.corpora.formats import guess_format
from seqcli.errors import io_error

_BLANK_LINE = re.compile(rb"\n[ \t]*\r?\n")
_WINDOW = 2**20


def chunks(path: Path, format_name: str | None = None, size: int = 2**24) -> list[Part]:
    """Cut a file every ``size`` bytes or a little later, where an example ends; in order, nothing left out.

    Each part knows the number of its first line (the newlines are counted here, at a few GB/s), so an example and an
    error of a part say the same ``file:line`` as if the whole file had been read. A gzipped file is one part.

    Raises:
        UserError: unreadable file (exit code 74).
    """
    path = Path(path)
    if path.suffix == ".gz":
        return [Part(path)]
    format_name = format_name or guess_format(path)
    by_sentence = format_name in ("conll", "conllu", "records")
    parts = []
    try:
        total = path.stat().st_size
        with path.open("rb") as handle:
            start, line = 0, 1
            while start < total:
                end, newlines = _scan(handle, start, min(size, total - start), by_sentence)
                parts.append(Part(path, start, end, line))
                start, line = end, line + newlines
    except OSError as error:
        raise io_error(f"cannot read: {error.strerror or error}", file=path) from error
    return parts


def _scan(handle: BinaryIO, start: int, size: int, by_sentence: bool) -> tuple[int, int]:
    """Where the part that begins at ``start`` ends, and how many newlines it holds."""
    handle.seek(start)
    position, newlines, tail = start, 0, b""
    while position < start + size:
        data = handle.read(min(_WINDOW, start + size - position))
        if not data:
            return position, newlines
        position += len(data)
        newlines += data.count(b"\n")
        tail = (tail + data)[-4096:]
    # `size` bytes are in; go on to the next place where an example ends. What came before may begin the blank line.
    keep = tail[tail.rfind(b"\n") :] if by_sentence and b"\n" in tail else b""
    if not by_sentence and tail.endswith(b"\n"):
        return position, newlines
    while data := handle.read(_WINDOW):
        window = keep + data
        found = _BLANK_LINE.search(window) if by_sentence else re.search(rb"\n", window)
        if found:
            taken = max(found.end() - len(keep), 0)
            return position + taken, newlines + data.count(b"\n", 0, taken)
        position += len(data)
        newlines += data.count(b"\n")
        keep = window[window.rfind(b"\n") :] if by_sentence and b"\n" in window else b""
    return position, newlines
