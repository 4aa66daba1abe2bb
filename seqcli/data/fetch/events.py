"""Events of many series, a file of an archive each, as one table for each split."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from seqcli.data.catalogue import Events
from seqcli.data.fetch.archives import all_members, read_member, reading_archive

_LARGEST = 2**24
"""Bytes of a file of events beyond which none is read."""


def gather(rule: Events, archive: Path) -> dict[str, str]:
    """The table of each split, ``name,time,variable,value`` lines below a header; series in the order of their names.

    Raises:
        UserError: a damaged archive, a member that is a link or too large (74).
    """
    pattern = re.compile(rule.member)
    series: dict[str, list[str]] = {}
    with reading_archive(archive):
        for member in all_members(archive):
            if match := pattern.fullmatch(PurePosixPath(member.name).name):
                text = read_member(member, _LARGEST).decode("utf-8")
                if lines := _events(rule, match[1], text):
                    series[match[1]] = lines
    named = {place for numbers in rule.take.values() for place in numbers or ()}
    made: dict[str, list[str]] = {file: [",".join(rule.columns)] for file in rule.take}
    for number, name in enumerate(sorted(series)):
        place = number % rule.every
        for file, numbers in rule.take.items():
            if place in numbers if numbers is not None else place not in named:
                made[file] += series[name]
    return {file: "\n".join(lines) + "\n" for file, lines in made.items()}


def _events(rule: Events, name: str, text: str) -> list[str]:
    """The lines of one series; at the end of the last hour one without a value, so that all are as long."""
    rows = [line.split(",") for line in text.splitlines()[1:]]
    rows = [row for row in rows if len(row) == len(rule.columns) - 1 and row[1] not in rule.without]
    rows = [row for row in rows if row[0] < rule.end and row[2] not in rule.missing]
    if not rows:
        return []
    hours, minutes = map(int, rule.end.split(":"))
    last = f"{(60 * hours + minutes - 1) // 60:02d}:{(minutes - 1) % 60:02d}"
    end = [] if rows[-1][0] >= last[:2] else [f"{name},{last},{rows[-1][1]},"]
    return [*(f"{name},{','.join(row)}" for row in rows), *end]
