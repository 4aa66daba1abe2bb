"""``seqcli data``: list, fetch, describe and check data sets."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from seqcli.cli import console
from seqcli.errors import ExitCode, usage_error
from seqcli.lines import DEFAULT_MAX_LINE
from seqcli.recipe.registry import FORMATS

if TYPE_CHECKING:
    from seqcli.data.catalogue import DataSet
    from seqcli.data.corpus import SplitFiles
    from seqcli.data.fetch.obtain import Progress
    from seqcli.data.formats import Reading
    from seqcli.data.frame_statistics import FrameStatistics
    from seqcli.data.lint_text import Finding
    from seqcli.data.statistics import SplitStatistics
    from seqcli.lines import OnInvalid

command = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, fetch, describe and check data sets.",
    epilog="\b\nExamples:\n  seqcli data get wnut17\n  seqcli data lint my/train.conll my/dev.conll",
)

_LABELS_SHOWN = 20

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME|FILE...",
        show_default=False,
        help="A data set of the catalogue, or files (or folders of frames); they are compared with the first of them.",
    ),
]
_Format = Annotated[
    str | None,
    typer.Option(
        "--format", show_default=False, help=f"{', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]} (default: by the file)."
    ),
]
_Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="KEY=COLUMN,...", show_default=False, help="Such as token=0,tag=-1 or token=form,tag=xpos."
    ),
]
_Separator = Annotated[
    str | None,
    typer.Option("--separator", show_default=False, help="Between token and tag in the inline format (default: /)."),
]
_BlankLines = Annotated[
    str | None,
    typer.Option(
        "--blank-lines",
        show_default=False,
        help="skip or keep those of the lines format (default: the catalogue's, else skip).",
    ),
]
_RecordStart = Annotated[
    str | None,
    typer.Option(
        "--record-start",
        metavar="TEXT",
        show_default=False,
        help="What the first line of a record begins with, such as X: (default: a blank line comes before it).",
    ),
]
_Scheme = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        show_default=False,
        help="io, iob1, bio, bioes or bilou (default: the catalogue's, else recognised).",
    ),
]
_MaxLine = Annotated[int, typer.Option("--max-line", min=1, help="Longest line accepted, in bytes.")]
_Errors = Annotated[str, typer.Option("--errors", help="Invalid UTF-8: strict refuses it, replace puts U+FFFD there.")]


@command.command("ls", epilog="\b\nExamples:\n  seqcli data ls\n  seqcli data ls --json")
def list_data(as_json: _Json = False) -> None:
    """List the data sets of the catalogue."""
    from seqcli.data.catalogue import data_sets

    if as_json:
        console.emit_json([{**_as_dict(one), "here": _where(one)} for one in data_sets().values()])
        return
    rows = [(one.name, one.task, one.size, one.licence, _where(one)) for one in data_sets().values()]
    for line in console.table(rows, ("name", "task", "size", "licence", "here")):
        console.emit(line)


@command.command("get", epilog="\b\nExamples:\n  seqcli data get brown\n  SEQCLI_MIRROR=/data seqcli data get wnut17")
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False, help="Names of data sets.")],
    as_json: _Json = False,
) -> None:
    """Fetch data sets into the cache and print where their files lie."""
    from seqcli.data.catalogue import data_set
    from seqcli.data.fetch.obtain import obtain

    found = []
    with _progress() as progress:
        for known in [data_set(name) for name in names]:
            for split, files in known.splits.items():
                for name in files:
                    path = obtain(known, name, progress)
                    found.append({"data_set": known.name, "split": split, "path": str(path)})
    if as_json:
        console.emit_json(found)
        return
    for row in found:
        console.emit(row["path"])


@command.command(
    "stats",
    epilog="\b\nExamples:\n  seqcli data stats wnut17\n"
    "  seqcli data stats train.conll test.conll --columns token=0,tag=1",
)
def stats(
    names: _Names,
    data_format: _Format = None,
    columns: _Columns = None,
    separator: _Separator = None,
    blank_lines: _BlankLines = None,
    record_start: _RecordStart = None,
    scheme: _Scheme = None,
    max_line: _MaxLine = DEFAULT_MAX_LINE,
    errors: _Errors = "strict",
    as_json: _Json = False,
) -> None:
    """Print sentences, tokens, characters, lengths, labels, spans and the overlap of the splits."""
    reading = _reading(data_format, columns, separator, max_line, errors, blank_lines, record_start)
    splits, scheme = _choose(names, reading, scheme)
    if splits[0].has_frames:
        _frame_stats(splits, as_json)
        return
    from seqcli.data.statistics import describe

    described = describe(splits, scheme)
    for split in described:
        if not split.sentences:
            raise _no_example(split.files[0])
    if as_json:
        console.emit_json({"scheme": scheme, "splits": [dataclasses.asdict(split) for split in described]})
        return
    for line in _stats_lines(described, scheme):
        console.emit(line)


def _frame_stats(splits: Sequence[SplitFiles], as_json: bool) -> None:
    from seqcli.data.frame_statistics import describe_frames

    described = describe_frames(splits)
    for split in described:
        if not split.sequences:
            raise _no_example(split.files[0])
    if as_json:
        console.emit_json({"scheme": None, "splits": [dataclasses.asdict(split) for split in described]})
        return
    for line in _frame_lines(described):
        console.emit(line)


def _no_example(file: str) -> Exception:
    from seqcli.errors import data_error

    return data_error("no example: the file is empty or has only blank lines", file=file)


@command.command(
    "lint",
    epilog="\b\nExamples:\n  seqcli data lint mini-ner\n"
    "  seqcli data lint train.conll dev.conll test.conll --scheme bio",
)
def lint(
    names: _Names,
    data_format: _Format = None,
    columns: _Columns = None,
    separator: _Separator = None,
    blank_lines: _BlankLines = None,
    record_start: _RecordStart = None,
    scheme: _Scheme = None,
    max_line: _MaxLine = DEFAULT_MAX_LINE,
    shown: Annotated[int, typer.Option("--max", min=1, help="Most faults shown; all are counted.")] = 100,
    as_json: _Json = False,
) -> int:
    """List each fault with file and line; exits 65 when there is one."""
    from seqcli.data.lint import lint as find_faults

    reading = _reading(data_format, columns, separator, max_line, "replace", blank_lines, record_start)
    splits, scheme = _choose(names, reading, scheme)
    counts: Counter[str] = Counter()
    notes: list[Finding] = []
    listed: list[Finding] = []
    for finding in find_faults(splits, scheme):
        if finding.is_note:
            notes.append(finding)
            continue
        counts[finding.kind] += 1
        if counts.total() > shown:
            continue
        if as_json:
            listed.append(finding)
        else:
            console.emit(str(finding))
    if as_json:
        console.emit_json(
            {
                "scheme": scheme,
                "faults": counts.total(),
                "by_kind": dict(counts),
                "listed": [_finding(one) for one in listed],
                "notes": [_finding(one) for one in notes],
            }
        )
    else:
        _say_the_rest(counts, notes, shown)
    return int(ExitCode.DATA) if counts else int(ExitCode.OK)


@command.command(
    "convert",
    epilog="\b\nExamples:\n  seqcli data convert train.conll --to bioes > train.bioes\n"
    "  seqcli data convert - --from iob1 --to bio < old.conll",
)
def convert(
    to_scheme: Annotated[str, typer.Option("--to", show_default=False, help="io, iob1, bio, bioes or bilou.")],
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", show_default=False, help="A CoNLL file; - or nothing: stdin.")
    ] = None,
    from_scheme: Annotated[
        str | None,
        typer.Option("--from", show_default=False, help="The scheme of the file (default: recognised, and said)."),
    ] = None,
    tag: Annotated[int, typer.Option("--tag", help="Column of the tags, from 0; negative from the end.")] = -1,
    repair: Annotated[bool, typer.Option("--repair", help="Read invalid tags as conlleval does.")] = False,
    max_line: _MaxLine = DEFAULT_MAX_LINE,
    errors: _Errors = "strict",
) -> None:
    """Write a CoNLL file's tags in another scheme; all else stays as it is."""
    from seqcli.data.convert import convert_lines
    from seqcli.lines import is_stdin

    reading = _reading("conll", f"token=0,tag={tag}", None, max_line, errors)
    _refuse_frames(file)
    if from_scheme is None:
        if is_stdin(file):
            raise usage_error("the scheme of standard input is not known", hint="Say which: --from iob1.")
        from_scheme = _choose([str(file)], reading, None)[1]
        if from_scheme is None:
            raise usage_error(f"the tags of '{file}' follow no scheme that is known", hint="Is --tag the right column?")
    for line in convert_lines(
        file, from_scheme, to_scheme, tag=tag, repair=repair, max_line=max_line, on_invalid=reading.on_invalid
    ):
        console.emit(line, flush=not line and is_stdin(file))


