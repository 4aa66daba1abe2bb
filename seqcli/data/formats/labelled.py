"""A label before its text: ``positive a charming film``, one example a line, as SST, TREC and fastText have it."""

from __future__ import annotations

import re

from seqcli.data.formats.base import LineFormat, Reading
from seqcli.errors import data_error

_PREFIX = "__label__"
_FIRST = re.compile(r"([^ \t]*)[ \t]*(.*)", re.DOTALL)
_MARKED = re.compile(rf"((?:{_PREFIX}[^ \t]+(?:[ \t]+|$))*)(.*)", re.DOTALL)


class Labelled(LineFormat):
    """The label is what stands before the first space or tab; a line that has nothing else is an empty text.

    Where the file's first line begins with ``__label__`` (fastText), that prefix marks the labels of each line: it is
    taken off, and several are one target with spaces between them.
    """

    name = "labelled"

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.is_marked = False

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 0.8 if all(line.startswith(_PREFIX) for line in lines) else 0.0

    def head(self, line: str, number: int) -> bool:
        self.is_marked = line.startswith(_PREFIX)
        return False

    def parse(self, line: str) -> tuple[str, str]:
        label, text = (_MARKED if self.is_marked else _FIRST).fullmatch(line).groups()  # type: ignore[union-attr]
        if not label:
            what = f"'{_PREFIX}', as the first one does" if self.is_marked else "one, but with white space"
            raise data_error(f"no label: the line does not begin with {what}")
        if self.is_marked:
            label = " ".join(item.removeprefix(_PREFIX) for item in label.split())
        return text, label
