"""The verb ``data``: list, fetch, describe and check data sets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from seqcli.cli import console, show
from seqcli.cli.options import (
    Columns,
    Format,
    Invalid,
    Json,
    MaxLine,
    Reading,
    examples,
    grouped,
    nearest,
    parse_columns,
    verb_of_verbs,
)
from seqcli.cli.progress import downloads
from seqcli.errors import ExitCode, data_error, plural, usage_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, is_stdin
from seqcli.recipe.registry import FORMATS

if TYPE_CHECKING:
    from seqcli.data import formats
    from seqcli.data.catalogue import DataSet
    from seqcli.data.corpus import SplitFiles
    from seqcli.data.frame_statistics import FrameStatistics
    from seqcli.data.lint_text import Finding
    from seqcli.data.series_statistics import ColumnStatistics, SeriesStatistics
    from seqcli.data.statistics import SplitStatistics

command = verb_of_verbs("seqcli data get wnut17", "seqcli data lint my/train.conll my/dev.conll")

_LABELS_SHOWN = 20
_STOPS_SHOWN = 100
_HARMLESS_SHOWN = 3

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME|FILE...",
        help="A data set of the catalogue, or files (or folders of frames), - for stdin; compared with the first of them.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class DataReading:
    """How data sets are read."""

    data_format: Format = None
    columns: Columns = None
    separator: Annotated[str | None, typer.Option(help="Between token and tag (inline), or between columns (csv).")] = (
        None
    )
    blank_lines: Annotated[
        str | None, typer.Option(help="skip or keep those of the lines format (default: the catalogue's, else skip).")
    ] = None
    record_start: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the first line of a record begins with, such as X: (default: a blank line comes before it).",
        ),
    ] = None
    scheme: Annotated[
        str | None, typer.Option(help="io, iob1, bio, bioes or bilou (default: the catalogue's, else recognised).")
    ] = None
    missing: Annotated[
        str | None, typer.Option(metavar="NUMBER,...", help="Of series: numbers that stand for a missing value.")
    ] = None
    frequency: Annotated[
        str | None, typer.Option(help="Of series: such as '1 hour' or '1 month' (default: what the times show).")
    ] = None
    gaps: Annotated[
        str | None,
        typer.Option(help="Of series, steps in time that are left out: refuse (the default), fill or ignore."),
    ] = None
    max_line: MaxLine = DEFAULT_MAX_LINE

    def splits(self, names: Sequence[str], invalid: OnInvalid) -> tuple[list[SplitFiles], str | None]:
        """The splits of these data sets or files, and their tag scheme."""
        from seqcli.data.formats import Reading

        if self.data_format is not None and self.data_format not in FORMATS:
            hint = nearest(self.data_format, list(FORMATS))
            raise usage_error(f"--format: unknown format '{self.data_format}'", hint=hint)
        if self.blank_lines not in (None, "skip", "keep"):
            raise usage_error(f"--blank-lines: skip or keep, not '{self.blank_lines}'")
        if self.gaps not in (None, "refuse", "fill", "ignore"):
            raise usage_error(f"--gaps: refuse, fill or ignore, not '{self.gaps}'")
        if self.record_start == "":
            raise usage_error("--record-start: every line begins with nothing")
        reading = Reading(
            self.data_format,
            parse_columns(self.columns),
            self.separator,
            self.max_line,
            invalid,
            blank_lines=cast("Literal['skip', 'keep'] | None", self.blank_lines),
            record_start=self.record_start,
            missing=_numbers(self.missing),
            frequency=self.frequency,
            gaps=cast("Literal['refuse', 'fill', 'ignore']", self.gaps or "refuse"),
        )
        return _choose(names, reading, self.scheme)


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(","))) if text else ()
    except ValueError:
        raise usage_error(f"--missing: numbers with commas between, not '{text}'") from None


@command.command("ls", epilog=examples("seqcli data ls", "seqcli data ls --json"))
def list_data(as_json: Json = False) -> None:
    """List the data sets of the catalogue."""
    from seqcli.data.catalogue import data_sets

    if as_json:
        console.emit_json([{**_as_dict(entry), "here": _where(entry)} for entry in data_sets().values()])
        return
    rows = [(entry.name, entry.task, entry.size, entry.licence, _where(entry)) for entry in data_sets().values()]
    console.emit_lines(show.table(rows, ("name", "task", "size", "licence", "here")))


@command.command("get", epilog=examples("seqcli data get brown", "SEQCLI_MIRROR=/data seqcli data get wnut17"))
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of data sets.")], as_json: Json = False
) -> None:
    """Fetch data sets into the cache and print where their files lie."""
    from seqcli.data.braces import named_files
    from seqcli.data.catalogue import data_set
    from seqcli.data.fetch.obtain import obtain

    with downloads() as progress:
        files = [
            {"data_set": known.name, "split": split, "path": str(obtain(known, file, progress))}
            for known in [data_set(name) for name in names]
            for split, split_files in known.splits.items()
            for name in split_files
            for file in named_files(name)
        ]
    if as_json:
        console.emit_json(files)
    else:
        console.emit_lines(file["path"] for file in files)


@command.command(
    "stats",
    epilog=examples("seqcli data stats wnut17", "seqcli data stats train.conll test.conll --columns token=0,tag=1"),
)
@grouped
def stats(*, names: Names, reading: DataReading, invalid: Invalid = "strict", as_json: Json = False) -> None:
    """Print sentences, tokens, lengths, labels, spans and the overlap of the splits; of series steps, times and gaps."""
    splits, scheme = reading.splits(names, invalid)
    described: Sequence[SplitStatistics | FrameStatistics | SeriesStatistics]
    if splits[0].has_series:
        from seqcli.data.series_statistics import describe_series

        described = series = describe_series(splits)
        scheme, lines = None, _series_lines(series)
    elif splits[0].has_frames:
        from seqcli.data.frame_statistics import describe_frames

        described = frames = describe_frames(splits)
        scheme, lines = None, _frame_lines(frames)
    else:
        from seqcli.data.statistics import describe

        described = texts = describe(splits, scheme)
        unit = "image" if splits[0].has_images else "file" if splits[0].has_media else None
        lines = _media_lines(texts, unit) if unit else _text_lines(texts, scheme)
    for split in described:
        if not split.lengths:
            raise data_error("no example: the file is empty or has only blank lines", file=split.name)
    if as_json:
        console.emit_json({"scheme": scheme, "splits": [asdict(split) for split in described]})
    else:
        console.emit_lines(show.wrapped(lines))


@command.command(
    "lint",
    epilog=examples("seqcli data lint mini-ner", "seqcli data lint train.conll dev.conll test.conll --scheme bio"),
)
@grouped
def lint(
    *,
    names: Names,
    reading: DataReading,
    shown: Annotated[
        int | None,
        typer.Option(
            "--max", min=1, help="Most faults shown (default: 100 that stop a training, 3 of each other kind)."
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """List faults with file and line, what stops a training first; exits 65 when there is one."""
    from seqcli.data.lint import STOPS
    from seqcli.data.lint import lint as find_faults
    from seqcli.media.check import check_media

    splits, scheme = reading.splits(names, "replace")
    counts: Counter[str] = Counter()
    notes: list[Finding] = []
    listed: list[Finding] = []
    harmless: list[Finding] = []
    most = shown or _STOPS_SHOWN
    for finding in find_faults(splits, scheme, check_media):
        if finding.is_note:
            notes.append(finding)
            continue
        counts[finding.kind] += 1
        if finding.kind not in STOPS:
            if len(harmless) < most and (shown or counts[finding.kind] <= _HARMLESS_SHOWN):
                harmless.append(finding)
        elif len(listed) < most:
            listed.append(finding)
            if not as_json:
                console.emit(str(finding))
    rest = harmless[: most - len(listed)] if shown else harmless
    listed += rest
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
        console.emit_lines(map(str, rest))
        _note_counts(counts, notes, Counter(finding.kind for finding in listed))
    return int(ExitCode.DATA) if counts else int(ExitCode.OK)


@command.command(
    "convert",
    epilog=examples(
        "seqcli data convert train.conll --to bioes > train.bioes",
        "seqcli data convert - --from iob1 --to bio < old.conll",
    ),
)
@grouped
def convert(
    *,
    to_scheme: Annotated[str, typer.Option("--to", help="io, iob1, bio, bioes or bilou.")],
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="A CoNLL file; - or nothing: stdin.")] = None,
    from_scheme: Annotated[
        str | None, typer.Option("--from", help="The scheme of the file (default: recognised, and said).")
    ] = None,
    tag: Annotated[int, typer.Option(help="Column of the tags, from 0; negative from the end.")] = -1,
    repair: Annotated[bool, typer.Option("--repair", help="Read invalid tags as conlleval does.")] = False,
    reading: Reading,
) -> None:
    """Write a CoNLL file's tags in another scheme; all else stays as it is."""
    from seqcli.data import formats
    from seqcli.data.convert import convert_lines

    _refuse_frames(file)
    source: str | Path | None = file
    if from_scheme is None:
        if is_stdin(file):
            raise usage_error("the scheme of standard input is not known", hint="Say which: --from iob1.")
        columns: Mapping[str, int | str] = {"token": 0, "tag": tag}
        conll = formats.Reading("conll", columns, max_line=reading.max_line, on_invalid=reading.invalid)
        (split,), from_scheme = _choose([str(file)], conll, None)
        source = split.files[0]  # what came through a pipe is kept there
        if from_scheme is None:
            raise usage_error(f"the tags of '{file}' follow no scheme that is known", hint="Is --tag the right column?")
    for line in convert_lines(
        source, from_scheme, to_scheme, tag=tag, repair=repair, max_line=reading.max_line, on_invalid=reading.invalid
    ):
        console.emit(line, flush=not line and is_stdin(file))


