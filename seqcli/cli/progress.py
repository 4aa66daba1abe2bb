"""Progress on stderr, for a person who watches; in a pipe a line at most, and nothing with ``-q``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seqcli.cli import console

if TYPE_CHECKING:
    from seqcli.data.fetch.obtain import Progress


@contextmanager
def downloads() -> Iterator[Progress | None]:
    """A bar a file on a terminal; in a pipe, one line when a download begins."""
    if console.settings.quiet:
        yield None
        return
    if not console.stderr_is_terminal():
        begun: set[str] = set()

        def say(name: str, done: int, total: int | None) -> None:
            if name not in begun:
                begun.add(name)
                console.note(f"fetching {name}" + (f" ({total / 1e6:.1f} MB)" if total else ""))

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def draw(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield draw


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal that grows with each call; elsewhere nothing."""
    if console.settings.quiet or not console.stderr_is_terminal():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda: bars.advance(task)
