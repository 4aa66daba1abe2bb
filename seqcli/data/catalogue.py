"""The catalogue: data sets that have a name, read from ``catalogue.yaml`` beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from seqcli.data.braces import named_files
from seqcli.errors import did_you_mean, usage_error
from seqcli.files import cache_folder

EMBEDDED = Path(__file__).parent / "embedded"
"""Where the data sets lie that come with the package, ``<data set>/<file>``."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a data set; a size and a checksum where it comes from outside the package.

    Without a checksum is what is made here and may differ in a pixel from one release of a library to the next.

    ``mirror`` is its folder in a mirror where that is not the data set's.
    """

    name: str
    sha256: str | None = None
    bytes: int | None = None
    mirror: str | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """How a rated line becomes ``text TAB label``: the columns of its rating and its text, and where grades begin.

    The label is the one of the interval: below the first of ``cuts``, from it to below the second ..., so a rating
    equal to a cut belongs to the grade above. Lines whose rating stands in ``without`` are left out.
    """

    rating: int
    text: int
    cuts: tuple[float, ...]
    labels: tuple[str, ...]
    without: tuple[float, ...] = ()


GLYPH_FILES = ("glyphs.npy", "names.txt")
"""What the pictures of fonts are called, and their names."""


@dataclass(frozen=True, slots=True)
class Division:
    """How files of splits are made of fetched files (`seqcli.data.divide`).

    The files ``of`` are cut into units: ``lines`` or ``records``, without the lines that ``drop`` matches, without
    units in which a pattern of ``exclude`` finds the letters of a line of its files, and without those in which the
    pattern ``distinct`` finds the letters of an earlier unit again. Groups of
    units (those in which a pattern of ``together`` finds the same text) are numbered from 0; the remainder of the
    number by ``every`` decides which file of ``take`` a group goes to (None: all remainders that no other file names).
    Units become ``into`` sentences, a line each, or pronunciations, which are one line a word in the files
    ``references``; ``label: file`` puts the file's name behind each line,
    where ``together`` sees it; ``grade`` at last makes a labelled text of each rated line. With the unit
    ``characters`` the text is cut by ``share`` instead: a file gets the characters int(begin n) to int(end n) of n.
    With the unit ``glyphs`` the files are fonts, whose code points are numbered (`seqcli.data.glyphs`); with ``sines``
    there are none, and series are made and numbered (`seqcli.data.sines`).

    With ``share`` lines are cut in their order, each run of lines in which ``within`` finds the same text for itself, and
    ``gap`` lines are left out before a file's part unless it is the first; lines of a label and the values of
    ``channels``, step by step, become a ``.ts`` file. With the unit ``rows`` the files are tables with a header, tabs
    between the cells: ``rows`` says for each file which values some columns have in its rows (a row goes to the first file
    that wants it), and ``columns`` what its own columns hold: a column of the table, or else that very text.
    """

    of: tuple[str, ...]
    unit: str = "lines"
    share: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    within: str | None = None
    gap: int = 0
    channels: int = 1
    rows: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    every: int = 1
    take: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    together: tuple[str, ...] = ()
    drop: str | None = None
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    distinct: str | None = None
    references: tuple[str, ...] = ()
    record_start: str | None = None
    into: str | None = None
    label: str | None = None
    grade: Grade | None = None

    def makes(self) -> list[str]:
        return [*self.share, *self.rows, *self.take, *(GLYPH_FILES if self.unit == "glyphs" else ())]

    def needs(self) -> list[str]:
        """The files that all of them are made of."""
        return [*dict.fromkeys([*self.of, *(name for names in self.exclude.values() for name in names)])]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """How recordings of an archive become a folder of files, and a manifest of each split (`seqcli.data.fetch.recordings`).

    Members count whose name matches ``member``; ``words`` makes words of the characters of its first group (any other
    is left out). They go into ``folder``. A split takes those in whose name its pattern of ``take`` is found (the first
    that is), or those from int(begin n) to int(end n) of the n names in their order, by ``share``.
    """

    of: tuple[str, ...]
    member: str
    words: Mapping[str, str]
    folder: str
    take: Mapping[str, str] = field(default_factory=dict)
    share: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def makes(self) -> list[str]:
        return [*self.share, *self.take]

    def needs(self) -> list[str]:
        return list(self.of)


@dataclass(frozen=True, slots=True)
class Events:
    """How files of an archive, the events of a series each, become a table for each split (`seqcli.data.fetch.events`).

    Members count whose name matches ``member``; its first group is the name of the series. Below a header stand
    ``time,variable,value`` lines (``hh:mm``), of which those of the variables ``without``, those whose value is one of
    ``missing`` and those from ``end`` on are left out, and series that have no other. ``columns`` are those of the table. The series are numbered from 0 in the
    order of their names; the remainder by ``every`` decides which file of ``take`` one goes to (None: all others).
    """

    of: tuple[str, ...]
    member: str
    columns: tuple[str, ...]
    without: tuple[str, ...]
    missing: tuple[str, ...]
    end: str
    every: int
    take: Mapping[str, tuple[int, ...] | None]

    def makes(self) -> list[str]:
        return [*self.take]

    def needs(self) -> list[str]:
        return list(self.of)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What the catalogue knows of a data set. ``splits`` maps a split to the names of its files.

    ``labels`` maps what the files call a label to a readable name. ``mirror`` is its folder in a mirror where that is
    not its name. ``beside`` are files that those of the splits name: all lie in one folder of the cache. ``images`` is
    the file of features of images, ``names`` that of the names of its rows, ``captions`` that of the captions of the
    images that the splits list, ``projection`` that of what made the features smaller than the encoder's. ``missing``,
    ``frequency`` and ``gaps`` are those of the data section, for series.
    """

    name: str
    description: str
    task: str
    licence: str
    citation: str
    size: str
    format: str
    splits: Mapping[str, tuple[str, ...]]
    sources: tuple[Mapping[str, Any], ...]
    columns: Mapping[str, int | str] | None = None
    separator: str | None = None
    scheme: str | None = None
    tag_prefixes: tuple[str, ...] = ()
    tag_suffixes: tuple[str, ...] = ()
    blank_lines: Literal["skip", "keep"] | None = None
    record_start: str | None = None
    labels: Mapping[str, str] | None = None
    made: Division | Unpacked | Events | None = None
    mirror: str | None = None
    beside: tuple[str, ...] = ()
    images: str | None = None
    names: str | None = None
    captions: str | None = None
    missing: tuple[float, ...] = ()
    frequency: str | None = None
    gaps: Literal["refuse", "fill", "ignore"] = "refuse"
    projection: str | None = None
    files: Mapping[str, DataFile] = field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        return any(source["kind"] == "embedded" for source in self.sources)

    def file(self, name: str) -> DataFile:
        return self.files.get(name) or DataFile(name)

    def file_names(self) -> list[str]:
        """Every file of the splits, each once, in their order; names with braces are several files."""
        names = (name for names in self.splits.values() for name in names)
        beside = (name for name in (self.images, self.names, self.captions, self.projection) if name)
        return list(dict.fromkeys([*(file for name in names for file in named_files(name)), *beside]))

    def fetched_names(self) -> list[str]:
        """Every file that comes from the sources: those of the splits, or those that the splits are made of."""
        made = self.made.makes() if self.made else []
        needed = self.made.needs() if self.made else []
        return list(dict.fromkeys([*needed, *self.beside, *(name for name in self.file_names() if name not in made)]))

    def mirror_place(self, name: str) -> str:
        """Where a file lies in a mirror."""
        return f"{self.file(name).mirror or self.mirror or self.name}/{name}"


