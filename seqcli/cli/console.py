"""What goes where: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from seqcli.errors import io_error
from seqcli.metrics.score import for_json


@dataclass
class Settings:
    """The flags that every verb takes (``-q``, ``-v``, ``--debug``)."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


settings = Settings()


def emit(text: str = "", *, flush: bool = False) -> None:
    """Write one line of results to stdout; ``flush`` when a reader may be waiting for it."""
    write(text + "\n", flush=flush)


def write(text: str, *, flush: bool = False) -> None:
    """Write results as they are to stdout.

    Raises:
        UserError: stdout cannot take them (74); a pipe that closed is a BrokenPipeError.
    """
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise io_error(f"cannot write to stdout: {error.strerror or error}") from error


def emit_lines(lines: Iterable[str]) -> None:
    """Write lines of results to stdout."""
    for line in lines:
        emit(line)


def json_text(value: Any) -> str:
    """One JSON document on one line: stable key order, real characters, null for what is infinite or no number."""
    return json.dumps(for_json(value), ensure_ascii=False, allow_nan=False)


def emit_json(value: Any) -> None:
    emit(json_text(value))


def note(text: str) -> None:
    """Say something on stderr; ``-q`` silences it."""
    if not settings.quiet:
        print(text, file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """Say something on stderr with ``-v`` only."""
    if settings.verbose:
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Say on stderr what the user should know although the work goes on; ``-q`` does not silence it."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def stdout_is_terminal() -> bool:
    """True when a person reads the results (tables and colours are for them only)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Columns of the terminal that shows the results; None where they go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr_is_terminal() -> bool:
    """True when a person watches the progress."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
