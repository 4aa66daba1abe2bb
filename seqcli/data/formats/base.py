"""What a data format is. A new one derives from `LineFormat`, `BlockFormat` or `Format`, and is named in the registry.

An object of a format reads one file, so it may keep what the head of that file says. No module of this folder imports
numpy before a file of frames is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal

from seqcli.data.example import Example
from seqcli.data.formats.looking import TableLook
from seqcli.data.lint_text import Finding
from seqcli.errors import UserError, data_error, did_you_mean, plural, usage_error
from seqcli.files import sha256_file
from seqcli.lines import DEFAULT_MAX_LINE, Chunk, Input, OnInvalid, read_lines, source_name

if TYPE_CHECKING:
    from seqcli.recipe.data import DataConfig

OnError = Callable[[UserError], None]
"""Takes what is wrong with a line or a sentence, which is then skipped, so that reading goes on with the next."""

Columns = Mapping[str, int | str]
"""The column of each of ``Format.roles``: a number (from 0, negative from the end) or a name."""

SOURCES = ("source", "token")
TARGETS = ("target", "tag")
_SYNONYMS = {"tokens": "token", "tags": "tag", "text": "source", "label": "target"}
_MAX_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: all that a format needs to know beside the path.

    ``tag_prefixes`` and ``tag_suffixes`` are taken off each tag, as often as they stand there (Brown's ``fw-`` and
    ``-tl``), and ``labels`` gives a file's labels readable names (``0``: ``negative``), any other stays as it is; only
    the catalogue sets these. ``images`` (with the ``names`` of its rows) and ``captions`` are files of formats of
    captions. ``blank_lines`` None means skip; it is for the lines format, as
    ``record_start`` is for records.
    """

    format: str | None = None
    columns: Columns | None = None
    separator: str | None = None
    max_line: int = DEFAULT_MAX_LINE
    on_invalid: OnInvalid = "strict"
    tag_prefixes: tuple[str, ...] = ()
    tag_suffixes: tuple[str, ...] = ()
    blank_lines: Literal["skip", "keep"] | None = None
    record_start: str | None = None
    labels: Mapping[str, str] | None = None
    images: str | None = None
    names: str | None = None
    captions: str | None = None
    missing: tuple[float, ...] = ()
    frequency: str | None = None
    gaps: Literal["refuse", "fill", "ignore"] = "refuse"

    @classmethod
    def of(cls, config: DataConfig) -> Reading:
        """The reading that a recipe's data section asks for."""
        texts = ("format", "columns", "separator", "max_line", "blank_lines", "record_start", "images", "captions")
        options = (*texts, "frequency", "gaps")
        return cls(missing=tuple(config.missing), **{name: getattr(config, name) for name in options})

    def as_text(self) -> str:
        """All options on one line: part of a fingerprint."""
        columns = dict(sorted(self.columns.items())) if self.columns else None
        options = (self.format, columns, self.separator, self.max_line, self.on_invalid)
        text = repr((*options, self.tag_prefixes, self.tag_suffixes, self.blank_lines == "keep", self.record_start))
        if self.missing or self.frequency or self.gaps != "refuse":
            text = f"{text} series {(self.missing, self.frequency, self.gaps)!r}"
        return f"{text} labels {sorted(self.labels.items())!r}" if self.labels else text


