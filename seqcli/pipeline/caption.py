"""Images captioned by one model, or by several together: files, and rows of stored features."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Side
from seqcli.data.example import MediaFile
from seqcli.data.formats.captions import is_image
from seqcli.data.frame_files import open_array
from seqcli.data.glyphs import picture
from seqcli.decode.generate import GenerateOptions
from seqcli.errors import UserError, data_error, io_error
from seqcli.media.image import read_image
from seqcli.pipeline.model import Model
from seqcli.pipeline.writing import task_of
from seqcli.tasks.writing import Generated

AT_ONCE = 32
"""Images that are read before they are answered together."""


@dataclass(frozen=True)
class Picture:
    """An image and what it is called: a file, or an array that a row of features is."""

    name: str
    value: MediaFile | NDArray[np.float32]


@dataclass(frozen=True)
class Captioned:
    """What came of an image: captions, or why it could not be read."""

    name: str
    found: Generated | UserError


def pictures(places: Iterable[str]) -> Iterator[Picture]:
    """The images that paths name: a file, the rows of a ``.npy`` in their order, all files of a folder.

    Raises:
        UserError: a folder without an image, a ``.npy`` that holds no rows of numbers (65); one that cannot be read (74).
    """
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and is_image(file.name))
            if not files:
                raise data_error("no image lies in this folder or below it", file=place)
            yield from (Picture(str(file), MediaFile(file)) for file in files)
        elif path.suffix.lower() == ".npy":
            array = open_array(path)
            for number in range(len(array)):
                row = np.array(array[number], np.float32)
                yield Picture(f"{place}#{number}", row.reshape(-1, row.shape[-1]))
        else:
            yield Picture(place, MediaFile(path))


def pixels_of(one: Picture) -> NDArray[np.uint8] | None:
    """The pixels of an image, [224, 224, 3] of a file; of a grid whose places are squares of grey pixels [height, width].

    None where they cannot be known: a grid of features. Pixels are whole numbers from 0 to 255, as many rows as columns in
    a place, and places in the picture.

    Raises:
        UserError: a file that cannot be read (65, 74).
    """
    if isinstance(one.value, MediaFile):
        return read_image(one.value)
    across, side = (math.isqrt(size) for size in one.value.shape)
    if one.value.shape != (across**2, side**2) or side < 2 or ((one.value % 1 != 0) | (one.value < 0)).any():
        return None
    if not 0 < one.value.max() <= 255:
        return None
    return picture(one.value.astype(np.uint8))


class Captioner:
    """Captions images, a block at a time, in order.

    Args:
        attention: also tell where each word looked.
        scores: ln p and score are wanted too.
    """

    def __init__(
        self, model: Model[Generated], options: GenerateOptions, *, attention: bool = False, scores: bool = True
    ) -> None:
        self.model, self.task, self.options = model, task_of(model), options
        self.attention, self.scores = attention, scores
        self.count = 0

    def captions(self, images: Iterable[Picture]) -> Iterator[Captioned]:
        """What came of each image, those before a bad one answered first."""
        block: list[tuple[str, Any]] = []
        for one in images:
            block.append((one.name, self._read(one)))
            if len(block) == AT_ONCE:
                yield from self._block(block)
                block = []
        yield from self._block(block)

    def _read(self, one: Picture) -> NDArray[np.float32] | UserError:
        try:
            if isinstance(one.value, MediaFile) and not one.value.path.exists():
                raise io_error("there is no such file", file=one.name)
            values: NDArray[np.float32] = self.task.source.read(one.value, one.name)
        except UserError as error:
            return error
        return values

    def _block(self, block: Sequence[tuple[str, Any]]) -> Iterator[Captioned]:
        good = [values for _, values in block if not isinstance(values, UserError)]
        found = iter(self.model.predict_block(good, ask=self._ask))
        self.count += len(good)
        for name, values in block:
            yield Captioned(name, values if isinstance(values, UserError) else next(found))

    def _ask(self, side: Side, raws: Sequence[Any], numbers: Sequence[int]) -> Sequence[Generated]:
        return self.task.generate(
            self.model.engine,
            side,
            raws,
            self.options,
            attention=self.attention,
            scores=self.scores,
            numbers=[self.count + number for number in numbers],
        )
