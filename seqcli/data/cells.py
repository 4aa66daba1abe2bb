"""Cells of a CSV file replaced where they stand: every other byte stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

Span = tuple[int, int]
_BOM = "\ufeff"


class Record(NamedTuple):
    """A row of a table as it is written: the line where it begins, its text, and what ends it."""

    line: int
    text: str
    ending: str


def records(lines: Iterable[bytes], separator: str) -> Iterator[Record]:
    """The rows of a file in UTF-8, each a line or, where a quoted cell has line breaks, several."""
    text, begin = "", 1
    for number, raw in enumerate(lines, 1):
        text += raw.decode("utf-8")
        body = text.removesuffix("\n").removesuffix("\r")
        if '"' in body and spans(body, separator) is None:
            continue
        yield Record(begin, body, text[len(body) :])
        text, begin = "", number + 1
    if text:
        yield Record(begin, text, "")


def spans(text: str, separator: str) -> list[Span] | None:
    """Where each cell of a row begins and ends, its quotes within; None where a quoted one does not end."""
    found: list[Span] = []
    at = len(_BOM) if text.startswith(_BOM) else 0
    while True:
        begin = at
        if text.startswith('"', at):
            at = _closing(text, at + 1)
            if at < 0:
                return None
        end = text.find(separator, at)
        if end < 0:
            return [*found, (begin, len(text))]
        found.append((begin, end))
        at = end + len(separator)


def _closing(text: str, at: int) -> int:
    """Behind the quote that ends a cell; -1 where none does."""
    while (quote := text.find('"', at)) >= 0:
        if not text.startswith('""', quote):
            return quote + 1
        at = quote + 2
    return -1


def replaced(text: str, separator: str, cells: Mapping[int, str]) -> str:
    """A row with some cells, by their places, replaced: quotes and spaces around a cell stay."""
    parts: list[str] = []
    done = 0
    for place, (begin, end) in enumerate(spans(text, separator) or ()):
        if place in cells:
            cell = text[begin:end]
            first, last = (begin + 1, text.rindex('"', begin, end)) if cell.startswith('"') else (begin, end)
            inner = text[first:last]
            if inner.strip():
                first, last = first + len(inner) - len(inner.lstrip()), last - len(inner) + len(inner.rstrip())
            parts += [text[done:first], cells[place]]
            done = last
    return "".join([*parts, text[done:]])


def quoted(cell: str, separator: str) -> str:
    """A cell as it is written, in quotes where it needs them."""
    if any(character in cell for character in (separator, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell
