"""The weights of a finished run as numpy arrays: no torch to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from seqcli.errors import data_error
from seqcli.files import atomic_write
from seqcli.store.runs import Run


def load_arrays(run: Run) -> dict[str, NDArray[Any]]:
    """The weights by name.

    Raises:
        UserError: not a sound file (65).
    """
    try:
        return load_file(run.weights_path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise data_error(f"not a sound safetensors file: {error}", file=run.weights_path) from error


def save_arrays(run: Run, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the weights, all or nothing."""
    data = save(dict(arrays))
    with atomic_write(run.weights_path) as handle:
        handle.write(data)
