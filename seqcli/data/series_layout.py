"""Which columns of a table of series are the id, the time and the values: said, or seen in its first rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqcli.data.formats.table import place_of
from seqcli.data.times import TimeColumn
from seqcli.errors import data_error, usage_error

LOOK_ROWS = 200
"""Rows that are looked at, beside a header."""

MISSING = frozenset({"", "na", "nan", "n/a", "null", "none", "-", "?", "#n/a", "nil"})
"""What stands for a missing value, in lower case."""

_IDS = ("unique_id", "series_id", "item_id", "series", "item", "symbol", "ticker", "station", "sensor", "store", "id")
_TIMES = (
    *("ds", "date", "datetime", "time", "timestamp", "date_time", "day", "week", "month", "quarter", "year"),
    *("period", "t"),
)
_PARTS = ("year", "month", "day", "hour", "minute")
_ROW_NUMBERS = ("", "no", "nr", "#", "index", "row", "rownames", "id", "unnamed: 0", "step", "t")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?\d+(\.\d{3})*,\d+")
_CLOCK = re.compile(r"\d\d?:\d\d(:\d\d(\.\d+)?)?")


@dataclass(frozen=True)
class Layout:
    """What the columns of a table of series hold, by their places.

    Attributes:
        names: of all columns, their numbers where the table has no header.
        time: several where a time is made of as many columns; none where there are no times.
        variable: the column that names what ``values``, one column then, is a value of.
        left_out: columns of text, and one that numbers the rows.
        quoted: names and times stand in quotes, which need none.
    """

    separator: str
    has_header: bool
    names: tuple[str, ...]
    id: int | None
    time: tuple[int, ...]
    values: tuple[int, ...]
    variable: int | None = None
    left_out: tuple[int, ...] = ()
    quoted: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the values."""
        return tuple(self.names[place] for place in self.values)

    def roles(self) -> dict[str, int | str]:
        """As ``data.columns`` says them; without the values, which are all others."""

        def called(*places: int) -> str | int:
            if self.has_header:
                return "+".join(self.names[place] for place in places)
            return places[0] if len(places) == 1 else "+".join(map(str, places))

        roles: dict[str, int | str] = {}
        if self.id is not None:
            roles["id"] = called(self.id)
        if self.time:
            roles["time"] = called(*self.time)
        if self.variable is not None:
            roles |= {"variable": called(self.variable), "value": called(*self.values)}
        return roles


def time_cells(rows: Sequence[Sequence[str]], places: Sequence[int]) -> list[str]:
    """One cell for each time; those of several columns with tabs between."""
    if len(places) == 1:
        return [row[places[0]] for row in rows]
    return ["\t".join([row[place].strip() for place in places]) for row in rows]


def is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()))


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def has_decimal_comma(cell: str) -> bool:
    return bool(_COMMA.fullmatch(cell.strip()))


def find_layout(
    rows: Sequence[Sequence[str]], separator: str, said: Mapping[str, int | str], *, quoted: bool = False
) -> Layout:
    """The layout that the first rows of a table show, of which ``said`` names some roles: id, time, variable, value.

    Raises:
        UserError: a column that is not there, or none of numbers (65).
    """
    header = rows[0]
    rows = [row for row in rows if len(row) == len(header)]
    has_header = _has_header(rows, said)
    body = rows[1:] if has_header else rows
    names = _distinct([cell.strip() for cell in header]) if has_header else [str(place) for place in range(len(header))]
    cells = [[row[place].strip() for row in body] for place in range(len(names))]
    kinds = [_kind(column) for column in cells]

    def places(role: str) -> tuple[int, ...]:
        if role not in said:
            return ()
        column = said[role]
        if isinstance(column, str) and column not in names:
            return tuple(_place(part, names, has_header) for part in column.split("+"))
        return (_place(column, names, has_header),)

    time = places("time") or _time(names, cells, kinds)
    variable, values = places("variable"), places("value")
    taken = {*time, *variable, *values}
    place_id = places("id") or (() if variable else _id(names, cells, kinds, time, taken))
    if place_id:
        taken.add(place_id[0])
    left = [place for place in range(len(names)) if place not in taken]
    texts = {place for place in left if kinds[place] == "text"}
    numbers = [place for place in left if place not in texts]
    if not values:
        row_numbers = [place for place in numbers if _numbers_rows(names[place], cells[place])]
        values = tuple(place for place in numbers if place not in row_numbers or len(numbers) == len(row_numbers))
    if not values:
        raise data_error(
            f"no column of numbers: {', '.join(names)[:200]}",
            hint="A table of series has a row for each step in time, and in its columns values.",
        )
    if variable and len(values) > 1:
        raise usage_error("data.columns: with 'variable' there is one column of values", hint="Name it: value.")
    left_out = tuple(place for place in left if place not in values)
    return Layout(
        separator,
        has_header,
        tuple(names),
        place_id[0] if place_id else None,
        time,
        values,
        variable[0] if variable else None,
        left_out,
        quoted,
    )


