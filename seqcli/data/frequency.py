"""What lies between two steps of a series: found in its times, and counted on from them. Shapes: T steps, K steps to come."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.data.times import Times
from seqcli.errors import did_you_mean, usage_error

Ints = NDArray[np.int64]

_FIXED = {"millisecond": 1, "second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_UNITS = (*_FIXED, "business day", *_MONTHS)
_NAMED = {
    "secondly": "second",
    "minutely": "minute",
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
    "annual": "year",
}
_SEASONS = {"hour": 24, "day": 7, "business day": 5, "week": 52, "month": 12, "quarter": 4}


@dataclass(frozen=True)
class Frequency:
    """``count`` units from one step to the next; the units are those of the clock, days, weeks, months and longer ones."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """``1 hour``, ``15 minutes``, ``month``, ``business day`` ...

        Raises:
            UserError: nothing of the kind (2).
        """
        match = re.fullmatch(r"(?:(\d{1,6}) +)?([a-z ]+?)", text.strip().lower())
        unit = match[2] if match else text
        unit = _NAMED.get(unit, unit if unit in _UNITS else unit.removesuffix("s"))
        if match is None or unit not in _UNITS or (match[1] is not None and not int(match[1])):
            hint = did_you_mean(unit, _UNITS) or "Such as '1 hour', '15 minutes', '1 month' or '1 business day'."
            raise usage_error(f"data.frequency: '{text}' is none", hint=hint)
        return cls(int(match[1] or 1), unit).reduced()

    @classmethod
    def find(cls, times_T: Times) -> Frequency | None:
        """The frequency of most steps of times in order; None where there are fewer than two, or two at once.

        Days of which none is a Saturday or Sunday are business days where a weekend lies between them; times at the
        same hour of the same day of their months, or of the last, are months.
        """
        instants = times_T.astype("datetime64[ms]").astype(np.int64)
        steps = np.diff(instants)
        if not len(steps) or steps.min() <= 0:
            return None
        values, counts = np.unique(steps, return_counts=True)
        usual = int(values[counts.argmax()])
        if usual >= 28 * _FIXED["day"]:
            months = _months(times_T)
            if months is not None:
                between, often = np.unique(np.diff(months), return_counts=True)
                return cls(int(between[often.argmax()]), "month").reduced()
        if usual == _FIXED["day"] and np.is_busday(times_T.astype("datetime64[D]")).all():
            days = times_T.astype("datetime64[D]")
            if len(days) > 5 or (days[-1] - days[0]).astype(np.int64) > len(days) - 1:
                return cls(1, "business day")
        return cls(usual, "millisecond").reduced()

    def reduced(self) -> Frequency:
        """The same in the largest unit that it is a whole number of: 24 hours are a day, three months a quarter."""
        for units in (_FIXED, _MONTHS):
            if self.unit in units:
                size = self.count * units[self.unit]
                unit = max((one for one in units if size % units[one] == 0), key=units.__getitem__)
                return Frequency(size // units[unit], unit)
        return self

    @property
    def name(self) -> str:
        return f"{self.count} {self.unit}{'s' if self.count > 1 else ''}"

    @property
    def season(self) -> int:
        """Steps after which such series mostly repeat themselves: a year of months, a day of hours or minutes; 1: unknown."""
        if self.unit in ("second", "minute", "hour"):
            day = _FIXED["day"] if self.unit != "second" else _FIXED["hour"]
            size = self.count * _FIXED[self.unit]
            return day // size if day % size == 0 else 1
        usual = _SEASONS.get(self.unit, 1)
        return usual // self.count if usual % self.count == 0 else 1

    @property
    def milliseconds(self) -> int | None:
        """Its length; None where months or business days differ."""
        return self.count * _FIXED[self.unit] if self.unit in _FIXED else None

    def positions(self, times_T: Times) -> tuple[Ints, NDArray[np.bool_]]:
        """How many steps each time lies behind the first, and whether it is as many whole steps as that."""
        instants = times_T.astype("datetime64[ms]").astype(np.int64)
        if size := self.milliseconds:
            steps, rest = np.divmod(instants - instants[0], size)
            return steps, rest == 0
        clock_is_equal = instants % _FIXED["day"] == instants[0] % _FIXED["day"]
        days = times_T.astype("datetime64[D]")
        if self.unit == "business day":
            steps, rest = np.divmod(np.busday_count(days[0], days), self.count)
            return steps, (rest == 0) & clock_is_equal & np.is_busday(days)
        months = days.astype("datetime64[M]").astype(np.int64)
        steps, rest = np.divmod(months - months[0], self.count * _MONTHS[self.unit])
        return steps, (rest == 0) & clock_is_equal & _same_day(times_T)

    def after(self, times_T: Times, count: int) -> Times:
        """The next ``count`` times [K] behind the last of a history in order.

        Months go on at the latest day that the history has, or at the last of each month where all its days are.
        """
        return self.grid(times_T, np.arange(1, count + 1), times_T[-1])

    def grid(self, times_T: Times, steps_K: Ints, start: np.datetime64) -> Times:
        """The times that lie so many steps behind ``start``, one of a history or on its grid."""
        start = start.astype("datetime64[ms]")
        if size := self.milliseconds:
            return np.asarray(start + (steps_K * size).astype("timedelta64[ms]"))
        clock = start - start.astype("datetime64[D]")
        if self.unit == "business day":
            days = np.busday_offset(start.astype("datetime64[D]"), steps_K * self.count, roll="backward")
            return np.asarray(days.astype("datetime64[ms]") + clock)
        months = start.astype("datetime64[M]") + steps_K * self.count * _MONTHS[self.unit]
        lengths = _days_of(months)
        day = _days(times_T)
        wanted = 31 if (day == _days_of(times_T.astype("datetime64[M]"))).all() else int(day.max())
        days = months.astype("datetime64[D]") + (np.minimum(lengths, wanted) - 1)
        return np.asarray(days.astype("datetime64[ms]") + clock)


def _days(times_T: Times) -> Ints:
    """The day of the month of each, from 1."""
    days = times_T.astype("datetime64[D]") - times_T.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray(days.astype(np.int64) + 1)


def _days_of(months: Times) -> Ints:
    """How many days each month has."""
    return np.asarray(((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64))


def _same_day(times_T: Times) -> NDArray[np.bool_]:
    """Whether each lies on the same day of its month as the latest does, or on the last that the month has."""
    days, lengths = _days(times_T), _days_of(times_T.astype("datetime64[M]"))
    at_end = days == lengths
    wanted = np.int64(31) if at_end.all() else days.max()
    return np.asarray(days == np.minimum(lengths, wanted))


def _months(times_T: Times) -> Ints | None:
    """The months since 1970 of times that lie at the same place of each month; None where they do not."""
    instants = times_T.astype("datetime64[ms]").astype(np.int64)
    if (instants % _FIXED["day"] != instants[0] % _FIXED["day"]).any() or not _same_day(times_T).all():
        return None
    return np.asarray(times_T.astype("datetime64[M]").astype(np.int64))


_PARTS = {"minute": 60, "hour": 24, "weekday": 7, "day": 31, "month": 12, "year-day": 366}


def calendar(times_T: Times, parts: tuple[str, ...] | list[str]) -> NDArray[np.float32]:
    """Sine and cosine of the place of each time in its hour, day, week, month, year [T, 2 * parts].

    ``minute`` of the hour, ``hour`` of the day (with its minutes), ``weekday`` of the week (Monday is 0), ``day`` of the
    month, ``month`` of the year, ``year-day`` of the year; periods are 60, 24, 7, 31, 12 and 366.
    """
    times = times_T.astype("datetime64[ms]")
    days = times.astype("datetime64[D]")
    of_day = (times - days.astype("datetime64[ms]")).astype(np.int64)
    months = days.astype("datetime64[M]").astype(np.int64)
    features = np.empty((len(times), 2 * len(parts)), np.float32)
    for place, part in enumerate(parts):
        if part == "minute":
            value = of_day / 60_000 % 60
        elif part == "hour":
            value = of_day / 3_600_000
        elif part == "weekday":
            value = (days.astype(np.int64) + 3) % 7
        elif part == "day":
            value = _days(times) - 1
        elif part == "month":
            value = months % 12
        else:
            value = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
        angle = 2 * np.pi * value / _PARTS[part]
        features[:, 2 * place], features[:, 2 * place + 1] = np.sin(angle), np.cos(angle)
    return features
