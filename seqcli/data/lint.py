"""Every fault of a data set with its file and line, so that a training run meets none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqcli.data import conll
from seqcli.data.blocks import sentences
from seqcli.data.corpus import Split
from seqcli.data.example import Example
from seqcli.data.formats import FRAME_FORMATS, Reading, read_examples
from seqcli.data.lint_text import Finding, check_text
from seqcli.data.statistics import tags_of, tokens_of
from seqcli.errors import ExitCode, UserError
from seqcli.metrics import schemes

KINDS = {
    "encoding": "invalid UTF-8",
    "control": "control characters",
    "long": "long lines",
    "newline": "final newline",
    "format": "format",
    "separators": "mixed separators",
    "empty": "no example",
    "tags": "tag steps",
    "duplicate": "sentences of another split",
    "label": "labels unseen in training",
    "bom": "byte order mark",
    "crlf": "CRLF",
    "outside": "lines outside a record",
    "no-frames": "sequences without frames",
    "channels": "other channels",
    "missing": "missing values",
    "classes": "one label only",
    "blank": "empty texts",
}
"""Each kind of finding in words."""


@dataclass(slots=True)
class _Memory:
    """What was seen so far: the place of each sentence by its hash, and the first split's labels."""

    places: dict[int, tuple[int, str]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)


def lint(splits: Sequence[Split], scheme: str | None) -> Iterator[Finding]:
    """Yield what is wrong, file by file: the text, the format, then tags, labels and sentences against the others.

    The first split is the one that is trained on. ``scheme`` None leaves the order of tags unchecked.

    Raises:
        UserError: an unreadable file (74), columns that the format does not know (2).
    """
    if any(split.reading.format in FRAME_FORMATS for split in splits):
        yield from _lint_frames(splits)
        return
    memory = _Memory()
    for index, split in enumerate(splits):
        for path in split.files:
            yield from check_text(path, split.reading.max_line)
            if split.reading.format == "conll":
                yield from _check_separators(path, split)
            if split.reading.format == "records" and split.reading.record_start:
                yield from _check_outside(path, split.reading, split.reading.record_start)
        yield from _check_examples(split, index, scheme, memory)


def _lint_frames(splits: Sequence[Split]) -> Iterator[Finding]:
    from seqcli.data.lint_frames import FrameMemory, check_frames

    memory = FrameMemory()
    for index, split in enumerate(splits):
        for path in split.files:
            if path.suffix.lower() != ".npy":
                yield from check_text(path, split.reading.max_line)
        yield from check_frames(split, index, _items(split), memory)


def _check_separators(path: Path, split: Split) -> Iterator[Finding]:
    layout = None
    reading = split.reading
    try:
        for begin, rows in sentences(path, on_invalid="replace", max_line=reading.max_line):
            layout = layout or conll.layout_of(rows)
            skipped = conll.count_comments(rows, layout)
            for line, row in enumerate(rows[skipped:], begin + skipped):
                if layout is not None and ("\t" in row) != layout[0] and len(conll.split_row(row)) > 1:
                    here, there = ("tabs", "spaces") if "\t" in row else ("spaces", "tabs")
                    yield Finding(str(path), line, "separators", f"{here} between columns, {there} before")
                elif " \t" in row or "\t " in row:
                    yield Finding(str(path), line, "separators", "a space beside a tab belongs to the token or tag")
    except UserError as error:
        if error.code != ExitCode.DATA:  # bad data is what check_text or the reader says more about
            raise


def _check_outside(path: Path, reading: Reading, record_start: str) -> Iterator[Finding]:
    """A note where lines belong to no record; in ABC files that is right for comments, and wrong for half a tune."""
    first, count = 0, 0
    try:
        for begin, rows in sentences(path, on_invalid="replace", max_line=reading.max_line):
            outside = next((index for index, row in enumerate(rows) if row.startswith(record_start)), len(rows))
            first = first or (begin if outside else 0)
            count += outside
    except UserError as error:
        if error.code != ExitCode.DATA:
            raise
    if count:
        yield Finding(
            str(path),
            first,
            "outside",
            f"lines that belong to no record are left out: {count:,}, this one "
            f"first (a record begins with '{record_start}')",
            is_note=True,
        )


def _check_examples(split: Split, index: int, scheme: str | None, memory: _Memory) -> Iterator[Finding]:
    tags_here: Counter[str] = Counter()
    first_place: dict[str, str] = {}
    whole, empty = 0, []
    for item in _items(split):
        if isinstance(item, Finding):
            yield item
            continue
        for tag in tags_of(item):
            if tag not in tags_here:
                first_place[tag] = item.at
            tags_here[tag] += 1
        whole += isinstance(item.target, str)
        if isinstance(item.target, str) and not tokens_of(item):
            empty.append(item.at)
            continue
        if scheme is not None and isinstance(item.target, list):
            yield from _check_steps(item, scheme, split.reading.format == "conll")
        if split.reading.blank_lines != "keep":  # a line of a running text may well stand in another one too
            yield from _check_duplicate(item, index, memory)
    if empty:
        file, line = _place(empty[0])
        yield Finding(
            file, line, "blank", f"labelled examples whose text is empty: {len(empty):,}, this one first", is_note=True
        )
    if index == 0:
        if whole > 1 and len(tags_here) == 1:
            label = next(iter(tags_here))
            file, _ = _place(first_place[label])
            yield Finding(
                file,
                None,
                "classes",
                f"every example has one and the same label, '{label}': there is nothing to tell apart",
            )
        memory.labels = set(tags_here)
        return
    if not memory.labels:
        return
    for tag in tags_here:
        if tag not in memory.labels:
            file, line = _place(first_place[tag])
            yield Finding(
                file,
                line,
                "label",
                f"label '{tag}' does not occur in the training data "
                f"(times here: {tags_here[tag]:,}; this sentence is the first)",
            )


def _items(split: Split) -> Iterator[Example | Finding]:
    """Examples, and a finding where a line or a sentence is none."""
    reading = replace(split.reading, on_invalid="replace")
    for path in split.files:
        faults: list[Finding] = []

        def note(error: UserError, path: Path = path, faults: list[Finding] = faults) -> None:
            faults.append(Finding(str(path), error.line, "format", error.message))

        count = 0
        try:
            for example in read_examples(path, reading, on_error=note):
                yield from faults
                faults.clear()
                count += 1
                yield example
        except UserError as error:
            if error.code != ExitCode.DATA:
                raise
            note(error)
        count += len(faults)
        yield from faults
        if not count:
            yield Finding(str(path), None, "empty", "no example: the file is empty or has only blank lines")


def _check_steps(example: Example, scheme: str, line_per_token: bool) -> Iterator[Finding]:
    file, line = _place(example.at)
    for position, reason in schemes.violations(example.target, scheme):
        if line_per_token:
            yield Finding(file, line + position, "tags", f"{reason} ({scheme})")
        else:
            yield Finding(file, line, "tags", f"token {position + 1}: {reason} ({scheme})")


def _check_duplicate(example: Example, index: int, memory: _Memory) -> Iterator[Finding]:
    key = hash("\x1f".join(tokens_of(example)))
    before = memory.places.setdefault(key, (index, example.at))
    if before[0] != index:
        file, line = _place(example.at)
        yield Finding(file, line, "duplicate", f"the same sentence stands in another split, at {before[1]}")


def _place(at: str) -> tuple[str, int]:
    file, _, line = at.rpartition(":")
    return file, int(line)
