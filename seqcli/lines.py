"""Line-exact reading: a line ends at ``\\n`` and nowhere else, whatever the locale.

``str.splitlines`` also cuts at U+2028, U+0085, form feed and a lone CR, and text mode reads invalid UTF-8 in the C
locale without a word; both misalign a pipe. So bytes are read here, cut at ``\\n``, and decoded one line at a time.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from seqcli.errors import UserError, data_error, io_error

OnInvalid = Literal["strict", "replace"]

DEFAULT_MAX_LINE = 64 * 2**20
"""Longest line read, in bytes, unless the caller says otherwise: bounds the memory a broken file can take."""

_BOM = b"\xef\xbb\xbf"


def is_stdin(source: object) -> bool:
    """True for ``None`` and ``-``, the two ways to say standard input."""
    return source is None or str(source) == "-"


def source_name(source: object) -> str:
    """What to call the source in a message."""
    return "<stdin>" if is_stdin(source) else str(source)


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
    try:
        opened = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    except OSError as error:
        raise _cannot_read(path, error) from error
    with opened:
        yield cast("IO[bytes]", opened)


def read_lines(
    source: str | os.PathLike[str] | None, *, on_invalid: OnInvalid = "strict", max_line: int = DEFAULT_MAX_LINE
) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, text without its line end)``; a BOM and the CR of a CRLF are taken off.

    Args:
        source: a path (``.gz`` is gunzipped), or ``None`` or ``-`` for standard input.
        on_invalid: ``strict`` refuses invalid UTF-8; ``replace`` puts U+FFFD in its place.
        max_line: longest line accepted, in bytes.

    Raises:
        UserError: unreadable file (74); invalid UTF-8 with its line and byte, or a line over ``max_line`` (65).
    """
    name = source_name(source)
    with open_binary(source) as handle:
        number = 0
        while True:
            try:
                raw = handle.readline(max_line + 2)
            except (OSError, EOFError) as error:  # gzip raises EOFError for a file that was cut off
                raise _cannot_read(name, error) from error
            if not raw:
                return
            number += 1
            yield number, decode_line(raw, name, number, on_invalid=on_invalid, max_line=max_line)


def read_batches(
    source: str | os.PathLike[str] | None,
    *,
    on_invalid: OnInvalid = "strict",
    max_line: int = DEFAULT_MAX_LINE,
    block: int = 2**18,
) -> Iterator[list[str]]:
    """Yield the lines that are there now, as a list, and wait only when there is none.

    A line typed into a pipe comes at once and alone; a file comes in blocks. Rules and errors are those of
    `read_lines`.
    """
    name = source_name(source)
    with open_binary(source) as handle:
        number, rest = 1, b""
        while True:
            try:
                data = handle.read1(block)  # type: ignore[attr-defined]
            except (OSError, EOFError) as error:
                raise _cannot_read(name, error) from error
            ready, newline, tail = data.rpartition(b"\n")
            if newline:
                raws = (rest + ready).split(b"\n")
                rest = tail
            else:
                rest += data
                raws = [rest] if not data and rest else []
                if len(rest) > max_line + 2:
                    raws = [rest]
            if raws:
                yield [
                    decode_line(raw + b"\n", name, number + index, on_invalid=on_invalid, max_line=max_line)
                    for index, raw in enumerate(raws)
                ]
                number += len(raws)
            if not data:
                return


def decode_line(
    raw: bytes, name: str, number: int, *, on_invalid: OnInvalid = "strict", max_line: int = DEFAULT_MAX_LINE
) -> str:
    """Decode one raw line, ``\\n`` included if it had one. See `read_lines` for the rules and the errors."""
    if number == 1 and raw.startswith(_BOM):
        raw = raw[3:]
    if raw.endswith(b"\n"):
        raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
    if len(raw) > max_line:
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


def _cannot_read(name: object, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or str(error)
    return io_error(f"cannot read: {reason}", file=name)
