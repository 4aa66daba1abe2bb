"""The data formats, one class each: which one a file gets, and a guess where nobody said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from seqcli.data.example import Example
from seqcli.data.formats.base import Format, OnError, Reading
from seqcli.data.formats.looking import TableLook
from seqcli.errors import did_you_mean, usage_error
from seqcli.lines import Chunk, Input, is_stdin, read_blocks, source_name
from seqcli.recipe import registry

__all__ = ["FORMATS", "FileLook", "Reading", "format_class", "guess_format", "guess_series", "has_frames"]
__all__ += ["holds_series", "look_at_lines", "read_examples"]

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


def has_frames(name: str | None) -> bool:
    """Whether the sources of a format are frames, [T, D]; those of all others are text."""
    return name in FORMATS and format_class(name).has_frames


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
        from seqcli.data.formats.frames import format_of_folder

        return format_of_folder(Path(name))
    if known := format_by_name(name):
        return known
    return look_at_lines(first_lines(str(source.path if isinstance(source, Chunk) else source)), name).format


def guess_series(source: Input) -> str:
    """Which format of series a file has: a row for each step, or a line for each series."""
    return _series_format(source) or "series"


def holds_series(source: Input) -> bool:
    """Whether a file of which nobody knows what it holds is a table of series: numbers beside times, or behind names."""
    name = source_name(source)
    is_table = format_by_name(name) in (None, "csv", "tsv") and not Path(name).is_dir()
    return is_table and _series_format(source) is not None


def _series_format(source: Input) -> str | None:
    lines = first_lines(str(source.path if isinstance(source, Chunk) else source))
    formats = ("series", "series-rows")
    return next((name for name in formats if format_class(name).likelihood(lines, has_blank=False)), None)


def first_lines(name: str) -> list[str]:
    """The lines at a file's beginning that a guess is made of; invalid UTF-8 does not matter here.

    Raises:
        UserError: an unreadable file (74).
    """
    lines: list[str] = []
    for _, block in read_blocks(name, on_invalid="replace"):
        lines += block
        if len(lines) >= _GUESS_LINES:
            break
    return lines[:_GUESS_LINES]


@dataclass(frozen=True)
class FileLook:
    """What the first lines of a file show: its format, and where it has columns which they are and what they hold."""

    format: str
    table: TableLook | None

    def describe(self) -> str:
        """``csv with a header, text: 'review', label: 'stars'``, to be said of a file."""
        columns = self.table.describe() if self.table is not None else ""
        joint = " " if columns.startswith("with") else ", "
        return f"{self.format}{joint}{columns}" if columns else self.format


def look_at_lines(lines: list[str], name: str = "", reading: Reading | None = None) -> FileLook:
    """What the first lines of a file called ``name`` show; what ``reading`` says is not guessed."""
    reading = reading or Reading()
    form = reading.format or format_by_name(name) or guess_from_lines(lines)
    if (
        reading.format is None
        and _suffix(name) == ".tsv"
        and form not in ("conll", "conllu", "frames", "npz", "manifest", "series", "series-rows")
    ):
        form = "tsv"
    table = None if reading.columns else format_class(form)(replace(reading, format=form)).look(lines)
    return FileLook(form, table)


def format_by_name(name: str) -> str | None:
    """The format that a file's name says, if it does."""
    return next((one for one in FORMATS if format_class(one).is_named(name)), None)


def _suffix(name: str) -> str:
    return Path(name.removesuffix(".gz").lower()).suffix


def guess_from_lines(lines: list[str]) -> str:
    """What a file's first lines look like: one of `FORMATS`."""
    filled = [line for line in lines if line.strip(" \t")]
    content = [line for line in filled if not line.startswith(("# ", "-DOCSTART-"))]
    if not content:
        return "lines"
    has_blank = len(filled) < len(lines)
    return max(FORMATS, key=lambda name: format_class(name).likelihood(content, has_blank=has_blank))
