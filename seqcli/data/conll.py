"""CoNLL columns: a token a line, its columns separated by tabs or runs of spaces, a blank line after each sentence.

What is a comment: a token may itself be ``#`` (tweets are full of them), so a line is a comment only at a sentence's
start, when it is ``#`` alone or begins with ``#`` and a space, and when it, or one like it further down, has not as
many columns as the file's token lines, counted with the file's own separator. ``#<TAB>O`` is a token, ``# id = 7`` is
a comment, and ``# O`` is a token where the columns of the file are two, separated by spaces. ``-DOCSTART-`` lines are
skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.data.blocks import OnError, Part, Source, name_of, report, sentences
from seqcli.data.example import Example
from seqcli.errors import UserError, data_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, is_stdin

Layout = tuple[bool, int]
"""(the columns are separated by tabs, their number), as the first token line of a file has it."""


def read(
    source: Source,
    *,
    token: int = 0,
    tag: int | None = -1,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a sentence: its tokens, and its tags (None where ``tag`` is None).

    Args:
        token, tag: columns, from 0; negative from the end.
        on_error: takes an error of a sentence instead of raising it; the sentence is then skipped.

    Raises:
        UserError: a line whose number of columns differs from the file's first, a column that does not exist, an
            empty token or tag (65, with file:line); and what `read_blocks` raises.
    """
    name = name_of(source)
    layout: Layout | None = None
    if isinstance(source, Part) and source.start:
        layout = file_layout(source.path, max_line=max_line)
    for begin, rows in sentences(source, on_invalid=on_invalid, max_line=max_line):
        if layout is None:
            layout = layout_of(rows) or (None if is_stdin(source) else file_layout(name, max_line=max_line))
        skipped = count_comments(rows, layout)
        if skipped == len(rows) or layout is None:
            continue
        line = begin + skipped
        try:
            cells = split_rows(rows[skipped:], layout, name, line, on_error)
            tokens = column(cells, token, "token", name, line)
            tags = None if tag is None else column(cells, tag, "tag", name, line)
            if tag is not None and tag % layout[1] == token % layout[1]:
                raise data_error(
                    f"token and tag are the same column; the line has {_columns(layout[1])}",
                    file=name,
                    line=line,
                    hint="Set data.columns, such as {token: 0, tag: -1}.",
                )
        except UserError as error:
            report(error, on_error)
            continue
        yield Example(tokens, tags, f"{name}:{line}")


def layout_of(rows: list[str]) -> Layout | None:
    """The layout that a file's first sentence shows, or None when it holds comments only."""
    for row in rows:
        if not row.startswith(("#", "-DOCSTART-")) or row.startswith("#\t"):
            return "\t" in row, len(split_row(row))
    for row in rows:  # tokens such as '#Paris' or '#' alone: better than nothing, unless they look like comments
        if row.startswith("#") and not row.startswith("# ") and row != "#":
            return "\t" in row, len(split_row(row))
    return None


def file_layout(path: object, *, max_line: int = DEFAULT_MAX_LINE) -> Layout | None:
    """The layout of a file, from its head (the parts of a file need the whole file's)."""
    for _, rows in sentences(str(path), on_invalid="replace", max_line=max_line):
        if layout := layout_of(rows):
            return layout
    return None


def count_comments(rows: list[str], layout: Layout | None) -> int:
    """How many of a sentence's first lines are comments or ``-DOCSTART-``: all up to the last that is no token."""
    skipped = 0
    for number, row in enumerate(rows, 1):
        is_docstart = row.startswith("-DOCSTART-")
        if not is_docstart and not row.startswith("# ") and row != "#":
            break
        if is_docstart or not _has_layout(row, layout):
            skipped = number
    return skipped


def split_row(row: str) -> list[str]:
    """The cells of one line: cut at each tab where it has one, else at runs of spaces (no other space counts)."""
    if "\t" in row:
        return row.split("\t")
    cells = row.split(" ")
    return [cell for cell in cells if cell] if "" in cells else cells


def split_rows(
    rows: list[str], layout: Layout, name: str, begin: int, on_error: OnError | None = None
) -> list[list[str]]:
    """The cells of a sentence's lines, each line checked to have as many as the file's first.

    ``on_error`` takes the errors of all lines but the last of them, which is raised.
    """
    tabs, width = layout
    cells = [row.split("\t") for row in rows] if tabs else [split_row(row) for row in rows]
    wrong: UserError | None = None
    for index, found in enumerate(cells):
        if len(found) != width:
            cells[index] = again = split_row(rows[index])  # a line of spaces in a file of tabs: lint says so
            if len(again) != width:
                if wrong is not None:
                    report(wrong, on_error)
                wrong = _ragged(rows[index], len(again), layout, name, begin + index)
                if on_error is None:
                    break
    if wrong is not None:
        raise wrong
    return cells


def _has_layout(row: str, layout: Layout | None) -> bool:
    if layout is None:
        return False
    tabs, width = layout
    return (("\t" in row) == tabs) and len(split_row(row)) == width


def column(cells: list[list[str]], index: int, what: str, name: str, begin: int) -> list[str]:
    """One column of a sentence's cells; ``what`` names it in an error: no such column, or an empty cell (65)."""
    try:
        values = [row[index] for row in cells]
    except IndexError:
        raise data_error(
            f"there is no column {index} for the {what}; the line has {_columns(len(cells[0]))}",
            file=name,
            line=begin,
            hint="Columns count from 0; set data.columns, such as {token: 0, tag: -1}.",
        ) from None
    if "" in values:
        raise data_error(f"empty {what}", file=name, line=begin + values.index(""))
    return values


def _ragged(row: str, found: int, layout: Layout, name: str, line: int) -> UserError:
    tabs, width = layout
    return data_error(
        f"{_columns(found)} where the file's first line has {width} ({'tabs' if tabs else 'spaces'} between them): "
        f"{row[:40]!r}",
        file=name,
        line=line,
        hint="Each token needs all columns; a blank line ends a sentence.",
    )


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
