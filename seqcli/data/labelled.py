"""A label before its text: ``positive a charming film``, one example a line, as SST, TREC and fastText have it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seqcli.data.blocks import OnError, Part, Source, name_of, read_blocks, report
from seqcli.data.example import Example
from seqcli.errors import data_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid

PREFIX = "__label__"
"""What marks a label in fastText's files; a line there may begin with several."""

_FIRST = re.compile(r"([^ \t]*)[ \t]*(.*)", re.DOTALL)
_MARKED = re.compile(rf"((?:{PREFIX}[^ \t]+(?:[ \t]+|$))*)(.*)", re.DOTALL)


def read(
    source: Source,
    *,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a line, its text and its label; blank lines are skipped.

    The label is what stands before the first space or tab; a line that has nothing else is an empty text. Where the
    file's first line begins with ``__label__``, that prefix marks the labels of each line: it is taken off, and several
    are one target with spaces between them.

    Args:
        on_error: takes an error of a line instead of raising it; the line is then skipped.

    Raises:
        UserError: a line without a label: it begins with white space, or lacks the prefix that the first line has (65,
            with file:line); and what `read_blocks` raises.
    """
    name = name_of(source)
    marked = _first_line(source, max_line).startswith(PREFIX) if isinstance(source, Part) and source.start else None
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            if not line.strip(" \t"):
                continue
            if marked is None:
                marked = line.startswith(PREFIX)
            label, text = (_MARKED if marked else _FIRST).fullmatch(line).groups()  # type: ignore[union-attr]
            if not label:
                what = f"'{PREFIX}', as the first one does" if marked else "one, but with white space"
                report(data_error(f"no label: the line does not begin with {what}", file=name, line=number), on_error)
                continue
            if marked:
                label = " ".join(item.removeprefix(PREFIX) for item in label.split())
            yield Example(text, label, f"{name}:{number}")


def _first_line(part: Part, max_line: int) -> str:
    """The first filled line of the whole file that a part belongs to."""
    for _, lines in read_blocks(part.path, on_invalid="replace", max_line=max_line):
        for line in lines:
            if line.strip(" \t"):
                return line
    return ""
