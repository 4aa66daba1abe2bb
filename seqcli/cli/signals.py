"""Ctrl-C and SIGTERM while training: the first asks to save and stop, the second Ctrl-C stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from seqcli.errors import ExitCode, UserError


@contextmanager
def stop_requests(say: Callable[[str], None]) -> Iterator[Callable[[], ExitCode | None]]:
    """Yield a function that tells whether a signal asked to stop, and with which exit code to end.

    Until that function is first called there is nothing to save, and a signal stops at once.

    Raises:
        KeyboardInterrupt: Ctrl-C before there is anything to save, or for the second time.
        UserError: SIGTERM before there is anything to save (143).
    """
    asked: list[ExitCode] = []
    training = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        if asked or not training:
            raise KeyboardInterrupt
        asked.append(ExitCode.INTERRUPTED)
        say("stopping after this step; press Ctrl-C again to stop at once")

    def terminated(number: int, frame: FrameType | None) -> None:
        if not training:
            raise UserError("terminated before the training began", code=ExitCode.TERMINATED)
        asked.append(ExitCode.TERMINATED)

    def should_stop() -> ExitCode | None:
        nonlocal training
        training = True
        return asked[0] if asked else None

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, interrupted),
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminated),
    }
    try:
        yield should_stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
