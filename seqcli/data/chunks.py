"""Cutting a file into chunks that workers read at the same time, each of whole examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from seqcli.data.braces import is_parallel
from seqcli.data.formats import Reading, format_class, guess_format
from seqcli.data.formats.base import Columns
from seqcli.errors import reading
from seqcli.lines import DEFAULT_MAX_LINE, Chunk


def chunks(
    path: Path,
    format_name: str | None = None,
    size: int = 2**24,
    *,
    columns: Columns | None = None,
    separator: str | None = None,
    max_line: int = DEFAULT_MAX_LINE,
) -> list[Chunk]:
    """Cut a file every ``size`` bytes or a little later, where an example ends; in order, nothing left out.

    Each chunk knows the number of its first line (the newlines are counted here, at a few GB/s), so an example and an
    error of a chunk say the same ``file:line`` as if the whole file had been read. A gzipped file is one chunk, and so
    is a folder or a sequence of one. An index is cut by the bytes of the files it names (in its ``columns``), csv between
    rows (which ``separator`` helps to find).

    Raises:
        UserError: unreadable file (exit code 74); an index whose columns cannot be told (65).
    """
    path = Path(path)
    form = format_class(format_name or guess_format(path))(
        Reading(columns=columns, separator=separator, max_line=max_line)
    )
    if path.suffix == ".gz" or form.ends == "file" or is_parallel(str(path)):
        return [Chunk(path)]
    with reading(path), path.open("rb") as handle:
        if (units := form.units(path, handle)) is not None:
            return list(_cut_between(path, units, size))
        return list(_cut(path, handle, size, at_blank=form.ends == "blank line", max_line=max_line))


def _cut_between(path: Path, units: Iterable[tuple[int, int, int]], size: int) -> Iterator[Chunk]:
    """Cut between ``(lines, bytes, cost)``, where the next would make the cost too high."""
    start = end = total = 0
    first_line = line = 1
    for lines, length, cost in units:
        if total and total + cost > size:
            yield Chunk(path, start, end, first_line)
            start, first_line, total = end, line, 0
        end += length
        line += lines
        total += cost
    yield Chunk(path, start, end, first_line)


def _cut(path: Path, handle: BinaryIO, size: int, *, at_blank: bool, max_line: int) -> Iterator[Chunk]:
    """Cut behind the first line, or blank line, that ends when ``size`` bytes are in."""
    start, first_line = 0, 1
    while data := handle.read(size):
        end, newlines = start + len(data), data.count(b"\n")
        line = data[data.rfind(b"\n") + 1 :]  # as far as it is in
        while line or at_blank:
            rest = handle.readline(max_line + 8)  # of a longer line, which is refused later, not all is held
            line += rest
            end, newlines = end + len(rest), newlines + rest.endswith(b"\n")
            if not rest or not at_blank or not line.removesuffix(b"\n").removesuffix(b"\r").strip(b" \t"):
                break
            line = b""
        yield Chunk(path, start, end, first_line)
        start, first_line = end, first_line + newlines
