"""The formats: which reader a file gets, how it is called, and a guess where nobody said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from seqcli.data import conll, conllu, inline, jsonl, labelled, plain, records, tsv
from seqcli.data.blocks import OnError, Source, name_of, read_blocks
from seqcli.data.example import Example
from seqcli.errors import did_you_mean, usage_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, is_stdin

if TYPE_CHECKING:
    from seqcli.recipe.data import DataConfig

FORMATS = ("conll", "conllu", "inline", "tsv", "jsonl", "lines", "records", "labelled", "ts", "frames", "csv-folders")

FRAME_FORMATS = frozenset({"ts", "frames", "csv-folders"})
"""Those whose sources are frames, [T, D]; all others are text."""

_BY_SUFFIX = {
    ".conllu": "conllu",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".conll": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".bioes": "conll",
    ".conll03": "conll",
    ".abc": "records",
    ".ts": "ts",
}
ABC_START = "X:"
"""What the first line of a tune begins with: the ``record_start`` of a file called ``.abc`` where nobody said one."""

_ALIASES = {"tokens": "token", "tags": "tag", "text": "source", "label": "target"}
_KEYS = ("token", "tag", "source", "target")
_GUESS_LINES = 500
_FRAME_FILE = re.compile(r"\.(npy|npz(#[^#]+)?|csv)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: all that a reader needs to know beside the path.

    ``tag_prefixes`` and ``tag_suffixes`` are taken off each tag, as often as they stand there (Brown's ``fw-`` and
    ``-tl``), and ``labels`` gives a file's labels readable names (``0``: ``negative``), any other stays as it is; only
    the catalogue sets these. ``blank_lines`` None means skip; it is for the lines format, as
    ``record_start`` is for records.
    """

    format: str | None = None
    columns: Mapping[str, int | str] | None = None
    separator: str | None = None
    max_line: int = DEFAULT_MAX_LINE
    on_invalid: OnInvalid = "strict"
    tag_prefixes: tuple[str, ...] = ()
    tag_suffixes: tuple[str, ...] = ()
    blank_lines: Literal["skip", "keep"] | None = None
    record_start: str | None = None
    labels: Mapping[str, str] | None = None

    @classmethod
    def of(cls, config: DataConfig, *, on_invalid: OnInvalid = "strict") -> Reading:
        """The reading that a recipe's data section asks for."""
        return cls(
            config.format,
            config.columns,
            config.separator,
            config.max_line,
            on_invalid,
            blank_lines=config.blank_lines,
            record_start=config.record_start,
        )

    def as_text(self) -> str:
        """All options on one line: part of a fingerprint."""
        columns = dict(sorted(self.columns.items())) if self.columns else None
        text = repr(
            (
                self.format,
                columns,
                self.separator,
                self.max_line,
                self.on_invalid,
                self.tag_prefixes,
                self.tag_suffixes,
                self.blank_lines == "keep",
                self.record_start,
            )
        )
        return f"{text} labels {sorted(self.labels.items())!r}" if self.labels else text


def read_examples(source: Source, reading: Reading, *, on_error: OnError | None = None) -> Iterator[Example]:
    """Yield the examples of a file, or of a part of one (`seqcli.data.chunks`), in memory that stays flat.

    Args:
        source: a path, a part of a file, or ``None`` or ``-`` for standard input.
        reading: the options; a format of None is guessed, see `guess_format`.
        on_error: takes what is wrong with a line or sentence instead of raising it, so that all faults are found.

    Raises:
        UserError: columns that the format does not know (2), bad data (65, with file:line), an unreadable file (74).
    """
    examples = _open(source, reading.format or guess_format(source), reading, on_error)
    if reading.labels:
        examples = _name_labels(examples, reading.labels)
    if not (reading.tag_prefixes or reading.tag_suffixes):
        return examples
    return _clean_tags(examples, reading)


def _open(source: Source, format_name: str, reading: Reading, on_error: OnError | None) -> Iterator[Example]:
    columns = check_columns(format_name, reading.columns)
    common: dict[str, Any] = {"max_line": reading.max_line, "on_invalid": reading.on_invalid, "on_error": on_error}
    if format_name == "conll":
        numbers = cast("dict[str, int]", columns)
        tag = numbers.get("tag") if columns else -1
        return conll.read(source, token=numbers.get("token", 0), tag=tag, **common)
    if format_name == "conllu":
        return conllu.read(
            source, token=columns.get("token", "form"), tag=columns.get("tag") if columns else "upos", **common
        )
    if format_name == "inline":
        return inline.read(source, separator=reading.separator or "/", **common)
    if format_name == "tsv":
        return tsv.read(source, columns=columns, **common)
    if format_name == "jsonl":
        return jsonl.read(source, columns=columns, **common)
    if format_name == "lines":
        return plain.read(
            source, max_line=reading.max_line, on_invalid=reading.on_invalid, keep_blank=reading.blank_lines == "keep"
        )
    if format_name == "records":
        return records.read(
            source, record_start=reading.record_start, max_line=reading.max_line, on_invalid=reading.on_invalid
        )
    if format_name == "labelled":
        return labelled.read(source, **common)
    if format_name in FRAME_FORMATS:
        return _open_frames(source, format_name, columns, common)
    raise usage_error(
        f"unknown format '{format_name}'", hint=did_you_mean(format_name, FORMATS) or f"Known: {', '.join(FORMATS)}."
    )


