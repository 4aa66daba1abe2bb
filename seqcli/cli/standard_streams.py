"""The standard streams as every verb needs them: open, UTF-8 with plain ``\\n``, and never a reason to fail at the end."""

from __future__ import annotations

import io
import os
import sys
from typing import IO, TYPE_CHECKING, cast

from seqcli.errors import io_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Stdout(io.FileIO):
    """Standard output: what it refuses is a UserError (74), whoever writes; a pipe that closed is a BrokenPipeError."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise io_error(f"cannot write to stdout: {error.strerror or error}") from error


def open_streams() -> None:
    """Make stdin, stdout and stderr of the descriptors 0, 1 and 2, whatever the locale and whatever is closed.

    A closed descriptor is taken at once, or the next file would get its number and all that is printed. What was to
    be read or written is then refused with "Bad file descriptor"; messages go nowhere.
    """
    for descriptor, stream, mode in (
        (0, sys.stdin, os.O_WRONLY),
        (1, sys.stdout, os.O_RDONLY),
        (2, sys.stderr, os.O_WRONLY),
    ):
        if stream is None:
            _take(descriptor, mode)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:
        unbuffered = isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.write_through  # python -u
        raw = _Stdout(1, "wb", closefd=False)
        sys.stdout = io.TextIOWrapper(
            cast("IO[bytes]", raw) if unbuffered else io.BufferedWriter(raw),
            line_buffering=os.isatty(1),
            write_through=unbuffered,
        )
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for output in (sys.stdout, sys.stderr):
        cast("io.TextIOWrapper", output).reconfigure(encoding="utf-8", newline="\n", errors="backslashreplace")


def _take(descriptor: int, mode: int) -> None:
    opened = os.open(os.devnull, mode)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
    os.set_inheritable(descriptor, True)


def flush(stream: IO[str]) -> None:
    """Write what is left; a stream that refuses it is done with, or the interpreter would try once more and complain.

    Raises:
        UserError: stdout cannot take it (74); BrokenPipeError or OSError from other streams.
    """
    try:
        stream.flush()
    except Exception:
        _take(stream.fileno(), os.O_WRONLY)
        raise
