"""``models metrics``: what a training logged, as a table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from tiny import Program

METRICS = Path("runs/tiny/1/metrics.jsonl")


def test_the_three_forms_of_a_curve(seqcli: Program, trained: Path) -> None:
    rows = [json.loads(line) for line in METRICS.read_text().splitlines()]
    best = json.loads(Path("runs/tiny/1/report.json").read_text())["best_step"]
    header, *lines = seqcli("models", "metrics", "tiny").out.splitlines()
    assert header.split("  ")[0] == "STEP"
    assert len(lines) == len(rows) == 25
    assert max(map(len, (header, *lines))) <= 80
    assert [line.split()[0] for line in lines if line.endswith("*best")] == [str(best)]
    assert lines[0].split()[:4] == [
        f"{rows[0]['step']}",
        "1",
        f"{rows[0]['minutes']:.2f}",
        f"{rows[0]['train_loss']:.4f}",
    ]
    text = seqcli("models", "metrics", "tiny@1", "--csv").out
    assert "\r" not in text
    read = [*csv.DictReader(io.StringIO(text))]
    assert [
        (int(row["step"]), float(row["dev.f1"]), float(row["learning_rate"]), float(row["tokens_per_second"]))
        for row in read
    ] == [(row["step"], row["scores"]["f1"], row["learning_rate"], row["tokens_per_second"]) for row in rows]
    found = json.loads(seqcli("models", "metrics", "tiny", "--json").out)
    assert (found["model"], found["best_step"], found["select_by"]) == ("tiny@1", best, "loss")
    assert [one["scores"] for one in found["evaluations"]] == [row["scores"] for row in rows]


def test_what_is_no_number_is_empty(seqcli: Program, trained: Path) -> None:
    rows = [json.loads(line) for line in METRICS.read_text().splitlines()][:2]
    rows[0]["scores"]["f1"] = rows[0]["train_loss"] = None
    METRICS.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (first, second) = csv.DictReader(io.StringIO(seqcli("models", "metrics", "tiny", "--csv").out))
    assert (first["dev.f1"], first["train_loss"]) == ("", "")
    assert float(second["dev.f1"]) == rows[1]["scores"]["f1"]
    assert " - " in seqcli("models", "metrics", "tiny").out.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["counted"], "counted@1 has no curve: it was counted or fitted in one go, not trained in steps"),
        (["tiny", "--csv", "--json"], "--csv and --json are two forms of the same. Leave one of the two out."),
        (["tine"], "no model 'tine' in runs. Did you mean 'tiny'?"),
    ],
)
def test_bad_input(seqcli: Program, trained: Path, arguments: list[str], message: str) -> None:
    model = "model={kind: most-frequent-tag}"
    assert seqcli("train", "tiny.yaml", "--set", model, "--name", "counted", "-q").code == 0
    assert seqcli("models", "metrics", *arguments) == (2, "", f"error: {message}\n")