def _open_frames(
    source: Source, format_name: str, columns: Mapping[str, int | str], common: dict[str, Any]
) -> Iterator[Example]:
    from seqcli.data import frames, ts  # they need numpy, which text does not

    if format_name == "ts":
        return ts.read(source, target="target" in columns, **common)
    if format_name == "frames":
        return frames.read_index(source, columns=columns, **common)
    return frames.read_folder(source, **common)


def check_columns(format_name: str, columns: Mapping[str, int | str] | None) -> dict[str, int | str]:
    """The columns under their one name each (``tokens`` is ``token``, ``label`` is ``target`` ...).

    Raises:
        UserError: a key that no reader knows, or a kind of column that the format does not have (exit code 2).
    """
    result: dict[str, int | str] = {}
    for key, column in (columns or {}).items():
        known = _ALIASES.get(key, key)
        if known not in _KEYS:
            hint = did_you_mean(key, [*_KEYS, *_ALIASES]) or f"Known: {', '.join(_KEYS)}."
            raise usage_error(f"data.columns: unknown column '{key}'", hint=hint)
        if format_name in ("conll", "conllu"):
            known = {"source": "token", "target": "tag"}.get(known, known)
        if format_name == "conll" and not isinstance(column, int):
            raise usage_error(f"data.columns.{key}: CoNLL columns have numbers, not names: '{column}'")
        if format_name == "ts" and (known, column) != ("target", -1):
            raise usage_error("data.columns: of the ts format only {target: -1} can be said")
        if format_name == "frames" and known not in ("source", "target"):
            raise usage_error(f"data.columns: the frames format has source and target, no {key}")
        if format_name in ("inline", "lines", "records", "labelled", "csv-folders"):
            raise usage_error(f"data.columns: the {format_name} format has no columns")
        result[known] = column
    if result and format_name in ("tsv", "jsonl", "frames") and not {"token", "source"} & set(result):
        raise usage_error("data.columns: name the column of the source or of the tokens")
    return result


def _name_labels(examples: Iterator[Example], labels: Mapping[str, str]) -> Iterator[Example]:
    for example in examples:
        yield replace(example, target=labels.get(str(example.target), example.target))


def _clean_tags(examples: Iterator[Example], reading: Reading) -> Iterator[Example]:
    cache: dict[str, str] = {}
    for example in examples:
        for tag in example.target:
            if tag not in cache:
                cache[tag] = clean_tag(tag, reading.tag_prefixes, reading.tag_suffixes)
        yield replace(example, target=[cache[tag] for tag in example.target])


def clean_tag(tag: str, prefixes: tuple[str, ...], suffixes: tuple[str, ...]) -> str:
    """Take the prefixes and suffixes off a tag, as often as they stand there, but never the whole tag."""
    while True:
        shorter = tag
        for prefix in prefixes:
            shorter = shorter.removeprefix(prefix) or shorter
        for suffix in suffixes:
            shorter = shorter.removesuffix(suffix) or shorter
        if shorter == tag:
            return tag
        tag = shorter


def guess_format(source: Source) -> str:
    """The format that a file's name says, else what its first lines look like.

    Raises:
        UserError: standard input, which cannot be read twice (2); an unreadable file (74).
    """
    name = name_of(source)
    if not hasattr(source, "path") and is_stdin(source):
        raise usage_error("the format of standard input is not known", hint="Say which: --format conll.")
    if Path(name).is_dir():
        return "csv-folders"
    if known := format_by_name(name):
        return known
    lines: list[str] = []
    for _, block in read_blocks(name, on_invalid="replace"):
        lines.extend(block)
        if len(lines) >= _GUESS_LINES:
            break
    return guess_from_lines(lines[:_GUESS_LINES])


def format_by_name(name: str) -> str | None:
    """The format that a file's name says, if it does."""
    return _BY_SUFFIX.get(Path(name.removesuffix(".gz").lower()).suffix)


def guess_from_lines(lines: list[str]) -> str:
    """What a file's first lines look like: one of `FORMATS`."""
    filled = [line for line in lines if line.strip(" \t")]
    content = [line for line in filled if not line.startswith(("# ", "-DOCSTART-"))]
    if not content:
        return "lines"
    if all(_FRAME_FILE.search(line.split("\t", 1)[0]) for line in content):
        return "frames"
    if all(line.startswith("{") for line in content):
        return "jsonl"
    if all(line.startswith(labelled.PREFIX) for line in content):
        return "labelled"
    if all(line.count("\t") == 9 and line[0].isdigit() for line in content):
        return "conllu"
    if _looks_like_conll(content, has_blank=len(filled) < len(lines)):
        return "conll"
    if all("\t" in line for line in content):
        return "tsv"
    items = [item for line in content for item in re.split("[ \t]+", line) if item]
    if sum(bool(re.fullmatch(r".+/[^/\s]+", item)) for item in items) > 0.95 * len(items):
        return "inline"
    return "lines"


def _looks_like_conll(content: list[str], *, has_blank: bool) -> bool:
    """A few columns, the same number on most lines, and sentences cut by blank ones; a broken file is still CoNLL."""
    widths = [len(conll.split_row(line)) for line in content]
    usual = max(set(widths), key=widths.count)
    return has_blank and usual >= 2 and widths.count(usual) >= 0.6 * len(widths)
