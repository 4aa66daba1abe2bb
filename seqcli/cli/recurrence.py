"""The verb ``recurrence``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.options import Json, examples
from seqcli.errors import UserError, data_error, usage_error
from seqcli.lines import read_lines

EPILOG = examples(
    'seqcli recurrence --W "0 1 0; 0 0 1; 1 0 0" --s0 "0 0 1" --V "0 0 1" --steps 9',
    'seqcli recurrence --W 0.5 --U 1 --x "1 0 0 2" --json | jq .inputs',
    "printf 'W = 0.6 -0.8\\n    0.8 0.6\\ns0 = 1 0\\n' | seqcli recurrence --plot turning.svg",
)

NAMES = ("W", "s0", "V", "U", "x")
MOST_STEPS = 10_000


def _option(name: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(f"--{name}", metavar="MATRIX", help=text)
    return option


def command(
    *,
    W: Annotated[str | None, _option("W", "Rows cut by ; as in '0 1; 1 0'. '-' is stdin, a row a line.")] = None,
    s0: Annotated[str | None, _option("s0", "The state at the start; else zeros.")] = None,
    V: Annotated[str | None, _option("V", "What the output makes of the state; else no output.")] = None,
    U: Annotated[str | None, _option("U", "What the state takes of an input; else the identity.")] = None,
    x: Annotated[
        str | None, _option("x", "Inputs x_0; x_1; ... (of one value each: a row will do), zeros after them.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps to run; else 10, or as many as there are inputs.")] = None,
    plot: Annotated[
        str | None, typer.Option("--plot", "-o", metavar="FILE", help="Draw it: .png, .svg or .pdf.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a linear recurrence: what a state remembers, and for how long.

    s_{t+1} = W s_t + U x_t, y_t = V s_t. A state is W^t s_0 plus W^{t-1-k} U x_k of each input: how much is left of
    each is shown step by step, and why, by the eigenvalues of W. Without --W all is read from stdin, as W = 0 1; 1 0.
    """
    from seqcli.cli.inside.recurrence import RecurrenceView
    from seqcli.cli.inside.view import show_view
    from seqcli.cli.pictures import check_picture
    from seqcli.inspect.recurrence import recurrence

    picture: Path | None = None if plot is None else check_picture("--plot", plot)
    given = {name: text for name, text in zip(NAMES, (W, s0, V, U, x), strict=True) if text is not None}
    matrices = {} if W is not None else _named(read_lines(None))
    if sum(text == "-" for text in given.values()) > 1:
        raise usage_error("only one matrix can come from stdin", hint="Name them there: W = 0 1; 1 0, a line each.")
    for name, text in given.items():
        matrices[name] = _rows(read_lines(None), name) if text == "-" else _matrix(text, f"--{name}")
    if "W" not in matrices:
        raise usage_error("no matrix W", hint="Give --W '0 1; 1 0', or a line W = 0 1; 1 0 on stdin.")
    inputs = matrices.get("x")
    if steps is None:
        steps = 10 if inputs is None else max(10, len(inputs), len(inputs[0]) if len(inputs) == 1 else 0)
    if not 1 <= steps <= MOST_STEPS:
        raise usage_error(f"--steps {steps}: must be 1 to {MOST_STEPS:,}")
    s_0 = matrices.get("s0")
    if s_0 is not None and min(len(s_0), len(s_0[0])) > 1:
        raise usage_error(f"--s0 is {len(s_0)} x {len(s_0[0])}: a state is one row")
    ran = recurrence(matrices["W"], steps, s_0, matrices.get("V"), matrices.get("U"), inputs)
    show_view(RecurrenceView(ran), as_json=as_json, plot=picture)


Matrix = list[list[float]]


def _matrix(text: str, where: str) -> Matrix:
    """``0 1; 1 0`` as rows of numbers.

    Raises:
        UserError: no number, rows of different lengths, nothing (2).
    """
    return _checked([_row(row, where) for row in text.split(";") if row.strip()], where)


def _checked(rows: Matrix, where: str) -> Matrix:
    if not rows:
        raise usage_error(f"{where} is empty", hint="Rows of numbers, cut by ; as in '0 1; 1 0'.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise usage_error(f"{where}: row {number} has {len(row)} numbers, row 1 has {len(rows[0])}")
    return rows


def _row(text: str, where: str) -> list[float]:
    row = []
    for word in re.split(r"[\s,]+", text.strip()):
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise usage_error(f"{where}: '{word}' is not a number", hint="Rows of numbers, cut by ; as in '0 1; 1 0'.")
        row.append(value)
    return row


def _rows(lines: Iterable[tuple[int, str]], name: str) -> Matrix:
    """A matrix on stdin, a row a line (or cut by ``;``)."""
    rows: Matrix = []
    for number, line in lines:
        rows += _line(line, number)
    return _checked(rows, f"{name} on stdin")


def _named(lines: Iterable[tuple[int, str]]) -> dict[str, Matrix]:
    """Matrices on stdin: ``NAME = row; row`` or ``NAME: row``, more rows on the lines below; # begins a comment."""
    found: dict[str, Matrix] = {}
    name: str | None = None
    for number, line in lines:
        text = line.partition("#")[0].strip()
        match = re.match(r"([A-Za-z]\w*)\s*[=:]\s*(.*)", text)
        if match:
            name, text = match[1], match[2]
            if name not in NAMES:
                raise data_error(
                    f"'{name}' is no matrix of the recurrence",
                    file="<stdin>",
                    line=number,
                    hint=f"Known: {', '.join(NAMES)}.",
                )
            if name in found:
                raise data_error(f"{name} is given twice", file="<stdin>", line=number)
            found[name] = []
        if text:
            if name is None:
                raise data_error(
                    "a row of no matrix", file="<stdin>", line=number, hint="Begin with a name: W = 0 1; 1 0."
                )
            found[name] += _line(text, number)
    return {name: _checked(rows, f"{name} on stdin") for name, rows in found.items()}


def _line(text: str, number: int) -> Matrix:
    try:
        return [_row(row, "row") for row in text.split(";") if row.strip()]
    except UserError as error:
        raise data_error(error.message.removeprefix("row: "), file="<stdin>", line=number, hint=error.hint) from None
