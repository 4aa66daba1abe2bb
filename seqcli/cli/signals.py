"""Ctrl-C and SIGTERM while training: the first asks to save and stop, the second Ctrl-C stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from seqcli.errors import ExitCode


@contextmanager
def stop_requests(say: Callable[[str], None]) -> Iterator[Callable[[], ExitCode | None]]:
    """Yield a function that tells whether a signal asked to stop, and with which exit code to end."""
    asked: list[ExitCode] = []

    def interrupted(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(ExitCode.INTERRUPTED)
        say("stopping after this step; press Ctrl-C again to stop at once")

    def terminated(number: int, frame: FrameType | None) -> None:
        asked.append(ExitCode.TERMINATED)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, interrupted),
              signal.SIGTERM: signal.signal(signal.SIGTERM, terminated)}
    # A training piped into head must not die of it: its result is on disk, not on stdout.
    if hasattr(signal, "SIGPIPE"):
        before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
