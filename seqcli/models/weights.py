"""Tensors in safetensors files: weights in, weights out. Nothing here reads or writes a pickle."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from seqcli.errors import cannot_read, data_error
from seqcli.files import atomic_write
from seqcli.store.manifest import FileRecord, is_pickle

Tensors = dict[str, Tensor]

_MAX_HEADER = 64 * 2**20


def save_weights(path: Path, tensors: Mapping[str, Tensor]) -> FileRecord:
    """Write named tensors as safetensors, all or nothing; returns the size and SHA-256 of the file.

    Raises:
        UserError: it cannot be written or the disk is full (74).
    """
    data = serialize(tensors)
    with atomic_write(path) as handle:
        handle.write(data)
    return FileRecord.of(data)


def load_weights(path: Path) -> Tensors:
    """Read named tensors from a safetensors file, on the CPU; memory is bounded by twice the file's size.

    Raises:
        UserError: a pickle, empty, truncated or with a header that lies (65), or it cannot be read (74).
    """
    try:
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            _check_header(handle.read(4096), size, path)
            handle.seek(0)
            return parse(handle.read(size), path)
    except OSError as error:
        raise cannot_read(path, error) from error


def check_shapes(model_state: Mapping[str, Tensor], weights: Mapping[str, Tensor], *, file: object = None) -> None:
    """Raise a UserError (65) that names the first tensor that is missing, unknown or of another shape."""
    for name, tensor in model_state.items():
        if name not in weights:
            raise data_error(f"no tensor '{name}', which the model has as {_shape(tensor)}", file=file)
        if weights[name].shape != tensor.shape:
            raise data_error(
                f"tensor '{name}' is {_shape(weights[name])} in the file and {_shape(tensor)} in the model",
                file=file,
                hint="The weights belong to another recipe or vocabulary.",
            )
    for name, tensor in weights.items():
        if name not in model_state:
            raise data_error(f"tensor '{name}' ({_shape(tensor)}) is not in the model", file=file)


def serialize(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors bytes; tied tensors (which the format refuses) are written once for each name."""
    plain: Tensors = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        pointer = own.untyped_storage().data_ptr()
        plain[name] = own.clone() if pointer in seen else own
        seen.add(pointer)
    return safetensors.torch.save(plain)


def parse(data: bytes, path: Path) -> Tensors:
    _check_header(data[:4096], len(data), path)
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError, KeyError, AssertionError, TypeError) as error:
        raise data_error(f"not a sound safetensors file: {error}", file=path) from error


def _check_header(head: bytes, size: int, path: Path) -> None:
    """Refuse, before the file is read as a whole, what cannot be safetensors."""
    if size == 0:
        raise data_error("empty file where weights are expected", file=path)
    length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else 0
    if head[8:9] == b"{" and 2 <= length <= min(size - 8, _MAX_HEADER):
        return
    if is_pickle(head, text=True):
        raise data_error(
            "this is a pickle, which can run code when it is opened; it was not opened",
            file=path,
            hint="Convert it to safetensors where you trust it.",
        )
    if not any(head):
        raise data_error("all zeros where weights are expected: the file was never written to the end", file=path)
    if head[8:9] == b"{":
        raise data_error(f"damaged or cut off: a header of {length:,} bytes in a file of {size:,}", file=path)
    raise data_error("not a safetensors file", file=path)


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(size) for size in tensor.shape) or "a scalar"
