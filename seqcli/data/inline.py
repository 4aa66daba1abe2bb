"""Inline tags: one sentence a line, ``The/DT dog/NN barks/VBZ``; the tag follows the LAST separator of an item."""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.data.blocks import OnError, Source, name_of, read_blocks, report
from seqcli.data.example import Example
from seqcli.errors import UserError, data_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid


def read(
    source: Source,
    *,
    separator: str = "/",
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a line, its tokens and its tags; blank lines are skipped.

    Args:
        separator: what stands between a token and its tag.
        on_error: takes an error of a line instead of raising it; the line is then skipped.

    Raises:
        UserError: an item without a separator, a token or a tag (65, with file:line:column in characters); and what
            `read_blocks` raises.
    """
    name = name_of(source)
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            items = line.replace("\t", " ").split(" ")
            if "" in items:
                items = [item for item in items if item]
            if not items:
                continue
            pairs = [item.rpartition(separator) for item in items]
            tokens = [pair[0] for pair in pairs]
            tags = [pair[2] for pair in pairs]
            if "" in tokens or "" in tags:
                report(_bad_item(line, items, separator, name, number), on_error)
                continue
            yield Example(tokens, tags, f"{name}:{number}")


def _bad_item(line: str, items: list[str], separator: str, name: str, number: int) -> UserError:
    for item in items:
        token, found, tag = item.rpartition(separator)
        if not (token and tag):
            what = f"has no '{separator}' before a tag" if not found else "has no tag" if token else "has no token"
            column = line.replace("\t", " ").find(item) + 1
            return data_error(f"'{item[:40]}' {what}", file=name, line=number, column=column)
    raise AssertionError("called for a line without a bad item")
