"""Times as files write them: read as instants, and written again in the same way. Shapes: N cells, K times.

Instants are ``datetime64[ms]``. What stands in several columns (``Date`` and ``Time``; year, month, day, hour) is one
cell here, with tabs between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import UserError, data_error

Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]

_DAY = 86_400_000
_OF_DAY = 100_000_000
"""Factor of the date in a packed time, above all milliseconds of a day."""

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_MONTH = {name[:length]: number for number, name in enumerate(_MONTHS, 1) for length in (3, len(name))}

_DATES = (
    r"(?P<Y>\d{4})(?P<s>[-/.\t])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)",
    r"(?P<a>\d\d?)(?P<s>[-/.])(?P<b>\d\d?)(?P=s)(?P<Y>\d{4})",
    r"(?P<a>\d\d?)(?P<s>[-/.])(?P<b>\d\d?)(?P=s)(?P<y>\d\d)",
    r"(?P<d>\d\d?)(?P<s>[- ])(?P<B>[A-Za-z]{3,9})(?P=s)(?P<Y>\d{4})",
    r"(?P<d>\d\d?)(?P<s>[- ])(?P<B>[A-Za-z]{3,9})(?P=s)(?P<y>\d\d)",
    r"(?P<B>[A-Za-z]{3,9}) (?P<d>\d\d?),? (?P<Y>\d{4})",
)
_MONTHLY = (
    r"(?P<Y>\d{4})[-/\t](?P<m>\d\d?)",
    r"(?P<m>\d\d?)[-/](?P<Y>\d{4})",
    r"(?P<B>[A-Za-z]{3,9})[- ](?P<Y>\d{4})",
    r"(?P<B>[A-Za-z]{3,9})-(?P<y>\d\d)",
    r"(?P<Y>\d{4})[-/ \t]?[Qq](?P<q>[1-4])",
    r"[Qq](?P<q>[1-4])[-/ ]?(?P<Y>\d{4})",
)
_CLOCK = (
    r"(?:[T \t]|, )(?P<H>\d\d?)(?::(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.(?P<f>\d{1,9}))?)?)? ?(?P<p>[AaPp][Mm])?"
    r" ?(?P<z>Z|[+-]\d\d(?::?\d\d)?)?"
)
_ELAPSED = r"(?P<H>\d{1,4}):(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.(?P<f>\d{1,9}))?)?"
_SHAPES = tuple(re.compile(shape) for shape in (*(f"{date}(?:{_CLOCK})?" for date in _DATES), *_MONTHLY, _ELAPSED))
_NUMBERS = tuple(
    re.compile(shape)
    for shape in (
        r"(?P<Y>1[0-9]{3}|2[0-9]{3})",
        r"(?P<Y>1[0-9]{3}|2[0-9]{3})(?P<m>0[1-9]|1[0-2])(?P<d>[0-3][0-9])",
        r"(?P<Y>1[0-9]{3}|2[0-9]{3})(?P<m>0[1-9]|1[0-2])",
        r"(?P<u>[0-9]{9,10})",
        r"(?P<v>[0-9]{12,13})",
    )
)
"""Those that are numbers too: years, dates and months without separators, seconds and milliseconds since 1970."""

_FIELDS = {"Y": r"\d{4}", "y": r"\d\d", "B": "[A-Za-z]+", "q": "[1-4]", "p": "[AaPp][Mm]", "u": r"\d+", "v": r"\d+"}
_FIELDS |= {"z": r"Z|[+-]\d\d(?::?\d\d)?", "f": r"\d+", "M": r"\d\d", "S": r"\d\d"}
_DIGITS = r"\d\d?"
_BETWEEN = {"-": "[-/.]", "/": "[-/.]"}
"""A spreadsheet that reads only some dates of a column as such writes those with the other sign."""


_TRIED = 3
"""Cells of which one at least should be no mistake."""


@dataclass(frozen=True)
class TimeStyle:
    """How a column writes its times.

    Attributes:
        pieces: literal texts and fields in turn, a literal first; a field is one letter (``Y`` year, ``y`` its last two
            digits, ``m`` month, ``d`` day, ``a`` and ``b`` the two of which one is the month and one the day, ``B`` the
            month's name, ``q`` quarter, ``H`` ``M`` ``S`` ``f`` the clock, ``p`` AM or PM, ``z`` offset, ``u`` ``v``
            seconds and milliseconds since 1970).
        widths: digits of each field; 1 where none is padded with zeros.
        day_first: ``a`` is the day.
        names: how months are called: their spelling from ``january``.
    """

    pieces: tuple[str, ...]
    widths: tuple[int, ...]
    day_first: bool = False
    names: tuple[str, ...] = ()
    offset: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        return self.pieces[1::2]

    @property
    def has_clock(self) -> bool:
        return "H" in self.fields

    @property
    def is_elapsed(self) -> bool:
        """Hours since the beginning, not those of a day."""
        return self.fields[0] == "H"

    @property
    def unit(self) -> Literal["year", "month", "day", "clock"]:
        """What the smallest field is: no two times can differ by less."""
        fields = {*self.fields}
        if fields & {*"Huv"}:
            return "clock"
        return "day" if fields & {*"dab"} else "month" if fields & {*"mBq"} else "year"

    def write(self, times_K: Times, offset: int = 0) -> list[str]:
        """The times as the file writes them; ``offset``: minutes east of UTC, where it writes offsets."""
        local = times_K.astype("datetime64[ms]") + np.timedelta64(offset if "z" in self.fields else 0, "m")
        months = local.astype("datetime64[M]").astype(np.int64)
        of_day = (local - local.astype("datetime64[D]").astype("datetime64[ms]")).astype(np.int64)
        days = (local.astype("datetime64[D]") - local.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
        year, month, day = months // 12 + 1970, months % 12 + 1, days + 1
        instant = local.astype(np.int64)
        hour = instant // 3_600_000 if self.is_elapsed else of_day // 3_600_000
        first, second = (day, month) if self.day_first else (month, day)
        numbers = {"Y": year, "y": year % 100, "m": month, "d": day, "a": first, "b": second, "q": (month + 2) // 3}
        numbers |= {"H": hour, "M": of_day // 60_000 % 60, "S": of_day // 1000 % 60, "u": instant // 1000, "v": instant}
        if "p" in self.fields:
            numbers["H"] = (hour + 11) % 12 + 1
        columns: list[list[str]] = []
        for letter, width in zip(self.fields, self.widths, strict=True):
            if letter == "B":
                columns.append([self.names[number - 1] for number in month])
            elif letter == "p":
                columns.append([self.names[12 + (one >= 12)] for one in hour])
            elif letter == "f":
                columns.append([f"{one % 1000:03d}".ljust(width, "0")[:width] for one in of_day])
            elif letter == "z":
                columns.append([self._offset(offset)] * len(local))
            else:
                columns.append([f"{number:0{width}d}" for number in numbers[letter]])
        literals = self.pieces[::2]
        return [
            "".join(map("".join, zip(literals, row, strict=False))) + literals[-1] for row in zip(*columns, strict=True)
        ]

    def _offset(self, minutes: int) -> str:
        if self.offset == "Z":
            return "Z" if not minutes else f"{_signed(minutes)}:{abs(minutes) % 60:02d}"
        colon = ":" if ":" in self.offset else ""
        rest = f"{colon}{abs(minutes) % 60:02d}" if len(self.offset) > 3 or minutes % 60 else ""
        return f"{_signed(minutes)}{rest}"


def _signed(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}"


@dataclass
class TimeColumn:
    """A column of times that is read block by block, and afterwards knows its style.

    Which of day and month comes first in ``01/02/2003`` is decided when all cells have been seen: by a number above 12,
    else by the steps between the first times.

    Attributes:
        example: the first cell, for messages.
    """

    example: str
    style: TimeStyle
    pattern: re.Pattern[str]
    largest: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def recognise(cls, cells: Sequence[str], *, numbers: bool = False) -> TimeColumn | None:
        """The column that some cells are the beginning of; None where half of them are no times.

        The rest is then a mistake, which `read` says.

        Args:
            numbers: years, dates without separators and seconds since 1970 count too: the column is named as one of times.
        """
        filled = [cell.strip() for cell in cells if cell.strip()]
        for shape in (*_SHAPES, *(_NUMBERS if numbers else ())):
            for first in filled[:_TRIED]:
                match = shape.fullmatch(first)
                if match is None or (match.groupdict().get("B") or "may").lower() not in _MONTH:
                    continue
                column = cls._of(match)
                fitting = [cell for cell in filled if column.pattern.fullmatch(cell)]
                if 2 * len(fitting) < len(filled):
                    continue
                try:
                    column.read(fitting)
                except UserError:
                    continue
                return column
        return None

    @classmethod
    def _of(cls, match: re.Match[str]) -> TimeColumn:
        found = {name: text for name, text in match.groupdict().items() if name != "s" and text is not None}
        order = sorted(found, key=match.start)
        pieces, at = [], 0
        for name in order:
            pieces += [match.string[at : match.start(name)], name]
            at = match.end(name)
        pieces.append(match.string[at:])
        is_joined = not "".join(pieces[2:-1:2])  # 20030102: nothing shows where a number ends
        fields = (
            _FIELDS
            | ({"m": r"\d\d", "d": r"\d\d"} if is_joined else {})
            | ({"H": r"\d{1,4}"} if order[0] == "H" else {})
        )
        pattern = "".join(
            (_BETWEEN.get(piece) or re.escape(piece)) if place % 2 == 0 else f"({fields.get(piece, _DIGITS)})"
            for place, piece in enumerate(pieces)
        )
        names: tuple[str, ...] = ()
        if "B" in found:
            names = tuple(_like(found["B"], name if len(found["B"]) > 3 else name[:3]) for name in _MONTHS)
        if "p" in found:
            names = (*(names or [""] * 12), *(_like(found["p"], half) for half in ("am", "pm")))
        widths = tuple(len(found[name]) for name in order)
        style = TimeStyle(tuple(pieces), widths, pieces[2] == ".", names, found.get("z", ""))
        return cls(match.string, style, re.compile(pattern))

    def read(self, cells: Sequence[str]) -> tuple[Ints, Ints]:
        """Packed times [N] for `times`, and minutes east of UTC [N].

        Raises:
            UserError: a cell that is no time of this style; its ``line`` is the number of the cell, from 0 (65).
        """
        known = self.known
        try:
            both = [known[cell] for cell in cells]
        except KeyError:
            if len(known) > 2**16:
                known.clear()
            self._learn(cells)
            both = [known[cell] for cell in cells]
        pairs = np.array(both, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _learn(self, cells: Sequence[str]) -> None:
        new = [*dict.fromkeys(cell for cell in cells if cell not in self.known)]
        matches = [self.pattern.fullmatch(cell.strip()) for cell in new]
        if not all(matches):
            cell = new[matches.index(None)]
            what = f"'{cell[:40]}' is no time" if cell.strip() else "a time is missing"
            raise data_error(what, line=cells.index(cell), hint=f"Times are written as '{self.example}' here.")
        groups = zip(*(match.groups() for match in matches if match), strict=True)
        texts = dict(zip(self.style.fields, groups, strict=True))
        packed, offsets, bad = self._pack(texts)
        if bad.any():
            cell = new[int(bad.argmax())]
            raise data_error(f"'{cell[:40]}' is no time", line=cells.index(cell))
        self.known.update(zip(new, zip(packed.tolist(), offsets.tolist(), strict=True), strict=True))

    def _pack(self, texts: dict[str, tuple[str, ...]]) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        style = self.style
        count = len(next(iter(texts.values())))
        bad = np.zeros(count, bool)
        offsets = np.zeros(count, np.int64)
        numbers: dict[str, Ints] = {}
        for letter, column in texts.items():
            if letter not in "Bpzf":
                numbers[letter] = np.array([*map(int, column)], np.int64)
        widths = dict(zip(style.fields, style.widths, strict=True))
        for letter in "mdabHuv":
            if letter in texts:
                widths[letter] = min(widths[letter], *map(len, texts[letter]))
        names = style.names
        if "B" in texts:
            short = [text.lower() for text in texts["B"]]
            numbers["m"] = np.array([_MONTH.get(text, 0) for text in short], np.int64)
            if any(len(text) > 3 for text in texts["B"]):
                names = (*(_like(texts["B"][0], name) for name in _MONTHS), *names[12:])
        if "z" in texts:
            offsets = np.array([_minutes(text) for text in texts["z"]], np.int64)
        self.style = TimeStyle(
            style.pieces, tuple(widths[letter] for letter in style.fields), style.day_first, names, style.offset
        )
        if "u" in numbers or "v" in numbers:
            return numbers["v"] if "v" in numbers else 1000 * numbers["u"], offsets, bad
        zero, one = np.zeros(count, np.int64), np.ones(count, np.int64)
        hour = numbers.get("H", zero)
        if "p" in texts:
            bad |= (hour < 1) | (hour > 12)
            hour = hour % 12 + 12 * np.array([text.lower() == "pm" for text in texts["p"]])
        minute, second = numbers.get("M", zero), numbers.get("S", zero)
        bad |= (minute > 59) | (second > 59) | ((hour > 23) & (not style.is_elapsed))
        fraction = np.array([int(text.ljust(3, "0")[:3]) for text in texts["f"]]) if "f" in texts else zero
        bad |= np.array([bool(text[3:].strip("0")) for text in texts["f"]]) if "f" in texts else False
        clock = ((hour * 60 + minute) * 60 + second) * 1000 + fraction
        if style.is_elapsed:
            return clock, offsets, bad
        year = numbers["Y"] if "Y" in numbers else numbers["y"] + np.where(numbers["y"] < 70, 2000, 1900)
        if "a" in numbers:
            first, second = numbers["a"], numbers["b"]
            for letter in "ab":
                self.largest[letter] = max(self.largest[letter], int(numbers[letter].max()))
        else:
            month = 3 * numbers["q"] - 2 if "q" in numbers else numbers.get("m", one)
            first, second = month, numbers.get("d", one)
            bad |= (month < 1) | (month > 12)
        bad |= (first < 1) | (first > 31) | (second < 1) | (second > 31)
        return ((year * 100 + first) * 100 + second) * _OF_DAY + clock, offsets, bad

    def decide(self, packed_N: Ints) -> None:
        """Settle which of day and month comes first, once all cells are read; the times are the first ones.

        Raises:
            UserError: some cells have a number above 12 in the one place, some in the other (65).
        """
        if "a" not in self.style.fields:
            return
        if min(self.largest.values()) > 12:
            raise data_error(
                "days and months change places: both the first and the second number of some dates are above 12",
                hint=f"The first date is '{self.example}'.",
            )
        day_first = self.style.pieces[2] == "."
        if max(self.largest.values()) > 12:
            day_first = self.largest["a"] > 12
        else:
            spread = {}
            for order in (False, True):
                steps = np.diff(_instants(packed_N, order))
                spread[order] = (bool((steps <= 0).any()), len({*steps.tolist()}))
            if spread[False] != spread[True]:
                day_first = spread[True] < spread[False]
        style = self.style
        self.style = TimeStyle(style.pieces, style.widths, day_first, style.names, style.offset)

    def times(self, packed_N: Ints, offsets_N: Ints) -> Times:
        """The instants, in UTC where there are offsets.

        Raises:
            UserError: a day that its month does not have; its ``line`` is the number of the time, from 0 (65).
        """
        if self.style.is_elapsed or {"u", "v"} & {*self.style.fields}:
            return packed_N.astype("datetime64[ms]")
        instants = _instants(packed_N, self.style.day_first)
        if (bad := ~_has_day(packed_N, self.style.day_first)).any():
            place = int(bad.argmax())
            year, first, second = _parts(packed_N[place : place + 1])
            month, day = (second, first) if self.style.day_first else (first, second)
            raise data_error(f"there is no day {day[0]} in month {month[0]} of {year[0]}", line=place)
        return (instants - offsets_N * 60_000).astype("datetime64[ms]")


def _like(example: str, word: str) -> str:
    """A word in the case of another one."""
    return word.upper() if example.isupper() else word if example.islower() else word.capitalize()


def _minutes(offset: str) -> int:
    if offset == "Z":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if offset[0] == "-" else 1)


def _parts(packed_N: Ints) -> tuple[Ints, Ints, Ints]:
    dates = packed_N // _OF_DAY
    return dates // 10_000, dates // 100 % 100, dates % 100


def _month_and_day(packed_N: Ints, day_first: bool) -> tuple[Ints, Ints]:
    year, first, second = _parts(packed_N)
    month, day = (second, first) if day_first else (first, second)
    return (year - 1970) * 12 + month - 1, day


def _instants(packed_N: Ints, day_first: bool) -> Ints:
    months, day = _month_and_day(packed_N, day_first)
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    return days * _DAY + packed_N % _OF_DAY


def _has_day(packed_N: Ints, day_first: bool) -> NDArray[np.bool_]:
    months, day = _month_and_day(packed_N, day_first)
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    return day <= (after - first).astype(np.int64)