class Format(ABC):
    """One data format.

    ``suffixes`` are those of files that are surely of it; ``ends`` is what an example ends with, where a file may be
    cut (`seqcli.data.chunks`); ``has_frames``: sources are frames, [T, D], not text; ``has_images``: they are images;
    ``has_recordings``: sources are `MediaFile`; ``has_target_texts``: targets are texts, not labels; ``needs_source``: columns that
    name no source make no sense.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    ends: ClassVar[Literal["line", "blank line", "file"]] = "line"
    has_frames: ClassVar[bool] = False
    has_images: ClassVar[bool] = False
    has_media: ClassVar[bool] = False
    """Sources are media files, of which the recipe's ``source.features`` makes numbers."""
    has_series: ClassVar[bool] = False
    """Sources are `Series`; a path with braces is one series in several files."""
    folders: ClassVar[bool] = False
    """A path may be a folder, which `expand` makes files of."""
    has_target_texts: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False
    roles: ClassVar[tuple[str, ...]] = ("token", "tag", "source", "target")
    """What a column may hold."""
    usual: ClassVar[Columns] = {}
    """The columns of a file that nobody says and that does not show others."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.columns = self.check_columns(reading.columns)
        self.file = ""
        self.on_error: OnError | None = None

    @classmethod
    def is_named(cls, name: str) -> bool:
        """Whether a file's name says that it is of this format."""
        suffix = Path(name.removesuffix(".gz").lower()).suffix
        return bool(suffix) and suffix in cls.suffixes

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        """How sure the first lines (without blank ones and comments) make it that a file has this format, 0 to 1."""
        return 0.0

    @classmethod
    def check_columns(cls, columns: Columns | None) -> dict[str, int | str]:
        """The columns under their one name each (``tokens`` is ``token``, ``label`` is ``target`` ...).

        Raises:
            UserError: a key that no format knows, or a kind of column that this one does not have (exit code 2).
        """
        result: dict[str, int | str] = {}
        for key, column in (columns or {}).items():
            role = _SYNONYMS.get(key, key)
            if role not in cls.roles:
                known = [*cls.roles, *(name for name, one in _SYNONYMS.items() if one in cls.roles)]
                hint = did_you_mean(key, known) or f"Known: {', '.join(cls.roles)}."
                raise usage_error(f"data.columns: unknown column '{key}'", hint=hint)
            result[cls.check_column(key, role, column)] = column
        if result and cls.needs_source and not {*SOURCES} & {*result}:
            raise usage_error("data.columns: name the column of the source or of the tokens")
        return result

    @classmethod
    def check_column(cls, key: str, role: str, column: int | str) -> str:
        """The name under which this format knows a column that was called ``key`` and has this role."""
        raise usage_error(f"data.columns: the {cls.name} format has no columns")

    @classmethod
    def when_guessed(cls, reading: Reading) -> Reading:
        return reading

    def read(self, source: Input, on_error: OnError | None = None) -> Iterator[Example]:
        """Yield the examples of a file, a chunk of one or standard input; ``at`` is the line where each begins.

        Raises:
            UserError: bad data (65, with file:line), unless ``on_error`` takes it; what `read_lines` raises.
        """
        self.file, self.on_error = source_name(source), on_error
        return self.examples(source)

    @abstractmethod
    def examples(self, source: Input) -> Iterator[Example]:
        """What `read` yields; what is wrong goes through `report`."""

    def lines(self, source: Input, on_invalid: OnInvalid | None = None) -> Iterator[tuple[int, str]]:
        """Yield ``(number, line)`` with the options of the reading."""
        return read_lines(source, on_invalid=on_invalid or self.reading.on_invalid, max_line=self.reading.max_line)

    def report(self, error: UserError, line: int | None = None) -> None:
        """Hand an error over, or raise it; it gets the file and the line that it does not have yet."""
        if error.file is None:
            error.file, error.line = self.file, error.line or line
        if self.on_error is None:
            raise error
        self.on_error(error)

    def expand(self, path: Path) -> list[Path]:
        """The files that ``path`` stands for: itself, or what lies in it where a folder can be of this format.

        Raises:
            UserError: what would turn out later to hold no example (65).
        """
        return [path]

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        """Yield ``(line, file)`` of the files that belong to a file because it names them; none is looked at."""
        return iter(())

    def text_files(self, path: Path) -> list[Path]:
        """The files of text that `path` stands for, whose encoding and line ends can be looked at."""
        return [path]

    def look(self, lines: list[str]) -> TableLook | None:
        """What a file's first lines show of its columns, where nobody says them; None where a format has none to find."""
        return None

    def units(self, path: Path, handle: BinaryIO) -> Iterator[tuple[int, int, int]] | None:
        """``(lines, bytes, cost to read)`` of what may not be cut through; None where `ends` says all there is to know."""
        return None

    def fingerprint(self, path: Path) -> str:
        """A hash of all bytes that decide the examples."""
        return sha256_file(path)

    def lint(self, path: Path) -> Iterator[Finding]:
        """Yield what is odd about a file beyond the errors that reading it reports."""
        return iter(())


class LineFormat(Format):
    """One example a line; blank lines (of spaces and tabs) are skipped."""

    def head(self, line: str, number: int) -> bool:
        """Learn from the file's first line what the others follow; True for a header, which is no example."""
        return False

    @abstractmethod
    def parse(self, line: str) -> tuple[Any, Any]:
        """The source and the target of a line; a UserError it raises need not name the file and the line."""

    def examples(self, source: Input) -> Iterator[Example]:
        has_head = isinstance(source, Chunk) and source.start > 0
        if isinstance(source, Chunk) and has_head:
            head = next((item for item in self.lines(source.path, "replace") if item[1].strip(" \t")), None)
            if head is not None:
                self.head(head[1], head[0])
        for number, line in self.lines(source):
            if not line.strip(" \t"):
                continue
            if not has_head:
                has_head = True
                if self.head(line, number):
                    continue
            try:
                value, target = self.parse(line)
            except UserError as error:
                self.report(error, number)
                continue
            yield Example(value, target, f"{self.file}:{number}")


class BlockFormat(Format):
    """Examples are made of the lines between blank ones (spaces and tabs are blank)."""

    ends = "blank line"

    def paragraphs(self, source: Input, *, on_invalid: OnInvalid | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield ``(number of the first line, lines)`` of each run of lines between blank ones.

        Raises:
            UserError: as `read_lines`, and a run of over a million lines (65), which bounds the memory.
        """
        rows: list[str] = []
        begin = 0
        for number, line in self.lines(source, on_invalid):
            if line and line.strip(" \t"):
                if not rows:
                    begin = number
                rows.append(line)
                if len(rows) > _MAX_ROWS:
                    raise data_error(
                        f"over {_MAX_ROWS:,} lines without a blank one",
                        file=source_name(source),
                        line=begin,
                        hint="A blank line ends a sentence; is this another format? Set data.format.",
                    )
            elif rows:
                yield begin, rows
                rows = []
        if rows:
            yield begin, rows


def same_length(source: object, target: object) -> None:
    """Refuse (65) a list of tokens and a list of tags of different lengths."""
    if isinstance(source, list) and isinstance(target, list) and len(source) != len(target):
        raise data_error(f"{plural(len(source), 'token')} but {plural(len(target), 'tag')}")