def cached_path(data_set: DataSet, name: str) -> Path:
    """Where a file of a data set lies in the cache, there or not."""
    return cache_folder() / "data" / data_set.name / name


@cache
def data_sets() -> dict[str, DataSet]:
    import yaml

    text = (Path(__file__).parent / "catalogue.yaml").read_text(encoding="utf-8")
    known = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {name: _data_set(name, fields) for name, fields in known.items()}


def data_set(name: str) -> DataSet:
    """The data set called ``name``.

    Raises:
        UserError: no such data set, with the nearest name (exit code 2).
    """
    known = data_sets()
    if name in known:
        return known[name]
    raise usage_error(f"no data set is called '{name}'", hint=known_names(name))


def known_names(name: str | None) -> str:
    """The hint for a name that no data set has: what was meant, else all there are."""
    names = list(data_sets())
    return did_you_mean(name or "", names) or f"Known: {', '.join(names)}."


def _data_set(name: str, fields: dict[str, Any]) -> DataSet:
    fields = _frozen(fields)
    fields["splits"] = {
        split: (names,) if isinstance(names, str) else names for split, names in fields["splits"].items()
    }
    fields["files"] = {file: DataFile(file, **known) for file, known in fields.get("files", {}).items()}
    if labels := fields.get("labels"):
        fields["labels"] = {str(label): str(readable) for label, readable in labels.items()}
    made = fields.get("made")
    if made and "end" in made:
        take = {file: None if rest == "others" else rest for file, rest in made["take"].items()}
        fields["made"] = Events(**{**made, "take": take})
    elif made and "member" in made:
        fields["made"] = Unpacked(**{**made, "words": {str(key): word for key, word in made["words"].items()}})
    elif made:
        made["take"] = {file: None if rest == "others" else rest for file, rest in made.get("take", {}).items()}
        if grade := made.get("grade"):
            made["grade"] = Grade(**grade)
        fields["made"] = Division(**made)
    return DataSet(name=name, **fields)


def _frozen(value: Any) -> Any:
    """Plain data with a tuple in place of each list."""
    if isinstance(value, dict):
        return {key: _frozen(one) for key, one in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
