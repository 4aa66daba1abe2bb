"""The data formats, one class each: which one a file gets, and a guess where nobody said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from seqcli.data.example import Example
from seqcli.data.formats.base import Format, OnError, Reading
from seqcli.errors import did_you_mean, usage_error
from seqcli.lines import Chunk, Input, is_stdin, read_blocks, source_name
from seqcli.recipe import registry

__all__ = ["FORMATS", "FRAME_FORMATS", "Reading", "format_class", "guess_format", "read_examples"]

FORMATS = tuple(registry.FORMATS)

_GUESS_LINES = 500


@cache
def format_class(name: str) -> type[Format]:
    """The class of a format.

    Raises:
        UserError: no such format (2).
    """
    if name not in FORMATS:
        hint = did_you_mean(name, FORMATS) or f"Known: {', '.join(FORMATS)}."
        raise usage_error(f"unknown format '{name}'", hint=hint)
    return registry.load(registry.FORMATS[name])


FRAME_FORMATS = frozenset(name for name in FORMATS if format_class(name).has_frames)
"""Those whose sources are frames, [T, D]; all others are text."""


def read_examples(source: Input, reading: Reading, *, on_error: OnError | None = None) -> Iterator[Example]:
    """Yield the examples of a file, or of a chunk of one (`seqcli.data.chunks`), in memory that stays flat.

    Args:
        source: a path, a chunk of a file, or ``None`` or ``-`` for standard input.
        reading: the options; a format of None is guessed, see `guess_format`.
        on_error: takes what is wrong with a line or sentence instead of raising it, so that all faults come to light.

    Raises:
        UserError: columns that the format does not know (2), bad data (65, with file:line), an unreadable file (74).
    """
    examples = format_class(reading.format or guess_format(source))(reading).read(source, on_error)
    if labels := reading.labels:
        examples = (replace(one, target=labels.get(str(one.target), one.target)) for one in examples)
    if reading.tag_prefixes or reading.tag_suffixes:
        clean = cache(lambda tag: clean_tag(tag, reading.tag_prefixes, reading.tag_suffixes))
        examples = (replace(one, target=[clean(tag) for tag in one.target]) for one in examples)
    return examples


def clean_tag(tag: str, prefixes: tuple[str, ...], suffixes: tuple[str, ...]) -> str:
    """Take the prefixes and suffixes off a tag, as often as they stand there, but never the whole tag."""
    shorter = tag
    for prefix in prefixes:
        shorter = shorter.removeprefix(prefix) or shorter
    for suffix in suffixes:
        shorter = shorter.removesuffix(suffix) or shorter
    return tag if shorter == tag else clean_tag(shorter, prefixes, suffixes)


def guess_format(source: Input) -> str:
    """The format that a file's name says, else what its first lines look like.

    Raises:
        UserError: standard input, which cannot be read twice (2); an unreadable file (74).
    """
    name = source_name(source)
    if not isinstance(source, Chunk) and is_stdin(source):
        raise usage_error("the format of standard input is not known", hint="Say which: --format conll.")
    if Path(name).is_dir():
        return "csv-folders"
    if known := format_by_name(name):
        return known
    lines: list[str] = []
    for _, block in read_blocks(name, on_invalid="replace"):
        lines += block
        if len(lines) >= _GUESS_LINES:
            break
    return guess_from_lines(lines[:_GUESS_LINES])


def format_by_name(name: str) -> str | None:
    """The format that a file's name says, if it does."""
    suffix = Path(name.removesuffix(".gz").lower()).suffix
    return next((one for one in FORMATS if suffix and suffix in format_class(one).suffixes), None)


def guess_from_lines(lines: list[str]) -> str:
    """What a file's first lines look like: one of `FORMATS`."""
    filled = [line for line in lines if line.strip(" \t")]
    content = [line for line in filled if not line.startswith(("# ", "-DOCSTART-"))]
    if not content:
        return "lines"
    has_blank = len(filled) < len(lines)
    return max(FORMATS, key=lambda name: format_class(name).likelihood(content, has_blank=has_blank))
