"""Extractors: from a media file to the array [T, channels] that a field holds. Kinds are in the registry (``features``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.errors import UserError, usage_error
from seqcli.lines import source_name
from seqcli.recipe import registry
from seqcli.recipe.features import FeaturesConfig

if TYPE_CHECKING:
    from seqcli.data.fetch.obtain import Progress


class Extractor(ABC):
    """Computes the features of media files; picklable, since workers read with it.

    Attributes:
        notes: what was done to files that are not as the recipe wants them; in a dict, to be said once each.
    """

    def __init__(self, config: FeaturesConfig) -> None:
        self.config = config
        self.notes: dict[str, None] = {}

    def prepare(self, progress: Progress | None = None) -> None:  # noqa: B027 (most kinds need nothing)
        """Fetch what it computes with; raises UserError (74)."""

    def read(self, file: MediaFile, at: str = "") -> NDArray[np.float32]:
        """The features of a file, [T, D] with T > 0; of an image the T places of its grid, whose mean is its vector.

        ``at`` is where the file is named (``file:line``), if anywhere.

        Raises:
            UserError: no such file, not readable as what it should be, empty (65); unreadable (74); a package that is
                not installed (2).
        """
        with named_at(file, at):
            return self.compute(file)

    @abstractmethod
    def compute(self, file: MediaFile) -> NDArray[np.float32]:
        """`read`, with errors that name the media file."""

    def key(self) -> list[Any]:
        """Everything that decides the numbers."""
        return [self.config.model_dump(), self.config.version]

    def save(self, folder: Path) -> list[str]:
        """Copy what it reads beside the media into a run's folder; returns the names of the files."""
        return []


def extractor(config: FeaturesConfig) -> Extractor:
    """The extractor of a features section."""
    made: Extractor = registry.implementation("features", config.kind)(config)
    return made


@contextmanager
def named_at(file: MediaFile, at: str) -> Iterator[None]:
    """Says of a file that another one names where it is named."""
    try:
        yield
    except UserError as error:
        name, _, line = at.rpartition(":")
        if error.file == source_name(file.path) and line.isdecimal() and name != error.file:
            raise UserError(
                f"'{file.path}': {error.message}", file=name, line=int(line), hint=error.hint, code=error.code
            ) from error
        raise


def needed(module: str, package: str, extra: str) -> ModuleType:
    """A module of an optional package.

    Raises:
        UserError: it is not installed (2).
    """
    try:
        return import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library that the package needs is not there
        raise usage_error(
            f"reading this takes the package '{package}', which is not installed",
            hint=f"Install it: pip install 'seqcli[{extra}]'.",
        ) from error


def beginning(data: bytes) -> str:
    """``it begins with 25 50 44 46 '%PDF'``: what a file that cannot be read looks like."""
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[:8])
    return f"it begins with {data[:8].hex(' ')} '{shown}'"
