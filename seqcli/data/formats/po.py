"""Gettext: ``.po`` files of texts and their translations, and ``.mo``, what they are compiled to.

https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from seqcli.data.example import Example
from seqcli.data.formats.base import Format
from seqcli.data.formats.csv import on_one_line
from seqcli.errors import cannot_read, data_error
from seqcli.lines import Chunk, Input, open_binary

_COMPILED = (b"\xde\x12\x04\x95", b"\x95\x04\x12\xde")
_CONTEXT = "\x04"
_QUOTED = re.compile(r'\s*(#~\s*)?(msg\w+(\[\d+\])?\s*)?"')
_FAULT = re.compile(r"\(line (\d+)\)(: .*)?")


class _Text(str):
    """A text whose lines end at line feeds only, as everywhere here."""

    def splitlines(self, keepends: bool = False) -> list[str]:
        return self.split("\n")


class Po(Format):
    """The translated entries: ``msgid`` is the source, ``msgstr`` the target; of plurals the first form of each.

    Left out are the header and what is obsolete, fuzzy or not translated. The context is no part of a text; a line
    break counts as a space. Of a ``.mo`` file, which has no lines, the number of the entry takes the line's place.
    """

    name = "po"
    suffixes = (".po", ".mo")
    ends = "file"
    has_target_texts = True

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        is_po = all(line.startswith(("msg", '"', "#")) for line in lines)
        return 1.0 if is_po and any(line.startswith('msgid "') for line in lines) else 0.0

    def examples(self, source: Input) -> Iterator[Example]:
        for place, msgid, msgstr in self._entries(source.path if isinstance(source, Chunk) else source):
            source_text, target = (on_one_line(text.rpartition(_CONTEXT)[2]).strip() for text in (msgid, msgstr))
            if source_text and target:
                yield Example(source_text, target, f"{self.file}:{place}")

    def _entries(self, path: str | os.PathLike[str] | None) -> Iterator[tuple[int, str, str]]:
        """Yield ``(line or number, msgid, msgstr)``."""
        import polib

        compiled = _compiled(path)
        text = None if compiled else self._text(path)
        try:
            entries = polib.pofile(_Text(text), encoding="utf-8") if text is not None else polib.mofile(compiled)
        except OSError as error:
            fault = _FAULT.search(str(error))
            message = f"not as a .po file is written{fault[2] or ''}" if fault else str(error)
            self.report(data_error(message), int(fault[1]) if fault else None)
            return
        except (struct.error, UnicodeDecodeError) as error:
            self.report(data_error(f"is no whole .mo file: {error}"))
            return
        for number, entry in enumerate(entries, 1):
            if not entry.obsolete and "fuzzy" not in entry.flags:
                place = number if compiled else entry.linenum
                yield place, entry.msgid, entry.msgstr or entry.msgstr_plural.get(0, "")

    def _text(self, path: str | os.PathLike[str] | None) -> str:
        lines = []
        for number, line in self.lines(path):
            if _QUOTED.match(line) and (line.count('"') < 2 or not line.rstrip().endswith('"')):
                raise data_error("a quote is opened and never closed", file=self.file, line=number)
            lines.append(line)
        return "\n".join(lines)

    def text_files(self, path: Path) -> list[Path]:
        return [] if _compiled(path) else [path]


def _compiled(path: str | os.PathLike[str] | None) -> bytes:
    """The bytes of a ``.mo`` file; none of another one.

    Raises:
        UserError: an unreadable file (74).
    """
    with open_binary(path) as handle:
        try:
            first = handle.read(4)
            return first + handle.read() if first in _COMPILED else b""
        except (OSError, EOFError, zlib.error) as error:
            raise cannot_read(path, error) from error
