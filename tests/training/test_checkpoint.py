"""Checkpoints under fire: kills, full disks, flipped bits, files that lie."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import re
import signal
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from seqcli.errors import UserError
from seqcli.models.weights import check_shapes, load_weights, save_weights
from seqcli.training import checkpoint as checkpoints
from seqcli.training.checkpoint import (
    load_checkpoint,
    newest_checkpoint,
    pack_optimizer,
    restore_rng,
    rng_state,
    save_checkpoint,
    sweep,
    unpack_optimizer,
)


def tensors_of(step: int, size: int = 2000) -> dict:
    return {
        "model": {"w": torch.full((size,), float(step)), "n": torch.tensor(step)},
        "optimizer": {"0.m": torch.arange(size) * step},
    }


def put(folder: Path, step: int, keep: int = 3, **options) -> Path:
    state = {"step": step, "loss": 0.1 * step}
    return save_checkpoint(folder, tensors_of(step), state, step=step, keep=keep, **options)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def newest(folder: Path) -> tuple[int | None, list[str]]:
    bad: list[str] = []
    found = newest_checkpoint(folder, lambda error: bad.append(f"{int(error.code)} {error}"))
    return (found.step if found else None), bad


def test_saved_is_loaded_bit_for_bit(tmp_path):
    odd = {
        "float": torch.randn(3, 4),
        "half": torch.randn(5).to(torch.bfloat16),
        "double": torch.randn(2).double(),
        "whole": torch.tensor(2**62),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "truth": torch.tensor([True, False]),
        "nothing": torch.empty(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "strided": torch.randn(4, 6).T,
        "part": torch.randn(10)[3:5],
    }
    odd["tied"] = odd["float"]
    state = {"loss": 0.1 + 0.2, "best": float("-inf"), "name": "Göteborg \u2028", "seen": [1, 2], "deep": {"a": None}}
    path = save_checkpoint(tmp_path, {"model": odd, "empty": {}}, state, step=12, keep=1)
    assert path.name == "step-00000012"
    assert names(path) == ["empty.safetensors", "manifest.json", "model.safetensors", "state.json"]
    loaded = load_checkpoint(path)
    assert (loaded.step, loaded.state, loaded.tensors["empty"]) == (12, state, {})
    assert set(loaded.tensors["model"]) == set(odd)
    for name, tensor in odd.items():
        back = loaded.tensors["model"][name]
        assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
        assert (
            back.contiguous().view(-1).view(torch.uint8).tolist()
            == tensor.contiguous().view(-1).view(torch.uint8).tolist()
        )


def test_older_ones_go_and_the_protected_stay(tmp_path):
    for step in range(1, 7):
        put(tmp_path, step, keep=2, protect={"step-00000002"})
    assert names(tmp_path) == ["step-00000002", "step-00000005", "step-00000006"]
    assert newest(tmp_path) == (6, [])


def test_the_same_step_again_takes_the_place_of_the_first(tmp_path):
    put(tmp_path, 4)
    for loss in (1.0, 2.0):
        save_checkpoint(tmp_path, {}, {"loss": loss}, step=5, keep=2)
    assert names(tmp_path) == ["step-00000004", "step-00000005.1"]
    assert newest_checkpoint(tmp_path, pytest.fail).state == {"loss": 2.0}


def test_after_a_resume_from_before_the_last_saved_is_the_newest(tmp_path):
    for step in (10, 20, 30):
        put(tmp_path, step)
    put(tmp_path, 15)
    assert newest(tmp_path) == (15, [])
    assert names(tmp_path) == ["step-00000010", "step-00000015"]


def test_no_checkpoint_and_no_folder(tmp_path):
    assert newest(tmp_path) == (None, [])
    assert newest(tmp_path / "none") == (None, [])
    sweep(tmp_path / "none")


def test_steps_beyond_eight_digits_keep_their_order(tmp_path):
    put(tmp_path, 99_999_999)
    put(tmp_path, 100_000_000)
    assert newest(tmp_path) == (100_000_000, [])


def save_forever(folder: Path, acknowledge: int) -> None:
    """What the killed process does: save, say which step is safe, go on."""
    found = newest_checkpoint(folder, lambda error: os._exit(9))
    step = found.step if found else 0
    if found and found.state["step"] != step:
        os._exit(8)
    sweep(folder)
    while True:
        step += 1
        put(folder, step, keep=2)
        os.write(acknowledge, struct.pack("<I", step))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to import torch once only")
def test_kill_in_the_middle_of_a_save_forty_times(tmp_path):
    torch.set_num_threads(1)
    chance = random.Random(3)
    acknowledged, caught_in_the_act = 0, 0
    for _ in range(40):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_forever(tmp_path, writer)
            finally:
                os._exit(7)
        os.close(writer)
        first = os.read(reader, 4)  # at least one save, so that every round goes forward
        time.sleep(chance.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        rest = b""
        while part := os.read(reader, 65536):
            rest += part
        os.close(reader)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        acknowledged = struct.unpack("<I", (first + rest)[-4:])[0]
        caught_in_the_act += any(name.startswith(".") for name in names(tmp_path))
        step, bad = newest(tmp_path)
        assert bad == []
        assert step in (acknowledged, acknowledged + 1)
    assert caught_in_the_act >= 5, "the kills missed the saves: this test shows nothing"
    sweep(tmp_path)
    assert all(name.startswith("step-") for name in names(tmp_path))
    assert len(names(tmp_path)) <= 3


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk_at_any_file_keeps_the_checkpoint_before(tmp_path, monkeypatch, reason):
    put(tmp_path, 1)
    real = os.fsync
    for fails_at in range(6):  # four files, the folder, the parent
        left = [fails_at]

        def fsync(descriptor, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(reason, os.strerror(reason))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(UserError, match="cannot write: " + os.strerror(reason)) as caught:
            put(tmp_path, 2)
        assert caught.value.code == 74
        if fails_at < 5:
            assert names(tmp_path) == ["step-00000001"]
        assert newest(tmp_path)[0] == (1 if fails_at < 5 else 2)
    monkeypatch.undo()
    put(tmp_path, 3)
    assert newest(tmp_path) == (3, [])


def test_a_really_full_disk(tmp_path):
    """A file size limit stops the write itself, in a child so that no other test feels it."""
    resource = pytest.importorskip("resource")
    put(tmp_path, 1)
    child = os.fork()
    if child == 0:
        code = 99
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
            save_checkpoint(tmp_path, tensors_of(2, size=50_000), {}, step=2, keep=1)
        except UserError as error:
            code = int(error.code)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 74
    assert names(tmp_path) == ["step-00000001"]
    assert newest(tmp_path) == (1, [])


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as caught:
        put(tmp_path / "file" / "checkpoints", 1)
    assert caught.value.code == 74


def test_every_flipped_bit_is_found_and_the_one_before_is_taken(tmp_path):
    put(tmp_path, 1)
    path = put(tmp_path, 2)
    chance = random.Random(4)
    files = sorted(path.iterdir())
    for turn in range(300):
        file = files[turn % len(files)]
        good = file.read_bytes()
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        file.write_bytes(bad)
        step, errors = newest(tmp_path)
        assert step == 1
        assert len(errors) == 1
        assert errors[0].startswith(f"65 {file}")
        with pytest.raises(UserError) as caught:
            load_checkpoint(path)
        assert caught.value.code == 65
        file.write_bytes(good)
    assert newest(tmp_path) == (2, [])


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "zeros", "half", "longer", "folder"])
def test_damaged_files_are_named_and_passed_over(tmp_path, file, damage):
    put(tmp_path, 1)
    path = put(tmp_path, 2) / file
    good = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes(
            {"empty": b"", "zeros": bytes(len(good)), "half": good[: len(good) // 2], "longer": good + b"\0"}[damage]
        )
    step, errors = newest(tmp_path)
    assert step == 1
    assert len(errors) == 1
    assert str(path) in errors[0]


def test_a_checkpoint_under_the_name_of_another_step(tmp_path):
    wrong = put(tmp_path, 1).rename(tmp_path / "step-00000009")
    assert newest(tmp_path) == (None, [f"65 {wrong}: the folder is named for step 9 and holds step 1"])


def test_a_checkpoint_moved_elsewhere_loads_by_path(tmp_path):
    put(tmp_path, 7).rename(tmp_path / "kept")
    assert load_checkpoint(tmp_path / "kept").step == 7
    with pytest.raises(UserError, match="no such checkpoint") as caught:
        load_checkpoint(tmp_path / "gone")
    assert caught.value.code == 65


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.AdamW(p, lr=0.01),
        lambda p: torch.optim.AdamW(p, amsgrad=True, fused=True),
        lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=1e-4),
        lambda p: torch.optim.Adam([{"params": p[:1], "lr": 0.1}, {"params": p[1:]}], weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01), foreach=False),
    ],
    ids=["adamw", "amsgrad-fused", "nesterov", "sgd", "two-groups", "tensor-lr"],
)
def test_training_goes_on_bit_for_bit(tmp_path, make):
    def begin():
        torch.manual_seed(5)
        model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))
        return model, make(list(model.parameters()))

    def steps(model, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            noise = random.random() + float(np.random.standard_normal())
            (model(torch.randn(4, 6)).square().sum() * (1 + noise**2)).backward()
            optimizer.step()

    def seed():
        torch.manual_seed(6)
        random.seed(6)
        np.random.seed(6)

    seed()
    whole, optimizer = begin()
    seed()
    steps(whole, optimizer, 9)

    half, optimizer = begin()
    seed()
    steps(half, optimizer, 4)
    packed, settings = pack_optimizer(optimizer)
    rng, generators = rng_state()
    path = save_checkpoint(
        tmp_path,
        {"model": half.state_dict(), "optimizer": packed, "rng": rng},
        {"optimizer": settings, "rng": generators},
        step=4,
        keep=1,
    )
    steps(half, optimizer, 2)  # what was saved must not move any more
    saved = load_checkpoint(path)
    again, optimizer = begin()
    for _ in range(2):  # the same checkpoint serves twice
        again.load_state_dict(saved.tensors["model"])
        unpack_optimizer(optimizer, saved.tensors["optimizer"], saved.state["optimizer"])
        restore_rng(saved.tensors["rng"], saved.state["rng"])
        steps(again, optimizer, 5)
        for name, tensor in whole.state_dict().items():
            assert tensor.isfinite().all()
            assert torch.equal(tensor, again.state_dict()[name])


def test_optimizer_settings_keep_their_types():
    parameter = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([parameter], betas=(0.8, 0.9))
    parameter.sum().backward()
    optimizer.step()
    tensors, settings = pack_optimizer(optimizer)
    other = torch.optim.AdamW([parameter])
    unpack_optimizer(other, tensors, json.loads(json.dumps(settings)))
    assert other.param_groups[0]["betas"] == (0.8, 0.9)
    with pytest.raises(UserError, match="does not fit the model") as caught:
        unpack_optimizer(torch.optim.AdamW([parameter, nn.Parameter(torch.ones(1))]), tensors, settings)
    assert caught.value.code == 65


def bad_weights(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_weights(path)
    assert caught.value.code == 65
    return str(caught.value)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_refused_and_never_run(tmp_path, protocol):
    assert "this is a pickle" in bad_weights(tmp_path / "model.safetensors", pickle.dumps(Bomb(), protocol))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_save_writes_is_refused(tmp_path, zipped):
    path = tmp_path / "model.safetensors"
    torch.save({"w": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    assert "this is a pickle" in bad_weights(path, path.read_bytes())


def header(**tensor) -> bytes:
    text = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | tensor}).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        header(data_offsets=[0, 2**62]) + bytes(8),
        header(data_offsets=[8, 0]) + bytes(8),
        header(shape=[2**61]) + bytes(8),
        header(shape=[2**32, 2**32]) + bytes(8),
        header(data_offsets=[4, 12]) + bytes(12),
        header() + bytes(7),
        header() + bytes(9),
        header(dtype="X9") + bytes(8),
        header(shape=[-2]) + bytes(8),
        header(shape="x") + bytes(8),
        struct.pack("<Q", 2**63) + header()[8:] + bytes(8),
        struct.pack("<Q", 10**9) + header()[8:] + bytes(8),
        struct.pack("<Q", 5) + header()[8:] + bytes(8),
        struct.pack("<Q", 2) + b"{}x",
        struct.pack("<Q", 20) + b"{" * 20,
        b"",
        b"\0",
        bytes(100),
        b"hello",
        b"x" * 5000,
        header()[:-3],
        struct.pack("<Q", 100_000) + b'{"a":' * 20_000,
    ],
)
def test_headers_that_lie_and_files_that_are_none(tmp_path, data):
    tracemalloc.start()
    message = bad_weights(tmp_path / "w.safetensors", data)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert message.startswith(str(tmp_path / "w.safetensors"))
    assert "\n" not in message


def test_a_huge_file_without_a_header_is_not_read(tmp_path):
    with (tmp_path / "w.safetensors").open("wb") as handle:
        handle.truncate(1 << 40)  # sparse: a tebibyte of zeros
    with pytest.raises(UserError, match="all zeros"):
        load_weights(tmp_path / "w.safetensors")


def test_weights_round_trip_and_are_replaced_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    entry = save_weights(path, {"w": torch.arange(4.0)})
    assert (entry.size, load_weights(path)["w"].tolist()) == (path.stat().st_size, [0, 1, 2, 3])
    good = path.read_bytes()
    assert good == save({"w": torch.arange(4.0)})

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left") as caught:
        save_weights(path, {"w": torch.zeros(4)})
    assert caught.value.code == 74
    assert path.read_bytes() == good
    assert names(tmp_path) == ["model.safetensors"]
    with pytest.raises(UserError) as caught:
        load_weights(tmp_path / "gone")
    assert caught.value.code == 74


def test_shapes_that_differ_are_named_with_both():
    model = nn.Linear(3, 2).state_dict()
    check_shapes(model, nn.Linear(3, 2).state_dict())

    def message(weights) -> str:
        with pytest.raises(UserError) as caught:
            check_shapes(model, weights, file="m.safetensors")
        assert caught.value.code == 65
        return str(caught.value)

    assert message(nn.Linear(3, 4).state_dict()).startswith(
        "m.safetensors: tensor 'weight' is 4 x 3 in the file and 2 x 3 in the model."
    )
    assert message({"weight": torch.ones(2, 3)}) == "m.safetensors: no tensor 'bias', which the model has as 2"
    assert message(model | {"x": torch.tensor(1)}) == "m.safetensors: tensor 'x' (a scalar) is not in the model"


def test_nothing_here_can_read_a_pickle():
    source = Path(checkpoints.__file__).read_text()
    assert not re.search(r"(?<!safetensors\.)torch\.load", source)
    assert "import pickle" not in source
