"""Pictures by matplotlib: checked before the work, drawn without a screen, saved whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqcli.errors import UserError, usage_error
from seqcli.files import cannot_write

SUFFIXES = (".png", ".svg", ".pdf")

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
    if not path.parent.is_dir():
        raise cannot_write(path, FileNotFoundError(2, "No such file or directory"))
    return path


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


def save_picture(figure: Any, file: Path, dpi: int = 150) -> None:
    """Write a figure and close it.

    Raises:
        UserError: the file cannot be written (74).
    """
    try:
        figure.savefig(file, dpi=dpi)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        pyplot().close(figure)
