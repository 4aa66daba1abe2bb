"""What the first rows of a table show: whether they have a header, and which column is the text and which the label.

Pure functions of the rows, so that one file is always read in one way, by each of the processes that read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LOOK_ROWS = 200
"""Rows that are looked at."""

Holds = Literal["text", "tokens", "labels", "numbers", "other"]

_TEXTS = (
    *("text", "review", "sentence", "content", "comment", "tweet", "message", "body", "document", "utterance"),
    *("question", "query", "description", "title", "source"),
)
_LABELS = (
    *("label", "labels", "stars", "sentiment", "class", "category", "rating", "target", "intent", "polarity"),
    *("topic", "grade", "score"),
)
_TOKENS = ("tokens", "words")
_TAGS = ("tags", "ner_tags", "pos_tags")
_NAME = re.compile(r"[^\W\d][\w .#/()-]{0,40}")
_ENOUGH = 10
"""Rows without which nothing is concluded from what cells hold."""


@dataclass(frozen=True)
class ColumnLook:
    """A column: its name (its number where the table has no header), and what its cells are like.

    Attributes:
        distinct: different cells among the rows that were looked at; ``words``: of a cell, on average.
    """

    name: str | int
    holds: Holds
    distinct: int
    words: float
    characters: float


@dataclass(frozen=True)
class TableLook:
    """What the first rows of a table show.

    Attributes:
        roles: the columns of a recipe (``{"text": "review", "label": "stars"}``), without what cannot be told.
        is_sure: names or cells decided, not the order of the columns alone.
    """

    has_header: bool
    columns: tuple[ColumnLook, ...]
    roles: Mapping[str, str | int]
    rows: int
    is_sure: bool = True

    def describe(self) -> str:
        """``with a header, text: 'review', label: 'stars'``."""
        return ", ".join(
            (
                *(("with a header",) if self.has_header else ()),
                *(f"{key}: {_called(at)}" for key, at in self.roles.items()),
            )
        )

    def names(self) -> str:
        """All columns, for a message."""
        return ", ".join(str(column.name) for column in self.columns)

    def columns_line(self) -> str:
        """A ``columns:`` of a recipe that could be written, its names those of the table."""
        text = self.roles.get("text", self.columns[0].name)
        others = [column.name for column in self.columns if column.name != text]
        return f"{{text: {text}, label: {others[-1]}}}" if others else f"{{text: {text}}}"


def look_at_rows(rows: Sequence[Sequence[str]]) -> TableLook:
    """What the first rows of a table of cells show."""
    rows = rows[:LOOK_ROWS]
    if not rows:
        return TableLook(False, (), {}, 0, is_sure=False)
    width = len(rows[0])
    rows = [row for row in rows if len(row) == width]
    has_header = _has_header(rows)
    body = rows[1:] if has_header else rows
    names: list[str | int] = list(rows[0]) if has_header else list(range(width))
    columns = [_column(name, [row[number] for row in body]) for number, name in enumerate(names)]
    return _table(has_header, columns, len(body))


def look_at_records(records: Sequence[Mapping[str, object]]) -> TableLook:
    """What the first objects of a file of JSON lines show; a list of strings is one of tokens, or of tags."""
    records = records[:LOOK_ROWS]
    columns = []
    for name in dict.fromkeys(key for record in records for key in record):
        values = [record.get(name) for record in records]
        if any(isinstance(value, list) for value in values):
            columns.append(ColumnLook(name, "tokens", len(values), 0.0, 0.0))
        elif all(isinstance(value, str | int) for value in values):
            columns.append(_column(name, [str(value) for value in values]))
        else:
            columns.append(ColumnLook(name, "other", len(values), 0.0, 0.0))
    return _table(False, columns, len(records))


def _table(has_header: bool, columns: Sequence[ColumnLook], rows: int) -> TableLook:
    roles, is_sure = _roles(columns, rows)
    return TableLook(has_header, tuple(columns), roles, rows, is_sure)


def _roles(columns: Sequence[ColumnLook], rows: int) -> tuple[dict[str, str | int], bool]:
    """The column of each role, and whether names or enough cells decided."""
    tokens, tags = _named(columns, _TOKENS), _named(columns, _TAGS)
    if tokens and tags and tokens is not tags:
        return {"tokens": tokens.name, "tags": tags.name}, True
    usable = [column for column in columns if column.holds != "other"]
    label = _named(usable, _LABELS)
    text = _named([column for column in usable if column is not label], _TEXTS) or _named(usable, _TOKENS)
    is_sure = text is not None and label is not None
    if text is None:
        others = [column for column in usable if column is not label and column.holds == "text"]
        text = max(others, key=lambda column: column.characters, default=None)
    if text is None:
        return {}, False
    rest = [column for column in usable if column is not text]
    if label is None:
        few = [column for column in rest if column.holds != "tokens" and 2 <= column.distinct <= max(2, rows // 2)]
        label = rest[0] if len(columns) == 2 and rest else few[0] if len(few) == 1 else None
        is_sure = label is not None and rows >= _ENOUGH and _is_text_beside(text, label, rows)
    return {"text": text.name, **({"label": label.name} if label else {})}, is_sure or len(columns) == 1


def _is_text_beside(text: ColumnLook, label: ColumnLook, rows: int) -> bool:
    """Whether two columns are a text and its label for what they hold, whatever their names."""
    return text.words >= 3 and text.distinct > rows / 2 and label.words <= 2 and label.distinct <= rows / 3


def _named(columns: Sequence[ColumnLook], names: Sequence[str]) -> ColumnLook | None:
    """The column with the first of ``names``, or else one that ends in it (``review_text``)."""
    spelled: list[Callable[[ColumnLook], str]] = [lambda column: _parts(column)[0], lambda column: _parts(column)[-1]]
    for spelling in spelled:
        for name in names:
            for column in columns:
                if spelling(column) == name:
                    return column
    return None


def _parts(column: ColumnLook) -> list[str]:
    """A name whole, and then its words: ``review_text``, ``reviewText`` and ``Review Text`` have two."""
    name = str(column.name).strip()
    return [name.casefold(), *re.sub(r"([a-z])([A-Z])", r"\1 \2", name).casefold().replace("_", " ").split()]


def _column(name: str | int, cells: Sequence[str]) -> ColumnLook:
    distinct = len(set(cells))
    words = sum(len(cell.split()) for cell in cells) / max(len(cells), 1)
    characters = sum(map(len, cells)) / max(len(cells), 1)
    holds: Holds = "text"
    if cells and all(map(_is_number, cells)):
        holds = "numbers"
    elif len(cells) >= _ENOUGH and distinct <= len(cells) / 2 and words <= 3:
        holds = "labels"
    return ColumnLook(name, holds, distinct, round(words, 2), round(characters, 2))


def is_column_name(cell: str) -> bool:
    """Whether a cell is what people call a column of texts or of labels."""
    return cell.strip().casefold() in {*_TEXTS, *_LABELS, *_TOKENS, *_TAGS, "token", "word", "tag"}


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: by names that are known, or by being unlike all that follow."""
    first, body = [cell.strip() for cell in rows[0]], rows[1:]
    if len({*first}) < len(first) or not all(
        _NAME.fullmatch(cell) or (cell == "" and place == 0) for place, cell in enumerate(first)
    ):
        return False
    known = [place for place, cell in enumerate(first) if is_column_name(cell)]
    if len(known) >= min(2, len(first)):
        return True
    if not body:
        return False
    below = [{row[place].strip() for row in body} for place in range(len(first))]
    if any(cell in below[place] for place, cell in enumerate(first)):
        return False
    if known or any(cells and all(map(_is_number, cells)) for cells in below):
        return True
    few = any(2 <= len(cells) <= len(body) / 3 for cells in below)
    return len(body) >= _ENOUGH and few and not any(" " in cell for cell in first)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", cell))


def _called(column: str | int) -> str:
    return f"column {column}" if isinstance(column, int) else f"'{column}'"
