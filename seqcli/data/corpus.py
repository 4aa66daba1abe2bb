"""A corpus: the splits that a recipe's data section names, from the catalogue, from files, or from both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.data import catalogue
from seqcli.data.blocks import Part, read_blocks
from seqcli.data.catalogue import Entry
from seqcli.data.example import Example, source_bytes
from seqcli.data.formats import ABC_START, Reading, check_columns, format_by_name, guess_format, read_examples
from seqcli.data.obtain import Progress, obtain
from seqcli.errors import data_error, io_error, usage_error
from seqcli.files import sha256_file
from seqcli.lines import OnInvalid

if TYPE_CHECKING:
    from seqcli.recipe.data import DataConfig

SPLITS = ("train", "dev", "test")


@dataclass(slots=True)
class Split:
    """The files of one split and how they are read; ``guessed`` when nobody said the format."""

    name: str
    files: list[Path]
    reading: Reading
    guessed: bool = False


@dataclass(slots=True)
class Corpus:
    """The splits of a data set. Nothing is read until it is asked for; memory stays flat however large the files.

    ``dev_share`` without a dev split keeps that share of the training examples for development: an example is
    chosen by a hash of its source, so the choice is the same on every machine and in every part of a file, and equal
    examples fall on the same side.
    """

    entry: Entry | None
    parts: dict[str, Split]
    dev_share: float | None = None
    _hashes: dict[Path, str] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits there are, in the order train, dev, test."""
        found = set(self.parts)
        if self.dev_share is not None:
            found.add("dev")
        return tuple(name for name in SPLITS if name in found)

    @property
    def scheme(self) -> str | None:
        """The tag scheme that the catalogue states, when there is one."""
        return self.entry.scheme if self.entry else None

    def files(self, split: str) -> list[Path]:
        """The files of a split (those of train where ``dev_share`` makes the dev split)."""
        return self._split(split).files

    def size(self, split: str) -> int:
        """Bytes to read for a split, those of the files that an index names too."""
        part = self._split(split)
        return sum(
            file.stat().st_size for path in part.files for file in _all_files(path, part.reading) if file.is_file()
        )

    def reading(self, split: str) -> Reading:
        """How the files of a split are read; its format is always set."""
        return self._split(split).reading

    def guesses(self) -> dict[str, str]:
        """``{file: format}`` of the files whose format nobody said."""
        return {
            str(path): str(split.reading.format)
            for split in self.parts.values()
            if split.guessed
            for path in split.files
        }

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

    def part_examples(self, split: str, part: Part) -> Iterator[Example]:
        """Yield the examples of one part of a split's file, for workers (`seqcli.data.chunks`)."""
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
        part = self._split(split)
        digest = hashlib.sha256(part.reading.as_text().encode())
        if self.dev_share is not None and split in ("train", "dev"):
            digest.update(f"{split} {self.dev_share!r}".encode())
        for path in part.files:
            if path not in self._hashes:
                self._hashes[path] = _hash(path, part.reading)
            digest.update(self._hashes[path].encode())
        return digest.hexdigest()

    def _split(self, name: str) -> Split:
        if name == "dev" and "dev" not in self.parts and self.dev_share is not None:
            return self.parts["train"]
        if name not in self.parts:
            raise usage_error(f"the corpus has no {name} split", hint=f"Give data.{name}, a file.")
        return self.parts[name]


