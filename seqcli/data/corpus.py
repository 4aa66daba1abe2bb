"""A corpus: the splits that a recipe's data section or a command line names, from the catalogue or from files."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.data import catalogue
from seqcli.data.braces import is_parallel, joint_path, named_files, parallel_files
from seqcli.data.catalogue import DataSet
from seqcli.data.example import Example, place, source_bytes
from seqcli.data.fetch.obtain import Progress, obtain, obtain_split
from seqcli.data.formats import (
    FileLook,
    first_lines,
    format_by_name,
    format_class,
    guess_format,
    guess_series,
    has_frames,
    holds_series,
    read_examples,
)
from seqcli.data.formats.base import Format, OnError, Reading
from seqcli.data.formats.looking import TableLook
from seqcli.data.kept import is_kept, keep_stream
from seqcli.errors import UserError, data_error, did_you_mean, io_error, usage_error
from seqcli.files import user_path
from seqcli.lines import Chunk, is_stdin, read_batches, source_name

if TYPE_CHECKING:
    from seqcli.data.series import Steps
    from seqcli.recipe.data import DataConfig

SPLITS = ("train", "dev", "test")


@dataclass(slots=True)
class SplitFiles:
    """The files of one split and how they are read.

    Attributes:
        guessed: nobody said the format.
        translates: the catalogue says that targets are texts, not labels.
        table: what the first file shows of its columns, where nobody said them and they are read as it shows.
    """

    name: str
    files: list[Path]
    reading: Reading
    guessed: bool = False
    table: TableLook | None = None
    translates: bool = False

    @property
    def has_frames(self) -> bool:
        return has_frames(self.reading.format)

    @property
    def has_images(self) -> bool:
        return self.format.has_images

    @property
    def holds(self) -> str:
        """What its sources are, in a word."""
        return (
            "images"
            if self.has_images
            else "media files"
            if self.has_media
            else "frames"
            if self.has_frames
            else "series"
            if self.has_series
            else "text"
        )

    @property
    def has_media(self) -> bool:
        return self.format.has_media

    @property
    def has_series(self) -> bool:
        return self.format.has_series

    @property
    def has_target_texts(self) -> bool:
        return self.translates or self.format.has_target_texts

    def describe(self) -> str:
        """What was guessed: ``csv with a header, text: 'review', label: 'stars'``."""
        return FileLook(str(self.reading.format), self.table).describe()

    @property
    def format(self) -> Format:
        return format_class(str(self.reading.format))(self.reading)

    def examples(self, on_error: OnError | None = None) -> Iterator[Example]:
        return (example for path in self.files for example in read_examples(path, self.reading, on_error=on_error))


@dataclass(slots=True)
class Corpus:
    """The splits of a data set. Nothing is read until it is asked for; memory stays flat however large the files.

    ``dev_share`` without a dev split keeps that share of the training examples for development: an example is
    chosen by a hash of its source, so the choice is the same on every machine and in every chunk of a file, and equal
    examples fall on the same side. A running text (``blank_lines: keep``) gives the end of each file instead.

    With ``steps`` dev and test are later steps of the training series: they have its files and its examples, whole.

    ``train_share`` below 1 leaves so many of the training examples, those with the lowest of other hashes, which
    ``train_draw`` decides too: a smaller share of the same draw is part of a larger one. Of a running text it leaves the
    beginning of each file.
    """

    split_files: dict[str, SplitFiles]
    dev_share: float | None = None
    steps: Steps | None = None
    train_share: float = 1.0
    train_draw: int = 0
    _highest: int | None = None
    _hashes: dict[Path, str] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits there are, in the order train, dev, test."""
        made = {"dev"} if self.dev_share is not None else {*(self.steps.divide if self.steps else ())}
        return tuple(name for name in SPLITS if name in self.split_files or name in made)

    def files(self, split: str) -> list[Path]:
        """The files of a split (those of train where ``dev_share`` or ``steps`` makes it)."""
        return self.split(split).files

    def size(self, split: str) -> int:
        """Bytes to read for a split, those of the files that an index names too."""
        files, form = self.files(split), self.split(split).format
        named = (file for path in files for _, file in form.files_named(path))
        return sum(file.stat().st_size for file in (*files, *named) if file.is_file())

    def reading(self, split: str) -> Reading:
        """How the files of a split are read; its format is always set."""
        return self.split(split).reading

    def examples(self, split: str) -> Iterator[Example]:
        """Yield the examples of a split, file by file.

        Raises:
            UserError: bad data, or no example in a file or in the split (65, with file:line); unreadable file (74).
        """
        any_example = False
        for path in self.files(split):
            in_file = False
            for example in read_examples(path, self.reading(split)):
                in_file = True
                if self.belongs(example, split):
                    any_example = True
                    yield example
            if not in_file:
                raise self.no_example(split, path)
        if not any_example:
            raise self.no_example(split)

    def no_example(self, split: str, file: Path | None = None) -> UserError:
        """Why there is none in a split, or in one file of it."""
        files = [file] if file is not None else self.files(split)
        names = ", ".join(map(source_name, files))
        if self.dev_share is None or not any(True for path in files for _ in read_examples(path, self.reading(split))):
            return data_error("no example: the file is empty or has only blank lines", file=names)
        hint = "Give a dev file, or another share." if split == "train" else "Raise data.dev_share, or give a dev file."
        return data_error(f"dev_share {self.dev_share} leaves no example for {split}", file=names, hint=hint)

    def part_examples(self, split: str, part: Chunk) -> Iterator[Example]:
        """Yield the examples of one chunk of a split's file, for workers (`seqcli.data.chunks`)."""
        return (example for example in read_examples(part, self.reading(split)) if self.belongs(example, split))

    def belongs(self, example: Example, split: str) -> bool:
        """Whether an example of a split's files is in the split (``dev_share`` divides the training files)."""
        if not self._is_of(example, split):
            return False
        if split != "train" or self.train_share == 1:
            return True
        if self._is_running:
            file, line = place(example.at)
            return line <= max(1, round(self.train_share * self._training_lines(file)))
        return self._drawn(example) <= self.highest_drawn()

    def _is_of(self, example: Example, split: str) -> bool:
        if self.dev_share is None or split not in ("train", "dev"):
            return True
        if self._is_running:
            file, line = place(example.at)
            return (line > self._training_lines(file)) == (split == "dev")
        digest = hashlib.blake2b(source_bytes(example.source), digest_size=8).digest()
        return (int.from_bytes(digest, "big") < self.dev_share * 2**64) == (split == "dev")

    @property
    def _is_running(self) -> bool:
        return self.split_files["train"].reading.blank_lines == "keep"

    def _training_lines(self, file: str) -> int:
        """The last line of a running text that is trained on: one with holes in it would be another text."""
        if file not in self._ends:
            path = next(path for path in self.files("train") if source_name(path) == file)
            lines = sum(len(lines) for lines in read_batches(path, on_invalid="replace"))
            self._ends[file] = lines - (max(1, round(lines * self.dev_share)) if self.dev_share is not None else 0)
        return self._ends[file]

    def _drawn(self, example: Example) -> int:
        salt = f"train {self.train_draw}".encode()
        return int.from_bytes(hashlib.blake2b(source_bytes(example.source), digest_size=8, salt=salt).digest(), "big")

    def highest_drawn(self) -> int:
        """The highest hash of a training example that ``train_share`` leaves; all of them are read for it, once.

        Examples of equal sources are left or not together.
        """
        if self._highest is None:
            files = self.files("train")
            examples = (one for path in files for one in read_examples(path, self.reading("train")))
            hashes = array("Q", (self._drawn(one) for one in examples if self._is_of(one, "train")))
            count = max(1, round(self.train_share * len(hashes)))
            self._highest = sorted(hashes)[count - 1] if hashes else 0
        return self._highest

    def fingerprint(self, split: str) -> str:
        """SHA-256 over the bytes of a split's files and all options they are read with: equal means equal examples.

        Of an index, the files that it names count too. A folder's sequences are files of the split, see `file_split`.
        """
        files = self.split(split)
        digest = hashlib.sha256(files.reading.as_text().encode())
        if self.dev_share is not None and split in ("train", "dev"):
            digest.update(f"{split} {self.dev_share!r}".encode())
        if self.train_share < 1 and split == "train":
            digest.update(f"train_share {self.train_share!r} {self.train_draw}".encode())
        if self.steps is not None:
            digest.update(f"{split} {self.steps!r}".encode())
        for checksum in self.checksums(split).values():
            digest.update(checksum.encode())
        return digest.hexdigest()

    def checksums(self, split: str) -> dict[Path, str]:
        """SHA-256 of the bytes of each file of a split, those of the files that it names among them."""
        files = self.split(split)
        for path in files.files:
            if path not in self._hashes:
                self._hashes[path] = files.format.fingerprint(path)
        return {path: self._hashes[path] for path in files.files}

    def split(self, split: str) -> SplitFiles:
        if split not in self.split_files and split in self.splits:
            split = "train"
        if split not in self.split_files:
            raise usage_error(f"the corpus has no {split} split", hint=f"Give data.{split}, a file.")
        return self.split_files[split]


