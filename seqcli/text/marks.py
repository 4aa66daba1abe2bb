"""Marks that make white space and gluing visible, so that a line of tokens is always tokens with one space between.

Three characters carry a meaning in marked tokens: ``▁`` is a space, ``￭`` says "no space on this side", and ``％xxxx``
is the character with that hexadecimal code (any other white space, and the three marks themselves where the text
holds them). Text that holds none of these and no odd white space is left as it is.
"""

from __future__ import annotations

import re

SPACE_MARK = "▁"  # U+2581
JOINER = "￭"  # U+FFED
ESCAPE_MARK = "％"  # U+FF05

WHITE_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Inside of a character class: exactly the characters for which ``str.isspace`` is true (a test holds it to that).

Written out because ``\\s`` means different sets to ``re``, ``regex`` and ``str.split``.
"""

_MARKED = re.compile(f"[{WHITE_SPACE}{SPACE_MARK}{JOINER}{ESCAPE_MARK}]")
_ESCAPED = re.compile(f"{ESCAPE_MARK}([0-9a-f]{{4}})")


def needs_marks(text: str) -> bool:
    """True when `mark` would change the text."""
    return _MARKED.search(text) is not None


def mark(text: str) -> str:
    """Spell white space and mark characters so that the result holds no white space; `unmark` undoes it."""
    return _MARKED.sub(_spell, text)


def unmark(text: str) -> str:
    """Undo `mark`; an ``％`` that four hexadecimal digits do not follow stays as it is."""
    text = text.replace(SPACE_MARK, " ")
    return _ESCAPED.sub(_unspell, text) if ESCAPE_MARK in text else text


def _spell(match: re.Match[str]) -> str:
    character = match.group()
    return SPACE_MARK if character == " " else f"{ESCAPE_MARK}{ord(character):04x}"


def _unspell(match: re.Match[str]) -> str:
    code = int(match.group(1), 16)
    return match.group() if 0xD800 <= code <= 0xDFFF else chr(code)  # a surrogate is no character
