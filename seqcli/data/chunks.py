"""Cutting a file into parts that workers read at the same time, each part whole examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from seqcli.data.blocks import Part
from seqcli.data.formats import guess_format
from seqcli.errors import io_error
from seqcli.lines import DEFAULT_MAX_LINE

_BLANK_LINE = re.compile(rb"\n[ \t]*\r?\n")
_WINDOW = 2**20


def chunks(
    path: Path,
    format_name: str | None = None,
    size: int = 2**24,
    *,
    columns: Mapping[str, int | str] | None = None,
    max_line: int = DEFAULT_MAX_LINE,
) -> list[Part]:
    """Cut a file every ``size`` bytes or a little later, where an example ends; in order, nothing left out.

    Each part knows the number of its first line (the newlines are counted here, at a few GB/s), so an example and an
    error of a part say the same ``file:line`` as if the whole file had been read. A gzipped file is one part, and so is
    a folder or a sequence of one. An index of frames is cut by the bytes of the files it names (in its ``columns``).

    Raises:
        UserError: unreadable file (exit code 74); an index whose columns cannot be told (65).
    """
    path = Path(path)
    format_name = format_name or guess_format(path)
    if path.suffix == ".gz" or format_name == "csv-folders":
        return [Part(path)]
    if format_name == "frames":
        return _index_chunks(path, size, columns, max_line)
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


def _index_chunks(path: Path, size: int, columns: Mapping[str, int | str] | None, max_line: int) -> list[Part]:
    from seqcli.data.frames import listed_files

    parts = []
    listed = listed_files(path, columns, max_line)
    following = next(listed, None)
    start = end = total = 0
    first_line = 1
    try:
        with path.open("rb") as handle:
            for number, raw in enumerate(handle, 1):
                cost = len(raw)
                if following is not None and following[0] == number:
                    cost += following[1].stat().st_size if following[1].is_file() else 0
                    following = next(listed, None)
                if total and total + cost > size:
                    parts.append(Part(path, start, end, first_line))
                    start, first_line, total = end, number, 0
                end += len(raw)
                total += cost
    except OSError as error:
        raise io_error(f"cannot read: {error.strerror or error}", file=path) from error
    return [*parts, Part(path, start, end, first_line)]


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
