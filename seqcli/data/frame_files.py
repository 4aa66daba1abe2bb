"""Frames from text and from files of one sequence each (``.npy``, ``.npz``, ``.csv``). No pickle is ever loaded.

Cells become numbers fast where all is well, and with the cell named where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import UserError, data_error, did_you_mean, in_file, plural, reading
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, read_blocks

Frames = NDArray[np.float32]
"""The frames of one sequence, [T, D]; NaN where a value is missing."""

SUFFIXES = (".npy", ".npz", ".csv")

FOLDER_SUFFIXES = (".csv", ".npy")
"""What counts as a sequence in a folder."""

MAX_UNPACKED = 2**31
"""Most bytes that a member of an ``.npz`` may have unpacked: a small archive can hold a huge one."""

_NPY, _ZIP, _PICKLES = b"\x93NUMPY", b"PK", (b"\x80", b"(", b"c", b"]", b"}")


def read_frames(
    path: Path, member: str | None = None, *, max_line: int = DEFAULT_MAX_LINE, on_invalid: OnInvalid = "strict"
) -> Frames:
    """The frames of a file, [T, D] float32, NaN where a value is missing; see `open_frames`.

    Raises:
        UserError: as `open_frames`, and an infinite value (65).
    """
    array = open_frames(path, member, max_line=max_line, on_invalid=on_invalid)
    with reading(path), in_file(path):
        return as_frames(array)


def open_frames(
    path: Path, member: str | None = None, *, max_line: int = DEFAULT_MAX_LINE, on_invalid: OnInvalid = "strict"
) -> NDArray[Any]:
    """The array of a file, frames x channels in the file's own type, from which `as_frames` takes what is needed.

    An array [T] counts as [T, 1] and one of more dimensions, such as [T, height, width], as [T, height * width]. A
    ``.npy`` is mapped, not read; of an ``.npz`` only the array asked for is unpacked, once.

    Args:
        member: the name of the array in an ``.npz`` of several.

    Raises:
        UserError: what holds no array of numbers, a pickle, a row of another length than the first (65; of a ``.csv``
            with its line); a file that cannot be read (74).
    """
    with reading(path), in_file(path):
        if not path.is_file():
            raise data_error("is no plain file" if path.exists() else "there is no such file")
        suffix = path.suffix.lower()
        if suffix == ".csv":
            return _read_csv(path, max_line, on_invalid)
        _check_start(path, _ZIP if suffix == ".npz" else _NPY)
        try:
            array = _unpack(path, member) if suffix == ".npz" else np.load(path, mmap_mode="r", allow_pickle=False)
        except (UserError, OSError):
            raise
        except Exception as error:  # a damaged file makes numpy raise almost anything
            raise _broken(error) from error
        return _by_channel(array)


def open_array(path: Path) -> NDArray[Any]:
    """The array of numbers in a ``.npy``, of two dimensions or more, mapped.

    Raises:
        UserError: it holds none, or a pickle (65); it cannot be read (74).
    """
    with reading(path), in_file(path):
        if not path.is_file():
            raise data_error("is no plain file" if path.exists() else "there is no such file")
        _check_start(path, _NPY)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError:
            raise
        except Exception as error:  # a damaged file makes numpy raise almost anything
            raise _broken(error) from error
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or array.ndim < 2 or not array.shape[-1]:
            raise data_error("holds no array of numbers with a row for each image")
        return array


def _check_start(path: Path, expected: bytes) -> None:
    with path.open("rb") as handle:
        start = handle.read(len(_NPY))
    if start.startswith(expected):
        return
    if start.startswith(_PICKLES):
        raise data_error(
            "a pickle is not loaded: it could run any program",
            hint="Save the array with numpy.save(..., allow_pickle=False).",
        )
    raise data_error(f"is no {path.suffix.lower()} file" if start else "the file is empty")


def _unpack(path: Path, member: str | None) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        name = _member_name(path, member, archive.files)
        members = set(archive.zip.namelist())
        size = archive.zip.getinfo(name if name in members else f"{name}.npy").file_size
        if size > MAX_UNPACKED:
            raise data_error(
                f"'{name}' has {size:,} bytes unpacked; there may be {MAX_UNPACKED:,}",
                hint="Save it as .npy: that is read in place.",
            )
        return archive[name]


def _member_name(path: Path, member: str | None, names: list[str]) -> str:
    if member is None:
        if len(names) == 1:
            return names[0]
        hint = f"Say which: {path.name}#{names[0]}." if names else None
        raise data_error(
            f"holds {plural(len(names), 'array')}{': ' if names else ''}{', '.join(names)[:200]}", hint=hint
        )
    if member in names:
        return member
    raise data_error(
        f"holds no array '{member}'", hint=did_you_mean(member, names) or f"It holds: {', '.join(names)[:200]}."
    )


def _broken(error: Exception) -> UserError:
    text = str(error)
    if "pickle" in text or "Python objects" in text:
        return data_error(
            "an array of Python objects is not loaded: it could run any program",
            hint="Save an array of numbers, numpy.save(..., allow_pickle=False).",
        )
    if isinstance(error, MemoryError):
        text = "its header says that it is larger than the memory"
    return data_error(f"is damaged: {text.splitlines()[0] if text else type(error).__name__}")


def _by_channel(array: Any) -> NDArray[Any]:
    if not isinstance(array, np.ndarray):
        raise data_error("holds something that is no array")
    if array.dtype.kind not in "biuf":
        raise data_error(f"holds values of type {array.dtype}, no numbers")
    if array.ndim == 0:
        raise data_error("a single number; expected frames x channels")
    channels = int(np.prod(array.shape[1:]))
    if channels == 0:
        raise data_error("frames without a channel (0 columns)")
    return array.reshape(len(array), channels)


def as_frames(array: NDArray[Any]) -> Frames:
    """Some frames of `open_frames` as 32-bit numbers.

    Raises:
        UserError: an infinite value (65).
    """
    with np.errstate(over="ignore"):
        frames = np.array(array, np.float32, order="C")  # a copy: it does not hold the file's map open
    if place := infinite_at(frames):
        raise data_error(f"frame {place[0] + 1}, channel {place[1] + 1}: {too_large(array[place], array[place])}")
    return frames


def _read_csv(path: Path, max_line: int, on_invalid: OnInvalid) -> Frames:
    """A frame a line, values between commas; a first line in which a cell is no number holds the channels' names."""
    width = 0
    blocks: list[Frames] = []
    for first, lines in read_blocks(path, on_invalid=on_invalid, max_line=max_line):
        rows = [(number, line) for number, line in enumerate(lines, first) if line.strip(" \t")]
        if not rows:
            continue
        if not width:
            cells = rows[0][1].split(",")
            width = len(cells)
            rows = rows[any(cell.strip() and not _is_number(cell) for cell in cells) :]
        blocks.append(_parse_rows(rows, width))
    if not width:
        raise data_error("the file is empty or has only blank lines")
    return np.concatenate(blocks)


