"""Files of a split that are made of fetched files, here, by a rule of the catalogue; their checksums are known too."""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from pathlib import PurePosixPath

from seqcli.data.catalogue import Division, Grade
from seqcli.data.formats.text import record_spans

_ABBREVIATIONS = """
    Mr Mrs Ms Messrs Dr Prof Hon Rev Gen Gov Sen Rep Adm Col Capt Lt Maj Sgt Pres St Ft Mt Jr Sr No Nos Art Sec Vol Chap
    Fig Co Cos Corp Inc Ltd Bros Dept vs viz Jan Feb Mar Apr Aug Sept Oct Nov Dec art sec vol chap no nos
"""

_ABBREVIATED = frozenset(_ABBREVIATIONS.split())

_END = re.compile(r"""(\S*?[.?!]+)["'”’)\]]*\s+(?=["'“‘(\[]*[A-Z0-9])""")
_INITIALS = re.compile(r"""["'“‘(\[]*(?:[A-Z]|(?:[A-Za-z]\.)+[A-Za-z])\.""")


def divide(division: Division, texts: Mapping[str, str]) -> dict[str, str]:
    """The text of each file that ``division`` makes of ``texts``, the files that it is made of, line ends included."""
    if division.unit == "characters":
        text = "".join(texts[name] for name in division.of)
        return {
            name: text[int(begin * len(text)) : int(end * len(text))] for name, (begin, end) in division.share.items()
        }
    if division.unit == "rows":
        return _tables(division, texts)
    units = list(chain.from_iterable(_units(division, name, texts[name]) for name in division.of))
    if division.share:
        shares = _shares(division, units)
        return {name: "\n".join(ts(lines, division.channels)) + "\n" for name, lines in shares.items()}
    for pattern, names in division.exclude.items():
        known = {letters(line) for name in names for line in texts[name].split("\n")}
        units = [unit for unit in units if not (match := re.search(pattern, unit)) or letters(match[1]) not in known]
    if division.distinct is not None:
        units = distinct(units, division.distinct)
    places = [number % division.every for number in groups(units, division.together)]
    named = {place for numbers in division.take.values() for place in numbers or ()}
    made = {}
    for name, numbers in division.take.items():
        wanted = set(range(division.every)) - named if numbers is None else set(numbers)
        chosen = [unit for unit, place in zip(units, places, strict=True) if place in wanted]
        if division.grade is not None:
            chosen = [line for unit in chosen if (line := graded(division.grade, unit)) is not None]
        if division.into == "sentences":
            chosen = list(chain.from_iterable(map(cut_sentences, chosen)))
        if division.into == "pronunciations":
            chosen = pronunciations(chosen, together=name in division.references)
        made[name] = ("\n\n" if division.unit == "records" else "\n").join(chosen) + "\n"
    return made


def _tables(division: Division, texts: Mapping[str, str]) -> dict[str, str]:
    """The table of each file of ``rows``, with the columns of ``division``."""
    made = {name: ["\t".join(division.columns)] for name in division.rows}
    for name in division.of:
        header, *rows = (line.split("\t") for line in texts[name].splitlines())
        for row in (dict(zip(header, cells, strict=True)) for cells in rows):
            for file, wanted in division.rows.items():
                if all(row[column] in map(str, values) for column, values in wanted.items()):
                    made[file].append("\t".join(row.get(column, column) for column in division.columns.values()))
                    break
    return {name: "\n".join(lines) + "\n" for name, lines in made.items()}


def _shares(division: Division, lines: Sequence[str]) -> dict[str, list[str]]:
    """The lines of each file of ``share``: of every run of lines with the same text of ``within`` its part."""
    finder = re.compile(division.within or "")
    made: dict[str, list[str]] = {name: [] for name in division.share}
    for _, group in groupby(lines, lambda line: match[0] if (match := finder.match(line)) else ""):
        run = [*group]
        for name, (begin, end) in division.share.items():
            first = int(begin * len(run)) + (division.gap if begin else 0)
            made[name] += run[first : int(end * len(run))]
    return made


def ts(lines: Iterable[str], channels: int) -> list[str]:
    """Rows of ``label,x,y,x,y`` as a ``.ts`` file of this many channels."""
    made = ["@timeStamps false", f"@dimensions {channels}", "@classLabel true", "@data"]
    for line in lines:
        label, *cells = line.split(",")
        made.append(":".join([*(",".join(cells[channel::channels]) for channel in range(channels)), label]))
    return made


def distinct(units: Iterable[str], pattern: str) -> list[str]:
    """The units without those in which ``pattern`` finds letters that it found before, all else and case aside."""
    finder = re.compile(pattern)
    first: dict[str, str] = {}
    for unit in units:
        match = finder.search(unit)
        first.setdefault((match and letters(match[1])) or unit, unit)
    return list(first.values())


def letters(text: str) -> str:
    """The letters of a text (with the signs that some scripts add to them), case aside."""
    return "".join(one for one in text.casefold() if unicodedata.category(one)[0] in "LM")


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
                text = "".join("".join(match.groups()).split()).casefold()
                if text:
                    before, here = sorted((root(first.setdefault((number, text), index)), root(index)))
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


def pronunciations(lines: Iterable[str], *, together: bool) -> list[str]:
    """Lines of the CMU dictionary, ``abated(2) AH0 B EY1 T AH0 D # past``, as JSON lines of a word and its phones.

    Phones lose their stress. A line for each pronunciation, or ``together`` one for each word with a list of them.
    """
    words: dict[str, dict[str, None]] = {}
    for line in lines:
        word, *phones = line.partition("#")[0].split()
        words.setdefault(word.partition("(")[0], {})[" ".join(phone.rstrip("012") for phone in phones)] = None
    targets = [(word, said) for word, several in words.items() for said in ([[*several]] if together else several)]
    return [json.dumps({"source": word, "target": said}, ensure_ascii=False) for word, said in targets]


def _units(division: Division, name: str, text: str) -> list[str]:
    """The lines (blank ones left out) or the records of a file."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if division.drop is not None:
        dropped = re.compile(division.drop)
        lines = [line for line in lines if not dropped.match(line)]
    if division.unit == "records":
        blocks = [list(block) for filled, block in groupby(lines, lambda line: bool(line.strip(" \t"))) if filled]
        return [
            "\n".join(block[begin:end]) for block in blocks for begin, end in record_spans(block, division.record_start)
        ]
    filled_lines = [line for line in lines if line.strip(" \t")]
    if division.label == "file":
        return [f"{line}\t{PurePosixPath(name).stem}" for line in filled_lines]
    return filled_lines


def cut_sentences(text: str) -> list[str]:
    """The sentences of a text, in order, each as it stands but for the white space around it.

    A sentence ends after ``.``, ``?`` or ``!`` with the quotes and brackets that close behind it, where white space
    and then a capital or a digit follow (quotes and brackets may open before it). It does not end after an
    abbreviation from a short list (``Mr.``, ``No.``), an initial (``J.``, but ``I.`` ends one) or letters with dots
    (``U.S.``). So a sentence that ends in such a word runs on into the next: too long rather than cut in two.
    """
    sentences, begin = [], 0
    for match in _END.finditer(text):
        word = match[1]
        if word.lstrip("\"'“‘([")[:-1] in _ABBREVIATED or (_INITIALS.fullmatch(word) and word[-2:] != "I."):
            continue
        sentences.append(text[begin : match.end()].strip())
        begin = match.end()
    if rest := text[begin:].strip():
        sentences.append(rest)
    return sentences
