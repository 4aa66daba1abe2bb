"""Two processes train as one does; whatever ends one of them ends both, and what is saved stands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import environment, run_outside
from tiny_corpus import tiny_recipe
from tiny_text import DEEP, text_recipe

from seqcli.models.network import Memory
from seqcli.models.weights import load_weights
from seqcli.pipeline.prepare import open_columns
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import new_task
from seqcli.training.distributed import World
from seqcli.training.gradients import Gradients

CPU = torch.device("cpu")
STREAM = "task.unit=stream"
LONG = (
    STREAM,
    "training={optimizer: {kind: sgd, lr: 0.01, momentum: 0.5}, batch: {sequences: 3, per_epoch: 0}, epochs: 1000, "
    "max_steps: 600, "
    "evaluate_every: 20, select_by: loss, keep_checkpoints: 2}",
)


class Alone(World):
    """One of several processes that a test plays one after the other."""

    def largest(self, *numbers: float) -> list[float]:
        return list(numbers)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_processes_draw_the_masks_of_as_many_threads(tmp_path: Path, cache: Path, rows: int) -> None:
    recipe = text_recipe(tmp_path, STREAM, DEEP, "model.embedder.dropout=0.3", f"training.batch={{sequences: {rows}}}")
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    torch.manual_seed(1)
    data, network = task.data(columns), task.network().train()
    batches = data.training_order(recipe.training.batch, seed=1, epoch=0)[:2]
    assert len(batches[0]) == rows

    def gradients(threads: int, world: World) -> tuple[float, Memory, list[torch.Tensor | None]]:
        own = Gradients(network, data, CPU, precision="fp32", seed=3, threads=threads, world=world)
        network.zero_grad(set_to_none=True)
        total, memory = 0.0, Memory()
        for step, batch in enumerate(batches):
            loss, _, _, memory = own.add(batch, memory, step=step)
            total += loss
        return total, memory, [parameter.grad for parameter in network.parameters()]

    loss, memory, expected = gradients(4, World())
    parts = [gradients(2, Alone(rank, 2)) for rank in range(2)]
    assert sum(part[0] for part in parts) == pytest.approx(loss, rel=1e-6)
    joined = Memory.joined([part[1] for part in parts if part[1].states])
    for mine, whole in zip(joined.states, memory.states, strict=True):
        torch.testing.assert_close(mine, whole)
    for whole, *own in zip(expected, *(part[2] for part in parts), strict=True):
        torch.testing.assert_close(sum(one for one in own if one is not None), whole)


def launcher(*arguments: str) -> list[str]:
    """Two processes, each with its output in files of its own."""
    options = ["--standalone", "--nproc-per-node", "2", "--log-dir", "logs", "--redirects", "3"]
    return [sys.executable, "-m", "torch.distributed.run", *options, "-m", "seqcli", *arguments]


def together(*arguments: str) -> tuple[int, list[str], list[str]]:
    """``(exit code, stdout of each process, stderr of each process)``."""
    done = subprocess.run(launcher(*arguments), capture_output=True, env=environment(), timeout=120)
    return done.returncode, said("stdout"), said("stderr")


def said(stream: str) -> list[str]:
    return [path.read_text() for path in sorted(Path("logs").glob(f"*/attempt_0/*/{stream}.log"))]


def written(place: Path, recipe: Recipe) -> str:
    (place / "r.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    return "r.yaml"


def assert_same_weights(one: Path, other: Path) -> None:
    mine, theirs = load_weights(one / "model.safetensors"), load_weights(other / "model.safetensors")
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-5)


def test_a_tagger_of_two_processes_is_that_of_one(place: Path) -> None:
    recipe = written(place, tiny_recipe(place, "training.ema=0.9", "training.accumulate=2", "training.batch.tokens=9"))
    alone = run_outside("train", recipe, "--runs", "one")
    code, out, err = together("train", recipe, "--runs", "two")
    assert (code, out[1], err[1]) == (0, "", "")
    without_times = [" ".join(line.split()[:5]) for line in err[0].splitlines()]
    assert without_times == [" ".join(line.split()[:5]) for line in alone.err.splitlines()]
    assert out[0].splitlines()[0] == alone.out.splitlines()[0]
    assert_same_weights(place / "one/tiny/1", place / "two/tiny/1")


@contextlib.contextmanager
def begun(command: list[str], run: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training that has been measured three times."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        metrics = run / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 3:
            assert process.poll() is None
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)


def rank(launched: subprocess.Popen[bytes], number: int) -> int:
    """The process id of one of the launched."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launched.pid and f"RANK={number}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
    raise AssertionError("no such process")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A recipe for a stream, and the run of one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("stream")
    written(folder, text_recipe(folder, *LONG))
    recipe = str(folder / "r.yaml")
    assert run_outside("train", recipe, "--runs", str(folder / "one"), "-q").code == 0
    return recipe, folder / "one/tiny-lm/1"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc")