def _parse_rows(rows: list[tuple[int, str]], width: int) -> Frames:
    for number, line in rows:
        if line.count(",") != width - 1:
            cells = plural(line.count(",") + 1, "cell")
            raise data_error(f"{cells} where the first line has {width} (commas between them)", line=number)
    values = ",".join(line for _, line in rows).split(",") if rows else []
    try:
        return parse_numbers(values, "").reshape(-1, width)
    except BadCell as error:
        row, column = divmod(error.index, width)
        raise data_error(f"column {column + 1}: {error}", line=rows[row][0]) from None


class BadCell(ValueError):
    """A cell that is no finite number: its place in the cells, and why."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def parse_numbers(cells: Sequence[str], missing: str) -> Frames:
    """The cells as numbers, [len(cells)]; ``missing`` and ``nan`` become NaN.

    Raises:
        BadCell: a cell that is no number, or is infinite, also as a 32-bit number.
    """
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        cells = ["nan" if cell.strip() == missing else cell for cell in cells]
        try:
            values = np.array(cells, np.float64)
        except ValueError:
            raise _first_bad(cells) from None
    if "_" in "".join(cells):
        raise _first_bad(cells)
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    if infinite := infinite_at(floats):
        raise BadCell(infinite[0], too_large(cells[infinite[0]].strip(), values[infinite[0]]))
    return floats


def infinite_at(values: Frames) -> tuple[int, ...] | None:
    """The index of the first infinite value, or None."""
    if np.isfinite(values).all():
        return None
    places = np.argwhere(np.isinf(values))
    return tuple(places[0].tolist()) if len(places) else None


def too_large(shown: object, value: float) -> str:
    """Why a value that is infinite in 32 bits is refused."""
    return f"'{shown}' is infinite" if np.isinf(value) else f"'{shown}' is too large for a 32-bit number"


def _first_bad(cells: Sequence[str]) -> BadCell:
    index = next(index for index, cell in enumerate(cells) if not _is_number(cell))
    return BadCell(index, f"'{cells[index][:40]}' is no number")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number, nobody else does