def open_corpus(
    config: DataConfig,
    *,
    splits: tuple[str, ...] = SPLITS,
    on_invalid: OnInvalid = "strict",
    plain: bool = False,
    progress: Progress | None = None,
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
    entry = catalogue.entry(config.corpus) if config.corpus else None
    own = Reading.of(config, on_invalid=on_invalid)
    parts: dict[str, Split] = {}
    for name in splits:
        if paths := getattr(config, name):
            parts[name] = _own_split(name, [paths] if isinstance(paths, str) else list(paths), own, entry, plain)
        elif entry is not None and name in entry.splits:
            parts[name] = catalogue_split(entry, name, own, progress)
    if "train" in splits and "train" not in parts:
        raise usage_error(
            "data: nothing to train on", hint="Set data.corpus ('seqcli data ls' lists them) or data.train, a file."
        )
    share = config.dev_share if "dev" in splits and "dev" not in parts and "train" in parts else None
    return Corpus(entry, parts, share)


def catalogue_split(entry: Entry, name: str, own: Reading, progress: Progress | None = None) -> Split:
    """A split of the catalogue, read as the catalogue says; ``own`` may choose other columns (XPOS instead of UPOS)."""
    reading = replace(
        own,
        format=entry.format,
        separator=entry.separator,
        tag_prefixes=entry.tag_prefixes,
        tag_suffixes=entry.tag_suffixes,
        blank_lines=own.blank_lines or entry.blank_lines,
        record_start=own.record_start or entry.record_start,
        labels=entry.labels,
        columns={**(entry.columns or {}), **check_columns(entry.format, own.columns)} or None,
    )
    files = [obtain(entry, file, progress) for file in entry.splits[name]]
    return Split(name, files, reading)


def file_split(name: str, paths: list[str], own: Reading, *, plain: bool = False) -> Split:
    """A split made of files, each checked to be there; a format that nobody said is guessed from the first.

    ``plain``: what the name of a file does not say is plain lines, whatever they look like.

    Raises:
        UserError: a missing file (74), an empty one (65), unknown columns (2).
    """
    files = [check_file(path, name, folder=own.format == "csv-folders" or not (own.format or plain)) for path in paths]
    guessed = own.format is None
    reading = own
    if guessed:
        by_name = format_by_name(str(files[0]))
        reading = replace(own, format=(by_name or "lines") if plain else guess_format(files[0]))
    if guessed and reading.format == "records" and reading.record_start is None:
        reading = replace(reading, record_start=ABC_START)
    check_columns(str(reading.format), reading.columns)
    if reading.format == "lines" and reading.blank_lines == "keep":
        for file in files:
            _check_filled(file, reading)
    if reading.format == "csv-folders":
        files = [file for path in files for file in _sequences(path)]
    return Split(name, files, reading, guessed)


def _own_split(name: str, paths: list[str], own: Reading, entry: Entry | None, plain: bool) -> Split:
    split = file_split(name, paths, own, plain=plain)
    alike = split.guessed and not plain and split.reading.format == "lines"
    if alike and entry is not None and entry.format == "labelled":
        split.reading = replace(split.reading, format="labelled")  # looks like lines of text, as that format does
    if entry is None or split.reading.format != entry.format:
        return split
    # A file in place of a catalogue's split is read as the catalogue's where the recipe says nothing else.
    split.reading = replace(
        split.reading,
        columns=own.columns or entry.columns,
        separator=own.separator or entry.separator,
        tag_prefixes=entry.tag_prefixes,
        tag_suffixes=entry.tag_suffixes,
        blank_lines=own.blank_lines or entry.blank_lines,
        record_start=own.record_start or entry.record_start,
        labels=entry.labels,
    )
    return split


def _check_filled(file: Path, reading: Reading) -> None:
    """Where blank lines are examples too, some line must still hold something."""
    if not any(
        line.strip(" \t")
        for _, lines in read_blocks(file, on_invalid="replace", max_line=reading.max_line)
        for line in lines
    ):
        raise data_error("the file has only blank lines", file=file)


def _sequences(path: Path) -> list[Path]:
    from seqcli.data.frames import sequence_files

    return sequence_files(path) if path.is_dir() else [path]


def _all_files(path: Path, reading: Reading) -> Iterator[Path]:
    """A file of a split, and the files that it names where it is an index."""
    yield path
    if reading.format == "frames":
        from seqcli.data.frames import listed_files

        yield from (file for _, file in listed_files(path, reading.columns, reading.max_line))


def _hash(path: Path, reading: Reading) -> str:
    """SHA-256 of a file; of an index, over it and every file that it names; of a folder's sequence, its label too."""
    if reading.format not in ("frames", "csv-folders"):
        return sha256_file(path)
    digest = hashlib.sha256()
    if reading.format == "csv-folders":
        digest.update(f"{path.absolute().parent.name!r} ".encode("utf-8", "surrogatepass"))
    archives: dict[Path, str] = {}  # an index may name thousands of arrays of one .npz
    for file in _all_files(path, reading):
        found = archives.get(file) or (sha256_file(file) if file.is_file() else "missing")
        if file.suffix.lower() == ".npz":
            archives[file] = found
        digest.update(found.encode())
    return digest.hexdigest()


def check_file(path: str, split: str, *, folder: bool = False) -> Path:
    """The path of a file that is there and not empty, or of a folder where that is allowed."""
    file = Path(path).expanduser()
    if folder and file.is_dir():
        return file
    if file.is_dir():
        raise io_error(f"is a folder, not the {split} file", file=path)
    if not file.exists():
        raise io_error(
            f"there is no such {split} file (looked in {Path.cwd() if not file.is_absolute() else 'place'})",
            file=path,
            hint=_nearest(file),
        )
    if file.stat().st_size == 0:
        raise data_error(f"the {split} file is empty", file=path)
    return file


def _nearest(file: Path) -> str | None:
    from seqcli.errors import did_you_mean

    if not file.parent.is_dir():
        return f"The folder '{file.parent}' does not exist."
    return did_you_mean(file.name, sorted(child.name for child in file.parent.iterdir())[:1000])
