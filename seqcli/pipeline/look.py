"""What a user's own files hold: format, task, tag scheme, sizes; and what would stop a training on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from seqcli.data.braces import is_parallel, parallel_files
from seqcli.data.corpus import SplitFiles, check_file, file_split
from seqcli.data.example import Example
from seqcli.data.formats.base import Reading
from seqcli.data.statistics import percentiles, scheme_of, tags_of, tokens_of
from seqcli.errors import UserError, data_error, did_you_mean, usage_error
from seqcli.lines import is_stdin, open_binary
from seqcli.metrics import schemes
from seqcli.pipeline.own_data import splits_of

MOST_EXAMPLES = 200_000
"""Examples of a file that are looked at."""

FEWEST_EXAMPLES = 10
"""Below this there is nothing to learn from and to measure on."""

TASKS = ("tagging", "classification", "translation", "language-model", "word-vectors")

UNLABELLED = ("language-model", "word-vectors")
"""Those that read text and nothing beside it."""

_FIRST_BYTES = 2**16
_MOST_LABELS = 50


@dataclass
class Seen:
    """Counts of one file; words are what stands between spaces.

    Attributes:
        is_all: the whole file was looked at.
        several: an example may have several labels (fastText's ``__label__a __label__b``).
        sources: hashes of the sources that are text; ``starts``: the first word of each.
        faults: tags that break the scheme, and where the first of them stands.
    """

    examples: int = 0
    is_all: bool = True
    words: int = 0
    characters: int = 0
    vocabulary: set[str] = field(default_factory=set)
    lengths: Counter[int] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    several: bool = False
    sources: set[int] = field(default_factory=set)
    spans: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    first_fault: str = ""

    @property
    def percentiles(self) -> dict[str, int]:
        return percentiles(self.lengths)


@dataclass(frozen=True)
class Look:
    """What the files show.

    Attributes:
        splits: by name (train, dev, test), all read as the training file is.
        scheme: of the tags, where they mark spans.
    """

    task: str
    splits: Mapping[str, SplitFiles]
    seen: Mapping[str, Seen]
    scheme: str | None

    @property
    def train(self) -> Seen:
        return self.seen["train"]

    @property
    def reading(self) -> Reading:
        return self.splits["train"].reading

    @property
    def file(self) -> str:
        return str(self.splits["train"].files[0])


def look(files: Sequence[str], reading: Reading, task: str | None = None) -> Look:
    """Look at one to three files.

    Raises:
        UserError: files that are no text, too few examples, one label only, a column that is no label (65, with the
            remedy), a task that the files are not for (2), an unreadable file (74).
    """
    names = splits_of(files)
    for split, name in names.items():
        for file in parallel_files(name) if is_parallel(name) else [name]:
            _check_bytes(file, split)
    try:
        train = file_split("train", [names["train"]], reading)
        if train.has_frames or train.has_media:
            raise usage_error(
                f"holds {train.holds}, and this writes recipes for text",
                file=names["train"],
                hint="Start from 'seqcli recipes cp activity my.yaml'.",
            )
        if task not in (*UNLABELLED, "translation"):
            _check_columns(train)
        scheme = scheme_of(train)
        seen = {"train": _count(train, scheme)}
        if reading.format is None and task in (None, "classification") and _is_labelled(train, seen["train"]):
            train = replace(train, reading=replace(train.reading, format="labelled"))
            seen = {"train": _count(train, None)}
        own = replace(train.reading)
        splits = {name: file_split(name, [file], own) if name != "train" else train for name, file in names.items()}
        seen |= {name: _count(split, scheme) for name, split in splits.items() if name != "train"}
    except UserError as error:
        error.hint = error.hint and error.hint.replace(", or go on with --invalid replace", "")
        raise
    found = Look(_task(train, seen["train"], task), splits, seen, scheme)
    _check_sizes(found)
    return found


def _check_bytes(file: str, split: str) -> None:
    """Refuse what cannot be read twice, and what is no text."""
    if is_stdin(file):
        raise usage_error(
            "standard input can be read only once, and a recipe names files",
            hint="Put it into a file first: cat > train.txt",
        )
    given = Path(file).expanduser()
    if given.exists() and not given.is_file() and not given.is_dir():
        raise usage_error(
            "can be read only once, and a recipe names files",
            file=file,
            hint=f"Put it into a file first: cat {file} > train.txt",
        )
    path = check_file(file, split, folder=True)
    if path.is_dir():
        return
    with open_binary(path) as handle:
        first = handle.read(_FIRST_BYTES)
    if b"\0" in first:
        raise data_error(
            "is no text: there are zero bytes in it",
            file=file,
            hint="Save it as text in UTF-8: CSV, TSV, JSON lines, CoNLL or plain lines.",
        )
    if path.suffix == ".json" and first.lstrip()[:1] == b"[":
        raise data_error(
            "is one JSON list; an object a line is wanted",
            file=file,
            hint=f"Such as: jq -c '.[]' {file} > {path.stem}.jsonl",
        )


def _check_columns(train: SplitFiles) -> None:
    """Refuse a table of which it cannot be told what the label is."""
    table = train.table
    if table is None or len(table.columns) < 2 or {"label", "tags"} & {*table.roles}:
        return
    text = table.roles.get("text", table.columns[0].name)
    label = next(column.name for column in reversed(table.columns) if column.name != text)
    raise usage_error(
        f"which column is the label? There are: {table.names()}",
        file=train.files[0],
        hint=f"Say it: --columns text={text},label={label}; for the text alone, --task language-model.",
    )


def _count(split: SplitFiles, scheme: str | None) -> Seen:
    seen = Seen()
    examples = split.examples()
    for example in islice(examples, MOST_EXAMPLES):
        seen.examples += 1
        words = tokens_of(example)
        seen.words += len(words)
        seen.lengths[len(words)] += 1
        seen.vocabulary.update(words)
        labels = tags_of(example)
        if split.reading.format == "labelled":
            labels = labels[0].split(" ")
            seen.several |= len(labels) > 1
        seen.labels.update(labels)
        if isinstance(example.source, str):
            seen.characters += len(example.source) + 1
            seen.sources.add(hash(example.source))
            seen.starts[words[0] if words else ""] += 1
        elif scheme is not None and example.target is not None:
            _count_spans(seen, example, scheme)
    seen.is_all = next(examples, None) is None
    return seen


def _count_spans(seen: Seen, example: Example, scheme: str) -> None:
    try:
        seen.spans.update(span.label for span in schemes.spans(example.target, scheme))
        faults = len(schemes.violations(example.target, scheme))
    except UserError:  # a tag that is none of the scheme
        faults = 1
    if faults and not seen.faults:
        seen.first_fault = example.at
    seen.faults += faults


def _is_labelled(split: SplitFiles, seen: Seen) -> bool:
    """Whether plain lines are texts with a label in front (``positive a charming film``).

    Their first words are few and come back, unlike those of running text; ``user:`` is who speaks in a dialogue.
    """
    few = 2 <= len(seen.starts) <= min(_MOST_LABELS, seen.examples // 10)
    return (
        split.reading.format == "lines"
        and few
        and len(seen.vocabulary) > 2 * len(seen.starts)
        and min(seen.starts.values()) > 1
        and not any(start.endswith(":") or not start for start in seen.starts)
    )


def _task(split: SplitFiles, seen: Seen, wanted: str | None) -> str:
    """The task that the examples are for, or the one that is wanted where they can be read so."""
    example = next(split.examples())
    is_text = isinstance(example.source, str)
    is_tagged = isinstance(example.target, list) and not is_text
    is_labelled = example.target is not None and is_text
    if wanted is None and is_labelled:
        return "translation" if split.has_target_texts or _are_pairs(seen) else "classification"
    if wanted is None:
        return "tagging" if is_tagged else "language-model"
    if wanted not in TASKS:
        hint = did_you_mean(wanted, TASKS) or f"Known: {', '.join(TASKS)}."
        raise usage_error(f"--task: unknown task '{wanted}'", hint=hint)
    labelled = dict.fromkeys(("classification", "translation"), is_labelled)
    fits = {"tagging": is_tagged, **labelled}.get(wanted, is_text)
    if not fits:
        has = "a tag for each token" if is_tagged else "a label for each text" if is_labelled else "text and no labels"
        raise usage_error(
            f"read as {split.reading.format} it has {has}, which is not what the task {wanted} needs",
            file=split.files[0],
            hint="Say how to read it with --format and --columns, or leave --task out.",
        )
    return wanted


def _are_pairs(seen: Seen) -> bool:
    """Whether texts stand on both sides: hardly one of either comes twice."""
    return seen.examples >= 2 * FEWEST_EXAMPLES and min(len(seen.labels), len(seen.sources)) > seen.examples / 2


def _beside(file: str) -> str:
    """The name of a mended file beside ``file``."""
    path = Path(file)
    return str(path.with_name(f"{path.stem}.new{path.suffix}"))


def _check_sizes(found: Look) -> None:
    seen, file, task = found.train, found.file, found.task
    if task in UNLABELLED:
        if seen.words < 200:
            raise data_error(f"{seen.words} words are too few to learn a language from", file=file)
        if seen.examples < 2 * FEWEST_EXAMPLES:
            raise data_error(
                f"{seen.words:,} words in so few lines ({seen.examples}) that none can be kept for development",
                file=file,
                hint=f"Break the lines first: fold -s -w 100 {file} > {_beside(file)}",
            )
        return
    if seen.examples < FEWEST_EXAMPLES:
        what = "1 example is" if seen.examples == 1 else f"{seen.examples} examples are"
        raise data_error(
            f"{what} too few to learn from and to measure on",
            file=file,
            hint=f"Label some more: {FEWEST_EXAMPLES} at the very least, a hundred to be of use.",
        )
    if task == "translation":
        return
    if len(seen.labels) == 1:
        raise data_error(
            f"every {'token' if task == 'tagging' else 'example'} has one and the same label, "
            f"'{next(iter(seen.labels))[:40]}': there is nothing to tell apart",
            file=file,
            hint="Is it the right column? Say which with --columns.",
        )
    if task == "classification" and len(seen.labels) > seen.examples / 2:
        longest = max(seen.labels, key=len)
        raise data_error(
            f"{len(seen.labels):,} different labels in {seen.examples:,} examples, such as '{longest[:40]}'",
            file=file,
            hint="Is it the text? Say which column is which: --columns text=0,label=1 (or their names).",
        )
