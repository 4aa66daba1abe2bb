"""Tab-separated values: one example a line, quotes are plain characters."""

from __future__ import annotations

from typing import Any

from seqcli.data.formats.base import SOURCES, TARGETS, LineFormat, Reading, same_length
from seqcli.errors import data_error, did_you_mean


class Tsv(LineFormat):
    """The key of a column says what it holds: ``source`` and ``target`` are text as it stands; ``token`` and ``tag``
    are lists, separated by spaces. By default source 0, target 1.

    A column is a number (from 0, negative from the end) or a name; one name makes the first line of the file a header.
    """

    name = "tsv"
    needs_source = True
    target_may_lack = False
    """Whether a file of one column, of which nobody said the columns, has no target."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.width = 0
        self.places: dict[str, int] = {}

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 0.5 if all("\t" in line for line in lines) else 0.0

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        return role

    def head(self, line: str, number: int) -> bool:
        cells = line.split("\t")
        self.width = len(cells)
        columns = self.columns or {"source": 0, "target": 1}
        if self.target_may_lack and not self.columns and self.width == 1:
            columns = {"source": 0}
        self.places = {key: self._place(key, column, cells, number) for key, column in columns.items()}
        return any(isinstance(column, str) for column in columns.values())

    def parse(self, line: str) -> tuple[Any, Any]:
        cells = line.split("\t")
        if len(cells) != self.width:
            raise data_error(f"{len(cells)} tab-separated columns where the file's first line has {self.width}")
        source, target = self._value(cells, SOURCES), self._value(cells, TARGETS)
        same_length(source, target)
        return source, target

    def _value(self, cells: list[str], keys: tuple[str, str]) -> str | list[str] | None:
        text, items = keys
        if text in self.places:
            return cells[self.places[text]]
        if items in self.places:
            return [item for item in cells[self.places[items]].split(" ") if item]
        return None

    def _place(self, key: str, column: int | str, cells: list[str], line: int) -> int:
        if isinstance(column, int):
            if -len(cells) <= column < len(cells):
                return column
            raise data_error(
                f"there is no column {column} for the {key}; the line has {len(cells)} (tabs between them)",
                file=self.file,
                line=line,
                hint="Columns count from 0; set data.columns.",
            )
        if column in cells:
            return cells.index(column)
        hint = did_you_mean(column, cells) or f"The header has: {', '.join(cells)[:200]}."
        raise data_error(f"the header has no column '{column}'", file=self.file, line=line, hint=hint)
