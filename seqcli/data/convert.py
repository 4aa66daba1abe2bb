"""Tag schemes converted in a CoNLL file, everything else left as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seqcli.data import conll
from seqcli.data.blocks import Source, name_of, read_blocks
from seqcli.errors import UserError, data_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid
from seqcli.metrics import schemes


def convert_lines(
    source: Source,
    from_scheme: str,
    to_scheme: str,
    *,
    tag: int = -1,
    repair: bool = False,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
) -> Iterator[str]:
    """Yield the lines of a CoNLL file with the column ``tag`` in another scheme; a sentence at a time, all lines kept.

    Comments, blank lines, the other columns and what separates them stay as they are; line ends become ``\\n``.

    Args:
        repair: read tags that break ``from_scheme`` as conlleval does, instead of refusing them.

    Raises:
        UserError: a tag that breaks the scheme, a ragged line (65, with file:line), an unknown scheme (2).
    """
    from_scheme, to_scheme = schemes.scheme_name(from_scheme), schemes.scheme_name(to_scheme)
    name = name_of(source)
    converter = _Converter(name, from_scheme, to_scheme, tag, repair)
    rows: list[str] = []
    begin = 1
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            if line.strip(" \t"):
                if not rows:
                    begin = number
                rows.append(line)
                continue
            yield from converter.sentence(rows, begin)
            rows = []
            yield line
    yield from converter.sentence(rows, begin)


class _Converter:
    def __init__(self, name: str, from_scheme: str, to_scheme: str, tag: int, repair: bool) -> None:
        self.name = name
        self.schemes = from_scheme, to_scheme
        self.tag = tag
        self.repair = repair
        self.layout: conll.Layout | None = None

    def sentence(self, rows: list[str], begin: int) -> list[str]:
        self.layout = self.layout or (conll.layout_of(rows) if rows else None)
        skipped = conll.count_comments(rows, self.layout)
        if skipped == len(rows) or self.layout is None:
            return rows
        begin += skipped
        cells = conll.split_rows(rows[skipped:], self.layout, self.name, begin)
        tags = conll.column(cells, self.tag, "tag", self.name, begin)
        source, target = self.schemes
        if not self.repair:
            for position, reason in schemes.violations(tags, source):
                raise data_error(
                    f"{reason} ({source})",
                    file=self.name,
                    line=begin + position,
                    hint="'seqcli data lint' lists every such tag; --repair reads them as conlleval does.",
                )
        try:
            converted = schemes.convert(tags, source, target, repair=self.repair)
        except UserError as error:
            raise data_error(error.message, file=self.name, line=begin, hint=error.hint) from error
        return rows[:skipped] + [self._replaced(row, new) for row, new in zip(rows[skipped:], converted, strict=True)]

    def _replaced(self, row: str, new: str) -> str:
        pieces = re.split("(\t)" if "\t" in row else "( +)", row)  # cells at even places, separators between them
        cells = [index for index in range(0, len(pieces), 2) if pieces[index] or "\t" in row]
        pieces[cells[self.tag]] = new
        return "".join(pieces)
