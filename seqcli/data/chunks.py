"""Cutting a file into chunks that workers read at the same time, each of whole examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

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
        return list(_cut(path, handle, size, at_blank=form.ends == "blank line", max_line=max_line))


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
