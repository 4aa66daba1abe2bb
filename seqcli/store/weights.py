"""Files of a run that hold numpy arrays, its weights first of all: no torch to read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from seqcli.errors import data_error
from seqcli.files import atomic_write


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name.

    Raises:
        UserError: not a sound file (65).
    """
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise data_error(f"not a sound safetensors file: {error}", file=path) from error


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays, all or nothing."""
    data = save(dict(arrays))
    with atomic_write(path) as handle:
        handle.write(data)