def _refuse_frames(file: str | None) -> None:
    from pathlib import Path

    from seqcli.data.formats import FRAME_FORMATS, format_by_name

    if file is not None and (Path(file).is_dir() or format_by_name(file) in FRAME_FORMATS):
        raise usage_error(f"'{file}' holds frames, which have no tag scheme", hint="Name a CoNLL file.")


def _choose(names: Sequence[str], reading: Reading, scheme: str | None) -> tuple[list[SplitFiles], str | None]:
    """The splits, and the scheme: given, the catalogue's, or recognised in the first split (which is said)."""
    from seqcli.data.corpus import choose_splits
    from seqcli.data.statistics import scheme_of
    from seqcli.metrics.schemes import scheme_name

    wanted = scheme_name(scheme) if scheme else None
    with _progress() as progress:
        splits, stated = choose_splits(names, reading, progress)
    for split in splits:
        if split.guessed:
            console.note(f"{split.name}: read as {split.reading.format}")
    if wanted or stated or splits[0].has_frames:
        return splits, wanted or stated
    found = scheme_of(splits[0])
    if found:
        console.note(f"{splits[0].name}: tag scheme {found}, recognised")
    return splits, found


def _reading(
    data_format: str | None,
    columns: str | None,
    separator: str | None,
    max_line: int,
    errors: str,
    blank_lines: str | None = None,
    record_start: str | None = None,
) -> Reading:
    from seqcli.data.formats import Reading
    from seqcli.errors import did_you_mean

    if data_format is not None and data_format not in FORMATS:
        raise usage_error(
            f"--format: unknown format '{data_format}'",
            hint=did_you_mean(data_format, list(FORMATS)) or f"Known: {', '.join(FORMATS)}.",
        )
    if errors not in ("strict", "replace"):
        raise usage_error(f"--errors: strict or replace, not '{errors}'")
    if blank_lines not in (None, "skip", "keep"):
        raise usage_error(f"--blank-lines: skip or keep, not '{blank_lines}'")
    if record_start == "":
        raise usage_error("--record-start: every line begins with nothing")
    return Reading(
        data_format,
        _parse_columns(columns),
        separator,
        max_line,
        cast("OnInvalid", errors),
        blank_lines=cast("Literal['skip', 'keep'] | None", blank_lines),
        record_start=record_start,
    )


