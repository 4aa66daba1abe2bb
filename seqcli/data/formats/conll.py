"""CoNLL columns: a token a line, its columns separated by tabs or runs of spaces, a blank line after each sentence.

What is a comment: a token may itself be ``#`` (tweets are full of them), so a line is a comment only at a sentence's
start, when it is ``#`` alone or begins with ``#`` and a space, and when it, or one like it further down, has not as
many columns as the file's token lines, counted with the file's own separator. ``#<TAB>O`` is a token, ``# id = 7`` is
a comment, and ``# O`` is a token where the columns of the file are two, separated by spaces. ``-DOCSTART-`` lines are
skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, cast

from seqcli.data.example import Example
from seqcli.data.formats.base import BlockFormat, Reading
from seqcli.data.lint_text import Finding
from seqcli.errors import ExitCode, UserError, data_error, plural, usage_error
from seqcli.lines import Chunk, Input, OnInvalid, is_stdin, source_name


class Layout(NamedTuple):
    """How the token lines of a file are made, as the first of them shows."""

    has_tabs: bool
    width: int

    @classmethod
    def of(cls, row: str) -> Layout:
        return cls("\t" in row, len(split_row(row)))


class Conll(BlockFormat):
    """A sentence's tokens and their tags: column 0 and the last one, or those that ``columns`` numbers."""

    name = "conll"
    suffixes = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".conll03")

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        numbers = cast("dict[str, int]", self.columns)
        self.token = numbers.get("token", 0)
        self.tag = numbers.get("tag") if numbers else -1
        self.layout: Layout | None = None

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        """A few columns, the same number on most lines, and sentences cut by blank ones; a broken file is CoNLL too."""
        widths = [len(split_row(line)) for line in lines]
        usual = max(set(widths), key=widths.count)
        return 0.6 if has_blank and usual >= 2 and widths.count(usual) >= 0.6 * len(widths) else 0.0

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        if not isinstance(column, int):
            raise usage_error(f"data.columns.{key}: CoNLL columns have numbers, not names: '{column}'")
        return {"source": "token", "target": "tag"}.get(role, role)

    def examples(self, source: Input) -> Iterator[Example]:
        for begin, rows, skipped in self.sentences(source):
            if skipped == len(rows) or self.layout is None:
                continue
            line = begin + skipped
            try:
                cells = self._split_rows(rows[skipped:], line)
                if cells is None:
                    continue
                tokens = self._column(cells, self.token, "token", line)
                tags = None if self.tag is None else self._column(cells, self.tag, "tag", line)
                if self.tag is not None and (self.tag - self.token) % self.layout.width == 0:
                    raise data_error(
                        f"token and tag are the same column; the line has {plural(self.layout.width, 'column')}",
                        line=line,
                        hint="Set data.columns, such as {token: 0, tag: -1}.",
                    )
            except UserError as error:
                self.report(error)
                continue
            yield Example(tokens, tags, f"{self.file}:{line}")

    def sentences(self, source: Input, on_invalid: OnInvalid | None = None) -> Iterator[tuple[int, list[str], int]]:
        """Yield ``(number of the first line, lines, how many of them are comments)`` of each block of lines."""
        self.file = source_name(source)
        if isinstance(source, Chunk) and source.start:
            self.layout = self._layout_of_file(source)
        for begin, rows in self.paragraphs(source, on_invalid=on_invalid):
            if self.layout is None:
                self.layout = _layout_of(rows) or self._layout_of_file(source)
            yield begin, rows, self._count_comments(rows)

    def replace_tags(self, source: Input, replace: Callable[[list[str], int], list[str]]) -> Iterator[str]:
        """Yield the lines of a file, the tags of each sentence replaced; everything else stays as it is.

        Args:
            replace: from tags and the number of the first one's line to as many tags.
        """
        self.file = source_name(source)
        for is_blank, group in groupby(self.lines(source), lambda item: not item[1].strip(" \t")):
            if is_blank:
                yield from (line for _, line in group)
            else:
                sentence = list(group)
                yield from self._with_tags([line for _, line in sentence], sentence[0][0], replace)

    def tokens(self, rows: list[str], begin: int) -> list[tuple[int, str]]:
        """The tokens among the lines of a sentence, each with the place of its line.

        Raises:
            UserError: ragged lines, or no such column (65).
        """
        self.layout = self.layout or _layout_of(rows)
        skipped = self._count_comments(rows)
        if skipped == len(rows) or self.layout is None:
            return []
        cells = self._split_rows(rows[skipped:], begin + skipped) or []
        return [*enumerate(self._column(cells, self.token, "token", begin + skipped), skipped)]

    def _with_tags(self, rows: list[str], begin: int, replace: Callable[[list[str], int], list[str]]) -> list[str]:
        self.layout = self.layout or _layout_of(rows)
        skipped = self._count_comments(rows)
        if skipped == len(rows) or self.layout is None or self.tag is None:
            return rows
        try:
            cells = self._split_rows(rows[skipped:], begin + skipped)
            if cells is None:
                return rows
            tags = replace(self._column(cells, self.tag, "tag", begin + skipped), begin + skipped)
        except UserError as error:
            self.report(error)
            return rows
        return rows[:skipped] + [_with_cell(row, self.tag, tag) for row, tag in zip(rows[skipped:], tags, strict=True)]

    def lint(self, path: Path) -> Iterator[Finding]:
        """Separators other than those of the first line."""
        try:
            for begin, rows, skipped in self.sentences(path, "replace"):
                for line, row in enumerate(rows[skipped:], begin + skipped):
                    has_tabs = "\t" in row
                    if self.layout and has_tabs != self.layout.has_tabs and len(split_row(row)) > 1:
                        here, there = ("tabs", "spaces") if has_tabs else ("spaces", "tabs")
                        yield Finding(self.file, line, "separators", f"{here} between columns, {there} before")
                    elif " \t" in row or "\t " in row:
                        yield Finding(self.file, line, "separators", "a space beside a tab belongs to the token or tag")
        except UserError as error:
            if error.code != ExitCode.DATA:  # what is wrong with the bytes is said by who reads the file
                raise

    def _layout_of_file(self, source: Input) -> Layout | None:
        """The layout from the file's head, which a chunk or a first sentence of comments only does not show."""
        path = source.path if isinstance(source, Chunk) else source
        if is_stdin(path):
            return None
        layouts = (_layout_of(rows) for _, rows in self.paragraphs(path, on_invalid="replace"))
        return next((layout for layout in layouts if layout), None)

    def _count_comments(self, rows: list[str]) -> int:
        """How many of a sentence's first lines are comments or ``-DOCSTART-``: all up to the last that is no token."""
        skipped = 0
        for number, row in enumerate(rows, 1):
            is_docstart = row.startswith("-DOCSTART-")
            if not is_docstart and not row.startswith("# ") and row != "#":
                break
            if is_docstart or Layout.of(row) != self.layout:
                skipped = number
        return skipped

    def _split_rows(self, rows: list[str], begin: int) -> list[list[str]] | None:
        """The cells of a sentence's lines, each with as many as the file's first; None where errors were reported.

        A line of spaces in a file of tabs is read too: lint says so.
        """
        has_tabs, width = cast("Layout", self.layout)
        cells = [row.split("\t") for row in rows] if has_tabs else [split_row(row) for row in rows]
        is_ragged = False
        for index, row_cells in enumerate(cells):
            if len(row_cells) == width:
                continue
            cells[index] = split_row(rows[index])
            if len(cells[index]) != width:
                is_ragged = True
                self.report(
                    data_error(
                        f"{plural(len(cells[index]), 'column')} where the file's first line has {width} "
                        f"({'tabs' if has_tabs else 'spaces'} between them): {rows[index][:40]!r}",
                        line=begin + index,
                        hint="Each token needs all columns; a blank line ends a sentence.",
                    )
                )
        return None if is_ragged else cells

    def _column(self, cells: list[list[str]], index: int, what: str, begin: int) -> list[str]:
        try:
            values = [row[index] for row in cells]
        except IndexError:
            raise data_error(
                f"there is no column {index} for the {what}; the line has {plural(len(cells[0]), 'column')}",
                line=begin,
                hint="Columns count from 0; set data.columns, such as {token: 0, tag: -1}.",
            ) from None
        if "" in values:
            raise data_error(f"empty {what}", line=begin + values.index(""))
        return values


def _layout_of(rows: list[str]) -> Layout | None:
    """The layout that a sentence shows, or None when it holds comments only."""
    for row in rows:
        if not row.startswith(("#", "-DOCSTART-")) or row.startswith("#\t"):
            return Layout.of(row)
    for row in rows:  # tokens such as '#Paris' or '#' alone: better than nothing, unless they look like comments
        if row.startswith("#") and not row.startswith("# ") and row != "#":
            return Layout.of(row)
    return None


def split_row(row: str) -> list[str]:
    """The cells of one line: cut at each tab where it has one, else at runs of spaces (no other space counts)."""
    if "\t" in row:
        return row.split("\t")
    cells = row.split(" ")
    return [cell for cell in cells if cell] if "" in cells else cells


def _with_cell(row: str, column: int, cell: str) -> str:
    pieces = re.split("(\t)" if "\t" in row else "( +)", row)  # cells at even places, separators between them
    cells = [index for index in range(0, len(pieces), 2) if pieces[index] or "\t" in row]
    pieces[cells[column]] = cell
    return "".join(pieces)
