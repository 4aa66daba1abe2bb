"""What every view offers, and showing one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from seqcli.cli import console
from seqcli.cli.colours import Painted


class View(Protocol):
    """One look at a network."""

    @property
    def title(self) -> str:
        """What stands over it on a page."""
        ...

    def lines(self) -> list[str]:
        """For a terminal, at most 80 columns wide."""
        ...

    def values(self) -> dict[str, Any]:
        """For ``--json``: every number that is drawn."""
        ...

    def draw(self) -> Any | None:
        """A figure of matplotlib; None where a table says it better."""
        ...


def show_view(view: View, *, as_json: bool, plot: Path | None) -> None:
    """Print a view, and write its picture to a file that `check_picture` has seen.

    Raises:
        UserError: the picture cannot be written (74).
    """
    if plot is not None:
        from seqcli.cli.pictures import save_picture

        if (figure := view.draw()) is None:
            console.warn("there is no picture of this view: the table is all of it")
        else:
            save_picture(figure, plot)
            console.note(f"drawn in {plot}")
    if as_json:
        console.emit_json(view.values())
    else:
        for line in view.lines():
            if isinstance(line, Painted):
                console.write(line + "\n")
            else:
                console.emit(line)