def _parse_columns(text: str | None) -> dict[str, int | str] | None:
    if text is None:
        return None
    columns: dict[str, int | str] = {}
    for pair in text.split(","):
        key, found, value = pair.partition("=")
        if not (found and key and value):
            raise usage_error(f"--columns: '{pair}' is not KEY=COLUMN", hint="Such as token=0,tag=-1.")
        columns[key.strip()] = int(value) if value.strip().removeprefix("-").isdecimal() else value.strip()
    return columns


def _where(data_set: DataSet) -> str:
    """Where the files of a data set are already, as far as their names tell."""
    import os
    from pathlib import Path

    from seqcli.data.catalogue import cached_path

    if data_set.embedded:
        return "embedded"
    if all(cached_path(data_set, name).is_file() for name in data_set.file_names()):
        return "cache"
    mirror = os.environ.get("SEQCLI_MIRROR")
    if mirror and all(
        (Path(mirror) / (data_set.mirror or data_set.name) / name).is_file() for name in data_set.fetched_names()
    ):
        return "mirror"
    return "-"


def _as_dict(data_set: DataSet) -> dict[str, Any]:
    """What a reader of JSON may want to know, in the catalogue's own words."""
    return {
        "name": data_set.name,
        "description": data_set.description,
        "task": data_set.task,
        "licence": data_set.licence,
        "citation": data_set.citation,
        "size": data_set.size,
        "format": data_set.format,
        "scheme": data_set.scheme,
        "splits": {split: list(files) for split, files in data_set.splits.items()},
        "sources": [str(source["kind"]) for source in data_set.sources],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"file": finding.file, "line": finding.line, "kind": finding.kind, "message": finding.message}


def _say_the_rest(counts: Counter[str], notes: Sequence[Finding], shown: int) -> None:
    from seqcli.data.lint import KINDS

    if counts.total() > shown:
        console.note(f"... and {counts.total() - shown:,} more (--max {counts.total()} shows all)")
    for finding in notes:
        console.note(f"note: {finding}")
    if counts:
        kinds = ", ".join(f"{count:,} {KINDS[kind]}" for kind, count in counts.most_common())
        console.note(f"{counts.total():,} {'fault' if counts.total() == 1 else 'faults'}: {kinds}")
    else:
        console.note("no faults")


