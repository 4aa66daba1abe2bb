"""Checkpoints: all that a training needs to go on, in a folder that is either whole or not there.

``step-00001234/`` holds ``<stem>.safetensors`` for each group of tensors, ``state.json`` and ``manifest.json``, which
is written last. It is built under a hidden name, flushed to disk and renamed, so a kill at any moment leaves the
checkpoints before it as they were. Nothing here reads or writes a pickle.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqcli.errors import UserError, cannot_read, data_error
from seqcli.files import cannot_write, fsync_folder
from seqcli.models.weights import Tensors, parse, serialize
from seqcli.store.manifest import MANIFEST, FileRecord, Manifest, is_plain_name, read_manifest

Json = Any

_FORMAT = "seqcli checkpoint 1"
_STATE = "state.json"
_SUFFIX = ".safetensors"
_NAME = re.compile(r"step-(\d{8,})(?:\.(\d+))?")
_HALF, _GONE = ".half-", ".gone-"
_RNG = "rng."


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        path: its folder.
        step: optimizer steps done.
        tensors: file stem -> tensor name -> tensor, on the CPU.
        state: everything else, as JSON.
    """

    path: Path
    step: int
    tensors: dict[str, Tensors]
    state: dict[str, Json]


def save_checkpoint(
    folder: Path,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Json],
    *,
    step: int,
    keep: int,
    protect: Collection[str] = (),
) -> Path:
    """Save a checkpoint and remove the older ones beyond the newest ``keep``.

    Once this returns, the checkpoint survives a kill and a power cut. Checkpoints of later steps belong to a future
    that a resume from an earlier step has given up; they are removed too, so the last one saved is always the newest.

    Args:
        folder: where the checkpoints lie; made when missing.
        tensors: file stem (``model``, ``optimizer`` ...) -> named tensors, on any device.
        state: JSON; numbers come back bit for bit.
        step: optimizer steps done.
        keep: checkpoints kept, this one included.
        protect: names of checkpoints that stay whatever ``keep`` says (``path.name`` of an earlier one).

    Returns:
        The folder of the new checkpoint: ``step-00001234``, or ``step-00001234.1`` when that step was saved before.

    Raises:
        UserError: the folder cannot be written or the disk is full (74); every earlier checkpoint is still there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f"{_HALF}{step:08d}.{os.getpid()}"
        try:
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            _write_files(half, tensors, state, step)
            fsync_folder(half)
            final = _free_name(folder, step)
            os.rename(half, final)
        finally:
            shutil.rmtree(half, ignore_errors=True)
        fsync_folder(folder)
        _prune(folder, final, keep, protect)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return final


def newest_checkpoint(folder: Path, on_bad: Callable[[UserError], None]) -> Checkpoint | None:
    """The newest checkpoint that verifies, or None; each newer one that does not is told to ``on_bad``."""
    for path in reversed(_whole(folder)):
        try:
            return load_checkpoint(path)
        except UserError as error:
            on_bad(error)
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Load one checkpoint by its folder; every byte is checked before any of it is used.

    Raises:
        UserError: something is missing, damaged or a pickle (65), or cannot be read (74).
    """
    if not path.is_dir():
        raise data_error("no such checkpoint", file=path)
    manifest = read_manifest(path)
    step = manifest.about.get("step")
    if manifest.about.get("format") != _FORMAT or type(step) is not int or _STATE not in manifest.files:
        raise data_error("not a checkpoint of this version of seqcli", file=path)
    if _age(path)[0] not in (-1, step):
        raise data_error(f"the folder is named for step {_age(path)[0]} and holds step {step}", file=path)
    tensors = {
        file.removesuffix(_SUFFIX): parse(record.read(path / file), path / file)
        for file, record in manifest.files.items()
        if file.endswith(_SUFFIX)
    }
    state = json.loads(manifest.files[_STATE].read(path / _STATE))
    return Checkpoint(path, step, tensors, state)


def average_weights(checkpoints: Sequence[Path]) -> Tensors:
    """The mean of the weights of some checkpoints; what is no floating-point number is that of the last.

    Raises:
        UserError: one of them is damaged (65).
    """
    mean: Tensors = {}
    for number, path in enumerate(checkpoints, 1):
        for name, tensor in load_checkpoint(path).tensors["model"].items():
            if name in mean and tensor.is_floating_point():
                mean[name] += (tensor - mean[name]) / number
            else:
                mean[name] = tensor
    return mean