def _refuse_frames(file: str | None) -> None:
    from seqcli.data.formats import format_by_name, has_frames, holds_series

    if file is None or is_stdin(file):
        return
    if Path(file).is_dir() or has_frames(format_by_name(file)):
        raise usage_error(f"'{file}' holds frames, which have no tag scheme", hint="Name a CoNLL file.")
    if Path(file).is_file() and format_by_name(file) in ("csv", "tsv") and holds_series(file):
        raise usage_error(f"'{file}' holds series, which have no tag scheme", hint="Name a CoNLL file.")


def _choose(names: Sequence[str], reading: formats.Reading, scheme: str | None) -> tuple[list[SplitFiles], str | None]:
    """The splits, and the scheme: given, the catalogue's, or recognised in the first split (which is said)."""
    from seqcli.data.corpus import choose_splits
    from seqcli.data.statistics import scheme_of
    from seqcli.metrics.schemes import scheme_name

    wanted = scheme_name(scheme) if scheme else None
    with downloads() as progress:
        splits, stated = choose_splits(names, reading, progress)
    for split in splits:
        if split.guessed or split.table:
            console.note(f"{split.name}: read as {split.describe()}")
    if wanted or stated or splits[0].has_frames or splits[0].has_series:
        return splits, wanted or stated
    recognised = scheme_of(splits[0])
    if recognised:
        console.note(f"{splits[0].name}: tag scheme {recognised}, recognised")
    return splits, recognised


