"""Files of a split that are made of fetched files, here, by a rule of the catalogue; their checksums are known too."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from pathlib import PurePosixPath

from seqcli.data import records
from seqcli.data.catalogue import Grade, Rule
from seqcli.data.sentence_ends import cut_sentences


def divide(rule: Rule, texts: Mapping[str, str]) -> dict[str, str]:
    """The text of each file that ``rule`` makes.

    Args:
        texts: the files that the rule is made of, line ends included.
    """
    if rule.unit == "characters":
        text = "".join(texts[name] for name in rule.of)
        return {name: text[int(begin * len(text)) : int(end * len(text))] for name, (begin, end) in rule.share.items()}
    units = list(chain.from_iterable(_units(rule, name, texts[name]) for name in rule.of))
    places = [number % rule.every for number in groups(units, rule.together)]
    named = {place for numbers in rule.take.values() for place in numbers or ()}
    made = {}
    for name, numbers in rule.take.items():
        wanted = set(range(rule.every)) - named if numbers is None else set(numbers)
        chosen = [unit for unit, place in zip(units, places, strict=True) if place in wanted]
        if rule.grade is not None:
            chosen = [line for unit in chosen if (line := graded(rule.grade, unit)) is not None]
        if rule.into == "sentences":
            chosen = list(chain.from_iterable(map(cut_sentences, chosen)))
        made[name] = ("\n\n" if rule.unit == "records" else "\n").join(chosen) + "\n"
    return made


def groups(units: Sequence[str], together: Iterable[str]) -> list[int]:
    """The number of each unit's group, counted in the order in which the groups begin.

    Units share a group where one of the patterns finds the same text in them, white space and case aside, and where a
    third unit ties them together. A unit with no match is a group of its own.
    """
    patterns = [re.compile(pattern, re.MULTILINE) for pattern in together]
    parent = list(range(len(units)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[int, str], int] = {}
    for index, unit in enumerate(units):
        for number, pattern in enumerate(patterns):
            for match in pattern.finditer(unit):
                found = "".join("".join(match.groups()).split()).casefold()
                if found:
                    before, here = sorted((root(first.setdefault((number, found), index)), root(index)))
                    parent[here] = before
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(index), len(numbers)) for index in range(len(units))]


def graded(grade: Grade, line: str) -> str | None:
    """A rated line as ``text TAB label``; None where its rating is one to leave out."""
    cells = line.split("\t")
    rating = float(cells[grade.rating])
    if rating in grade.without:
        return None
    return f"{cells[grade.text]}\t{grade.labels[bisect_right(grade.cuts, rating)]}"


def _units(rule: Rule, name: str, text: str) -> list[str]:
    """The lines (blank ones left out) or the records of a file."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if rule.drop is not None:
        dropped = re.compile(rule.drop)
        lines = [line for line in lines if not dropped.match(line)]
    if rule.unit == "records":
        blocks = [list(block) for filled, block in groupby(lines, lambda line: bool(line.strip(" \t"))) if filled]
        return [
            "\n".join(block[begin:end]) for block in blocks for begin, end in records.spans(block, rule.record_start)
        ]
    filled_lines = [line for line in lines if line.strip(" \t")]
    if rule.label == "file":
        return [f"{line}\t{PurePosixPath(name).stem}" for line in filled_lines]
    return filled_lines