def _stats_lines(splits: Sequence[SplitStatistics], scheme: str | None) -> Iterator[str]:
    right = range(1, len(splits) + 1)
    header = ("", *(split.name for split in splits))
    unit = {"lines": "line", "records": "record"}.get(splits[0].format, "sentence")
    rows: list[tuple[str, ...]] = [
        (f"{unit}s", *(f"{split.sentences:,}" for split in splits)),
        ("tokens", *(f"{split.tokens:,}" for split in splits)),
        ("types", *(f"{split.types:,}" for split in splits)),
    ]
    if any(split.characters for split in splits):
        rows.append(("characters", *(f"{split.characters or 0:,}" for split in splits)))
    rows.append((f"tokens a {unit}", *(f"{split.mean_length:.1f}" for split in splits)))
    rows.extend(_length_rows([split.lengths for split in splits]))
    rows.append((f"repeated {unit}s", *(f"{split.repeated_sentences:,}" for split in splits)))
    if len(splits) > 1:
        first = splits[0].name
        for label, name in (
            ("unknown tokens", "unknown_tokens"),
            ("unknown types", "unknown_types"),
            (f"{unit}s also in {first}", "seen_sentences"),
            (f"spans also in {first}", "seen_spans"),
        ):
            if any(getattr(split, name) is not None for split in splits):
                rows.append((label, *(_percent(getattr(split, name)) for split in splits)))
    yield from console.table(rows, header, right=right)
    if scheme and any(split.spans for split in splits):
        yield from _label_lines(f"spans ({scheme})", [split.spans for split in splits], header)
    if any(split.labels for split in splits):
        yield from _label_lines("labels", [split.labels for split in splits], header)
    for split in splits[1:]:
        if split.unseen_labels:
            yield f"only in {split.name}, not in {splits[0].name}: {', '.join(split.unseen_labels)}"


def _frame_lines(splits: Sequence[FrameStatistics]) -> Iterator[str]:
    header = ("", *(split.name for split in splits))
    rows: list[tuple[str, ...]] = [
        ("sequences", *(f"{split.sequences:,}" for split in splits)),
        ("frames", *(f"{split.frames:,}" for split in splits)),
        ("channels", *(f"{split.channels:,}" for split in splits)),
        ("frames a sequence", *(f"{split.mean_length:.1f}" for split in splits)),
        *_length_rows([split.lengths for split in splits]),
        ("missing values", *(f"{split.missing_values:,}" for split in splits)),
        ("repeated sequences", *(f"{split.repeated_sequences:,}" for split in splits)),
    ]
    if any(split.missing_values for split in splits):
        rows.insert(-1, ("sequences with some", *(f"{split.incomplete_sequences:,}" for split in splits)))
    if len(splits) > 1:
        rows.append((f"sequences also in {splits[0].name}", *(_percent(split.seen_sequences) for split in splits)))
    yield from console.table(rows, header, right=range(1, len(splits) + 1))
    if any(split.labels for split in splits):
        yield from _label_lines("labels", [split.labels for split in splits], header)
    for split in splits[1:]:
        if split.unseen_labels:
            yield f"only in {split.name}, not in {splits[0].name}: {', '.join(split.unseen_labels)}"


def _length_rows(lengths: Sequence[dict[str, int]]) -> Iterator[tuple[str, ...]]:
    for key in lengths[0]:
        what = {"min": "shortest", "max": "longest", "p50": "median"}.get(key, f"{key[1:]}% have at most")
        yield (f"  {what}", *(f"{one.get(key, 0):,}" for one in lengths))


def _label_lines(title: str, counts: Sequence[dict[str, int]], header: Sequence[str]) -> Iterator[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    rows = [(label, *(f"{one.get(label, 0):,}" for one in counts)) for label, _ in total.most_common(_LABELS_SHOWN)]
    yield ""
    yield from console.table(rows, (title, *header[1:]), right=range(1, len(counts) + 1))
    if len(total) > _LABELS_SHOWN:
        yield f"... and {len(total) - _LABELS_SHOWN:,} more (--json lists all)"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar a file on a terminal; in a pipe, one line when a download begins."""
    if console.settings.quiet:
        yield None
        return
    if not console.stderr_is_terminal():
        begun: set[str] = set()

        def say(name: str, done: int, total: int | None) -> None:
            if name not in begun:
                begun.add(name)
                console.note(f"fetching {name}" + (f" ({total / 1e6:.1f} MB)" if total else ""))

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def draw(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield draw
