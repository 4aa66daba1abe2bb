"""Sweeps through the library: what is tried, what is chosen, and what two processes and a kill do to a study."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from tiny import environment, run_inside

from seqcli.errors import UserError
from seqcli.pipeline.search_space import Choices, Range, read_space
from seqcli.pipeline.study import open_study
from seqcli.pipeline.sweep import check_sweep, sweep

SHORT = "training.epochs=2"
STUDY = Path("sweeps/tiny.journal")


def trained(*settings, total=50, **more):
    return sweep(read_space("tiny.yaml", settings), STUDY, total, device="cpu", **more)


def test_a_setting_is_read_as_choices_a_range_or_a_value(place):
    space = read_space(
        "tiny.yaml",
        [
            "model.encoder={kind: gru, dim: 4}|{kind: lstm, dim: 4}",
            "training.optimizer.lr=1e-4..1e-2",
            "model.embedder.dropout=0..0.5",
            "training.patience=1 .. 100 linear",
            'description="a|b"',
            SHORT,
        ],
    )
    encoder, lr, dropout, patience = space.searched
    assert encoder == Choices("model.encoder", ("{kind: gru, dim: 4}", "{kind: lstm, dim: 4}"))
    assert (lr.low, lr.high, lr.log) == (1e-4, 1e-2, True)
    assert isinstance(dropout, Range)
    assert (dropout.low, dropout.high, dropout.log, dropout.is_whole) == (0.0, 0.5, False, False)
    assert (patience.low, patience.high, patience.log, patience.is_whole) == (1, 100, False, True)
    assert space.combinations is None
    assert (space.base.description, space.base.training.epochs) == ("a|b", 2)
    recipe = space.recipe({"model.encoder": "{kind: gru, dim: 4}", "training.optimizer.lr": 0.00123})
    assert (recipe.model.encoder.kind, recipe.training.optimizer.lr) == ("gru", 0.00123)


def test_a_grid_is_searched_once_and_the_test_split_is_not_read(place):
    (place / "test.conll").write_text("these\tB-NO\nare\tI-TAGS\n")  # an error for whoever encodes it
    settings = ("model.encoder.dim=4|8", "training.optimizer.lr=1e-3|1e-2", SHORT)
    told = []
    swept = trained(*settings, keep=True, show=told.append)
    assert [(one.number, one.state) for one in told] == [(number, "complete") for number in (1, 2, 3, 4)]
    combinations = {tuple(one.values.values()) for one in swept.trials}
    assert combinations == set(product(("4", "8"), ("1e-3", "1e-2")))
    assert swept.trials == sorted(told, key=lambda one: one.score)  # a loss, lower is better
    assert swept.best == swept.trials[0]
    reports = [json.loads(path.read_text()) for path in place.glob("sweeps/tiny/*/tiny/1/report.json")]
    assert len(reports) == 4
    assert not any("test" in report or any("test" in one for one in report["baselines"]) for report in reports)
    again = trained(*settings, show=told.append)
    assert (len(told), again.trials) == (4, swept.trials)


def test_only_the_best_weights_are_kept_and_they_have_its_score(place):
    swept = trained("training.optimizer.lr=1e-4|1e-2|1e-3", SHORT, "training.select_by=accuracy")
    assert [path.parent.name for path in place.glob("sweeps/tiny/*/tiny")] == [f"trial-{swept.best.number}"]
    found = json.loads(run_inside("evaluate", str(swept.run.path), "--split", "dev", "--json").out)
    assert found["scores"]["accuracy"] == swept.best.score == max(one.score for one in swept.trials)


def test_ranges_are_drawn_from_and_the_same_sweep_draws_the_same(place):
    settings = ("training.optimizer.lr=1e-4..1e-2", "model.encoder.dim=4..8", "training.epochs=1")
    first = trained(*settings, total=3)
    values = [one.values for one in sorted(first.trials, key=lambda one: one.number)]
    assert len({one["training.optimizer.lr"] for one in values}) == 3
    assert all(
        1e-4 <= one["training.optimizer.lr"] <= 1e-2 and one["model.encoder.dim"] in range(4, 9) for one in values
    )
    space = read_space("tiny.yaml", settings)
    other = sweep(space, Path("other/tiny.journal"), 3, device="cpu")
    assert [one.values for one in sorted(other.trials, key=lambda one: one.number)] == values


def test_values_that_cannot_stand_together_are_a_failed_trial(place):
    swept = trained(
        "model.encoder={kind: transformer, dim: 24, heads: 4}",
        "model.encoder.dim=24|20",
        "model.encoder.heads=4|6",
        "training.epochs=1",
    )
    failed = {tuple(one.values.values()): one.reason for one in swept.trials if one.state == "failed"}
    assert [*failed] == [("20", "6")]
    assert "heads" in failed["20", "6"]
    assert sum(one.state == "complete" for one in swept.trials) == 3


@pytest.mark.parametrize("prune", [True, False])
def test_a_trial_that_is_worse_than_most_is_stopped_early(place, prune):
    swept = trained(
        "training.optimizer.lr=1e-2|2e-2|3e-2|4e-2|1e-9", "training.epochs=8", "model.encoder.dim=4", prune=prune
    )
    (worst,) = [one for one in swept.trials if one.values["training.optimizer.lr"] == "1e-9"]
    others = [one.steps for one in swept.trials if one != worst]
    assert (worst.state, worst.steps < min(others)) == (("pruned", True) if prune else ("complete", False))
    assert swept.trials[-1] == worst


def opened(path=STUDY, *settings):
    space = read_space("tiny.yaml", settings or ("model.encoder.dim=2|4|6|8", "training.epochs=1"))
    _, about = check_sweep(space, path)
    return open_study(path, space, about, better="lower", seed=1)


def test_two_processes_share_a_study_and_no_trial_is_done_twice(place):
    with opened() as one, opened() as other:
        claims = [study.claim(10) for study in (one, other, other, one)]
        assert [claim.values["model.encoder.dim"] for claim in claims] == ["2", "4", "6", "8"]
        assert one.claim(10) is other.claim(10) is None
    with opened() as third:  # the processes are gone, their trials are not over
        assert third.claim(10).values == {"model.encoder.dim": "2"}
        assert [trial.state for trial in third.trials()] == ["stopped", "stopped", "stopped", "running"]
    arguments = ["--set", "model.encoder.dim=2|4|6|8", "--set", "training.epochs=1", "--device", "cpu"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "seqcli", "sweep", "tiny.yaml", *arguments, "--json"],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    last = max(found, key=lambda one: sum(trial["state"] == "complete" for trial in one["trials"]))
    assert sorted(trial["values"]["model.encoder.dim"] for trial in last["trials"]) == ["2", "4", "6", "8"]
    assert {trial["state"] for trial in last["trials"]} == {"complete"}


def test_values_whose_process_dies_again_and_again_fail(place):
    for number in range(4):
        with opened(STUDY, "model.encoder.dim=2|4", "training.epochs=1") as study:
            assert study.claim(2).values == {"model.encoder.dim": "2" if number < 3 else "4"}
            assert study.claim(1) is None


def test_half_a_line_at_the_end_costs_nothing_else(place):
    settings = ("model.encoder.dim=2|4", "training.epochs=1")
    swept = trained(*settings)
    with STUDY.open("ab") as journal:
        journal.write(b'{"op_code":8,"worker')
    assert trained(*settings).trials == swept.trials
    STUDY.write_bytes(STUDY.read_bytes().replace(b'"op_code":4', b'"op_code:4', 1))
    with pytest.raises(UserError, match="the study is damaged") as raised:
        trained(*settings)
    assert raised.value.code == 65
