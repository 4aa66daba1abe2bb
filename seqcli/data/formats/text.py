"""Text without a target: plain lines, and records of several lines each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seqcli.data.example import Example
from seqcli.data.formats.base import BlockFormat, Format, Reading
from seqcli.data.lint_text import Finding
from seqcli.errors import ExitCode, UserError, data_error
from seqcli.lines import Input, source_name

_ABC_START = "X:"


class Lines(Format):
    """One example a line, the line itself the source; ``blank_lines: keep`` keeps those too, as a running text does."""

    name = "lines"

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 0.1

    def examples(self, source: Input) -> Iterator[Example]:
        keep_blank = self.reading.blank_lines == "keep"
        for number, line in self.lines(source):
            if keep_blank or line.strip(" \t"):
                yield Example(line, None, f"{self.file}:{number}")

    def expand(self, path: Path) -> list[Path]:
        """As in `Format`: where blank lines are examples too, some line must still hold something."""
        keeps_blank = self.reading.blank_lines == "keep"
        if keeps_blank and not any(line.strip(" \t") for _, line in self.lines(path, "replace")):
            raise data_error("the file has only blank lines", file=path)
        return [path]


class Records(BlockFormat):
    """Blocks of lines between blank ones, a tune or a poem each; the line breaks inside belong to the source.

    With ``record_start`` a record begins only at a line that starts with it, a blank one before it or not; lines
    outside a record are no example. That is the rule of ABC files with ``X:``, where text between a blank line and the
    next tune is not music (ABC standard 2.1, section 2.2).
    """

    name = "records"
    suffixes = (".abc",)

    @classmethod
    def when_guessed(cls, reading: Reading) -> Reading:
        return replace(reading, record_start=reading.record_start or _ABC_START)

    def examples(self, source: Input) -> Iterator[Example]:
        for first, lines in self.paragraphs(source):
            for begin, end in record_spans(lines, self.reading.record_start):
                yield Example("\n".join(lines[begin:end]), None, f"{self.file}:{first + begin}")

    def lint(self, path: Path) -> Iterator[Finding]:
        """A note where lines belong to no record; in ABC files that is right for comments, and wrong for half a tune."""
        start = self.reading.record_start
        if not start:
            return
        first, count = 0, 0
        try:
            for begin, rows in self.paragraphs(path, on_invalid="replace"):
                outside = next((index for index, row in enumerate(rows) if row.startswith(start)), len(rows))
                first = first or (begin if outside else 0)
                count += outside
        except UserError as error:
            if error.code != ExitCode.DATA:
                raise
        if count:
            message = f"lines that belong to no record are left out: {count:,}, this one first"
            yield Finding(
                source_name(path), first, "outside", f"{message} (a record begins with '{start}')", is_note=True
            )


def record_spans(lines: list[str], record_start: str | None) -> list[tuple[int, int]]:
    """``(begin, end)`` of each record among lines without a blank one."""
    if record_start is None:
        return [(0, len(lines))]
    begins = [index for index, line in enumerate(lines) if line.startswith(record_start)]
    return list(zip(begins, [*begins[1:], len(lines)], strict=True)) if begins else []
