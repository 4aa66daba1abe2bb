"""Pipes of a classifier: a line in is a line out, at once, whatever it holds; memory stays flat; no step is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import Program, environment
from tiny_classes import motions, ts

from seqcli.errors import ExitCode, UserError
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store

ODD = 'a\u2028b\nc\u0085d\n\ne\ff\ng\rh\nn\0m\n \n\t\n\ufeffq\n"quoted"\tand\ttabs\nlast without a line end'
EMPTY = "warning: an empty text has no tokens: it is given what the model says of nothing at all\n"
MODELS = ("tiny", "bag", "several")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("options", [[], ["--scores"], ["--jsonl"], ["--attribution"], ["--tokens"]])
def test_a_line_in_is_a_line_out(seqcli: Program, classifiers: Path, model: str, options: list[str]) -> None:
    code, out, err = seqcli("predict", model, *options, stdin=ODD.encode())
    assert (code, err) == (0, EMPTY)
    lines = out.split("\n")
    assert len(lines) == len(ODD.split("\n")) + 1
    assert lines[-1] == ""
    for line, found in zip(ODD.split("\n"), lines[:-1], strict=True):
        if not line.startswith("\ufeff"):  # what opens a file is no part of its first line
            assert seqcli("predict", model, *options, stdin=line.encode() + b"\n").out == found + "\n"


@pytest.mark.parametrize("model", MODELS)
def test_bom_and_crlf_give_what_the_clean_file_gives(seqcli: Program, classifiers: Path, model: str) -> None:
    text = b"not boring\n\ndull and long\n"
    clean = seqcli("predict", model, "--scores", stdin=text)
    assert (clean.code, clean.err) == (0, EMPTY)
    assert seqcli("predict", model, "--scores", stdin=b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")) == clean


@pytest.mark.parametrize("model", MODELS)
def test_nothing_gives_nothing(seqcli: Program, classifiers: Path, model: str) -> None:
    assert seqcli("predict", model, stdin=b"") == (0, "", "")
    code, out, err = seqcli("predict", model, "--jsonl", stdin=b"\n\n \n")
    assert (code, err, len(out.splitlines()), len(set(out.splitlines()))) == (0, EMPTY, 3, 1)


@pytest.mark.parametrize("model", MODELS)
def test_a_bad_line_is_mended_on_request(seqcli: Program, classifiers: Path, model: str) -> None:
    code, out, err = seqcli("predict", model, "--invalid", "replace", stdin=b"a\nb \xff\n")
    assert (code, len(out.splitlines()), err) == (0, 2, "")


@pytest.mark.parametrize("model", ["tiny", "bag"])
def test_a_line_of_10_mb(seqcli: Program, classifiers: Path, model: str) -> None:
    for line in (b"x" * 10_000_000, b"not boring " * 900_000):
        code, out, err = seqcli("predict", model, stdin=line + b"\nboring\n")
        assert (code, out.splitlines()[1], len(out.splitlines())) == (0, "bad", 2)
        assert err in ("", "warning: of more than 1000 tokens only the first 1000 count\n")
        assert bool(err) == (b" " in line and model != "bag")  # a bag reads all of it


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        ("tiny", [b"not boring", b"", b"boring"]),
        ("bag", [b"not boring", b"", b"boring"]),
        ("motion", [line.encode() for line in ts(motions(3), labels=False).splitlines()[5:]]),
    ],
)
def test_the_first_line_is_answered_before_the_second_comes(classifiers: Path, model: str, lines: list[bytes]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "predict", model, "--scores"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in lines:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().count(b"\t") == 1
            time.sleep(0.05)
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_head_ends_it_quietly(classifiers: Path) -> None:
    script = f"set -o pipefail; yes 'not boring' | head -n 3000000 | {sys.executable} -m seqcli predict bag | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (141, b"good\n", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_stdout_on_a_full_device(classifiers: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seqcli", "predict", "bag", "test.tsv", "--input", "lines"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
        )
    assert (done.returncode, done.stderr) == (74, b"error: cannot write to stdout: No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="this system has no /proc")
@pytest.mark.parametrize(
    ("model", "option", "lines"),
    [("bag", "--scores", 200_000), ("tiny", "--scores", 20_000), ("tiny", "--attribution", 1_000)],
)
def test_memory_is_flat_on_an_endless_stream(classifiers: Path, model: str, option: str, lines: int) -> None:
    """Nine tenths of the way grow the process by next to nothing, though every line has words never seen before."""
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "predict", model, option],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(MALLOC_TRIM_THRESHOLD_="100000"),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sizes, part = [], lines // 10
        for tenth in range(10):
            for first in range(tenth * part, (tenth + 1) * part, 100):
                process.stdin.write(
                    b"".join(
                        b"word%d film new%d\n" % (number % 40_000, number % 30_000)
                        for number in range(first, first + 100)
                    )
                )
                process.stdin.flush()
                for _ in range(100):
                    process.stdout.readline()
            status = Path(f"/proc/{process.pid}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        process.stdin.close()
    assert process.returncode == 0
    assert sizes[-1] - sizes[0] < 60, sizes


def test_a_resumed_training_ends_in_the_same_weights(seqcli: Program, classifiers: Path) -> None:
    from seqcli.pipeline.train import train
    from seqcli.training.loop import StepEvent

    for name in ("tsv.yaml", "ts.yaml"):
        sets = ("name=again", "training.epochs=3", "model.pooling={kind: attention, dropout: 0.3}")
        recipe = load_recipe(name, sets).recipe
        steps: list[StepEvent] = []
        events = train(recipe, Store("halves"), should_stop=lambda: ExitCode.TERMINATED if len(steps) >= 5 else None)  # noqa: B023
        with pytest.raises(UserError) as stopped:
            steps.extend(event for event in events if isinstance(event, StepEvent))
        assert stopped.value.code == ExitCode.TERMINATED
        again = [word for one in sets for word in ("--set", one)]
        code, _, err = seqcli("train", name, *again, "--runs", "halves", "--resume")
        assert code == 0
        assert "resumed at step 5 of " in err
        assert seqcli("train", name, *again, "--runs", "whole", "-q").code == 0
        halves, whole = Store("halves").resolve("again"), Store("whole").resolve("again")
        assert halves.weights_path.read_bytes() == whole.weights_path.read_bytes()
        assert halves.report()["baselines"] == whole.report()["baselines"]


def test_a_damaged_classifier_is_named(seqcli: Program, classifiers: Path) -> None:
    for model, data in (("tiny", "test.tsv"), ("bag", "test.tsv"), ("motion", "test.ts")):
        for part in ("model.safetensors", "labels.txt"):
            path = classifiers / "runs" / model / "1" / part
            before = path.read_bytes()
            path.write_bytes(before[:-1] + bytes([before[-1] ^ 4]))
            for verb in ("predict", "evaluate"):
                code, out, err = seqcli(verb, model, data)
                assert (code, out) == (65, "")
                assert err.startswith(f"error: runs/{model}/1/{part}: ")
                assert err.count("\n") == 1
            path.write_bytes(before)
