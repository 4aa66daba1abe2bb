"""``train --seeds``: the table, its JSON, what a signal leaves, and what is refused."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import Program, environment

from seqcli.machine import cores

SERIES = ("train", "tiny.yaml", "--set", "training.epochs=2", "--set", "training.select_by=f1", "--seeds", "3")


def test_the_table_and_the_json_say_the_same(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli(*SERIES)
    assert code == 0, err
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    header, *rows, says = (re.split(r"  +", line.strip()) for line in lines)
    assert header == ["VERSION", "SEED", "DEV F1", "TEST F1", "BEST STEP", "MINUTES"]
    assert [row[0] for row in rows] == ["tiny@1", "tiny@2", "tiny@3", "mean", "deviation", "best on dev"]
    assert re.findall(r"^(tiny@\d), seed (\d): dev F1 ", err, re.MULTILINE) == [(f"tiny@{n}", f"{n}") for n in "123"]
    code, out, err = seqcli(*SERIES, "--resume", "--json", "-q")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["name"], found["score"], found["better"], found["complete"]) == ("tiny", "F1", "higher", True)
    test = [one["test"] for one in found["runs"]]
    assert found["mean"]["test"] == pytest.approx(statistics.mean(test))
    assert found["deviation"]["test"] == pytest.approx(statistics.stdev(test))
    assert found["best"]["dev"] == max(one["dev"] for one in found["runs"])
    assert rows[3][2] == f"{found['mean']['test']:.2f}"
    spread, deviation = found["range"]["test"], found["deviation"]["test"]
    assert says == [f"seeds differ by {spread:.2f} F1 on test (deviation {deviation:.2f})"]
    best = found["best"]
    assert rows[5][1:4] == [f"{best['seed']}", f"{best['dev']:.2f}", f"{best['test']:.2f}"]
    line = seqcli("evaluate", "tiny@1", "--against", "tiny@2").out.splitlines()[-1]
    assert line.startswith(f"seeds of tiny differ by {spread:.2f} F1 on test (3 versions): this difference, ")
    (seeds,) = json.loads(seqcli("evaluate", "tiny@1", "--against", "tiny@2", "--json").out)["seeds"]
    assert (seeds["versions"], seeds["range"], seeds["inside"]) == (3, spread, True)


def test_one_seed_is_a_plain_training(seqcli: Program, place: Path) -> None:
    _, out, _ = seqcli(*SERIES[:-1], "1")
    assert out.startswith("test F1 = ")


def test_what_is_counted_and_what_has_no_score(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli(*SERIES, "--set", "model={kind: most-frequent-tag}", "--plot", "c.png")
    assert code == 0, err
    assert [line.split()[-2] for line in out.splitlines()[1:4]] == ["-", "-", "-"]
    assert out.splitlines()[-1] == "seeds differ by 0.00 F1 on test (deviation 0.00)"
    assert "there is no curve to draw" in err
    changes = ("--set", "data.dev=null", "--set", "data.test=null", "--set", "name=bare")
    code, out, err = seqcli(*SERIES, *changes)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["VERSION", "bare@1", "bare@2", "bare@3"]


def test_the_curves_of_all_are_drawn(seqcli: Program, place: Path) -> None:
    code, _, err = seqcli(*SERIES, "--plot", "curves.svg")
    assert (code, "drawn in curves.svg\n" in err) == (0, True)
    assert all(f"tiny@{number}" in Path("curves.svg").read_text() for number in (1, 2, 3))


@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_ctrl_c_reaches_all_and_says_how_to_go_on(place: Path) -> None:
    words = ("train", "tiny.yaml", "--set", "training.epochs=5000", "--seeds", "3", "--jobs", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "seqcli", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith("training with seeds 1, 2"):
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    found = json.loads(out)
    assert (found["runs"], found["complete"]) == ([], False)
    last = err.splitlines()[-1]
    assert re.fullmatch(
        r"error: (stopped after step \d+, saved in runs/tiny/[12]; ){2}0 of 3 trainings are done\. "
        r"Go on with: seqcli train tiny\.yaml --set training\.epochs=5000 --seeds 3 --jobs 2 --resume",
        last,
    )
    assert sorted(os.listdir("runs/tiny")) == ["1", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "2"], "--jobs is of several trainings. Say how many: --seeds 5."),
        (["--seeds", "2", "--dry-run"], "--dry-run trains nothing, with any of the --seeds. Leave one of the two out."),
        (["--seeds", "0"], "Invalid value for '--seeds': 0 is not in the range 1<=x<=1000. See 'seqcli train --help'"),
        (
            ["--seeds", "2", "--jobs", "9999"],
            f"--jobs: 9999 trainings at once, and {cores()} core{'s' if cores() > 1 else ''}. Each needs one of its own.",
        ),
        (["--seeds", "2", "--resume"], "no training of 'tiny' with these seeds in runs. Leave --resume out to start."),
        (
            ["--seeds", "2", "--set", "training.seed=9223372036854775807"],
            "training.seed: 2 seeds from 9,223,372,036,854,775,807 end above 9,223,372,036,854,775,807",
        ),
    ],
)
def test_bad_input(seqcli: Program, place: Path, arguments: list[str], message: str) -> None:
    assert seqcli("train", "tiny.yaml", *arguments) == (2, "", f"error: {message}\n")
    assert not Path("runs").exists()


def test_torchrun_is_refused(seqcli: Program, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    code, _, err = seqcli(*SERIES)
    assert (code, err) == (2, "error: --seeds is for one process, and torchrun started several. Use --jobs instead.\n")
