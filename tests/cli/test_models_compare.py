"""The verb ``models compare``: a table that fits, JSON, CSV, and where its messages go."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from tiny import Program


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqcli.pipeline.timing.ROUNDS", 1)


def test_a_table_with_a_column_for_each_model(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("models", "compare", "most", "tiny", "--examples", "1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["most@1", "tiny@1"]
    table = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in lines[1:9])
    assert [*table] == [
        "accuracy",
        "95% interval",
        "parameters",
        "what runs it, on disk",
        "its whole folder",
        "training",
        "first answer",
        "items a second",
    ]
    assert table["accuracy"].split() == ["33.33", "100.00"]
    assert table["parameters"].split() == ["3", "2,823"]
    assert re.fullmatch(r"\d+\.\d\d s +\d+\.\d\d s", table["first answer"])
    assert re.fullmatch(r"[\d,]+ +[\d,]+", table["items a second"])
    assert re.fullmatch(
        r"tiny@1: better than most@1 by 66\.67 points \(95% interval \S+ to \S+, p = 3\.1e-05\)", lines[10]
    )
    assert re.fullmatch(r"24 examples of test; measured on .+, items a second on 1 core of it", lines[12])
    assert lines[14] == "most@1 alone has right: 0"
    assert lines[16] == "tiny@1 alone has right: 16"
    assert re.fullmatch(r"    most@1: gold (good|middling), predicted bad, confidence 0\.\d{4}", lines[18])
    assert max(map(len, lines[:10])) <= 80


def test_json_and_csv_hold_the_same(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("models", "compare", "most", "tiny", "bag", "--data", "test.tsv", "--json")
    found = json.loads(out)
    assert (code, err, found["data"], found["examples"]) == (0, "", "test.tsv", 24)
    code, out, err = seqcli("models", "compare", "most", "tiny", "bag", "--data", "test.tsv", "--csv")
    rows = [*csv.DictReader(io.StringIO(out))]
    assert (code, err.startswith("measured on ")) == (0, True)
    for row, one in zip(rows, found["models"], strict=True):
        assert (row["model"], float(row["value"])) == (one["name"], one["score"]["value"])
        assert (float(row["low"]), float(row["high"])) == (one["figure"]["low"], one["figure"]["high"])
        assert int(row["engine_bytes"]) == one["engine_bytes"]
        assert (row["says"], row["p"]) == (one["paired"].get("says", ""), str(one["paired"].get("p", "")))


def test_examples_come_from_a_pipe(seqcli: Program, classifiers: Path) -> None:
    stdin = Path("test.tsv").read_bytes()
    code, out, _ = seqcli("models", "compare", "most", "tiny", "--data", "-", "--json", stdin=stdin)
    found = json.loads(out)
    assert (code, found["data"], found["examples"]) == (0, "<stdin>", 24)
    assert found["models"][1]["first_answer"] > 0


def test_what_is_refused_in_one_line(seqcli: Program, classifiers: Path) -> None:
    for words, said in (
        (("tiny",), "tiny@1 alone is nothing to compare"),
        (("tiny", "bgg"), "no model 'bgg' in runs. Did you mean 'bag'?"),
        (("tiny", "bag", "--split", "train"), "--split: unknown value 'train'"),
        (("tiny", "bag", "--json", "--csv"), "--json and --csv: which of the two?"),
        (("tiny", "bag", "--csv", "--examples", "1"), "--csv has a row for each model"),
        (("tiny", "bag", "--data", "none.tsv"), None),
    ):
        code, out, err = seqcli("models", "compare", *words)
        assert (code, out, err.count("\n")) == (74 if said is None else 2, "", 1)
        assert err.startswith(f"error: {said or 'none.tsv: there is no such test file'}")


def test_a_terminal_of_80_columns_and_five_models(seqcli: Program, classifiers: Path) -> None:
    for name in ("second", "third"):
        assert seqcli("models", "cp", "tiny", name).code == 0
    code, out, _ = seqcli("models", "compare", "most", "tiny", "bag", "second", "third")
    assert code == 0
    heads = [line.split() for line in out.splitlines() if re.match(r" +\w+@1", line)]
    assert heads == [["most@1", "tiny@1", "bag@1"], ["second@1", "third@1"]]
    assert max(len(line) for line in out.splitlines() if "  " in line) <= 80
