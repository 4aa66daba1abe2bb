"""Line-exact reading: a line ends at ``\\n`` and nowhere else, whatever the locale.

``str.splitlines`` also cuts at U+2028, U+0085, form feed and a lone CR, and text mode reads invalid UTF-8 in the C
locale without a word; both misalign a pipe. So bytes are read here and cut at ``\\n``. A block of lines is decoded at
once, for a file of 3 GB cannot afford a function call a line; only a block that holds something wrong is decoded line
by line, to name the line and the byte.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Literal, TypeVar, cast

from seqcli.errors import UserError, cannot_read, data_error, reading

Item = TypeVar("Item")

OnInvalid = Literal["strict", "replace"]

DEFAULT_MAX_LINE = 64 * 2**20
"""Longest line read, in bytes, unless the caller says otherwise: bounds the memory a broken file can take."""

BLOCK_BYTES = 2**18
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes ``start`` to ``end`` of a file (``end`` None: to its end), whose first line has number ``first_line``.

    A chunk begins where an example begins and ends where one ends, see `seqcli.data.chunks`.
    """

    path: Path
    start: int = 0
    end: int | None = None
    first_line: int = 1


Input = str | os.PathLike[str] | Chunk | None
"""A path (``.gz`` is gunzipped), a chunk of a file, or ``None`` or ``-`` for standard input."""


def is_stdin(source: object) -> bool:
    """True for ``None`` and ``-``, the two ways to say standard input."""
    return source is None or str(source) == "-"


_CALLED: dict[str, str] = {}


def call_source(path: Path, name: str) -> None:
    """Have a file called by another name in messages: it is the copy of what came through a pipe."""
    _CALLED[str(path)] = name


def source_name(source: object) -> str:
    """What to call the source in a message."""
    if is_stdin(source):
        return "<stdin>"
    name = str(source.path if isinstance(source, Chunk) else source)
    return _CALLED.get(name, name)


@contextmanager
def open_binary(source: str | os.PathLike[str] | None) -> Iterator[IO[bytes]]:
    """Open a file (gunzipped when it ends in ``.gz``) or standard input for reading bytes.

    Raises:
        UserError: the file is missing, a directory or unreadable (exit code 74).
    """
    if is_stdin(source):
        yield sys.stdin.buffer
        return
    path = Path(cast("str | os.PathLike[str]", source))
    with reading(path):
        opened = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    with opened:
        yield cast("IO[bytes]", opened)


def read_lines(
    source: Input, *, on_invalid: OnInvalid = "strict", max_line: int = DEFAULT_MAX_LINE
) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, text without its line end)``; a BOM and the CR of a CRLF are taken off.

    Args:
        on_invalid: ``strict`` refuses invalid UTF-8; ``replace`` puts U+FFFD in its place.
        max_line: longest line accepted, in bytes.

    Raises:
        UserError: unreadable file (74); invalid UTF-8 with its line and byte, or a line over ``max_line`` (65).
    """
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        yield from enumerate(lines, first)


def read_batches(
    source: Input, *, on_invalid: OnInvalid = "strict", max_line: int = DEFAULT_MAX_LINE, block: int | None = None
) -> Iterator[list[str]]:
    """`read_blocks` without the line numbers."""
    return (lines for _, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line, block=block))


def read_blocks(
    source: Input, *, on_invalid: OnInvalid = "strict", max_line: int = DEFAULT_MAX_LINE, block: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield ``(number of the first line, the lines that are there now)``; waits only when there is none.

    A line typed into a pipe comes at once and alone; a file comes in blocks of about ``block`` bytes. Rules and errors
    are those of `read_lines`; every line before a bad one is given first.
    """
    name = source_name(source)
    number = source.first_line if isinstance(source, Chunk) else 1
    rest = bytearray()
    for data in _raw_blocks(source, name, block or BLOCK_BYTES):
        cut = data.rfind(b"\n") + 1
        if data and not cut:
            rest += data
            if len(rest) <= max_line + len(_BOM) + 2:
                continue  # else the line is too long, which decoding it says
        raw, rest = bytes(rest + data[:cut]), bytearray(data[cut:])
        lines, error = _decode(raw, name, number, on_invalid, max_line)
        if lines:
            yield number, lines
        if error is not None:
            raise error
        number += len(lines)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of ``size`` items; where ``items`` ends in an error, what came before it is yielded first."""
    batch: list[Item] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except UserError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _raw_blocks(source: Input, name: str, block: int) -> Iterator[bytes]:
    """The bytes as they come; at the end, an empty block."""
    path, start, end = (source.path, source.start, source.end) if isinstance(source, Chunk) else (source, 0, None)
    with open_binary(path) as opened:
        handle = cast("BufferedReader", opened)
        if start:
            handle.seek(start)
        left = sys.maxsize if end is None else end - start
        while left:
            try:
                data = handle.read1(min(block, left))
            except (OSError, EOFError, zlib.error) as error:  # the last two: a gzip file that is cut off or damaged
                raise cannot_read(name, error) from error
            if not data:
                break
            left -= len(data)
            yield data
    yield b""


def _decode(
    raw: bytes, name: str, number: int, on_invalid: OnInvalid, max_line: int
) -> tuple[list[str], UserError | None]:
    """The lines of ``raw``, all of them or those before the first that is refused, and why it is."""
    if len(raw) <= max_line:  # else some line may be too long
        try:
            return _cut(
                raw[len(_BOM) if number == 1 and raw.startswith(_BOM) else 0 :].decode("utf-8", on_invalid)
            ), None
        except UnicodeDecodeError:
            pass
    lines: list[str] = []
    try:
        for offset, piece in enumerate(raw.split(b"\n")):
            lines.append(_decode_line(piece, name, number + offset, on_invalid, max_line))
    except UserError as error:
        return _cut("".join(f"{line}\n" for line in lines)), error
    return _cut("\n".join(lines)), None


def _cut(text: str) -> list[str]:
    """The lines of a text, whose last may have no end: a CR counts as part of the line end only before a line feed."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _decode_line(raw: bytes, name: str, number: int, on_invalid: OnInvalid, max_line: int) -> str:
    if number == 1:
        raw = raw.removeprefix(_BOM)
    if len(raw) - raw.endswith(b"\r") > max_line:
        raise data_error(
            f"line is longer than {max_line:,} bytes", file=name, line=number, hint="Raise --max-line to accept it."
        )
    try:
        return raw.decode("utf-8", errors=on_invalid)
    except UnicodeDecodeError as error:
        raise data_error(
            f"invalid UTF-8 at byte {error.start + 1} of the line (0x{raw[error.start]:02x})",
            file=name,
            line=number,
            hint="Convert the file (iconv -f LATIN1 -t UTF-8), or go on with --invalid replace.",
        ) from error
