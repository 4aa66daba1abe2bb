"""Media files as values of a field: what their features are, and that a trained model meets the same again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.errors import data_error
from seqcli.fields.base import Progress
from seqcli.media.features import Extractor, extractor
from seqcli.recipe.features import FeaturesConfig


class MediaReader:
    """The ``features`` of a field, None where its data holds numbers; ``usual`` is a kind that would suit it."""

    def __init__(self, config: FeaturesConfig | None, usual: str = "log-mel") -> None:
        self.usual = usual
        self.extractor: Extractor | None = None if config is None else extractor(config)

    def prepare(self, progress: Progress | None) -> None:
        """Fetch what features are computed with, before workers ask for it; raises UserError (74)."""
        if self.extractor is not None:
            self.extractor.prepare(progress)

    def read(self, file: MediaFile, at: str) -> NDArray[np.float32]:
        """The features [T, D] of a file that the data names.

        Raises:
            UserError: the recipe says nothing of media files (65); what `Extractor.read` raises.
        """
        if self.extractor is None:
            raise data_error(
                "a media file, and the recipe does not say which features of it are read",
                file=at,
                hint=f"Set source.features in the recipe, such as {{kind: {self.usual}}}.",
            )
        return self.extractor.read(file, at)

    def notes(self) -> list[str]:
        """What was done to files that are not as the recipe wants them."""
        return [*self.extractor.notes] if self.extractor else []

    def key(self) -> list[Any]:
        return [] if self.extractor is None else self.extractor.key()

    def save(self, folder: Path) -> list[str]:
        """Copy what features are computed with into a run's folder; returns the names of the files."""
        return [] if self.extractor is None else self.extractor.save(folder)

    def saved(self) -> dict[str, Any]:
        """What a run's folder says of them beside the recipe."""
        return {"features": self.key()} if self.extractor else {}

    def check(self, saved: Mapping[str, Any], path: Path) -> None:
        """Refuse (65) a model whose features this version of the program computes otherwise; ``saved`` stands in ``path``."""
        if self.extractor and saved.get("features") != self.key():
            raise data_error(
                f"the model was trained on other {self.extractor.config.kind} features than this version computes",
                file=path,
                hint="Train it anew, or use the version of seqcli that trained it.",
            )
