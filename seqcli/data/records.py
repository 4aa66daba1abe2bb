"""Records: blocks of lines between blank ones, a tune or a poem each; the line breaks inside belong to the source."""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.data.blocks import Source, name_of, sentences
from seqcli.data.example import Example
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid


def read(
    source: Source,
    *,
    record_start: str | None = None,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
) -> Iterator[Example]:
    """Yield one example a record, its lines joined by ``\\n``, without a target.

    A blank line (spaces and tabs are blank) ends a record. With ``record_start`` a record begins only at a line that
    starts with it, a blank one before it or not; lines outside a record are no example. That is the rule of ABC files
    with ``X:``, where text between a blank line and the next tune is not music (ABC standard 2.1, section 2.2).

    Raises:
        UserError: what `seqcli.data.blocks.sentences` raises.
    """
    name = name_of(source)
    for first, lines in sentences(source, on_invalid=on_invalid, max_line=max_line):
        for begin, end in spans(lines, record_start):
            yield Example("\n".join(lines[begin:end]), None, f"{name}:{first + begin}")


def spans(lines: list[str], record_start: str | None) -> list[tuple[int, int]]:
    """``(begin, end)`` of each record among lines without a blank one."""
    if record_start is None:
        return [(0, len(lines))]
    begins = [index for index, line in enumerate(lines) if line.startswith(record_start)]
    return list(zip(begins, [*begins[1:], len(lines)], strict=True)) if begins else []