def open_corpus(
    config: DataConfig,
    *,
    splits: tuple[str, ...] = SPLITS,
    plain: bool = False,
    series: bool = False,
    progress: Progress | None = None,
) -> Corpus:
    """The corpus of a recipe's data section; catalogue files that are not there yet are fetched.

    Args:
        splits: the splits that are wanted; no other is looked for or fetched.
        plain: files are plain lines unless their name or the recipe says otherwise.
        series: files hold series.
        progress: called with (file, bytes so far, bytes in all or None) while a file is fetched.

    Raises:
        UserError: neither corpus nor files, an unknown data set or column (2); a missing file, a download that fails
            (74); an empty file (65).
    """
    data_set = catalogue.data_set(config.corpus) if config.corpus else None
    own = Reading.of(config)
    has_dev = bool(config.dev) or (data_set is not None and "dev" in data_set.splits)
    share = None if has_dev else config.dev_share
    if config.train_on_dev:
        share = None
        splits = (*splits, "dev") if "train" in splits else tuple(name for name in splits if name != "dev")
    steps = _steps(config, data_set)
    made = {*(steps.divide if steps else ("dev",) if share is not None else ())}
    needed = [name for name in SPLITS if name in splits or (name == "train" and made & {*splits})]
    split_files: dict[str, SplitFiles] = {}
    for name in needed:
        if paths := getattr(config, name):
            paths = [paths] if isinstance(paths, str) else list(paths)
            split = file_split(name, paths, own, plain=plain, series=series)
            split_files[name] = split if data_set is None else _read_like(data_set, split, own, plain)
        elif data_set is not None and name in data_set.splits:
            split_files[name] = catalogue_split(data_set, name, own, progress)
    if "train" in splits and "train" not in split_files:
        raise usage_error(
            "data: nothing to train on",
            hint="Name your files with --data, or set data.corpus ('seqcli data ls' lists some).",
        )
    if config.train_on_dev and (dev := split_files.pop("dev", None)) and (train := split_files.get("train")):
        if dev.reading != train.reading:
            raise usage_error(
                "data.train_on_dev: the train and dev files are not read alike", hint="Join them yourself."
            )
        train.files = [*train.files, *dev.files]
    train = split_files.get("train")
    if steps is not None and train is not None and not train.has_series:
        name = next(name for name in ("train_steps", "dev_steps", "test_steps") if dict(config)[name] is not None)
        hint = "Set data.dev_share, or give files."
        raise usage_error(f"data.{name}: series are divided so, and this is {train.holds}", hint=hint)
    if config.train_share < 1 and train is not None and train.has_series:
        raise usage_error(
            "data.train_share: a series is no number of examples", hint="Train on its first steps: data.train_steps."
        )
    corpus = Corpus(split_files, share if train is not None else None, steps)
    corpus.train_share, corpus.train_draw = config.train_share, config.train_draw
    return corpus


