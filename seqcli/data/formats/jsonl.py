"""JSON lines: one object a line. Lists are tokens and tags, strings are text and labels, numbers their digits.

A list beside a text is several: labels of a text, or references of a translation. ``a.b`` is key b of the object a.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from seqcli.data.formats.base import SOURCES, TARGETS, LineFormat, Reading, same_length
from seqcli.data.formats.looking import TableLook, look_at_records
from seqcli.errors import UserError, data_error, did_you_mean

_PAIRS = (
    ("tokens", "tags"),
    ("tokens", "ner_tags"),
    ("text", "label"),
    ("text", "labels"),
    ("tokens", "label"),
    ("source", "target"),
)
"""Key pairs tried on the first object where the recipe names none; a target may be missing."""


class JsonLines(LineFormat):
    """Columns are keys, of the source and of the target; by default the first object decides, see ``_PAIRS``."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")
    needs_source = True

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        keys = [
            next((str(self.columns[key]) for key in side if key in self.columns), None) for side in (SOURCES, TARGETS)
        ]
        self.keys = (keys[0], keys[1]) if keys[0] is not None else None

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 0.9 if all(line.startswith("{") for line in lines) else 0.0

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        return role

    def look(self, lines: list[str]) -> TableLook | None:
        records = []
        for line in lines:
            with suppress(UserError):
                records.append(parse_record(line))
        look = look_at_records(records)
        with suppress(UserError):
            source, target = _guess_keys(records[0] if records else {})
            items = any(column.name == source and column.holds == "tokens" for column in look.columns)
            names = ("tokens", "tags") if items else ("text", "label")
            return replace(look, roles={names[0]: source, **({names[1]: target} if target else {})})
        return look

    def head(self, line: str, number: int) -> bool:
        with suppress(UserError):
            self.keys = self.keys or _guess_keys(parse_record(line))
        return False

    def parse(self, line: str) -> tuple[str | list[str], str | list[str] | None]:
        record = parse_record(line)
        self.keys = self.keys or _guess_keys(record)
        source = value_of(record, self.keys[0])
        target = value_of(record, self.keys[1]) if self.keys[1] else None
        same_length(source, target)
        return source, target


def _guess_keys(record: dict[str, Any]) -> tuple[str, str | None]:
    for source, target in _PAIRS:
        if source in record and target in record:
            return source, target
    for source, _ in _PAIRS:
        if source in record:
            return source, None
    languages = record.get("translation")
    if isinstance(languages, dict) and len(languages) == 2:
        source, target = (f"translation.{language}" for language in languages)
        return source, target
    raise data_error(
        f"none of the keys tokens, text, source; found {', '.join(record)[:200] or 'nothing'}",
        hint="Set data.columns, such as {token: words, tag: pos}.",
    )


def parse_record(line: str) -> dict[str, Any]:
    """The object of a line.

    Raises:
        UserError: it is none (65).
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise data_error(f"no JSON: {error.msg}", column=error.colno) from error
    except RecursionError as error:
        raise data_error("JSON nested too deeply") from error
    except ValueError as error:  # Python's limit: longer ones take time that grows with their square
        raise data_error("a whole number of too many digits", hint="Put it in quotes if it is a text.") from error
    if not isinstance(record, dict):
        raise data_error("not a JSON object")
    if "\\ud" in line.lower():
        try:
            json.dumps(record, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise data_error("half a surrogate pair (\\ud800 to \\udfff), which is no character") from None
    return record


def value_of(record: dict[str, Any], key: str) -> str | list[str]:
    """Text, or a list of it, of an object.

    Raises:
        UserError: no such key, or another kind of value (65).
    """
    outer, _, inner = key.partition(".")
    if key not in record and isinstance(record.get(outer), dict):
        return value_of(record[outer], inner)
    if key not in record:
        raise data_error(f"no key '{key}'", hint=did_you_mean(key, list(record)))
    value = record[key]
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) or type(item) is int for item in value):
        return [str(item) for item in value]
    raise data_error(f"'{key}' is neither text, a whole number nor a list of them")
