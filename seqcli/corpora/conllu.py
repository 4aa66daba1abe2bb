"""CoNLL-U, the format of Universal Dependencies: ten tab-separated columns, one syntactic word a line.

Words are what counts: the surface line of a multiword token (``1-2``) and empty nodes (``1.1``) are skipped.
See https://universaldependencies.org/format.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.corpora.blocks import Source, name_of, sentences
from seqcli.corpora.example import Example
from seqcli.errors import data_error, did_you_mean, usage_error
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
) -> Iterator[Example]:
    """Yield one example a sentence: its words, and the column ``tag`` of each (None where ``tag`` is None).

    Raises:
        UserError: a line that has not ten columns or no word number, an empty cell (65, with file:line); an unknown
            column (2); and what `read_blocks` raises.
    """
    name = name_of(source)
    token_at = column_index(token)
    tag_at = None if tag is None else column_index(tag)
    for begin, rows in sentences(source, on_invalid=on_invalid, max_line=max_line):
        tokens: list[str] = []
        tags: list[str] = []
        for line, row in enumerate(rows, begin):
            if row[0] == "#":
                continue
            cells = row.split("\t")
            if len(cells) != 10:
                raise data_error(
                    f"{len(cells)} tab-separated columns where CoNLL-U has 10: {row[:40]!r}", file=name, line=line)
            if not cells[0].isdecimal():
                if _is_skipped(cells[0]):
                    continue
                raise data_error(f"'{cells[0][:40]}' is no word number", file=name, line=line)
            tokens.append(cells[token_at])
            if tag_at is not None:
                tags.append(cells[tag_at])
            if not tokens[-1] or (tag_at is not None and not tags[-1]):
                raise data_error("empty cell", file=name, line=line, hint="CoNLL-U writes '_' for nothing.")
        if tokens:
            yield Example(tokens, None if tag_at is None else tags, f"{name}:{begin}")


def _is_skipped(word_id: str) -> bool:
    """A multiword range such as ``1-2`` or an empty node such as ``1.1``."""
    first, separator, last = word_id.partition("-" if "-" in word_id else ".")
    return bool(separator) and first.isdecimal() and last.isdecimal()