def _steps(config: DataConfig, data_set: DataSet | None) -> Steps | None:
    """The division of the training series in time; None where each split has files of its own."""
    if (config.train_steps, config.dev_steps, config.test_steps) == (None, None, None):
        return None
    from seqcli.data.series import Steps

    for name in ("dev", "test"):
        if data_set is not None and name in data_set.splits and dict(config)[f"{name}_steps"] is not None:
            raise usage_error(f"data.{name}_steps: '{data_set.name}' has {name} files of its own", hint="Leave it out.")
    return Steps.of(config)


def choose_splits(
    names: Sequence[str], reading: Reading, progress: Progress | None = None
) -> tuple[list[SplitFiles], str | None]:
    """What ``NAME|FILE...`` on a command line means, and the tag scheme that the catalogue states for it, if it does.

    One name of the catalogue gives its splits; files give a split each, called by its path, and the first of them is
    what the others are compared with.

    Raises:
        UserError: neither a file nor a data set (74, or 2 where it looks like a name); a download that fails (74).
    """
    if len(names) == 1 and names[0] in catalogue.data_sets() and not Path(names[0]).is_file():
        data_set = catalogue.data_set(names[0])
        splits = [catalogue_split(data_set, name, reading, progress) for name in SPLITS if name in data_set.splits]
        return splits, data_set.scheme
    for name in names:
        for file in parallel_files(name) if is_parallel(name) else [name]:
            if not is_stdin(file) and not user_path(file).exists():
                raise _neither(file, alone=len(names) == 1)
    splits = [file_split(source_name(name), [name], reading) for name in names]
    for split in splits[1:]:
        if split.holds != splits[0].holds:
            kinds = [one.holds for one in (splits[0], split)]
            raise usage_error(
                f"'{splits[0].name}' holds {kinds[0]} and '{split.name}' {kinds[1]}",
                hint="Look at them one at a time, or say --format.",
            )
    return splits, None


