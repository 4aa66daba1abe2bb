"""Faults of series beyond those that their reader reports: what is constant, missing for long, or far off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from seqcli.data.corpus import SplitFiles
from seqcli.data.example import Example
from seqcli.data.lint_text import Finding
from seqcli.data.series import Floats, Series
from seqcli.data.series_statistics import written
from seqcli.errors import plural

_LONG = 24
"""Missing values in a row that are worth a word."""

_FAR = 30.0
"""A step from one value to the next is a jump where it is so many times as long as 95% of them are at most."""

_SHOWN = 3


@dataclass(slots=True)
class SeriesLint:
    """The splits so far: the columns of the first series, and how many notes of each kind were given."""

    columns: tuple[str, ...] | None = None
    place: str = ""
    notes: dict[str, int] = field(default_factory=dict)

    def check(self, split: SplitFiles, index: int, items: Iterator[Example | Finding]) -> Iterator[Finding]:
        """Yield what is wrong with the series of a split, and what the reader says of rows."""
        self.notes = {}
        last: Example | None = None
        for item in items:
            if isinstance(item, Finding):
                yield item
                continue
            last = item
            yield from self._check(item)
        for kind, count in self.notes.items():
            if last is not None and count > _SHOWN:
                yield Finding.at(last.at, kind, f"in all {plural(count, 'note')} of this kind", is_note=True)

    def _check(self, item: Example) -> Iterator[Finding]:
        series: Series = item.source
        if self.columns is None:
            self.columns, self.place = series.columns, item.at
        elif series.columns != self.columns:
            message = f"columns {', '.join(series.columns)} where the first series has {', '.join(self.columns)}"
            yield Finding.at(item.at, "channels", f"{message} ({self.place})")
        of = f" of '{series.name}'" if series.name else ""
        for name, values_T in zip(series.columns, series.values_TC.T, strict=True):
            what = f"the column '{name}'{of}" if len(series.columns) > 1 or not of else f"the series '{series.name}'"
            there = values_T[~np.isnan(values_T)]
            if not len(there):
                yield from self._note(item, "constant", f"{what} has no value at all")
                continue
            if there.min() == there.max():
                yield from self._note(item, "constant", f"{what} is {there[0]:g} in every step")
            begin, length = longest_gap(values_T)
            if length >= _LONG:
                at = _at(series, begin)
                yield from self._note(item, "missing", f"{what}: {length:,} values in a row are missing, from {at}")
            place, times = _jump(values_T)
            if times > _FAR:
                before, after = values_T[place - 1 : place + 1]
                message = f"{what} jumps from {before:g} to {after:g} at {_at(series, place)}"
                message += f", {times:.0f} times as far as 95% of its steps go"
                odd = max((before, after), key=lambda one: abs(one - np.median(there)))
                if odd and odd in (there.min(), there.max()) and (there == odd).sum() > 1:
                    message += f"; is {odd:g} a missing value? (data.missing)"
                yield from self._note(item, "jump", message)

    def _note(self, item: Example, kind: str, message: str) -> Iterator[Finding]:
        self.notes[kind] = self.notes.get(kind, 0) + 1
        if self.notes[kind] <= _SHOWN:
            yield Finding.at(item.at, kind, message, is_note=True)


def _at(series: Series, step: int) -> str:
    return written(series.times_T[step]) if series.times_T is not None else f"step {step + 1:,}"


def longest_gap(values_T: Floats) -> tuple[int, int]:
    """The first step of the longest run of missing values, and its length."""
    edges = np.diff(np.isnan(values_T).astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(begins):
        return 0, 0
    longest = int((ends - begins).argmax())
    return int(begins[longest]), int(ends[longest] - begins[longest])


def _jump(values_T: Floats) -> tuple[int, float]:
    """The step with the greatest change from the one before, and how often it is that which 95% of them do not exceed."""
    changes = np.abs(np.diff(values_T))
    there = changes[~np.isnan(changes)]
    usual = float(np.quantile(there, 0.95)) if len(there) else 0.0
    if not usual:
        return 0, 0.0
    place = int(np.nanargmax(changes))
    return place + 1, float(changes[place]) / usual
