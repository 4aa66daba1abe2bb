"""Recordings with their texts: a manifest, a folder as Kaldi has it, LJSpeech's ``metadata.csv``."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from seqcli.data.example import Example, MediaFile
from seqcli.data.formats.base import Columns, LineFormat, Reading
from seqcli.data.formats.frames import fingerprint_of, folder_of
from seqcli.errors import data_error, did_you_mean, io_error, usage_error
from seqcli.lines import Input, read_lines

_RECORDING = re.compile(r"\.(wav|flac|ogg|opus|mp3|aiff?|au|sph)$", re.IGNORECASE)


def inside(cell: str, folder: Path) -> Path:
    """The file that a path names, which starts from ``folder`` and may not leave it, also not by a link.

    Raises:
        UserError: it does, or it is no path (65); the file itself is not looked at.
    """
    try:
        path = (folder / cell).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise data_error(f"'{cell[:80]}' is no path: {error}") from error
    if not path.is_relative_to(folder.resolve()):
        raise data_error(f"'{cell[:80]}' lies outside the folder that names it: refused")
    return path


class Recordings(LineFormat):
    """A recording a line, which is a file beside the list, or a part of one."""

    has_media = True
    has_target_texts = True

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.folder = Path()

    def examples(self, source: Input) -> Iterator[Example]:
        self.folder = folder_of(source)
        self.begin()
        return super().examples(source)

    def begin(self) -> None:
        """Read what the lines refer to in other files of the folder, before the first line."""

    @abstractmethod
    def parse(self, line: str) -> tuple[MediaFile, str | None]: ...

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        """Yield ``(line, file)`` of what `read` would not refuse anyway; no file is looked at."""
        reader = type(self)(replace(self.reading, on_invalid="replace"))
        for one in reader.read(path, lambda error: None):
            yield one.line, one.source.path

    def units(self, path: Path, handle: BinaryIO) -> Iterator[tuple[int, int, int]]:
        """One for each line, which costs its own bytes and those of the file it names."""
        costs = {line: file.stat().st_size for line, file in self.files_named(path) if file.is_file()}
        return ((1, len(raw), len(raw) + costs.get(number, 0)) for number, raw in enumerate(handle, 1))

    def fingerprint(self, path: Path) -> str:
        return fingerprint_of(path, dict.fromkeys(file for _, file in self.files_named(path)))


class Manifest(Recordings):
    """``path TAB text`` a line, or a JSON object; the text may be missing where none is needed.

    A TSV file may begin with a header, and then (as in JSON) the columns are found by name: ``path``, ``audio``,
    ``file`` ...; ``text``, ``sentence``, ``transcript`` ...; and seconds: ``start`` and ``end`` (or ``duration``) of a
    part of a longer recording. ``data.columns`` names others.
    """

    name = "manifest"
    roles = ("source", "target", "start", "end", "duration")
    names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "source": ("path", "audio", "file", "wav", "audio_filepath", "filename", "file_name"),
        "target": ("text", "sentence", "transcript", "transcription", "target"),
        "start": ("start", "offset"),
        "end": ("end",),
        "duration": ("duration",),
    }

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.places: dict[str, int] = {"source": 0, "target": 1}

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 1.0 if all(_RECORDING.search(line.split("\t", 1)[0]) for line in lines) else 0.0

    @classmethod
    def check_columns(cls, columns: Columns | None) -> dict[str, int | str]:
        result: dict[str, int | str] = {}
        for key, column in (columns or {}).items():
            role = {"text": "target", "path": "source"}.get(key, key)
            if role not in cls.roles:
                hint = did_you_mean(key, cls.roles) or f"Known: {', '.join(cls.roles)}."
                raise usage_error(f"data.columns: unknown column '{key}'", hint=hint)
            result[role] = column
        return result

    def _name(self, role: str, known: Any) -> Any:
        """Which of the names that there are has this role; None where none has."""
        said = self.columns.get(role)
        return said if said in known else next((name for name in self.names[role] if name in known), None)

    def head(self, line: str, number: int) -> bool:
        self.places = {"source": 0, "target": 1}
        self.places |= {role: place for role, place in self.columns.items() if isinstance(place, int)}
        if line.startswith("{"):
            return False
        cells = line.split("\t")
        wanted = [name for name in self.columns.values() if isinstance(name, str)]
        if not wanted and (_RECORDING.search(cells[0]) or cells[0].lower() not in self.names["source"]):
            return False
        if missing := [name for name in wanted if name not in cells]:
            hint = did_you_mean(missing[0], cells) or f"Columns: {', '.join(cells)}."
            raise data_error(f"there is no column '{missing[0]}'", file=self.file, line=number, hint=hint)
        found = {role: self._name(role, cells) for role in self.roles}
        self.places = {role: cells.index(name) for role, name in found.items() if name is not None}
        if "source" not in self.places:
            raise data_error("the header names no column of paths", file=self.file, line=number)
        return True

    def parse(self, line: str) -> tuple[MediaFile, str | None]:
        if line.startswith("{"):
            values = self._object(line)
        else:
            cells = line.split("\t")
            values = {role: cells[at] for role, at in self.places.items() if -len(cells) <= at < len(cells)}
        path = values.get("source")
        if not isinstance(path, str) or not path.strip():
            raise data_error("no path of a recording", hint="A line is 'path TAB text', or a JSON object with both.")
        start, end = self._seconds(values, "start"), self._seconds(values, "end")
        if end is None and (length := self._seconds(values, "duration")) is not None and (start or 0) >= 0:
            end = None if start is None else start + length
        if (start or 0) < 0 or (end is not None and end <= (start or 0)):
            raise data_error(f"a part from {start or 0:g} to {end:g} s is none" if end is not None else "start below 0")
        text = values.get("target")
        if text is not None and not isinstance(text, str):
            raise data_error("the text is no string")
        return MediaFile(inside(path.strip(), self.folder), start, end), text

    def _object(self, line: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise data_error(f"no JSON object: {error}") from None
        if not isinstance(record, dict):
            raise data_error("no JSON object")
        found = {role: self._name(role, record) for role in self.roles}
        return {role: record[name] for role, name in found.items() if name is not None}

    @staticmethod
    def _seconds(values: Mapping[str, Any], role: str) -> float | None:
        value = values.get(role)
        if value is None or value == "":
            return None
        try:
            return float(value)
        except (TypeError, ValueError):
            raise data_error(f"'{value}' is no number of seconds ({role})") from None


class Kaldi(Recordings):
    """A folder with ``text`` (``utterance words``), ``wav.scp`` (``recording path``) and perhaps ``segments``
    (``utterance recording start end``, in seconds). A path starts from the folder; a command (``... |``) is not run.
    """

    name = "kaldi"
    takes_folder = True

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.paths: dict[str, str] = {}
        self.segments: dict[str, list[str]] | None = None

    def expand(self, path: Path) -> list[Path]:
        if not path.is_dir():
            return [path]
        if missing := [name for name in ("text", "wav.scp") if not (path / name).is_file()]:
            raise io_error(f"a folder without '{missing[0]}'", file=path, hint="Kaldi's folders have text and wav.scp.")
        return [path / "text"]

    def begin(self) -> None:
        self.paths = {name: rest for name, rest in self._table("wav.scp")}
        self.segments = None
        if (self.folder / "segments").is_file():
            self.segments = {name: rest.split() for name, rest in self._table("segments")}

    def _table(self, name: str) -> Iterator[tuple[str, str]]:
        for _, line in read_lines(self.folder / name, on_invalid=self.reading.on_invalid):
            key, _, rest = line.strip().partition(" ")
            if key:
                yield key, rest.strip()

    def parse(self, line: str) -> tuple[MediaFile, str | None]:
        name, _, text = line.strip().partition(" ")
        recording, start, end = name, None, None
        if self.segments is not None:
            cells = self.segments.get(name)
            if cells is None:
                raise data_error(f"'{name}' is not in segments")
            try:
                recording, start, end = cells[0], float(cells[1]), float(cells[2])
            except (IndexError, ValueError):
                raise data_error(f"segments: '{name} {' '.join(cells)}' is not 'recording start end'") from None
        if recording not in self.paths:
            raise data_error(f"'{recording}' is not in wav.scp")
        path = self.paths[recording]
        if path.endswith("|"):
            raise data_error(
                f"wav.scp: '{recording}' is made by a command, and seqcli runs none",
                hint="Write its output to a file, and name that.",
            )
        return MediaFile(inside(path, self.folder), start, end), text.strip()

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        yield from ((1, path.parent / name) for name in ("wav.scp", "segments") if (path.parent / name).is_file())
        yield from super().files_named(path)

    def units(self, path: Path, handle: BinaryIO) -> Iterator[tuple[int, int, int]]:
        costs = {line: file.stat().st_size for line, file in Recordings.files_named(self, path) if file.is_file()}
        return ((1, len(raw), len(raw) + costs.get(number, 0)) for number, raw in enumerate(handle, 1))


class LJSpeech(Recordings):
    """``metadata.csv``: ``id|text|text in words``, of which the last counts; the recording is ``wavs/id.wav`` beside it."""

    name = "ljspeech"
    takes_folder = True

    def expand(self, path: Path) -> list[Path]:
        return [path / "metadata.csv"] if path.is_dir() else [path]

    def parse(self, line: str) -> tuple[MediaFile, str | None]:
        name, *texts = line.split("|")
        if not texts:
            raise data_error(
                "no '|' between the id and the text", hint="A line is 'id|text' or 'id|text|text in words'."
            )
        return MediaFile(inside(f"wavs/{name.strip()}.wav", self.folder)), (texts[-1] or texts[0]).strip()