def _neither(name: str, *, alone: bool) -> Exception:
    known = list(catalogue.data_sets())
    if name in known and not alone:
        return usage_error(f"'{name}' is a data set of the catalogue; name it alone, or name files")
    if "/" in name or "." in name:
        return io_error("there is no such file", file=name)
    hint = did_you_mean(name, known) or f"Data sets: {', '.join(known)}."
    return usage_error(f"'{name}' is neither a file nor a data set of the catalogue", hint=hint)


def catalogue_split(data_set: DataSet, name: str, own: Reading, progress: Progress | None = None) -> SplitFiles:
    """A split of the catalogue, read as the catalogue says; ``own`` may choose other columns (XPOS instead of UPOS)."""
    names = data_set.splits[name]
    if len(named_files(names[0])) > 1 and not format_class(data_set.format).has_series:
        reading = replace(own, format="parallel", columns=None)
    else:
        columns = {**(data_set.columns or {}), **format_class(data_set.format).check_columns(own.columns)}
        reading = replace(own, format=data_set.format, columns=columns or None, separator=data_set.separator)
    files = [obtain_split(data_set, file, progress) for file in names]
    images, row_names, captions = (
        str(obtain(data_set, file, progress)) if file else None
        for file in (data_set.images, data_set.names, data_set.captions)
    )
    reading = replace(reading, images=images, names=row_names, captions=captions)
    return SplitFiles(name, files, _with_options(data_set, reading), translates=data_set.task == "translation")


