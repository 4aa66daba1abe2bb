"""The ``.ts`` files of the UEA and UCR archives: a header, then one labelled sequence of frames a line.

::

    # comments
    @timeStamps false
    @dimensions 2
    @classLabel true run walk
    @data
    1.0,2.0,?:0.5,0.25,0.0:walk

A line holds its dimensions one after the other, ``:`` between them; a dimension its values in time, ``,`` between them;
``?`` (or NaN) is a missing value. The last part is the label where ``@classLabel true`` says so, or where the columns
do because there is no header, as at the end of a pipe. Length may differ from line to line.
``@dimensions``, ``@univariate`` and the labels are checked; what else a header says is not needed and not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seqcli.data.example import Example
from seqcli.data.formats.base import Format, Reading
from seqcli.errors import UserError, data_error, did_you_mean, plural, usage_error
from seqcli.lines import Chunk, Input

if TYPE_CHECKING:
    from seqcli.data.frame_files import Frames

_LABELS_SHOWN = 20


@dataclass(slots=True)
class _Header:
    """What the lines before the data say. ``labels`` empty: any label will do."""

    name: str
    has_label: bool
    dimensions: int | None = None
    labels: dict[str, None] = field(default_factory=dict)
    open: bool = True
    is_there: bool = False

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
            self.is_there = True
            self._read(line.split(), number)
            return True
        if self.open and self.is_there:
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


class Ts(Format):
    """Frames [T, D] and, where the header or ``columns: {target: -1}`` says that there is one, the label."""

    name = "ts"
    suffixes = (".ts",)
    has_frames = True

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.header = _Header("", has_label="target" in self.columns)

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        if (role, column) != ("target", -1):
            raise usage_error("data.columns: of the ts format only {target: -1} can be said")
        return role

    def examples(self, source: Input) -> Iterator[Example]:
        self.header.name = self.file
        begin = self._read_header(source) if isinstance(source, Chunk) and source.start else 0
        for number, line in self.lines(source):
            if number < begin or self.header.takes(line, number):
                continue
            try:
                frames, label = self._parse(line)
            except UserError as error:
                self.report(error, number)
                continue
            yield Example(frames, label, f"{self.file}:{number}")

    def _read_header(self, chunk: Chunk) -> int:
        """Read the header of the file that a chunk belongs to; returns the line where the data begins."""
        for number, line in self.lines(chunk.path, "replace"):
            is_header = self.header.takes(line, number)
            if not self.header.open:
                return number + is_header
        return 0

    def _parse(self, line: str) -> tuple[Frames, str | None]:
        import numpy as np

        from seqcli.data.frame_files import BadCell, parse_numbers

        header = self.header
        parts = line.split(":")
        label = parts.pop().strip() if header.has_label else None
        if label is not None and (not label or (header.labels and label not in header.labels)):
            raise _wrong_label(label, list(header.labels))
        if header.dimensions not in (None, len(parts)):
            raise data_error(f"{plural(len(parts), 'dimension')} where the header says {header.dimensions}")
        if not parts:
            raise data_error("a label but no values")
        lengths = [part.count(",") + 1 if part.strip() else 0 for part in parts]
        length = lengths[0]
        if other := next((dimension for dimension, own in enumerate(lengths) if own != length), None):
            may_be_label = not header.is_there and other == len(parts) - 1 and lengths[other] == 1
            raise data_error(
                f"dimension {other + 1} has {plural(lengths[other], 'value')} where dimension 1 has {length:,}",
                hint="Is it a label? The header says so: begin with the file's lines in '@'." if may_be_label else None,
            )
        cells = ",".join(parts).split(",") if length else []  # one split for all dimensions: faster than one for each
        try:
            values = parse_numbers(cells, "?")
        except BadCell as error:
            dimension, step = divmod(error.index, length)
            hint = "Time stamps are not read." if cells[error.index].lstrip().startswith("(") else None
            raise data_error(f"dimension {dimension + 1}, value {step + 1}: {error}", hint=hint) from None
        return np.ascontiguousarray(values.reshape(len(parts), length).T), label


def _wrong_label(label: str, known: list[str]) -> UserError:
    if not label:
        return data_error("the last part of the line, the label, is empty")
    shown = ", ".join(known[:_LABELS_SHOWN]) + (" ..." if len(known) > _LABELS_SHOWN else "")
    hint = did_you_mean(label[:100], known) or f"It lists: {shown}."
    return data_error(f"the header does not list the label '{label[:100]}'", hint=hint)
