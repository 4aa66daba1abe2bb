"""Inline tags: one sentence a line, ``The/DT dog/NN barks/VBZ``; the tag follows the LAST separator of an item."""

from __future__ import annotations

import re

from seqcli.data.formats.base import LineFormat, Reading
from seqcli.errors import UserError, data_error


class Inline(LineFormat):
    """One sentence a line, ``separator`` (default ``/``) between a token and its tag."""

    name = "inline"

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.separator = reading.separator or "/"

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        items = [item for line in lines for item in re.split("[ \t]+", line) if item]
        tagged = sum(bool(re.fullmatch(r".+/[^/\s]+", item)) for item in items)
        return 0.4 if tagged > 0.95 * len(items) else 0.0

    def parse(self, line: str) -> tuple[list[str], list[str]]:
        items = [item for item in line.replace("\t", " ").split(" ") if item]
        pairs = [item.rpartition(self.separator) for item in items]
        tokens, tags = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
        if "" in tokens or "" in tags:
            raise self._bad_item(line, next(item for item, pair in zip(items, pairs, strict=True) if "" in pair))
        return tokens, tags

    def _bad_item(self, line: str, item: str) -> UserError:
        token, separator, _ = item.rpartition(self.separator)
        what = "has no token" if not token else "has no tag"
        if not separator:
            what = f"has no '{self.separator}' before a tag"
        return data_error(f"'{item[:40]}' {what}", column=line.replace("\t", " ").find(item) + 1)
