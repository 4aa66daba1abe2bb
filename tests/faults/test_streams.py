"""Pipes: order, blank lines, odd characters, closed and full outputs, slow producers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import Program, environment

ODD = "a\u2028b\nc\u0085d\n\ne\ff\ng\rh\nn\0m\n \n\t\n\ufeffq\nlast without a line end"


@pytest.mark.parametrize("tokens", [[], ["--tokens"]])
@pytest.mark.parametrize("format_", ["inline", "tsv", "jsonl"])
def test_a_line_in_is_a_line_out(seqcli: Program, trained: Path, format_: str, tokens: list[str]) -> None:
    code, out, err = seqcli("predict", "tiny", "--format", format_, *tokens, stdin=ODD.encode())
    lines = out.split("\n")
    assert (code, err) == (0, "")
    assert len(lines) == len(ODD.split("\n")) + 1
    assert lines[-1] == ""
    nothing = ("", '{"tokens": [], "tags": [], "spans": []}')
    blank = [number for number, line in enumerate(lines[:-1]) if line in nothing]
    assert blank == [2, 6, 7]


def test_tokens_are_kept_as_they_came(seqcli: Program, trained: Path) -> None:
    code, out, _ = seqcli("predict", "tiny", "--format", "tsv", "--tokens", stdin=ODD.encode())
    assert code == 0
    assert [line.split("\t")[0] for line in out.split("\n")] == [
        "a\u2028b",
        "c\u0085d",
        "",
        "e\ff",
        "g\rh",
        "n\0m",
        "",
        "",
        "\ufeffq",
        "last without a line end",
        "",
    ]


def test_bom_and_crlf_give_what_the_clean_file_gives(seqcli: Program, trained: Path) -> None:
    text = b"Ravi met Anna in Paris .\n\nTata\n"
    clean = seqcli("predict", "tiny", stdin=text)
    assert clean.code == 0
    assert seqcli("predict", "tiny", stdin=b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")) == clean


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\n\n \n"])
def test_nothing_and_blank_lines(seqcli: Program, trained: Path, stdin: bytes) -> None:
    assert seqcli("predict", "tiny", stdin=stdin) == (0, "\n" * stdin.count(b"\n"), "")


def test_a_line_of_10_mb_in_bounded_memory(shell: Program, trained: Path) -> None:
    """A process of its own measures the program: what other tests ran before it counts for nothing."""
    code, out, err = shell("predict", "tiny", "--format", "tsv", stdin=b"x" * 10_000_000 + b"\nRavi\n")
    assert (code, err, out.count("\n")) == (0, "", 2)
    assert out.startswith("xxx")
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'seqcli', 'predict', 'tiny'], stdout=subprocess.DEVNULL, "
        "input=b'x' * 10_000_000 + b'\\n', check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment(), check=True)
    assert int(done.stdout) < 700 * 1024


def test_a_line_of_100_000_tokens(seqcli: Program, trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained_folder)
    code, out, err = seqcli("predict", "tiny", "--format", "tsv", stdin=b"Ravi met " * 50_000 + b"\nAnna\n")
    long, short, end = out.split("\n")
    assert (code, end) == (0, "")
    assert [len(column.split(" ")) for column in long.split("\t")] == [100_000, 100_000]
    assert short.startswith("Anna\t")
    assert err == "warning: a line of more than 1000 tokens was tagged in pieces of that length\n"


def test_the_first_line_is_answered_before_the_second_comes(trained: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "predict", "tiny", "--tokens", "--format", "tsv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in (b"Ravi", b"", b"Anna"):
            process.stdin.write(word + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[0].strip() == word
            time.sleep(0.1)
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_head_ends_it_quietly(trained: Path) -> None:
    script = (
        f"set -o pipefail; yes 'Ravi met' | head -n 300000 | {sys.executable} -m seqcli predict tiny --tokens "
        "--format tsv | head -n 1"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment())
    assert (done.returncode, done.stdout.split(b"\t")[0], done.stderr) == (141, b"Ravi met", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("verb", ["predict tiny test.conll", "evaluate tiny"])
def test_stdout_on_a_full_device(trained: Path, verb: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seqcli", *verb.split()], stdout=full, stderr=subprocess.PIPE, env=environment()
        )
    assert (done.returncode, done.stderr) == (74, b"error: cannot write to stdout: No space left on device\n")
