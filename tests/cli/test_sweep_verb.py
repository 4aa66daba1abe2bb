"""The verb sweep: its table, its best recipe, signals and refusals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import environment, run_inside

from seqcli.recipe.load import load_recipe

GRID = ("--set", "model.encoder.dim=4|8", "--set", "training.epochs=2", "--device", "cpu")
ENDLESS = ("--set", "training.epochs=1|100000", "--device", "cpu")


def test_the_table_and_the_best_recipe_which_trains(place):
    arguments = ("sweep", "tiny.yaml", *GRID, "--set", "training.select_by=f1")
    result = run_inside(*arguments)
    assert result.code == 0, result.err
    header, first, second, best, written, says = result.out.splitlines()
    assert header.split() == ["TRIAL", "dim", "DEV", "F1", "STEPS", "MINUTES", "STATE"]
    assert [row.split()[-1] for row in (first, second)] == ["complete", "complete"]
    assert float(first.split()[2]) >= float(second.split()[2])
    number, dim = first.split()[:2]
    assert (best, written) == (f"best: trial {number}, model.encoder.dim {dim}", "written to sweeps/tiny.best.yaml")
    assert says.startswith("The best of 2 dev scores is a kind figure")
    assert f"trial {number}: dim {dim}, dev F1 " in result.err
    assert "Use it:  seqcli train sweeps/tiny.best.yaml" in result.err.splitlines()
    recipe = load_recipe("sweeps/tiny.best.yaml").recipe
    assert recipe.model.encoder.dim == int(dim)
    trained = json.loads(run_inside("train", "sweeps/tiny.best.yaml", "--device", "cpu", "--json").out)
    assert trained["test"]["value"] >= 0
    found = json.loads(run_inside(*arguments, "-o", "best.yaml", "--json").out)
    assert found["best"]["score"] == pytest.approx(trained["dev"]["value"])
    assert (found["best"]["number"], found["best"]["recipe"], found["combinations"]) == (int(number), "best.yaml", 2)
    assert load_recipe("best.yaml").recipe == recipe


def test_dry_run_shows_what_would_be_searched(place):
    arguments = ("sweep", "tiny.yaml", *GRID, "--set", "training.optimizer.lr=1e-4..1e-2", "--dry-run")
    assert run_inside(*arguments).out.splitlines() == [
        "setting                values",
        "model.encoder.dim      4 | 8",
        "training.optimizer.lr  0.0001 .. 0.01, logarithmic",
        "20 trials, proposed by TPE",
    ]
    assert run_inside("sweep", "tiny.yaml", *GRID, "--dry-run").out.endswith("2 combinations, each once\n")
    assert [*place.glob("sweeps*")] == []


def begun(*arguments, until):
    process = subprocess.Popen(
        [sys.executable, "-m", "seqcli", "sweep", "tiny.yaml", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    for line in process.stderr:
        if line.startswith("trial 1: "):
            break
    while not Path(until).exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_ctrl_c_shows_what_there_is_and_the_rest_is_tried_again(place):
    process = begun(*ENDLESS, until="sweeps/tiny/trial-2/tiny/1/metrics.jsonl")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [row.split()[-1] for row in out.splitlines()[1:3]] == ["complete", "stopped"]
    assert "trial 2 stopped: interrupted" in out.splitlines()
    assert err.splitlines()[-1] == "error: stopped after 1 of 20 trials. The same command goes on."
    assert load_recipe("sweeps/tiny.best.yaml").recipe.training.epochs == 1
    result = run_inside("sweep", "tiny.yaml", *ENDLESS, "--minutes", "0.02", "--json")
    found = json.loads(result.out)
    assert (result.code, found["complete"]) == (0, False)
    assert [(one["number"], one["state"], one["reason"]) for one in found["trials"]] == [
        (1, "complete", ""),
        (3, "stopped", "the time was over"),
    ]


def test_kill_9_loses_no_trial_that_is_over(place):
    process = begun(*ENDLESS, until="sweeps/tiny/trial-2/tiny/1/metrics.jsonl")
    process.kill()
    process.communicate(timeout=60)
    found = json.loads(run_inside("sweep", "tiny.yaml", *ENDLESS, "--minutes", "0.02", "--json").out)
    assert [(one["number"], one["state"]) for one in found["trials"]] == [(1, "complete"), (3, "stopped")]
    assert found["trials"][1]["values"] == {"training.epochs": "100000"}
    assert [path.name for path in place.glob("sweeps/tiny/*")] == ["trial-1"]


NO_STUDY = "not a study of 'seqcli sweep'. Name another file with --study."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "training.epochs=1"],
            "nothing is searched. Say what, such as --set 'model.encoder.dim=100|200' or --set "
            "'training.optimizer.lr=1e-4..1e-2'.",
        ),
        (
            ["--set", "model.encoder.dims=1|2|3"],
            "--set model.encoder.dims=1: model.encoder.dims: unknown key. Did you mean 'dim'?",
        ),
        (
            ["--set", "model.encoder.dim=4|many"],
            "--set model.encoder.dim=many: model.encoder.dim: expected a whole number, found the text 'many'",
        ),
        (["--set", "training.epochs=0..3"], "--set training.epochs=0: training.epochs: expected at least 1, found 0"),
        (["--set", "training.epochs=3..3"], "--set training.epochs=3..3: a range goes up. Write LOW..HIGH."),
        (["--set", "training.epochs=1|2|1"], "--set training.epochs: 1 is there twice. Every choice is another value."),
        (
            ["--set", "training.epochs=1|2", "--set", "training.epochs=3|4"],
            "--set training.epochs: searched twice. Give all its values at once: a|b|c.",
        ),
        (
            ["--set", "training.epochs=1|2", "--set", "data.dev=null"],
            "a sweep is chosen on dev, and the data of tiny has no dev split. Set data.dev, or data.dev_share.",
        ),
        (
            ["--set", "training.select_by=loss|accuracy"],
            "--set training.select_by: trials with another score cannot be compared. Set it to one value.",
        ),
        (
            ["--set", "data.dev=dev.conll|test.conll"],
            "--set data.dev: trials with other dev data cannot be compared. Set it to one value.",
        ),
        (
            ["--set", "target.model_scheme=bio|bioes"],
            "--set target.model_scheme: trials with the loss of other units cannot be compared. Set it to one value.",
        ),
        (
            ["--set", "training.seed=1|2"],
            "--set training.seed: trials with another seed cannot be compared. Set it to one value.",
        ),
        ([*GRID, "--study", "."], ".: a folder, and a study is a file. Such as sweeps/my.journal."),
        ([*GRID, "--minutes", "0"], "--minutes: no trial can be trained in 0 minutes"),
        ([*GRID, "-o", "tiny.yaml"], "tiny.yaml: the sweep itself reads this file. Name another with -o."),
        ([*GRID, "-o", "no/best.yaml"], "no/best.yaml: there is no folder no. Make it, or name another with -o."),
    ],
)
def test_what_cannot_be_searched(place, arguments, message):
    result = run_inside("sweep", "tiny.yaml", *arguments)
    assert (result.code, result.out, result.err.splitlines()[-1]) == (2, "", f"error: {message}")
    assert [*place.glob("sweeps*")] == []


def test_a_study_of_something_else(place):
    corpus = Path("train.conll").read_text()
    result = run_inside("sweep", "tiny.yaml", *GRID, "--study", "train.conll")
    assert (result.code, result.err) == (65, f"error: train.conll: {NO_STUDY}\n")
    assert Path("train.conll").read_text() == corpus
    assert run_inside("sweep", "tiny.yaml", *GRID, "-q").code == 0
    for changed, difference in (
        (["--set", "training.seed=7"], "training.seed: 1 -> 7"),
        (["--set", "training.optimizer.lr=1e-3|1e-2"], "training.optimizer.lr: not searched -> 1e-3 | 1e-2"),
    ):
        result = run_inside("sweep", "tiny.yaml", *GRID, *changed)
        assert (result.code, result.out, result.err) == (
            2,
            "",
            f"error: sweeps/tiny.journal: the study is of another sweep: {difference}. Name another file with --study, "
            "or take this one away.\n",
        )
    shutil.copy("test.conll", "dev.conll")
    result = run_inside("sweep", "tiny.yaml", *GRID)
    assert (result.code, "the dev data changed" in result.err) == (2, True)


def test_without_optuna_it_says_what_to_install(place, monkeypatch):
    monkeypatch.setattr("seqcli.pipeline.study.find_spec", lambda name: None)
    result = run_inside("sweep", "tiny.yaml", *GRID)
    message = "error: a sweep needs the package 'optuna'. Install it: pip install 'seqcli[sweep]'.\n"
    assert (result.code, result.err) == (2, message)
    assert run_inside("sweep", "tiny.yaml", *GRID, "--dry-run").code == 0
