"""The ``.ts`` files of the UEA and UCR archives: a header, then one labelled sequence of frames a line.

::

    # comments
    @timeStamps false
    @dimensions 2
    @classLabel true run walk
    @data
    1.0,2.0,?:0.5,0.25,0.0:walk

A line holds its dimensions one after the other, ``:`` between them; a dimension its values in time, ``,`` between them;
``?`` (or NaN) is a missing value. The last part is the label where ``@classLabel true`` says so, or where the reader
is told so (``target``) because there is no header, as at the end of a pipe. Length may differ from line to line.
``@dimensions``, ``@univariate`` and the labels are checked; what else a header says is not needed and not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from seqcli.data.blocks import OnError, Part, Source, name_of, read_blocks, report
from seqcli.data.example import Example
from seqcli.data.numbers import BadCell, Frames, counted, parse_numbers
from seqcli.errors import UserError, data_error, did_you_mean
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid

_LABELS_SHOWN = 20


@dataclass(slots=True)
class _Header:
    """What the lines before the data say. ``labels`` empty: any label will do."""

    name: str
    has_label: bool
    dimensions: int | None = None
    labels: dict[str, None] = field(default_factory=dict)
    open: bool = True
    seen: bool = False

    def takes(self, line: str, number: int) -> bool:
        """Whether a line is a comment, a blank one or one of the header; a header line is read.

        Raises:
            UserError: a header line that cannot be right, one after the data has begun, or none before data (65).
        """
        first = line.lstrip(" \t")[:1]
        if first in ("", "#"):
            return True
        if first == "@":
            if not self.open:
                raise self._error("a header line after the data has begun", number, hint="One header a file.")
            self.seen = True
            self._read(line.split(), number)
            return True
        if self.open and self.seen:
            raise self._error("data before the line '@data'", number)
        self.open = False
        return False

    def _read(self, words: list[str], number: int) -> None:
        key, values = words[0][1:].lower(), words[1:]
        if key == "data":
            self.open = False
        elif key in ("dimensions", "dimension"):
            if len(values) != 1 or not values[0].isdecimal() or int(values[0]) < 1:
                raise self._error(f"{words[0]}: expected a number from 1, not '{' '.join(values)}'", number)
            self.dimensions = int(values[0])
        elif key == "univariate" and self._truth(words, number):
            self.dimensions = 1
        elif key == "timestamps" and self._truth(words, number):
            raise self._error(
                "time stamps are not read", number, hint="Write the values alone, one a step, and '@timeStamps false'."
            )
        elif key == "targetlabel" and self._truth(words, number):
            raise self._error("a number as target (regression) is not read", number)
        elif key == "classlabel":
            self.has_label = self._truth(words, number) or self.has_label
            self.labels = dict.fromkeys(values[1:])

    def _truth(self, words: list[str], number: int) -> bool:
        value = words[1].lower() if len(words) > 1 else ""
        if value not in ("true", "false"):
            raise self._error(f"{words[0]}: expected true or false, not '{value}'", number)
        return value == "true"

    def _error(self, message: str, number: int, hint: str | None = None) -> UserError:
        return data_error(message, file=self.name, line=number, hint=hint)


def read(
    source: Source,
    *,
    target: bool = False,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a line: frames [T, D] float32, and the label (None where there is none).

    Args:
        target: the last part of a line is a label also where no header says so.
        on_error: takes an error of a line instead of raising it; the line is then skipped.

    Raises:
        UserError: a header that cannot be right, or time stamps; a value that is no number or infinite, dimensions of
            different length or of another number than the header says, a label that it does not list (65, with
            file:line); and what `read_blocks` raises.
    """
    name = name_of(source)
    header = _Header(name, target)
    begin = 0
    if isinstance(source, Part) and source.start:
        header, begin = _header_of(source, target, max_line)
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            if number < begin or header.takes(line, number):
                continue
            try:
                frames, label = _case(line, header, number)
            except UserError as error:
                report(error, on_error)
                continue
            yield Example(frames, label, f"{name}:{number}")


def _header_of(part: Part, target: bool, max_line: int) -> tuple[_Header, int]:
    """The header of the file that a part belongs to, and the line where the data begins."""
    header = _Header(name_of(part), target)
    for first, lines in read_blocks(part.path, on_invalid="replace", max_line=max_line):
        for number, line in enumerate(lines, first):
            taken = header.takes(line, number)
            if not header.open:
                return header, number + taken
    return header, 0


def _case(line: str, header: _Header, number: int) -> tuple[Frames, str | None]:
    parts = line.split(":")
    label = parts.pop().strip() if header.has_label else None
    if label is not None and (not label or (header.labels and label not in header.labels)):
        raise _wrong_label(label, header, number)
    if header.dimensions not in (None, len(parts)):
        raise data_error(
            f"{counted(len(parts), 'dimension')} where the header says {header.dimensions}",
            file=header.name,
            line=number,
        )
    if not parts:
        raise data_error("a label but no values", file=header.name, line=number)
    lengths = [part.count(",") + 1 if part.strip() else 0 for part in parts]
    length = lengths[0]
    if other := next((dimension for dimension, own in enumerate(lengths) if own != length), None):
        values_there = counted(lengths[other], "value")
        labelled = not header.seen and other == len(parts) - 1 and lengths[other] == 1
        raise data_error(
            f"dimension {other + 1} has {values_there} where dimension 1 has {length:,}",
            file=header.name,
            line=number,
            hint="Is it a label? The header says so: begin with the file's lines in '@'." if labelled else None,
        )
    cells = ",".join(parts).split(",") if length else []  # one split for all dimensions: faster than one for each
    try:
        values = parse_numbers(cells, "?")
    except BadCell as error:
        dimension, step = divmod(error.index, length)
        hint = "Time stamps are not read." if cells[error.index].lstrip().startswith("(") else None
        raise data_error(
            f"dimension {dimension + 1}, value {step + 1}: {error}", file=header.name, line=number, hint=hint
        ) from None
    return np.ascontiguousarray(values.reshape(len(parts), length).T), label


def _wrong_label(label: str, header: _Header, number: int) -> UserError:
    if not label:
        return data_error("the last part of the line, the label, is empty", file=header.name, line=number)
    known = list(header.labels)
    shown = ", ".join(known[:_LABELS_SHOWN]) + (" ..." if len(known) > _LABELS_SHOWN else "")
    hint = did_you_mean(label[:100], known) or f"It lists: {shown}."
    return data_error(f"the header does not list the label '{label[:100]}'", file=header.name, line=number, hint=hint)
