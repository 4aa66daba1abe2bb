"""JSON lines: one object a line. Lists are tokens and tags, strings are text and labels, numbers their digits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from seqcli.data.blocks import OnError, Source, name_of, read_blocks, report
from seqcli.data.example import Example
from seqcli.data.tsv import SOURCES, TARGETS, wrong_lengths
from seqcli.errors import UserError, data_error, did_you_mean
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid

_PAIRS = (
    ("tokens", "tags"),
    ("tokens", "ner_tags"),
    ("text", "label"),
    ("text", "labels"),
    ("tokens", "label"),
    ("source", "target"),
)
"""Key pairs tried on the first object where the recipe names none; a target may be missing."""


def read(
    source: Source,
    *,
    columns: Mapping[str, int | str] | None = None,
    max_line: int = DEFAULT_MAX_LINE,
    on_invalid: OnInvalid = "strict",
    on_error: OnError | None = None,
) -> Iterator[Example]:
    """Yield one example a line; blank lines are skipped.

    Args:
        columns: keys of the source (``source`` or ``token``) and the target (``target`` or ``tag``); by default the
            first object decides: tokens and tags, text or tokens and a label, or source and target.
        on_error: takes an error of a line instead of raising it; the line is then skipped.

    Raises:
        UserError: a line that is no JSON object, a key that is missing, a value that is neither text, a whole
            number nor a list of them, lists of different lengths (65, with file:line); and what `read_blocks` raises.
    """
    name = name_of(source)
    keys = _named_keys(columns) if columns else None
    for first, lines in read_blocks(source, on_invalid=on_invalid, max_line=max_line):
        for number, line in enumerate(lines, first):
            if not line.strip(" \t"):
                continue
            try:
                record = _parse(line, name, number)
                keys = keys or _guess_keys(record, name, number)
                value = _value(record, keys[0], name, number)
                target = _value(record, keys[1], name, number) if keys[1] else None
                if wrong := wrong_lengths(value, target, name, number):
                    raise wrong
            except UserError as error:
                report(error, on_error)
                continue
            yield Example(value, target, f"{name}:{number}")


def _named_keys(columns: Mapping[str, int | str]) -> tuple[str, str | None]:
    source = next(str(columns[key]) for key in SOURCES if key in columns)
    return source, next((str(columns[key]) for key in TARGETS if key in columns), None)


def _guess_keys(record: dict[str, Any], name: str, line: int) -> tuple[str, str | None]:
    for source, target in _PAIRS:
        if source in record and target in record:
            return source, target
    for source, _ in _PAIRS:
        if source in record:
            return source, None
    raise data_error(
        f"none of the keys tokens, text, source; found {', '.join(record)[:200] or 'nothing'}",
        file=name,
        line=line,
        hint="Set data.columns, such as {token: words, tag: pos}.",
    )


def _parse(line: str, name: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise data_error(f"no JSON: {error.msg}", file=name, line=number, column=error.colno) from error
    except RecursionError as error:
        raise data_error("JSON nested too deeply", file=name, line=number) from error
    if not isinstance(record, dict):
        raise data_error("not a JSON object", file=name, line=number)
    if "\\ud" in line.lower() and _has_surrogate(record):
        raise data_error("half a surrogate pair (\\ud800 to \\udfff), which is no character", file=name, line=number)
    return record


def _has_surrogate(record: dict[str, Any]) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _value(record: dict[str, Any], key: str, name: str, line: int) -> str | list[str]:
    if key not in record:
        raise data_error(f"no key '{key}'", file=name, line=line, hint=did_you_mean(key, list(record)))
    value = record[key]
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) or type(item) is int for item in value):
        return [str(item) for item in value]
    raise data_error(f"'{key}' is neither text, a whole number nor a list of them", file=name, line=line)
