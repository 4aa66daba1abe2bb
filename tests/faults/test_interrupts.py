"""Signals while a training runs, from Ctrl-C to kill -9."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import Program, environment

LONG = ["tiny.yaml", "--set", "training.epochs=100000", "--runs", "my runs"]


@contextlib.contextmanager
def training(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A training in a process of its own, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "seqcli", "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        rest(process)


def rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What was still to come on stdout and stderr (`communicate` would lose what is buffered here)."""
    assert process.stdout is not None
    assert process.stderr is not None
    err = process.stderr.read()
    out = process.stdout.read()
    process.wait(timeout=30)
    return out, err


def first_best(process: subprocess.Popen[str]) -> str:
    """What was said up to the first evaluation."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "*best" in line:
            return said
    raise AssertionError(f"the training ended: {said}")


def first_line(process: subprocess.Popen[str]) -> str:
    """What was said up to the line that tells where a resumed training goes on."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "resumed at step" in line:
            break
    return said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_names_the_command_to_go_on(
    seqcli: Program, place: Path, number: signal.Signals, code: int
) -> None:
    with training(*LONG) as process:
        first_best(process)
        process.send_signal(number)
        out, err = rest(process)
    assert (process.returncode, out) == (code, "")
    lines = [line for line in err.splitlines() if not line.startswith("  ")]
    told = ["stopping after this step; press Ctrl-C again to stop at once"] if code == 130 else []
    assert lines[:-1] == told
    last = re.fullmatch(
        r"error: stopped after step (\d+), saved in my runs/tiny/1\. Go on with: "
        r"seqcli train tiny\.yaml --set training\.epochs=100000 --runs 'my runs' --resume",
        lines[-1],
    )
    assert last
    assert (place / f"my runs/tiny/1/checkpoints/step-{int(last[1]):08d}").is_dir()


def test_ctrl_c_twice_stops_at_once(place: Path) -> None:
    slow_steps = ["--set", "training.batch.tokens=100000", "--set", "model.encoder.dim=2000"]
    with training(*LONG, *slow_steps) as process:
        assert process.stderr is not None
        first_best(process)
        time.sleep(0.3)  # until the checkpoint is saved and the next step runs
        process.send_signal(signal.SIGINT)
        said = next(line for line in process.stderr if not line.startswith("  "))  # a row of scores may come before
        assert said == "stopping after this step; press Ctrl-C again to stop at once\n"
        process.send_signal(signal.SIGINT)
        out, err = rest(process)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")


def test_ctrl_c_before_the_first_step_leaves_nothing(place: Path) -> None:
    (place / "train.conll").write_text((place / "train.conll").read_text() + "\n")
    with (place / "train.conll").open("a") as handle:
        handle.writelines(f"a{number}\tO\n\n" for number in range(400_000))
    with training("tiny.yaml", "-v") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "encoding train" in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = rest(process)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert not list((place / "runs").rglob("*"))


def test_kill_9_at_random_moments_and_the_weights_are_those_of_a_quiet_training(seqcli: Program, place: Path) -> None:
    sets = ["tiny.yaml", "--set", "training.epochs=60", "--set", "training.evaluate_every=2"]
    chance = random.Random(3)
    saved = kills = 0
    while kills < 4:
        with training(*sets, *(["--resume"] if kills else [])) as process:
            said = first_line(process) if kills else first_best(process)
            time.sleep(chance.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            said += rest(process)[1]
        if Path("runs/tiny/1/report.json").exists():  # a fast machine came to the end before the signal did
            break
        kills += 1
        if resumed := re.search(r"resumed at step ([\d,]+) of", said):
            assert int(resumed[1].replace(",", "")) >= saved
        assert bool(resumed) == (kills > 1)
        saved = max([saved, *(int(line.split()[1]) for line in said.splitlines() if line.endswith("*best"))])
    assert kills >= 1
    if kills == 4:
        code, _, err = seqcli("train", *sets, "--resume", "-q")
        assert (code, err) == (0, "")
    assert seqcli("train", *sets, "-q", "--runs", "quiet").code == 0
    weights = [Path(runs, "tiny/1/model.safetensors").read_bytes() for runs in ("runs", "quiet")]
    assert weights[0] == weights[1]
    assert not list(Path("runs/tiny/1").glob("checkpoints*"))