def _place(column: int | str, names: Sequence[str], has_header: bool) -> int:
    if isinstance(column, int) or (not has_header and column.isdecimal()):
        if -len(names) <= int(column) < len(names):
            return int(column) % len(names)
        raise data_error(f"there is no column {column}; the table has {len(names)}", hint="Columns count from 0.")
    return place_of(column.strip(), [*names])


def _distinct(names: list[str]) -> list[str]:
    """Names of which none is there twice."""
    counts = Counter(names)
    if all(count == 1 for count in counts.values()):
        return names
    double = next(name for name in names if counts[name] > 1)
    raise data_error(f"the header has two columns '{double}'", hint="Rename one.")


def _kind(cells: Sequence[str]) -> str:
    """``numbers`` where half of what is there is one: a stray text among them is a mistake, which reading says."""
    filled = [cell for cell in cells if not is_missing(cell)]
    numbers = sum(
        is_number(cell) or has_decimal_comma(cell) or cell.lower().lstrip("+-") in ("inf", "infinity")
        for cell in filled
    )
    return "numbers" if 2 * numbers >= len(filled) else "text"


def _has_header(rows: Sequence[Sequence[str]], said: Mapping[str, int | str]) -> bool:
    """Whether the first row names the columns: none of its cells is a number or a time, or one is neither where those below are."""
    first = [cell.strip() for cell in rows[0]]
    if any(isinstance(column, str) and not column.replace("+", "").isdecimal() for column in said.values()):
        return True
    if any(cell.lower() in (*_IDS, *_TIMES) for cell in first):
        return True
    below = [[row[place].strip() for row in rows[1:]] for place in range(len(first))]
    for cell, column in zip(first, below, strict=True):
        is_value = is_number(cell) or is_missing(cell) or TimeColumn.recognise([cell]) is not None
        if not is_value and any(map(is_number, column)) and _kind(column) == "numbers":
            return True
        if not is_value and column and TimeColumn.recognise(column) is not None:
            return True
    return False


def _time(names: Sequence[str], cells: Sequence[Sequence[str]], kinds: Sequence[str]) -> tuple[int, ...]:
    """The column of times, or the columns; those called so before those that only look so."""
    lower = [name.lower() for name in names]
    if "year" in lower and "month" in lower:
        places = [lower.index(part) for part in _PARTS if part in lower]
        parts = places[: next((at for at, place in enumerate(places) if lower[place] != _PARTS[at]), len(places))]
        if len(parts) > 1 and all(kinds[place] == "numbers" for place in parts):
            joined = ["\t".join(row) for row in zip(*(cells[place] for place in parts), strict=True)]
            if TimeColumn.recognise(joined) is not None:
                return tuple(parts)
    called = [place for name in _TIMES for place, one in enumerate(lower) if one == name]
    others = [place for place in range(len(names)) if place not in called and kinds[place] == "text"]
    for place in (*called, *others):
        column = TimeColumn.recognise(cells[place], numbers=place in called)
        if column is None or column.style.is_elapsed:
            continue
        if not column.style.has_clock and column.style.unit == "day" and place + 1 < len(names):
            beside = [cell for cell in cells[place + 1] if cell]
            if beside and all(map(_CLOCK.fullmatch, beside)):
                return place, place + 1
        return (place,)
    for place in called:
        if TimeColumn.recognise(cells[place]) is not None:  # elapsed hours
            return (place,)
    return ()


def _id(
    names: Sequence[str], cells: Sequence[Sequence[str]], kinds: Sequence[str], time: Sequence[int], taken: set[int]
) -> tuple[int, ...]:
    """The column that says which series a row is of: it is called so, or it is the only text that tells equal times apart."""
    steps = ["\t".join(row) for row in zip(*(cells[place] for place in time), strict=True)] if time else []
    is_repeated = len(steps) > len({*steps})
    lower = [name.lower() for name in names]
    for name in _IDS:
        place = lower.index(name) if name in lower else -1
        if place < 0 or place in taken:
            continue
        if kinds[place] == "text" or is_repeated or len({*cells[place]}) < len(cells[place]):
            return (place,)
    if is_repeated:
        texts = [place for place in range(len(names)) if place not in taken and kinds[place] == "text"]
        telling = [place for place in texts if len({*zip(steps, cells[place], strict=True)}) == len(steps)]
        if len(telling) == 1:
            return (telling[0],)
    return ()


def _numbers_rows(name: str, cells: Sequence[str]) -> bool:
    """Whether a column counts the rows."""
    if name.lower() not in _ROW_NUMBERS or len(cells) < 2 or not all(cell.isdecimal() for cell in cells):
        return False
    numbers = [*map(int, cells)]
    return numbers == [*range(numbers[0], numbers[0] + len(numbers))]
