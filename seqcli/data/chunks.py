"""Cutting a file into chunks that workers read at the same time, each of whole examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from seqcli.data.formats import Reading, format_class, guess_format
from seqcli.data.formats.base import Columns
from seqcli.errors import reading
from seqcli.lines import DEFAULT_MAX_LINE, Chunk

_BLANK_LINE = re.compile(rb"\n[ \t]*\r?\n")
_LINE_END = re.compile(rb"\n")
_WINDOW = 2**20


def chunks(
    path: Path,
    format_name: str | None = None,
    size: int = 2**24,
    *,
    columns: Columns | None = None,
    max_line: int = DEFAULT_MAX_LINE,
) -> list[Chunk]:
    """Cut a file every ``size`` bytes or a little later, where an example ends; in order, nothing left out.

    Each chunk knows the number of its first line (the newlines are counted here, at a few GB/s), so an example and an
    error of a chunk say the same ``file:line`` as if the whole file had been read. A gzipped file is one chunk, and so
    is a folder or a sequence of one. An index is cut by the bytes of the files it names (in its ``columns``).

    Raises:
        UserError: unreadable file (exit code 74); an index whose columns cannot be told (65).
    """
    path = Path(path)
    form = format_class(format_name or guess_format(path))(Reading(columns=columns, max_line=max_line))
    if path.suffix == ".gz" or form.ends == "file":
        return [Chunk(path)]
    costs: dict[int, int] = {}
    for line, file in form.files_named(path):
        costs[line] = file.stat().st_size if file.is_file() else 0
    with reading(path), path.open("rb") as handle:
        if costs:
            return list(_cut_by_cost(path, handle, size, costs))
        return list(_cut(path, handle, size, _BLANK_LINE if form.ends == "blank line" else _LINE_END))


def _cut_by_cost(path: Path, handle: BinaryIO, size: int, costs: dict[int, int]) -> Iterator[Chunk]:
    """Cut between lines, each of which costs its bytes and what is listed in ``costs`` for its number."""
    start = end = total = 0
    first_line = 1
    for number, raw in enumerate(handle, 1):
        cost = len(raw) + costs.get(number, 0)
        if total and total + cost > size:
            yield Chunk(path, start, end, first_line)
            start, first_line, total = end, number, 0
        end += len(raw)
        total += cost
    yield Chunk(path, start, end, first_line)


def _cut(path: Path, handle: BinaryIO, size: int, separator: re.Pattern[bytes]) -> Iterator[Chunk]:
    total, start, line = path.stat().st_size, 0, 1
    while start < total:
        end, newlines = _scan(handle, start, min(size, total - start), separator)
        yield Chunk(path, start, end, line)
        start, line = end, line + newlines


def _scan(handle: BinaryIO, start: int, size: int, separator: re.Pattern[bytes]) -> tuple[int, int]:
    """Where the chunk that begins at ``start`` ends, and how many newlines it holds."""
    handle.seek(start)
    position, newlines, tail = start, 0, b""
    while position < start + size:
        data = handle.read(min(_WINDOW, start + size - position))
        if not data:
            return position, newlines
        position += len(data)
        newlines += data.count(b"\n")
        tail = (tail + data)[-4096:]
    if separator is _LINE_END and tail.endswith(b"\n"):
        return position, newlines
    # `size` bytes are in; go on to the next place where an example ends. What came before may begin the blank line.
    before = _from_last_newline(tail, separator)
    while data := handle.read(_WINDOW):
        window = before + data
        if match := separator.search(window):
            taken = max(match.end() - len(before), 0)
            return position + taken, newlines + data.count(b"\n", 0, taken)
        position += len(data)
        newlines += data.count(b"\n")
        before = _from_last_newline(window, separator)
    return position, newlines


def _from_last_newline(data: bytes, separator: re.Pattern[bytes]) -> bytes:
    return data[data.rfind(b"\n") :] if separator is _BLANK_LINE and b"\n" in data else b""
