"""Tab-separated values: one example a line, quotes are plain characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from seqcli.data.formats.base import Columns
from seqcli.data.formats.looking import TableLook, look_at_rows
from seqcli.data.formats.table import Row, Table
from seqcli.lines import Input, OnInvalid


class Tsv(Table):
    """Source 0 and target 1, unless the recipe, a header or what the cells hold says otherwise."""

    name = "tsv"
    separated, between = "tab-separated ", "tabs"
    usual: ClassVar[Columns] = {"text": 0, "label": 1}
    target_may_lack = False
    """Whether a file of one column, of which nobody said the columns, has no target."""

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        """One line without a tab, or with one too many, does not make prose of a table."""
        widths = [line.count("\t") for line in lines]
        usual = max(set(widths), key=widths.count)
        if usual and all(widths):
            return 0.5
        return 0.45 if usual and not has_blank and widths.count(usual) >= 0.9 * len(widths) else 0.0

    def rows(self, source: Input, on_invalid: OnInvalid | None = None) -> Iterator[Row]:
        return ((number, line.split("\t")) for number, line in self.lines(source, on_invalid) if line.strip(" \t"))

    def look(self, lines: list[str]) -> TableLook | None:
        look = look_at_rows([line.split("\t") for line in lines if line.strip(" \t")])
        return look if _tells(look) else replace(look, has_header=False, roles=self.usual)

    def unsaid(self, look: TableLook, width: int) -> Columns:
        if _tells(look):
            return look.roles
        return {"text": 0} if self.target_may_lack and width == 1 else self.usual


def _tells(look: TableLook) -> bool:
    """Whether a table says more than that its first column is the source, as it is where nobody says otherwise."""
    return bool(look.roles) and (look.has_header or (look.is_sure and len(look.columns) > 1))