@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_process_ends_all_and_one_process_goes_on(quiet: tuple[str, Path], place: Path, number: int) -> None:
    recipe, expected = quiet
    run = place / "two/tiny-lm/1"
    with begun(launcher("train", recipe, "--runs", "two"), run) as process:
        os.kill(rank(process, number), signal.SIGKILL)
        assert process.wait(timeout=30) != 0
    lines = [
        line for text in said("stderr") for line in text.splitlines() if not line.startswith((" ", "tiny", "data"))
    ]
    saved = max(path.name for path in (run / "checkpoints").glob("step-*"))
    assert lines == [
        f"error: another process of this training ended; step {int(saved[5:])} is saved in two/tiny-lm/1. "
        f"Go on with: seqcli train {recipe} --runs two --resume"
    ]
    if number:
        assert run_outside("train", recipe, "--runs", "two", "--resume", "-q").code == 0
        assert_same_weights(run, expected)


def test_two_processes_go_on_where_one_was_stopped(quiet: tuple[str, Path], place: Path) -> None:
    recipe, expected = quiet
    run = place / "two/tiny-lm/1"
    with begun([sys.executable, "-m", "seqcli", "train", recipe, "--runs", "two"], run) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
    code, _, err = together("train", recipe, "--runs", "two", "--resume")
    assert code == 0, err
    assert "resumed at step" in err[0]
    assert_same_weights(run, expected)


def test_a_signal_to_the_launcher_saves_once(quiet: tuple[str, Path], place: Path) -> None:
    recipe, _ = quiet
    run = place / "two/tiny-lm/1"
    with begun(launcher("train", recipe, "--runs", "two"), run) as process:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    errors = [line for text in said("stderr") for line in text.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    step = int(errors[0].split(",")[0].split()[-1])
    assert (run / f"checkpoints/step-{step:08d}").is_dir()


def test_what_is_wrong_is_said_once(place: Path) -> None:
    code, out, err = together("train", "nerr")
    assert (code != 0, out) == (True, ["", ""])
    assert "".join(err).count("\n") == 1
    assert err[0].startswith("error: ")


def test_only_a_training_is_launched(place: Path) -> None:
    for number in ("0", "1"):
        env = {"TORCHELASTIC_RUN_ID": "x", "RANK": number, "WORLD_SIZE": "2"}
        told = run_outside("recipes", "ls", env=env)
        assert (told.code, told.out) == (2, "")
        assert told.err.count("\n") == (number == "0")


def test_a_world_of_one_gives_back_what_it_was_given() -> None:
    world = World.of_environment()
    assert world == World()
    numbers = np.ones(3)
    assert world.broadcast(numbers) is numbers
    assert world.sum([], 1.5, 2) == [1.5, 2]
    assert world.largest(-1) == [-1]
    assert world.gather(numbers) == [numbers]
    with world.joined("cpu"):
        assert world.in_turn(lambda: 7) == 7