def _where(entry: DataSet) -> str:
    """Where the files of a data set are already, as far as their names tell."""
    from seqcli.data.catalogue import cached_path

    if entry.embedded:
        return "embedded"
    if all(cached_path(entry, name).is_file() for name in entry.file_names()):
        return "cache"
    if not entry.fetched_names():
        return "made here"
    mirror = os.environ.get("SEQCLI_MIRROR")
    places = [Path(mirror or "") / entry.mirror_place(name) for name in entry.fetched_names()]
    if mirror and all(place.is_file() or place.with_name(f"{place.name}.gz").is_file() for place in places):
        return "mirror"
    return "-"


def _as_dict(entry: DataSet) -> dict[str, Any]:
    """What a reader of JSON may want to know, in the catalogue's own words."""
    names = ("name", "description", "task", "licence", "citation", "size", "format", "scheme")
    return {
        **{name: getattr(entry, name) for name in names},
        "splits": {split: list(files) for split, files in entry.splits.items()},
        "sources": [str(source["kind"]) for source in entry.sources],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"file": finding.file, "line": finding.line, "kind": finding.kind, "message": finding.message}


def _note_counts(counts: Counter[str], notes: Sequence[Finding], shown: Counter[str]) -> None:
    from seqcli.data.lint import KINDS, STOPS

    if more := counts - shown:
        kinds = ", ".join(f"{count:,} {KINDS[kind]}" for kind, count in more.most_common())
        console.note(f"... and {more.total():,} more: {kinds} (--max {counts.total()} shows all)")
    for finding in notes:
        console.note(f"note: {finding}")
    if counts:
        kinds = ", ".join(f"{count:,} {KINDS[kind]}" for kind, count in counts.most_common())
        stops = sum(count for kind, count in counts.items() if kind in STOPS)
        console.note(f"{plural(counts.total(), 'fault')}: {kinds}")
        if stops < counts.total():
            verb = "stops" if stops == 1 else "stop"
            console.note(f"{stops:,} of them {verb} a training" if stops else "none of them stops a training")
    else:
        console.note("no faults")


