"""Errors a user can cause or act on, and the exit codes they end in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import TypedDict, Unpack


class ExitCode(IntEnum):
    """Exit status of the program (BSD sysexits where one fits; 128 + signal where a signal ended it)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    DATA = 65
    IO = 74
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143


class UserError(Exception):
    """One thing that is wrong, said in one line: where, what, and what to do about it.

    ``str(error)`` is ``file:line:column: message. hint``; the parts that are unknown are left out.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        code: ExitCode = ExitCode.FAILURE,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.column = column
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place}: {self.message}" if place else self.message
        if not self.hint:
            return text
        return f"{text}{'' if text.endswith(('.', '?', '!')) else '.'} {self.hint}"


class Where(TypedDict, total=False):
    """What an error may say beside its message."""

    file: object
    line: int | None
    column: int | None
    hint: str | None


class UserErrors(UserError):
    """Several errors found at once, shown one a line; ends in the exit code of the first."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("; ".join(error.message for error in errors), code=errors[0].code)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def usage_error(message: str, **where: Unpack[Where]) -> UserError:
    """A wrong command line or recipe (exit code 2)."""
    return UserError(message, code=ExitCode.USAGE, **where)


def data_error(message: str, **where: Unpack[Where]) -> UserError:
    """Bad data (exit code 65)."""
    return UserError(message, code=ExitCode.DATA, **where)


def io_error(message: str, **where: Unpack[Where]) -> UserError:
    """A file or a network that fails (exit code 74)."""
    return UserError(message, code=ExitCode.IO, **where)


def cannot_read(path: object, error: Exception) -> UserError:
    """The one message for a file that cannot be read (exit code 74)."""
    return io_error(f"cannot read: {getattr(error, 'strerror', None) or error}", file=path)


def is_out_of_memory(error: BaseException) -> bool:
    """True for a MemoryError, and for what torch and ONNX Runtime raise in its place."""
    words = ("out of memory", "can't allocate memory", "bad_alloc", "Failed to allocate memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Makes `cannot_read` of what the system refuses inside."""
    try:
        yield
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def in_file(file: object) -> Iterator[None]:
    """Names the file in what goes wrong inside, where it is not named yet."""
    try:
        yield
    except UserError as error:
        error.file = error.file or str(file)
        raise


def plural(count: int, noun: str, several: str | None = None) -> str:
    """``1 line``, ``2,000 lines``; ``several`` is the plural where it takes more than an s."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def did_you_mean(word: str, choices: Sequence[str]) -> str | None:
    """``Did you mean 'x'?`` for the nearest of ``choices``, or None when nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else None
