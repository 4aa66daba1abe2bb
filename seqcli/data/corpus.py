"""A corpus: the splits that a recipe's data section or a command line names, from the catalogue or from files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.data import catalogue
from seqcli.data.catalogue import DataSet
from seqcli.data.example import Example, source_bytes
from seqcli.data.fetch.obtain import Progress, obtain
from seqcli.data.formats import FRAME_FORMATS, format_by_name, format_class, guess_format, read_examples
from seqcli.data.formats.base import Format, OnError, Reading
from seqcli.errors import data_error, did_you_mean, io_error, usage_error
from seqcli.files import user_path
from seqcli.lines import Chunk

if TYPE_CHECKING:
    from seqcli.recipe.data import DataConfig

SPLITS = ("train", "dev", "test")


@dataclass(slots=True)
class SplitFiles:
    """The files of one split and how they are read; ``guessed`` when nobody said the format."""

    name: str
    files: list[Path]
    reading: Reading
    guessed: bool = False

    @property
    def has_frames(self) -> bool:
        return self.reading.format in FRAME_FORMATS

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
    examples fall on the same side.
    """

    split_files: dict[str, SplitFiles]
    dev_share: float | None = None
    _hashes: dict[Path, str] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits there are, in the order train, dev, test."""
        return tuple(
            name for name in SPLITS if name in self.split_files or (name == "dev" and self.dev_share is not None)
        )

    def files(self, split: str) -> list[Path]:
        """The files of a split (those of train where ``dev_share`` makes the dev split)."""
        return self._files_of(split).files

    def size(self, split: str) -> int:
        """Bytes to read for a split, those of the files that an index names too."""
        files, form = self.files(split), self._files_of(split).format
        named = (file for path in files for _, file in form.files_named(path))
        return sum(file.stat().st_size for file in (*files, *named) if file.is_file())

    def reading(self, split: str) -> Reading:
        """How the files of a split are read; its format is always set."""
        return self._files_of(split).reading

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
                raise data_error("no example in this file: it is empty or has only blank lines", file=path)
        if not any_example:
            raise data_error(
                f"dev_share {self.dev_share} leaves no example for {split}",
                file=self.files(split)[0],
                hint="Raise data.dev_share, or give a dev file.",
            )

    def part_examples(self, split: str, part: Chunk) -> Iterator[Example]:
        """Yield the examples of one chunk of a split's file, for workers (`seqcli.data.chunks`)."""
        return (example for example in read_examples(part, self.reading(split)) if self.belongs(example, split))

    def belongs(self, example: Example, split: str) -> bool:
        """Whether an example of a split's files is in the split (``dev_share`` divides the training files)."""
        if self.dev_share is None or split not in ("train", "dev"):
            return True
        digest = hashlib.blake2b(source_bytes(example.source), digest_size=8).digest()
        return (int.from_bytes(digest, "big") < self.dev_share * 2**64) == (split == "dev")

    def fingerprint(self, split: str) -> str:
        """SHA-256 over the bytes of a split's files and all options they are read with: equal means equal examples.

        Of an index, the files that it names count too. A folder's sequences are files of the split, see `file_split`.
        """
        files = self._files_of(split)
        digest = hashlib.sha256(files.reading.as_text().encode())
        if self.dev_share is not None and split in ("train", "dev"):
            digest.update(f"{split} {self.dev_share!r}".encode())
        for path in files.files:
            if path not in self._hashes:
                self._hashes[path] = files.format.fingerprint(path)
            digest.update(self._hashes[path].encode())
        return digest.hexdigest()

    def _files_of(self, split: str) -> SplitFiles:
        if split == "dev" and "dev" not in self.split_files and self.dev_share is not None:
            split = "train"
        if split not in self.split_files:
            raise usage_error(f"the corpus has no {split} split", hint=f"Give data.{split}, a file.")
        return self.split_files[split]


