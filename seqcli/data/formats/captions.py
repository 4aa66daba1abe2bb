"""Images with their captions: a caption a line (``captions``), or COCO's JSON (``coco``)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqcli.data.example import Example, MediaFile
from seqcli.data.formats.base import Format, Reading
from seqcli.errors import UserError, data_error, did_you_mean, io_error, plural, reading
from seqcli.files import sha256_file
from seqcli.lines import Chunk, Input, is_stdin, source_name

_IMAGE = re.compile(r"\.(jpe?g|png|webp|bmp|gif|tiff?)(#\d+)?$", re.IGNORECASE)
_NUMBER = re.compile(r"#\d+$")
_HEADS = ({"image", "file", "filename", "file_name", "path", "name"}, {"caption", "text", "sentence", "description"})


def is_image(name: str) -> bool:
    """Whether a name ends as that of an image does, and is not hidden."""
    return bool(_IMAGE.search(name)) and not name.startswith(".")


class Captioned(NamedTuple):
    """An image by its name, its captions, and the line of the first."""

    image: str
    captions: list[str]
    line: int


class Captions(Format):
    """A caption a line: the image's name, a tab, the caption; a number behind the name (``a.jpg#0``) does not count.

    Images are files, relative to the folder of the file or to ``data.images``, which they may not leave; or rows of
    stored features: ``data.images`` is then a ``.npy``, and the names of its rows stand beside it, a line each, in
    ``X.txt`` or ``names.txt``. With ``data.captions`` a file of a split is a list of the images that it has.
    Several captions of an image are one example.
    """

    name = "captions"
    ends = "file"
    has_images = True
    has_target_texts = True

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        return 1.0 if all(_IMAGE.search(line.split("\t", 1)[0]) for line in lines) else 0.0

    def examples(self, source: Input) -> Iterator[Example]:
        path = (
            source.path if isinstance(source, Chunk) else None if source is None or is_stdin(source) else Path(source)
        )
        images = images_of(self.reading, path)
        for one in self.captioned(source):
            try:
                if not one.captions:
                    raise data_error(f"'{one.image}' has no caption")
                value = images.image(one.image)
            except UserError as error:
                self.report(UserError(error.message, hint=error.hint, code=error.code), one.line)
                continue
            yield Example(value, one.captions, f"{self.file}:{one.line}")

    def captioned(self, source: Input) -> Iterator[Captioned]:
        """The images of a file in the order in which they are first named."""
        if self.reading.captions is None:
            yield from self.table(source)
            return
        own = Path(self.reading.captions)
        kind = Coco if own.suffix.lower() == ".json" else Captions
        table = kind(Reading(max_line=self.reading.max_line))
        known = {one.image: one.captions for one in table._read_table(own)}
        for number, line in self.lines(source):
            if name := _NUMBER.sub("", line.strip()):
                if name not in known:
                    hint = did_you_mean(name, [*known][:10_000])
                    self.report(data_error(f"'{name}' is not among the images of {own}", hint=hint), number)
                    continue
                yield Captioned(name, known[name], number)

    def _read_table(self, path: Path) -> Iterator[Captioned]:
        self.file, self.on_error = source_name(path), None
        return self.table(path)

    def table(self, source: Input) -> Iterator[Captioned]:
        """The images of a file of captions."""
        found: dict[str, Captioned] = {}
        for number, line in self.lines(source):
            if not line.strip():
                continue
            cell, tab, caption = line.partition("\t")
            name, caption = _NUMBER.sub("", cell.strip()), caption.strip()
            if number == 1 and name.lower() in _HEADS[0] and caption.lower() in _HEADS[1]:
                continue
            if not (tab and name and caption):
                what = "no tab" if not tab else "no name of an image" if not name else f"no caption of '{name}'"
                hint = "A line is the image's name, a tab, the caption." if not tab else None
                if not tab and _IMAGE.search(name):
                    hint = "If this is a list of images, say where their captions are: data.captions."
                self.report(data_error(what, hint=hint), number)
                continue
            found.setdefault(name, Captioned(name, [], number)).captions.append(caption)
        yield from found.values()

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        """Yield ``(line, file)``: the file of features and of its names, of captions, or each image."""
        if self.reading.captions is not None:
            yield 1, Path(self.reading.captions)
        try:
            images = images_of(self.reading, path)
        except UserError:
            return
        if isinstance(images, Stored):
            yield from ((1, file) for file in images.files)
            return
        self.file, self.on_error = source_name(path), lambda error: None
        for one in self.captioned(path):
            try:
                yield one.line, images.image(one.image).path
            except UserError:
                continue

    def fingerprint(self, path: Path) -> str:
        digest = hashlib.sha256(sha256_file(path).encode())
        for _, file in self.files_named(path):
            digest.update((sha256_file(file) if file.is_file() else "missing").encode())
        return digest.hexdigest()


class Coco(Captions):
    """COCO's annotations: an object with ``images`` (``id``, ``file_name``) and ``annotations`` (``image_id``, ``caption``)."""

    name = "coco"

    @classmethod
    def likelihood(cls, lines: list[str], *, has_blank: bool) -> float:
        head = "".join(lines)[:4096]
        return 1.0 if head.startswith("{") and '"annotations"' in head + lines[-1] and '"image' in head else 0.0

    def captioned(self, source: Input) -> Iterator[Captioned]:
        return self.table(source)

    def table(self, source: Input) -> Iterator[Captioned]:
        if source is None or is_stdin(source):
            raise io_error("COCO's annotations cannot come from standard input")
        path = source.path if isinstance(source, Chunk) else Path(source)
        with reading(path):
            data = path.read_bytes()
        try:
            document = json.loads(data)
            found = {one["id"]: Captioned(str(one["file_name"]), [], 1) for one in document["images"]}
            captions = [(one["image_id"], one["caption"]) for one in document["annotations"]]
        except (ValueError, RecursionError) as error:
            line, why = (error.lineno, error.msg) if isinstance(error, json.JSONDecodeError) else (None, str(error))
            raise data_error(f"is no JSON: {why}", file=str(path), line=line) from error
        except (KeyError, TypeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else "expected 'images' and 'annotations'"
            raise data_error(f"is not COCO's JSON: {what}", file=str(path)) from error
        for image, caption in captions:
            if image not in found or not isinstance(caption, str):
                why = "is not among the images" if image not in found else "has a caption that is no text"
                self.report(data_error(f"image {image} {why}"), 1)
                continue
            if text := " ".join(caption.split()):
                found[image].captions.append(text)
        yield from (one for one in found.values() if one.captions)


class Folder:
    """Files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def image(self, name: str) -> MediaFile:
        try:
            path = (self.folder / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path, links in a circle
            raise data_error(f"'{name}' is no path: {error}") from error
        if not path.is_relative_to(self.folder):
            raise data_error(f"'{name}' lies outside {self.folder}: refused")
        if not path.is_file():
            raise data_error(
                f"there is no image '{name}' in {self.folder}", hint="data.images says where the images are."
            )
        return MediaFile(path)


class Stored:
    """Rows of a ``.npy`` by the names of the images, [N, D] or [N, ..., D]; the file is mapped, not read."""

    def __init__(self, features: Path, names: Path | None) -> None:
        from seqcli.data.frame_files import open_array

        self.features = features
        places = [names] if names else [features.with_name(f"{features.stem}.txt"), features.with_name("names.txt")]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise data_error(
                f"nothing says which image each row is of: there is no {' or '.join(place.name for place in places)}",
                file=str(features),
                hint="Write the names of the images there, a line each, in the order of the rows.",
            )
        self.array = open_array(features)
        with reading(found):
            lines = found.read_text(encoding="utf-8").split("\n")
        rows = [line.strip() for line in lines if line.strip()]
        self.files = (features, found)
        if len(rows) != len(self.array):
            raise data_error(
                f"{plural(len(rows), 'name')} for {plural(len(self.array), 'row')} of {features.name}", file=str(found)
            )
        self.row_of: Mapping[str, int] = {name: row for row, name in enumerate(rows)}

    def image(self, name: str) -> Any:
        import numpy as np

        if name not in self.row_of:
            raise data_error(f"there is no row '{name}' in {self.features.name}", hint=f"Names: {self.files[1]}.")
        row = np.array(self.array[self.row_of[name]], np.float32)
        if not np.isfinite(row).all():
            raise data_error(f"the row '{name}' of {self.features.name} has a value that is no number")
        return row.reshape(-1, row.shape[-1])


def images_of(options: Reading, path: Path | None) -> Folder | Stored:
    """What a recipe's ``data.images`` says; without it images lie beside the file that names them.

    Raises:
        UserError: neither a folder nor a file of features (65), or one that cannot be read (74).
    """
    if options.images is None:
        return Folder(Path() if path is None else path.parent)
    where = Path(options.images).expanduser()
    if where.is_dir():
        return Folder(where)
    if where.suffix.lower() == ".npy":
        return Stored(where, Path(options.names) if options.names else None)
    raise io_error("data.images: is neither a folder of images nor a .npy of features", file=str(where))