Row = tuple[str, ...]


def _text_lines(splits: Sequence[SplitStatistics], scheme: str | None) -> Iterator[str]:
    unit = {"lines": "line", "records": "record"}.get(splits[0].format, "sentence")
    rows = [
        _row(f"{unit}s", (split.sentences for split in splits)),
        _row("tokens", (split.tokens for split in splits)),
        _row("types", (split.types for split in splits)),
    ]
    if any(split.target_tokens is not None for split in splits):
        rows.append(_row("target tokens", (split.target_tokens or 0 for split in splits)))
        rows.append(_row("target types", (split.target_types or 0 for split in splits)))
    if any(split.references > 1 for split in splits):
        rows.append(_row("references", (split.references for split in splits)))
    if any(split.characters for split in splits):
        rows.append(_row("characters", (split.characters or 0 for split in splits)))
    rows.append((f"tokens a {unit}", *(f"{split.mean_length:.1f}" for split in splits)))
    rows += _length_rows([split.lengths for split in splits])
    rows.append(_row(f"repeated {unit}s", (split.repeated_sentences for split in splits)))
    first = splits[0].name
    for label, name in (
        ("unknown tokens", "unknown_tokens"),
        ("unknown types", "unknown_types"),
        (f"{unit}s also in {first}", "seen_sentences"),
        (f"spans also in {first}", "seen_spans"),
    ):
        shares = [getattr(split, name) for split in splits]
        if len(splits) > 1 and any(share is not None for share in shares):
            rows.append((label, *map(_percent, shares)))
    spans = [split.spans for split in splits] if scheme else []
    yield from _lines(splits, rows, {f"spans ({scheme})": spans, "labels": [split.labels for split in splits]})


def _media_lines(splits: Sequence[SplitStatistics], unit: str) -> Iterator[str]:
    rows = [
        _row(f"{unit}s", (split.sentences for split in splits)),
        _row(f"repeated {unit}s", (split.repeated_sentences for split in splits)),
    ]
    if unit == "image":
        rows.append(_row("words of captions", (split.target_tokens or 0 for split in splits)))
        rows.append(_row("different ones", (split.target_types or 0 for split in splits)))
        rows.append(_row("captions at most", (split.references for split in splits)))
    if len(splits) > 1:
        rows.append((f"{unit}s also in {splits[0].name}", *(_percent(split.seen_sentences) for split in splits)))
    yield from _lines(splits, rows, {"labels": [split.labels for split in splits]})


