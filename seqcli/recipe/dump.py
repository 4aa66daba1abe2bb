"""A recipe as YAML again, filled in and in the order of the schema; and the difference between two."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from seqcli.recipe.base import Config, walk
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tree import plain_scalar

_SAFE = re.compile(r"[\w./][\w./@+()-]*(?: [\w./@+(-][\w./@+()-]*)*")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump_recipe(recipe: Recipe, comments: Mapping[str, str] | None = None) -> str:
    """The recipe as YAML with every value written out; loading it gives an equal recipe.

    ``comments``: a remark for the end of the line of each dotted path (``training.epochs``) that has one.
    """
    lines = list(_lines(recipe, 0, ()))
    remarks = comments or {}
    width = min(max(len(line) for line, _ in lines), 60)
    texts = [f"{line.ljust(width)}  # {remarks[path]}" if path in remarks else line for line, path in lines]
    return "\n".join(texts) + "\n"


def _lines(section: Config, depth: int, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each line with the dotted path of its value."""
    indent = "  " * depth
    for name in type(section).model_fields:
        value = getattr(section, name)
        where = (*path, name)
        if isinstance(value, Config):
            yield f"{indent}{name}:", ".".join(where)
            yield from _lines(value, depth + 1, where)
        else:
            yield f"{indent}{name}: {format_value(value)}", ".".join(where)


def format_value(value: Any) -> str:
    """A scalar, list, mapping or section in YAML's flow style, such that our loader and others read the same."""
    if isinstance(value, Config):
        return format_value(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{format_value(str(key))}: {format_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if isinstance(value, float):
        return _format_float(value)
    if isinstance(value, str):
        return _format_text(value)
    return json.dumps(value)


def _format_float(value: float) -> str:
    """Shortest text of the number; with the point that YAML 1.1 wants before an exponent (1.0e-05, not 1e-05)."""
    if not math.isfinite(value):
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return text if not e or "." in mantissa else f"{mantissa}.0e{exponent}"


def _format_text(text: str) -> str:
    if _SAFE.fullmatch(text) and text.lower() not in ("y", "n") and plain_scalar(text) == text and text.isprintable():
        return text if not text[0].isdigit() else _quoted(text)
    return _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def recipe_difference(a: Recipe, b: Recipe) -> list[str]:
    """What changed from ``a`` to ``b``, a line a value: ``training.optimizer.lr: 0.001 -> 0.002``.

    A value that only one of the two has (its section is of another kind, or absent) shows as ``absent``.
    """
    before = {".".join(path): format_value(value) for path, value in walk(a)}
    after = {".".join(path): format_value(value) for path, value in walk(b)}
    return [
        f"{path}: {before.get(path, 'absent')} -> {after.get(path, 'absent')}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path)
    ]