def file_split(
    name: str, paths: list[str], own: Reading, *, plain: bool = False, series: bool | None = None
) -> SplitFiles:
    """A split made of files, each checked to be there; a format that nobody said is guessed from the first.

    Paths with braces are parallel text, whatever the format of the other splits; of series they are files that continue
    each other. ``plain``: what the name of a file does not say is plain lines, whatever they look like. ``series``:
    whether the files are read for a task of series; None: nobody knows what they hold.

    Raises:
        UserError: a missing file (74), an empty one (65), unknown columns (2).
    """
    folder = format_class(own.format).folders if own.format else not plain
    together = own.format == "parallel" or any(map(is_parallel, paths))
    files = [_check_parallel(path, name) if together else check_file(path, name, folder=folder) for path in paths]
    first = Path(parallel_files(str(files[0]))[0]) if together else files[0]
    if own.format is not None:
        series = format_class(own.format).has_series
    elif series is None:
        series = holds_series(first)
    reading, guessed = own, own.format is None or (together and own.format != "parallel" and not series)
    if guessed and series:
        reading = replace(own, format=guess_series(first))
    elif guessed:
        by_name = "parallel" if together else format_by_name(str(files[0]))
        form = by_name or ("lines" if plain else guess_format(files[0]))
        reading = format_class(form).when_guessed(replace(own, format=form))
    split = SplitFiles(name, files, reading, guessed)
    if (split.has_frames or split.has_images) and any(map(is_kept, files)):
        hint = "Name the file itself."
        raise usage_error("this cannot come through a pipe: it names files beside it", hint=hint)
    if reading.columns is None and (series or files[0].is_file()):
        table = split.format.look(first_lines(str(first)))
        if table is not None and table.roles != split.format.usual:
            split = replace(split, table=table, reading=replace(reading, columns=dict(table.roles) or None))
    split.files = [file for path in files for file in split.format.expand(path)]
    return split


def _read_like(data_set: DataSet, split: SplitFiles, own: Reading, plain: bool) -> SplitFiles:
    """A file in place of a catalogue's split is read as the catalogue's where the recipe says nothing else."""
    reading = split.reading
    if split.guessed and not plain and reading.format == "lines" and data_set.format == "labelled":
        reading = replace(reading, format="labelled")  # looks like lines of text, as that format does
    if reading.format == data_set.format and not (split.table and split.table.has_header):
        columns, separator = own.columns or data_set.columns, own.separator or data_set.separator
        reading = replace(reading, columns=columns, separator=separator, record_start=own.record_start)
        reading = _with_options(data_set, reading)
    return replace(split, reading=reading, translates=data_set.task == "translation")


def _with_options(data_set: DataSet, reading: Reading) -> Reading:
    return replace(
        reading,
        tag_prefixes=data_set.tag_prefixes,
        tag_suffixes=data_set.tag_suffixes,
        blank_lines=reading.blank_lines or data_set.blank_lines,
        record_start=reading.record_start or data_set.record_start,
        labels=data_set.labels,
        missing=reading.missing or data_set.missing,
        frequency=reading.frequency or data_set.frequency,
        gaps=data_set.gaps if reading.gaps == "refuse" else reading.gaps,
    )


def _check_parallel(path: str, split: str) -> Path:
    """A path that names several files, each of which is there and not empty."""
    files = [check_file(file, split) for file in parallel_files(path)]
    if any(map(is_kept, files)):
        raise usage_error("parallel text cannot come through a pipe", file=path, hint="Name the files themselves.")
    return joint_path(files, user_path(path))


def check_file(path: str, split: str, *, folder: bool = False) -> Path:
    """The path of a file that is there and not empty, or of a folder where that is allowed."""
    file = user_path(path)
    if file.is_dir():
        if folder:
            return file
        raise io_error(f"is a folder, not the {split} file", file=path)
    if not is_stdin(path) and not file.exists():
        raise io_error(
            f"there is no such {split} file (looked in {file.absolute().parent})", file=path, hint=_nearest(file)
        )
    kept = keep_stream(str(file))
    if kept is not None and kept.stat().st_size == 0:
        raise data_error("nothing came through", file=source_name(path))
    if kept is None and file.stat().st_size == 0:
        raise data_error(f"the {split} file is empty", file=path)
    return kept or file


def _nearest(file: Path) -> str | None:
    from_here = (Path(*file.parts[begin:]) for begin in range(1, len(file.parts)))
    if here := next((path for path in from_here if path.is_file()), None):
        return f"Is it '{here}' here? Paths in a recipe start from the recipe's folder."
    if not file.parent.is_dir():
        return f"The folder '{file.parent}' does not exist."
    return did_you_mean(file.name, sorted(child.name for child in file.parent.iterdir())[:1000])
