"""What goes where: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from seqcli.metrics.score import for_json


@dataclass
class Settings:
    """The flags that every verb takes (``-q``, ``-v``, ``--debug``); with ``quiet`` stderr has errors only."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


settings = Settings()


_OBEYED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal obeys instead of showing it, or what turns the order of letters round; a tab is harmless."""

_LONGEST, _LAST = 2000, 500
"""Characters of a message, and those of them that are kept for its end."""


def printable(text: str) -> str:
    """``text`` on one line that no terminal obeys: control characters and bidi marks as in JSON (``\\u001b``)."""
    return _OBEYED.sub(lambda match: json.dumps(match[0])[1:-1], text)


def say(text: str) -> None:
    """One line on stderr. One that cannot be written is lost: a message never costs a result."""
    if len(text) > _LONGEST:
        first = _LONGEST - _LAST
        text = f"{text[:first]} ... ({len(text) - _LONGEST:,} characters left out) ... {text[-_LAST:]}"
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def emit(text: str = "", *, flush: bool = False) -> None:
    """Write a line of results (or several) to stdout: as it is, but `printable` on a terminal.

    ``flush`` when a reader may be waiting for it.
    """
    if sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    write(text + "\n", flush=flush)


def write(text: str, *, flush: bool = False) -> None:
    """Write results as they are to stdout.

    Raises:
        UserError: stdout cannot take them (74); a pipe that closed is a BrokenPipeError.
    """
    sys.stdout.write(text)
    if flush:
        sys.stdout.flush()


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
        say(text)


def detail(text: str) -> None:
    """Say something on stderr with ``-v`` only."""
    if settings.verbose:
        say(text)


def warn(text: str) -> None:
    """Say on stderr what the user should know although the work goes on; ``-q`` silences it."""
    note(f"warning: {text}")


def stdout_is_terminal() -> bool:
    """True when a person reads the results (tables and colours are for them only)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Columns of the terminal that shows the results; None where they go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr_is_terminal() -> bool:
    """True when a person watches the progress."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
