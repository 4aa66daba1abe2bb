"""CoNLL-U, the format of Universal Dependencies: ten tab-separated columns, one syntactic word a line.

Words are what counts: the surface line of a multiword token (``1-2``) and empty nodes (``1.1``) are skipped.
See https://universaldependencies.org/format.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.data.blocks import OnError, Source, name_of, report, sentences
from seqcli.data.example import Example
from seqcli.errors import UserError, data_error, did_you_mean, usage_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


def column_index(column: int | str) -> int:
    """The number of a column given by number or name.

    Raises:
        UserError: no such column (exit code 2).
    """
    if isinstance(column, int):
        if -len(COLUMNS) <= column < len(COLUMNS):
            return column
        raise usage_error(f"CoNLL-U has ten columns, 0 to 9; there is no column {column}")
    if column.lower() in COLUMNS:
        return COLUMNS.index(column.lower())
    hint = did_you_mean(column.lower(), COLUMNS) or f"Known: {', '.join(COLUMNS)}."
    raise usage_error(f"CoNLL-U has no column '{column}'", hint=hint)


def read(
    source: Source,
    *,
    token: int | str = "form",
    tag: int | str | None = "upos",
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a sentence: its words, and the column ``tag`` of each (None where ``tag`` is None).

    Args:
        token, tag: columns by name or number.
        on_error: takes an error of a sentence instead of raising it; the sentence is then skipped.

    Raises:
        UserError: a line that has not ten columns or no word number, an empty cell (65, with file:line); an unknown
            column (2); and what `read_blocks` raises.
    """
    name = name_of(source)
    token_at = column_index(token)
    tag_at = None if tag is None else column_index(tag)
    for begin, rows in sentences(source, on_invalid=on_invalid, max_line=max_line):
        try:
            words = _words(rows, name, begin)
            tokens = _column(words, token_at)
            tags = None if tag_at is None else _column(words, tag_at)
        except UserError as error:
            report(error, on_error)
            continue
        if tokens:
            yield Example(tokens, tags, f"{name}:{begin}")


def _words(rows: list[str], name: str, begin: int) -> list[list[str]]:
    words = []
    for line, row in enumerate(rows, begin):
        if row[0] == "#":
            continue
        cells = row.split("\t")
        if len(cells) != 10:
            raise data_error(
                f"{len(cells)} tab-separated columns where CoNLL-U has 10: {row[:40]!r}", file=name, line=line
            )
        if "" in cells:
            raise data_error("empty cell", file=name, line=line, hint="CoNLL-U writes '_' for nothing.")
        if cells[0].isdecimal():
            words.append(cells)
        elif not _is_skipped(cells[0]):
            raise data_error(f"'{cells[0][:40]}' is no word number", file=name, line=line)
    return words


def _column(words: list[list[str]], column: int) -> list[str]:
    return [cells[column] for cells in words]


def _is_skipped(word_id: str) -> bool:
    """A multiword range such as ``1-2`` or an empty node such as ``1.1``."""
    first, separator, last = word_id.partition("-" if "-" in word_id else ".")
    return bool(separator) and first.isdecimal() and last.isdecimal()
