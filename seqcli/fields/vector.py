"""A picture as numbers: one vector, or a grid of them. Shapes: B pictures, S places, D values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import Side
from seqcli.data.example import MediaFile
from seqcli.errors import data_error
from seqcli.fields.base import Progress
from seqcli.fields.frames import FrameField
from seqcli.fields.media import MediaReader
from seqcli.recipe.fields import FrameFieldConfig, GridFieldConfig, VectorFieldConfig


class PlacesField(FrameField):
    """Vectors [S, D] of the places of a picture, scaled over all places of the training pictures together."""

    def __init__(self, config: VectorFieldConfig | GridFieldConfig) -> None:
        super().__init__(FrameFieldConfig.model_validate({"scaling": config.scaling}))
        self.media = MediaReader(config.features, "efficientnet-lite0")

    def prepare(self, values: Callable[[], Iterable[tuple[Any, str]]], key: str, progress: Progress | None) -> None:
        """Fetches the image encoder only where the data holds images, not what was made of them before."""
        if any(isinstance(value, MediaFile) for value, _ in islice(values(), 1)):
            super().prepare(values, key, progress)

    def _other_channels(self, channels: int) -> str:
        return f"vectors of {channels:,} values, but the model was trained on vectors of {self.channels:,}"

    def key(self) -> list[Any]:
        return [self.unit, *super().key()]

    def summary(self) -> dict[str, int]:
        return {"values a vector": self.channels}


class GridField(PlacesField):
    """The places of a picture row by row, as attention looks at them: a sequence whose length all pictures share."""

    unit = "places"

    def readable(self, column: Column, row: int, *, as_seen: bool = False) -> str:
        return f"{column.lengths_of(np.array([row]))[0]} places of {self.channels} values"


class VectorField(PlacesField):
    """One vector; that of a grid is its mean."""

    unit = "vectors"

    def read(self, value: Any, at: str) -> NDArray[np.float32]:
        """[1, D]; a vector [D] will do, and an image file, whose grid's mean it is.

        Raises:
            UserError: as in `FrameField`, and a grid where the data should hold vectors (65).
        """
        if isinstance(value, MediaFile):
            return np.asarray(super().read(value, at).mean(0, keepdims=True), np.float32)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value[None]
        vector_1D = super().read(value, at)
        if len(vector_1D) != 1:
            raise data_error(
                f"{len(vector_1D)} vectors for one picture",
                file=at,
                hint="A grid of places is read with source: {kind: grid}.",
            )
        return vector_1D

    def side(self, raws: Sequence[NDArray[np.float32]]) -> Side:
        none = np.zeros((0, self.channels), np.float32)
        return Side({"vector_BD": np.concatenate([none, *raws])}, np.ones(len(raws), np.int64))

    def readable(self, column: Column, row: int, *, as_seen: bool = False) -> str:
        return f"a vector of {self.channels} values"