def open_corpus(
    config: DataConfig, *, splits: tuple[str, ...] = SPLITS, plain: bool = False, progress: Progress | None = None
) -> Corpus:
    """The corpus of a recipe's data section; catalogue files that are not there yet are fetched.

    Args:
        splits: the splits that are wanted; no other is looked for or fetched.
        plain: files are plain lines unless their name or the recipe says otherwise.
        progress: called with (file, bytes so far, bytes in all or None) while a file is fetched.

    Raises:
        UserError: neither corpus nor files, an unknown data set or column (2); a missing file, a download that fails
            (74); an empty file (65).
    """
    data_set = catalogue.data_set(config.corpus) if config.corpus else None
    own = Reading.of(config)
    split_files: dict[str, SplitFiles] = {}
    for name in splits:
        if paths := getattr(config, name):
            split = file_split(name, [paths] if isinstance(paths, str) else list(paths), own, plain=plain)
            split_files[name] = split if data_set is None else _read_like(data_set, split, own, plain)
        elif data_set is not None and name in data_set.splits:
            split_files[name] = catalogue_split(data_set, name, own, progress)
    if "train" in splits and "train" not in split_files:
        raise usage_error(
            "data: nothing to train on", hint="Set data.corpus ('seqcli data ls' lists them) or data.train, a file."
        )
    share = config.dev_share if "dev" in splits and "dev" not in split_files and "train" in split_files else None
    return Corpus(split_files, share)


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
        if not user_path(name).exists():
            raise _neither(name, alone=len(names) == 1)
    splits = [file_split(name, [name], reading) for name in names]
    for split in splits[1:]:
        if split.has_frames != splits[0].has_frames:
            kinds = ["frames" if one.has_frames else "text" for one in (splits[0], split)]
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
    columns = {**(data_set.columns or {}), **format_class(data_set.format).check_columns(own.columns)}
    reading = replace(own, format=data_set.format, columns=columns or None, separator=data_set.separator)
    files = [obtain(data_set, file, progress) for file in data_set.splits[name]]
    return SplitFiles(name, files, _with_options(data_set, reading))


def file_split(name: str, paths: list[str], own: Reading, *, plain: bool = False) -> SplitFiles:
    """A split made of files, each checked to be there; a format that nobody said is guessed from the first.

    ``plain``: what the name of a file does not say is plain lines, whatever they look like.

    Raises:
        UserError: a missing file (74), an empty one (65), unknown columns (2).
    """
    files = [check_file(path, name, folder=own.format == "csv-folders" or not (own.format or plain)) for path in paths]
    reading, guessed = own, own.format is None
    if guessed:
        form = (format_by_name(str(files[0])) or "lines") if plain else guess_format(files[0])
        reading = format_class(form).when_guessed(replace(own, format=form))
    split = SplitFiles(name, files, reading, guessed)
    split.files = [file for path in files for file in split.format.expand(path)]
    return split


def _read_like(data_set: DataSet, split: SplitFiles, own: Reading, plain: bool) -> SplitFiles:
    """A file in place of a catalogue's split is read as the catalogue's where the recipe says nothing else."""
    reading = split.reading
    if split.guessed and not plain and reading.format == "lines" and data_set.format == "labelled":
        reading = replace(reading, format="labelled")  # looks like lines of text, as that format does
    if reading.format == data_set.format:
        columns, separator = own.columns or data_set.columns, own.separator or data_set.separator
        reading = replace(reading, columns=columns, separator=separator, record_start=own.record_start)
        reading = _with_options(data_set, reading)
    return replace(split, reading=reading)


def _with_options(data_set: DataSet, reading: Reading) -> Reading:
    return replace(
        reading,
        tag_prefixes=data_set.tag_prefixes,
        tag_suffixes=data_set.tag_suffixes,
        blank_lines=reading.blank_lines or data_set.blank_lines,
        record_start=reading.record_start or data_set.record_start,
        labels=data_set.labels,
    )


def check_file(path: str, split: str, *, folder: bool = False) -> Path:
    """The path of a file that is there and not empty, or of a folder where that is allowed."""
    file = user_path(path)
    if file.is_dir():
        if folder:
            return file
        raise io_error(f"is a folder, not the {split} file", file=path)
    if not file.exists():
        place = "place" if file.is_absolute() else Path.cwd()
        raise io_error(f"there is no such {split} file (looked in {place})", file=path, hint=_nearest(file))
    if file.stat().st_size == 0:
        raise data_error(f"the {split} file is empty", file=path)
    return file


def _nearest(file: Path) -> str | None:
    if not file.parent.is_dir():
        return f"The folder '{file.parent}' does not exist."
    return did_you_mean(file.name, sorted(child.name for child in file.parent.iterdir())[:1000])