def sweep(folder: Path) -> None:
    """Remove what interrupted saves and removals left behind; call it with the run locked, before the first save."""
    for pattern in (_HALF, _GONE):
        for path in folder.glob(f"{pattern}*"):
            shutil.rmtree(path, ignore_errors=True)


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[Tensors, Json]:
    """The state of an optimizer as named tensors (``<parameter>.<key>``) and JSON, for a checkpoint."""
    whole = optimizer.state_dict()
    tensors: Tensors = {}
    state: dict[str, dict[str, Json]] = {}
    for index, values in whole["state"].items():
        state[str(index)] = _split(values, f"{index}.", tensors)
    groups = [_split(group, f"group{index}.", tensors) for index, group in enumerate(whole["param_groups"])]
    return tensors, {"state": state, "groups": groups}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], packed: Json) -> None:
    """Give an optimizer back the state that `pack_optimizer` took, bit for bit.

    Raises:
        UserError: it belongs to other parameters (65).
    """
    state = {int(index): dict(values) for index, values in packed["state"].items()}
    groups = [dict(group) for group in packed["groups"]]
    for name, tensor in tensors.items():  # cloned, since the optimizer goes on in place
        owner, key = name.split(".", 1)
        (groups[int(owner[5:])] if owner.startswith("group") else state[int(owner)])[key] = tensor.clone()
    for group, own in zip(groups, optimizer.param_groups, strict=False):
        for key, value in group.items():
            if isinstance(own.get(key), tuple):  # JSON knows lists only
                group[key] = tuple(value)
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, KeyError) as error:
        raise data_error(f"the optimizer state does not fit the model: {error}") from error


def rng_state() -> tuple[Tensors, Json]:
    """The state of every random generator (torch on CPU and GPUs, Python, numpy) as tensors and JSON."""
    tensors = {_RNG + "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"{_RNG}cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    version, words, gauss = random.getstate()
    own = np.random.get_state(legacy=False)
    assert isinstance(own, dict)
    numpy = own | {"state": own["state"] | {"key": own["state"]["key"].tolist()}}
    return tensors, {"python": [version, list(words), gauss], "numpy": numpy}


def restore_rng(tensors: Mapping[str, Tensor], state: Json) -> None:
    """Set every random generator back to what `rng_state` took; GPUs that are not there now are left out."""
    torch.set_rng_state(tensors[_RNG + "cpu"])
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if f"{_RNG}cuda{index}" in tensors:
                torch.cuda.set_rng_state(tensors[f"{_RNG}cuda{index}"], index)
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    key = np.array(state["numpy"]["state"]["key"], dtype=np.uint32)
    np.random.set_state(state["numpy"] | {"state": state["numpy"]["state"] | {"key": key}})


def _write_files(
    folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Json], step: int
) -> None:
    files: dict[str, FileRecord] = {}
    for stem, named in tensors.items():
        if not is_plain_name(stem):
            raise ValueError(f"'{stem}' cannot be the name of a file")
        files[stem + _SUFFIX] = _write(folder / (stem + _SUFFIX), serialize(named))
    files[_STATE] = _write(folder / _STATE, json.dumps(state, ensure_ascii=False).encode())
    _write(folder / MANIFEST, Manifest(files, {"format": _FORMAT, "step": step}).to_bytes())


def _write(path: Path, data: bytes) -> FileRecord:
    with path.open("xb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    return FileRecord.of(data)


def _whole(folder: Path) -> list[Path]:
    """Checkpoint folders, oldest step first (whether they verify is another question)."""
    try:
        return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_age)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(folder, error) from error


def _age(path: Path) -> tuple[int, int]:
    """Order of saving: the step, then how often that step was saved before."""
    match = _NAME.fullmatch(path.name)
    return (int(match[1]), int(match[2] or 0)) if match else (-1, 0)


def _free_name(folder: Path, step: int) -> Path:
    """A name nobody has: replacing a folder by another cannot be done in one step, so a second save gets a suffix."""
    taken = [path for path in _whole(folder) if _age(path)[0] == step]
    return folder / (f"step-{step:08d}.{_age(taken[-1])[1] + 1}" if taken else f"step-{step:08d}")


def _prune(folder: Path, newest: Path, keep: int, protect: Collection[str]) -> None:
    """Remove all but ``newest``, the last save of each of the ``keep - 1`` steps before it, and the protected."""
    whole = _whole(folder)
    before = {_age(path)[0]: path for path in whole[: whole.index(newest) + 1]}  # the last save of each step
    kept = {before[step] for step in sorted(before)[-keep:]}
    for path in whole:
        if path in kept or path.name in protect:
            continue
        gone = folder / f"{_GONE}{path.name}.{os.getpid()}"
        os.rename(path, gone)  # under its own name, half of it might look whole
        shutil.rmtree(gone, ignore_errors=True)


def _split(values: Mapping[str, Any], prefix: str, tensors: Tensors) -> dict[str, Json]:
    """Put the tensors among ``values`` into ``tensors`` under ``prefix``; return the rest."""
    tensors.update({prefix + str(key): value for key, value in values.items() if isinstance(value, Tensor)})
    return {str(key): value for key, value in values.items() if not isinstance(value, Tensor)}