def _frame_lines(splits: Sequence[FrameStatistics]) -> Iterator[str]:
    rows = [
        _row("sequences", (split.sequences for split in splits)),
        _row("frames", (split.frames for split in splits)),
        _row("channels", (split.channels for split in splits)),
        ("frames a sequence", *(f"{split.mean_length:.1f}" for split in splits)),
        *_length_rows([split.lengths for split in splits]),
        _row("missing values", (split.missing_values for split in splits)),
    ]
    if any(split.missing_values for split in splits):
        rows.append(_row("sequences with some", (split.incomplete_sequences for split in splits)))
    rows.append(_row("repeated sequences", (split.repeated_sequences for split in splits)))
    if len(splits) > 1:
        rows.append((f"sequences also in {splits[0].name}", *(_percent(split.seen_sequences) for split in splits)))
    yield from _lines(splits, rows, {"labels": [split.labels for split in splits]})


def _series_lines(splits: Sequence[SeriesStatistics]) -> Iterator[str]:
    header, right = [split.name for split in splits], range(1, len(splits) + 1)
    rows = [_row("series", (split.series for split in splits)), _row("steps", (split.steps for split in splits))]
    if any(split.series > 1 for split in splits):
        rows += [
            ("steps a series", *(f"{split.mean_length:.1f}" for split in splits)),
            *_length_rows([split.lengths for split in splits]),
        ]
    rows += [
        _row("columns", (len(split.columns) for split in splits)),
        ("missing values", *(f"{split.missing:.2%}" for split in splits)),
        ("frequency", *(", ".join(split.frequencies) or "-" for split in splits)),
        _row("season of it, in steps", (split.season for split in splits)),
        ("first time", *(split.first_time or "-" for split in splits)),
        ("last time", *(split.last_time or "-" for split in splits)),
    ]
    if len(splits) > 1:
        rows.append((f"series not in {splits[0].name}", *(_count_or_none(split.unseen_series) for split in splits)))
    yield from show.table(rows, ("", *header), right=right)
    for split in splits:
        names = [*split.columns][:_LABELS_SHOWN]
        cells = [(name, *_values_of(split.columns[name], split.steps)) for name in names]
        yield ""
        titles = (split.name if len(splits) > 1 else "column", "mean", "deviation", "least", "greatest", "missing")
        yield from show.table(cells, titles, right=range(1, 6))
        if len(split.columns) > len(names):
            yield f"... and {len(split.columns) - len(names):,} more (--json lists all)"


def _values_of(column: ColumnStatistics, steps: int) -> Row:
    numbers = (column.mean, column.deviation, column.least, column.greatest)
    return (
        *("-" if number is None else f"{number:.5g}" for number in numbers),
        f"{column.missing / max(steps, 1):.2%}",
    )


def _count_or_none(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _lines(
    splits: Sequence[SplitStatistics | FrameStatistics],
    rows: Sequence[Row],
    counts: Mapping[str, Sequence[Mapping[str, int]]],
) -> Iterator[str]:
    """A table of ``rows``, a column a split; then one of each of the ``counts`` of labels by split; labels not seen."""
    header, right = [split.name for split in splits], range(1, len(splits) + 1)
    yield from show.table(rows, ("", *header), right=right)
    for title, of_splits in counts.items():
        total: Counter[str] = Counter()
        for one in of_splits:
            total.update(one)
        if not total:
            continue
        shown = total.most_common(_LABELS_SHOWN)
        yield ""
        yield from show.table(
            [_row(label, (one.get(label, 0) for one in of_splits)) for label, _ in shown], (title, *header), right=right
        )
        if len(total) > _LABELS_SHOWN:
            yield f"... and {len(total) - _LABELS_SHOWN:,} more (--json lists all)"
    for split in splits[1:]:
        if split.unseen_labels:
            yield f"only in {split.name}, not in {splits[0].name}: {', '.join(split.unseen_labels)}"


def _row(name: str, counts: Iterable[int]) -> Row:
    return (name, *(f"{count:,}" for count in counts))


def _length_rows(lengths: Sequence[Mapping[str, int]]) -> list[Row]:
    names = {"min": "shortest", "max": "longest", "p50": "median"}
    return [
        _row(f"  {names.get(key, f'{key[1:]}% have at most')}", (one.get(key, 0) for one in lengths))
        for key in lengths[0]
    ]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
