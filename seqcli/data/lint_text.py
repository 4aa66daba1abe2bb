"""Faults of a file that have nothing to do with its format: encoding, line ends, control characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seqcli.data.example import place
from seqcli.lines import open_binary, source_name

_BLOCK = 2**20
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_NAMES = {
    "\x00": "NUL",
    "\x0b": "vertical tab",
    "\x0c": "form feed",
    "\r": "lone carriage return",
    "\x85": "next line U+0085",
    "\u2028": "line separator U+2028",
    "\u2029": "paragraph separator U+2029",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing lint found; a note does not make the data wrong."""

    file: str
    line: int | None
    kind: str
    message: str
    is_note: bool = False

    @classmethod
    def at(cls, file_line: str, kind: str, message: str, *, is_note: bool = False) -> Finding:
        """A finding at ``file:line``."""
        return cls(*place(file_line), kind, message, is_note)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


def check_text(path: Path, max_line: int) -> Iterator[Finding]:
    """Yield what is wrong with the bytes of a file: its encoding, control characters, long lines, the final newline.

    Raises:
        UserError: unreadable file (exit code 74).
    """
    name = source_name(path)
    number, crlf, rest, empty = 1, 0, b"", True
    with open_binary(path) as handle:
        while data := handle.read(_BLOCK):
            if empty and data.startswith(b"\xef\xbb\xbf"):
                yield Finding(name, 1, "bom", "the file begins with a byte order mark (it is ignored)", is_note=True)
                data = data[3:]
            empty = False
            crlf += (rest[-1:] + data).count(b"\r\n")
            rest += data
            cut = rest.rfind(b"\n") + 1
            yield from _check_lines(rest[:cut], name, number, max_line)
            number += rest.count(b"\n", 0, cut)
            rest = rest[cut:]
    if rest:
        yield from _check_lines(rest, name, number, max_line)
        yield Finding(name, number, "newline", "no newline at the end of the file")
    if crlf:
        yield Finding(name, None, "crlf", f"{crlf:,} lines end in CRLF (the CR is ignored)", is_note=True)


def _check_lines(raw: bytes, name: str, first: int, max_line: int) -> Iterator[Finding]:
    if len(raw) <= max_line:  # nothing to see in most blocks: look at all of it at once
        try:
            if not _CONTROL.search(raw.decode("utf-8").replace("\r\n", "\n")):
                return
        except UnicodeDecodeError:
            pass
    for number, line in enumerate(raw.split(b"\n"), first):
        if len(line) > max_line:
            yield Finding(name, number, "long", f"line is longer than {max_line:,} bytes")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            yield Finding(
                name,
                number,
                "encoding",
                f"invalid UTF-8 at byte {error.start + 1} of the line (0x{line[error.start]:02x})",
            )
            continue
        if match := _CONTROL.search(text.removesuffix("\r")):
            what = _NAMES.get(match[0], f"control character U+{ord(match[0]):04X}")
            yield Finding(name, number, "control", f"{what} at character {match.start() + 1} of the line")
