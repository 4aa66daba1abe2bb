"""On a terminal of 80 columns no table is wider; a pipe gets every cell whole."""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path

import pytest
from tiny import Program, environment, run_inside

from seqcli.cli import console, show

LONG = "a-model-with-a-rather-long-name-as-people-give"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "terminal_width", lambda: 80)


def test_short_tables_stay_as_they_are(terminal: None) -> None:
    rows = [("ner", "tagging", 5), ("lm-word", "language-model", 12)]
    assert show.table(rows, ("name", "task", "n"), right=[2]) == [
        "name     task             n",
        "ner      tagging          5",
        "lm-word  language-model  12",
    ]


def test_texts_are_shortened_between_words_and_numbers_are_not(terminal: None) -> None:
    rows = [(LONG, "word " * 20, 1234567890, "x" * 30)]
    lines = show.table(rows, ("name", "what", "many figures in a long header", "code"), right=[2])
    assert all(len(line) <= 80 for line in lines)
    assert "1234567890" in lines[1]
    assert "wor…" not in lines[1]


def test_too_many_columns_follow_in_tables_of_their_own(terminal: None) -> None:
    names = [f"label-{number}" for number in range(20)]
    lines = show.table([(name, *range(20)) for name in names], ("gold", *names), right=range(1, 21))
    tables = "\n".join(lines).split("\n\n")
    assert all(len(line) <= 80 for line in lines)
    assert [table.split("\n")[0].split()[0] for table in tables] == ["gold"] * len(tables)
    assert [name for table in tables for name in table.split("\n")[0].split()[1:]] == names


def test_a_pipe_gets_every_cell(seqcli: Program) -> None:
    out = seqcli("recipes", "ls").out
    assert "…" not in out
    assert max(map(len, out.splitlines())) > 80


@pytest.mark.parametrize(
    "verb",
    [
        "recipes ls",
        "data ls",
        "models ls",
        "models verify",
        f"models show {LONG}",
        "components",
        "components encoder",
        "components encoder lstm",
        "evaluate tiny test.tsv",
        "evaluate bag",
        "evaluate several",
        f"evaluate {LONG}",
        "evaluate bag --against most",
        f"models compare tiny bag most {LONG} --examples 2",
        "data stats train.tsv dev.tsv test.tsv train-several.tsv dev-several.tsv test-several.tsv",
        "data stats train.ts dev.ts test.ts train-gaps.ts dev-gaps.ts test-gaps.ts",
        "vocab show vocab.txt",
        "vocab encode vocab.txt train.tsv --one-hot",
        "train tsv.yaml --dry-run",
    ],
)
def test_tables_fit(terminal: None, classifiers: Path, verb: str) -> None:
    words = ("train", "tsv.yaml", "-q", "--set", f"name={LONG}", "--set", "model={kind: bag-of-words}")
    assert run_inside(*words, "--set", "training={seed: 1}").code == 0
    if "vocab.txt" in verb:
        assert run_inside("vocab", "build", "train.tsv", "-o", "vocab.txt").code == 0
    code, out, err = run_inside(*verb.split())
    assert (code, "internal" in err) == (0, False), err
    too_wide = [line for line in out.splitlines() if len(line) > 80 and " " in line.strip()]
    assert [line for line in too_wide if "|v:seqcli-" not in line] == []


def test_a_real_terminal(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "seqcli", "data", "ls"], environment(COLUMNS="80"))
    shown = b""
    while part := _read(terminal):
        shown += part
    os.waitpid(child, 0)
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    names = [entry["name"] for entry in json.loads(run_inside("data", "ls", "--json").out)]
    assert [line.split()[0] for line in lines[1:]] == names


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how a terminal ends on Linux
        return b""
