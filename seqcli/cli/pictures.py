"""Pictures by matplotlib: checked before the work, drawn without a screen, saved whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from seqcli.cli.console import printable
from seqcli.errors import UserError, usage_error
from seqcli.files import cannot_write

SUFFIXES = (".png", ".svg", ".pdf")

MOST_NAMES = 90
"""Names that fit along an axis."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#f0e442")
"""Told apart by the colour-blind and, by their brightness, in print (Okabe and Ito 2008)."""


def check_picture(option: str, file: str | Path) -> Path:
    """The file, where a picture can be written to it, as far as its name says; to be called before long work.

    Raises:
        UserError: an ending of no picture (2); matplotlib is not installed (1); no such folder (74).
    """
    path = Path(file)
    if path.suffix.lower() not in SUFFIXES:
        raise usage_error(f"{option}: {path.name} is none of {', '.join(SUFFIXES)}")
    pyplot()
    check_folder(path)
    return path


def check_folder(file: Path) -> None:
    """Raises UserError (74): the folder of a file to be written is not there, or nothing can be written in it."""
    if not file.parent.is_dir():
        raise cannot_write(file, FileNotFoundError(2, "No such file or directory"))
    if not os.access(file.parent, os.W_OK):
        raise cannot_write(file, PermissionError(13, "Permission denied"))


def pyplot() -> Any:
    """matplotlib's ``pyplot``, which needs no screen.

    Raises:
        UserError: matplotlib is not installed (1).
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("drawing needs matplotlib", hint="pip install 'seqcli[plots]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text, which a reader can search
    return pyplot


def caption(text: str, most: int = 18) -> str:
    """A token as it stands at an axis: no formula of matplotlib, nothing a page would obey, not too long."""
    text = printable(text.replace(" ", "␣") if not text.strip() else text).replace("$", r"\$")
    return text if len(text) <= most else text[: most - 1] + "…"


def name_axis(axis: Any, names: Sequence[str], *, turned: bool = False) -> None:
    """Write a name at each place of an axis, in smaller letters where there are many; every so many of very many."""
    every = -(-len(names) // MOST_NAMES)
    size = 9 if len(names) <= 20 else 7 if len(names) <= 45 else 5.5
    axis.set_ticks(range(0, len(names), every), [caption(name) for name in names[::every]], fontsize=size)
    for written in axis.get_ticklabels() if turned else ():
        written.set_rotation(90 if len(written.get_text()) > 2 else 0)


def save_picture(figure: Any, file: Path | IO[bytes], dpi: int = 150, form: str | None = None) -> None:
    """Write a figure and close it; letters that the font lacks are boxes in a PNG, and text in an SVG.

    Raises:
        UserError: the file cannot be written (74).
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")
            figure.savefig(file, dpi=dpi, format=form)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        pyplot().close(figure)
