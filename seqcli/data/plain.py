"""Plain lines: one example a line, the line itself the source."""

from __future__ import annotations

from collections.abc import Iterator

from seqcli.data.blocks import Source, name_of, read_blocks
from seqcli.data.example import Example
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid


def read(
    source: Source, *, max_line: int = DEFAULT_MAX_LINE, on_invalid: OnInvalid = "strict", keep_blank: bool = False
) -> Iterator[Example]:
    """Yield one example a line, without a target; ``keep_blank`` keeps blank lines, as a running text has them.

    Raises:
        UserError: what `read_blocks` raises.
    """
    name = name_of(source)
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            if keep_blank or line.strip(" \t"):
                yield Example(line, None, f"{name}:{number}")
