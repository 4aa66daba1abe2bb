"""CoNLL-U, the format of Universal Dependencies: ten tab-separated columns, one syntactic word a line.

https://universaldependencies.org/format.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from seqcli.data.example import Example
from seqcli.data.formats.base import BlockFormat, Reading
from seqcli.errors import UserError, data_error, did_you_mean, usage_error
from seqcli.lines import Input

_RANGE_OR_EMPTY_NODE = re.compile(r"\d+[-.]\d+")
_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


class ConllU(BlockFormat):
    """A sentence's words and one column of each, by name or number (default ``upos``).

    The surface line of a multiword token (``1-2``) and empty nodes (``1.1``) are skipped.
    """

    name = "conllu"
    suffixes = (".conllu",)

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 0.7 if all(line.count("\t") == 9 and line[0].isdigit() for line in lines) else 0.0

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        return {"source": "token", "target": "tag"}.get(role, role)

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.token = _column_number(self.columns.get("token", "form"))

    def tokens(self, rows: list[str], begin: int) -> list[tuple[int, str]]:
        """The words among the lines of a sentence, each with the place of its line.

        Raises:
            UserError: a line that is none of CoNLL-U (65).
        """
        return [(place, cells[self.token]) for place, cells in _words(rows, begin)]

    def examples(self, source: Input) -> Iterator[Example]:
        named_tag = self.columns.get("tag") if self.columns else "upos"
        tag = None if named_tag is None else _column_number(named_tag)
        for begin, rows in self.paragraphs(source):
            try:
                words = _words(rows, begin)
            except UserError as error:
                self.report(error)
                continue
            if words:
                tags = None if tag is None else [cells[tag] for _, cells in words]
                yield Example([cells[self.token] for _, cells in words], tags, f"{self.file}:{begin}")


def _column_number(column: int | str) -> int:
    if isinstance(column, int):
        if -len(_COLUMNS) <= column < len(_COLUMNS):
            return column
        raise usage_error(f"CoNLL-U has ten columns, 0 to 9; there is no column {column}")
    if column.lower() in _COLUMNS:
        return _COLUMNS.index(column.lower())
    hint = did_you_mean(column.lower(), _COLUMNS) or f"Known: {', '.join(_COLUMNS)}."
    raise usage_error(f"CoNLL-U has no column '{column}'", hint=hint)


def _words(rows: list[str], begin: int) -> list[tuple[int, list[str]]]:
    """The lines that are words, by place, in cells."""
    words = []
    for place, row in enumerate(rows):
        line = begin + place
        if row[0] == "#":
            continue
        cells = row.split("\t")
        if len(cells) != 10:
            raise data_error(f"{len(cells)} tab-separated columns where CoNLL-U has 10: {row[:40]!r}", line=line)
        if "" in cells:
            raise data_error("empty cell", line=line, hint="CoNLL-U writes '_' for nothing.")
        if cells[0].isdecimal():
            words.append((place, cells))
        elif not _RANGE_OR_EMPTY_NODE.fullmatch(cells[0]):
            raise data_error(f"'{cells[0][:40]}' is no word number", line=line)
    return words
