"""The verb curve: real trainings on shares of the data, and the parts of the error of a small regression."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tiny import environment, run_inside, trained_run

from seqcli.errors import ExitCode
from seqcli.pipeline.learning_curve import learning_curve
from seqcli.recipe.load import load_recipe

SHORT = ("--set", "training.epochs=2", "--set", "training.select_by=accuracy")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_shares_are_trained_and_measured(place, temporary):
    result = run_inside("curve", "tiny.yaml", "--sizes", "100,10,50", "--seeds", "2", *SHORT, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert (found["recipe"], found["score"], found["complete"]) == ("tiny", "accuracy", True)
    trainings = found["trainings"]
    assert [(one["size"], one["seed"]) for one in trainings] == [(s, seed) for s in (10, 50, 100) for seed in (1, 2)]
    # equal sentences are drawn together, so a share may have a few more
    assert [one["examples"] for one in trainings if one["size"] == 100] == [80, 80]
    assert all(8 <= one["examples"] <= 12 for one in trainings if one["size"] == 10)
    for at in found["sizes"]:
        own = [one for one in trainings if one["size"] == at["size"]]
        for split in ("train", "dev"):
            scores = [one[split]["accuracy"] for one in own]
            assert at[split] == pytest.approx(statistics.mean(scores))
            assert at[f"{split}_deviation"] == pytest.approx(statistics.stdev(scores))
    assert [point["epoch"] for point in found["epochs"]] == [1, 2]
    best = max(found["epochs"], key=lambda point: point["scores"]["accuracy"])  # the first of equals
    first = next(one for one in trainings if one["size"] == 100)
    for name, split in (("train_scores", "train"), ("scores", "dev")):
        assert best[name]["accuracy"] == pytest.approx(first[split]["accuracy"])
    said = [line for line in result.err.splitlines() if line.startswith("10%, seed 2: ")]
    assert len(said) == 1
    assert [*temporary.glob("seqcli-*")] == []  # no model is left
    assert not (place / "runs").exists()


def test_all_of_the_data_is_the_training_of_the_recipe(place, tmp_path):
    """To the last digit: the same scores as `train` and `evaluate` give."""
    recipe = load_recipe("tiny.yaml").recipe
    (one,) = learning_curve(recipe, [100], 1, device="cpu").fitted
    report = trained_run(recipe, tmp_path / "beside").report()
    assert one.dev["f1"] == report["dev"]["value"]
    assert one.curve.best.step == report["best_step"]


def test_a_table_and_a_picture_and_runs_that_are_kept(place):
    arguments = ("curve", "tiny.yaml", "--sizes", "20,100", *SHORT, "--keep", "kept", "-o", "curve.svg")
    result = run_inside(*arguments)
    assert result.code == 0, result.err
    header, *rows = result.out.splitlines()
    assert header.split() == [
        "SHARE",
        "EXAMPLES",
        "TRAIN",
        "accuracy",
        "DEV",
        "accuracy",
        "GAP",
        "TRAININGS",
        "MINUTES",
    ]
    assert [row.split()[0] for row in rows] == ["20%", "100%"]
    assert "drawn in curve.svg" in result.err
    shown = " ".join("".join(one.itertext()) for one in ET.parse("curve.svg").iter() if one.tag.endswith("}text"))
    for word in ("training examples", "train", "dev", "accuracy, %", "epoch", "loss", "tiny: accuracy by examples"):
        assert word in shown
    shares = [load_recipe(Path(f"kept/tiny/{version}/recipe.yaml")).recipe.data.train_share for version in (1, 2)]
    assert shares == [0.2, 1.0]


def test_a_counted_model_has_a_curve_by_examples_alone(place):
    result = run_inside("curve", "tiny.yaml", "--sizes", "50,100", "--set", "model={kind: most-frequent-tag}", "--json")
    found = json.loads(result.out)
    assert found["epochs"] == []
    assert [one["size"] for one in found["sizes"]] == [50, 100]
    assert all(0 < one["train"] <= 100 for one in found["sizes"])


def test_a_signal_ends_it_with_what_is_there(place, temporary):
    done = []
    found = learning_curve(
        load_recipe("tiny.yaml").recipe,
        [10, 100],
        2,
        device="cpu",
        should_stop=lambda: ExitCode.INTERRUPTED if len(done) == 3 else None,
        show=done.append,
    )
    assert (found.stopped, found.fitted) == (ExitCode.INTERRUPTED, done)
    assert [(one.size, one.seed) for one in done] == [(10, 1), (10, 2), (100, 1)]
    assert [*temporary.glob("seqcli-*")] == []


def test_ctrl_c_shows_the_shares_that_are_done(place, temporary):
    process = subprocess.Popen(
        [sys.executable, "-m", "seqcli", "curve", "tiny.yaml", "--sizes", "10,100", "--seeds", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        for line in process.stderr:
            if line.startswith("10%, seed 1: "):
                break
        process.send_signal(signal.SIGINT)
        err, out = process.stderr.read(), process.stdout.read()
        process.wait(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out.splitlines()[1].split()[0] == "10%"
    assert err.splitlines()[-1].startswith("error: stopped after ")
    assert err.splitlines()[-1].endswith(" of 2,000 trainings")
    assert [*temporary.glob("seqcli-*")] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which recipe? seqcli curve ner-small; or --decompose, which needs none."),
        (["tiny.yaml", "--decompose"], "--decompose is of a sine, not of a recipe. Leave one of the two out."),
        (["tiny.yaml", "--sizes", "0,10"], "--sizes: 0,10 is not percent, above 0 and up to 100. Such as 1,10,30,100."),
        (["tiny.yaml", "--sizes", "nan"], "--sizes: nan is not percent, above 0 and up to 100. Such as 1,10,30,100."),
        (["tiny.yaml", "--sizes", "a,b"], "--sizes: 'a,b' is no list of numbers with commas between"),
        (["tiny.yaml", "-o", "c.bmp"], "--plot: c.bmp is none of .png, .svg, .pdf"),
        (
            ["tiny.yaml", "--set", "data.dev=null"],
            "the data of tiny has no dev split, which a curve is measured on. Set data.dev, or data.dev_share.",
        ),
        (["embedding"], "a model for word-vectors has no score on a split, so it has no curve"),
        (
            ["--decompose", "--degrees", "3,25"],
            "--degrees: 25 samples decide polynomials of degree 0 to 24. Give lower degrees, or more --samples.",
        ),
        (["--decompose", "--degrees", "1.5"], "--degrees: '1.5' is no list of whole numbers with commas between"),
        (["--decompose", "--noise", "nan"], "--noise: nan is not a standard deviation"),
    ],
)
def test_bad_input(place, temporary, arguments, message):
    result = run_inside("curve", *arguments)
    assert (result.code, result.out, result.err.splitlines()[-1]) == (2, "", f"error: {message}")
    assert [*temporary.glob("seqcli-*")] == []


def test_the_parts_of_the_error_add_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("curve", "--decompose", "--degrees", "9,0,3", "--noise", "0.5", "--draws", "50")
    found = json.loads(run_inside(*arguments, "--json").out)
    assert (found["samples"], found["noise"], found["draws"]) == (25, 0.5, 50)
    assert [one["degree"] for one in found["degrees"]] == [0, 3, 9]
    for one in found["degrees"]:
        assert one["bias_squared"] + one["variance"] + one["noise"] == pytest.approx(one["mse"], rel=1e-12)
        assert one["sum"] == pytest.approx(one["mse"], rel=1e-12)
    result = run_inside(*arguments, "-o", "parts.svg")
    header, *rows = result.out.splitlines()
    assert header.split() == ["DEGREE", "BIAS^2", "VARIANCE", "NOISE", "SUM", "MSE", "TRAIN", "MSE"]
    assert [row.split()[4] for row in rows] == [row.split()[5] for row in rows]
    shown = " ".join("".join(one.itertext()) for one in ET.parse("parts.svg").iter() if one.tag.endswith("}text"))
    for word in ("bias²", "variance", "noise", "MSE", "degree of the polynomial", "mean squared error"):
        assert word in shown
