"""The task imputation: overfit -> save -> load -> same output -> batched = single; nothing hidden is seen; measures by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from same_model import models_of
from tiny import trained_run
from tiny_gaps import COUNTS, gap_recipe, gap_table, gappy, several_tables, short_recipe
from tiny_series import hours, series_of

from seqcli.data.gaps import Hiding, interpolated
from seqcli.engines.torch_engine import torch_engine
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.fields.gaps import FIXED_SEED, Gappy, windows_over
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.tasks.base import new_task
from seqcli.tasks.imputation import document

BY_HEART = ("training.epochs=250", "training.evaluate_every=250", "training.optimizer.lr=0.02")


def opened(recipe, *splits):
    """``(task fitted to the training split, data of the splits)``."""
    task = new_task(recipe)
    columns = open_columns(recipe, task, splits or ("train", "dev", "test"))
    task.fit(columns["train"])
    return task, {split: task.data(one) for split, one in columns.items()}


def untrained(task, seed=0):
    """An engine of a network that says something: its last layer is not 0."""
    torch.manual_seed(seed)
    network = task.network().eval()
    torch.nn.init.normal_(network.head.output.weight)
    return torch_engine(task, network)


def table_series(values, name=""):
    return series_of(values, name, hours(len(values)), "a", "b")


# -- from a recipe to filled series


def test_gaps_are_learned_by_heart_and_filled_after_loading(tmp_path, cache):
    """The second column follows from the first, which no line between its neighbours shows."""
    whole = np.random.default_rng(1).normal(size=(96, 1)) @ [[1.0, -3.0]] + [20, 100]
    run = trained_run(
        gap_recipe(gap_table(tmp_path / "a.csv", whole.round(3)), *BY_HEART, "target.columns=[b]"), tmp_path
    )
    report = run.report()
    assert report["engine"]["kind"] == "onnx"
    assert report["engine"]["precision"] == "fp32"
    holes = whole.copy()
    holes[::7, 1] = np.nan
    models = models_of(run)
    found = {name: next(model.predict([table_series(holes)])) for name, model in models.items()}
    one = found["used"]
    assert one.columns == ("b",)
    np.testing.assert_array_equal(one.gaps_TM[:, 0], np.isnan(holes[:, 1]))
    there = ~one.gaps_TM[:, 0]
    np.testing.assert_array_equal(one.values_TM[there, 0], holes[there, 1])
    assert np.abs(one.values_TM - whole[:, 1:]).max() < 1.5
    line = interpolated(holes)[:, 1]
    assert np.abs(line - whole[:, 1]).max() > 4
    for other in ("onnx", "torch"):
        np.testing.assert_allclose(found[other].values_TM, one.values_TM, rtol=1e-4)
    by_model = {entry["model"]: entry["test"]["value"] for entry in report["baselines"]}
    assert list(by_model) == ["last value", "linear interpolation", "median"]
    assert report["test"]["value"] < min(by_model.values()) / 2


def test_batched_is_single(tmp_path, cache):
    run = trained_run(short_recipe(tmp_path / "data"), tmp_path)
    model = Model.load(run)
    items = [table_series(gappy(length, 0.3, length), f"s{length}") for length in (1, 5, 30, 12, 13, 97)]
    for one, item in zip(model.predict(items), items, strict=True):
        (alone,) = model.predict([item])
        np.testing.assert_allclose(one.values_TM, alone.values_TM, rtol=1e-5)
        assert not np.isnan(one.values_TM).any()
        np.testing.assert_array_equal(one.gaps_TM, np.isnan(item.values_TC))


@pytest.mark.parametrize("kind", ["interpolation", "last-value", "median"])
def test_a_baseline_is_a_model_too(tmp_path, cache, kind):
    recipe = gap_recipe(gap_table(tmp_path / "a.csv"), f"model={{kind: {kind}}}")
    run = trained_run(recipe, tmp_path)
    values = gappy(40, 0.3, 9)
    (one,) = Model.load(run).predict([table_series(values)])
    trained = gappy()[:60]
    expected = {
        "interpolation": interpolated(values),
        "median": np.where(np.isnan(values), np.nanmedian(trained, axis=0), values),
    }
    if kind in expected:
        np.testing.assert_allclose(one.values_TM, expected[kind], rtol=1e-6)
    assert not np.isnan(one.values_TM).any()
    assert document(one)["filled"] == {"a": int(np.isnan(values[:, 0]).sum()), "b": int(np.isnan(values[:, 1]).sum())}


# -- what is hidden


def test_no_value_that_is_hidden_or_missing_reaches_the_network(tmp_path, cache):
    task, data = opened(gap_recipe(gap_table(tmp_path / "a.csv")), "train")
    batch = data["train"].batch(np.arange(10))
    gold_BLM = batch.target.arrays["values_BLM"]
    hidden = ~np.isnan(gold_BLM)
    assert 0.03 < hidden.mean() < 0.2
    assert not any(np.isnan(array).any() for array in batch.source.arrays.values())
    assert (batch.source.arrays["since_BLC"][hidden] > 0).all()
    # another value in the place of each hidden one changes nothing that is read
    column = data["train"].windows.column
    values = np.array(column.values[:])
    others = {}
    for number in range(5):
        targets = data["train"].batch(np.array([number])).target.arrays["values_BLM"]
        places = np.isin(values[:, :2], targets[~np.isnan(targets)])
        changed = values.copy()
        changed[:, :2][places] += 1000
        there = replace(column, values=changed)
        others[number] = task.source.over(there, ["a.csv"]).hidden_sides(np.array([number]), task.hiding, 1)
    for number, (source, target) in others.items():
        one = data["train"].batch(np.array([number]))
        for name, array in one.source.arrays.items():
            np.testing.assert_array_equal(source.arrays[name], array, err_msg=name)
        gold = one.target.arrays["values_BLM"]
        assert np.nanmin(target.arrays["values_BLM"] - gold) > 900


def test_each_epoch_hides_other_values_decided_by_seed_epoch_and_window(tmp_path, cache):
    path = gap_table(tmp_path / "a.csv")
    _, data = opened(gap_recipe(path), "train")
    train, count = data["train"], len(data["train"].lengths)
    assert count == 5
    orders = [np.concatenate(train.training_order(train_batch(), seed=1, epoch=epoch)) for epoch in (0, 1, 7)]
    assert [sorted(order % count) for order in orders] == [[*range(count)]] * 3
    assert [int(order.min()) for order in orders] == [0, count, 7 * count]

    def gold(rows, of=train):
        return of.batch(np.array(rows)).target.arrays["values_BLM"]

    np.testing.assert_array_equal(gold([2]), gold([2]))
    np.testing.assert_array_equal(gold([4, 2])[1], gold([2])[0])
    assert not np.array_equal(gold([2]), gold([2 + count]), equal_nan=True)
    _, other = opened(gap_recipe(path, "training.seed=2"), "train")
    assert not np.array_equal(gold([2]), gold([2], other["train"]), equal_nan=True)
    assert train.places(np.array([2 + count])) == [f"{path}:2"]


def train_batch():
    return gap_recipe("x.csv").training.batch


def test_windows_begin_at_other_steps_in_each_epoch_and_stay_within_the_training_part(tmp_path, cache):
    steps = np.arange(96.0)
    values = np.stack([steps, steps], 1)
    task, data = opened(gap_recipe(gap_table(tmp_path / "a.csv", values)), "train")
    scale_2C = task.source.scale_S2C[0]
    begins = []
    for epoch in range(30):
        side = data["train"].batch(np.arange(5) + 5 * epoch)
        line = side.source.arrays["line_BLC"][:, :, 0] * scale_2C[1, 0] + scale_2C[0, 0]
        inner = line[:, 1:-1].round(3)
        begins += inner[:, 0].round().astype(int).tolist()
        assert inner.max() <= 59
    assert len({*begins}) > 30


@pytest.mark.parametrize("scaling", ["series", "common", "none"])
def test_what_is_hidden_of_dev_and_test_changes_nothing_but_the_errors(tmp_path, cache, scaling):
    """Neither scaling, nor features, nor what is filled: only what it is compared with."""
    values = gappy()
    shifted = values.copy()
    task, data = opened(gap_recipe(gap_table(tmp_path / "a.csv", values), f"source.scaling={scaling}"))
    random = np.random.default_rng([FIXED_SEED, 0])
    hidden = Hiding(0.1).hidden(~np.isnan(values[72:]), random)
    shifted[72:][hidden] += 1e4
    other, data_of_other = opened(gap_recipe(gap_table(tmp_path / "b.csv", shifted), f"source.scaling={scaling}"))
    np.testing.assert_array_equal(task.source.scale_S2C, other.source.scale_S2C)
    first = task.measure(untrained(task), data["test"], quick=True).scorer.scores()
    second = other.measure(untrained(other), data_of_other["test"], quick=True).scorer.scores()
    assert second["mae"] == pytest.approx(1e4, rel=0.05)
    assert first["mae"] < 1e3
    whole, _ = opened(gap_recipe(gap_table(tmp_path / "c.csv", np.where(hidden_of(values, hidden), 0, values))))
    np.testing.assert_array_equal(whole.source.yardsticks_S2C, task.source.yardsticks_S2C)


def hidden_of(values, hidden):
    return np.concatenate([np.zeros((72, 2), bool), hidden])


def test_a_series_of_its_own_is_scaled_by_what_is_not_hidden(tmp_path, cache):
    """A test file holds series that training never saw: their scale must not be made of what is to be filled."""
    train, values = several_tables(tmp_path / "train.csv", (30, 30)), gappy(40, 0, 5)
    hidden = Hiding(0.1).hidden(np.ones((40, 2), bool), np.random.default_rng([FIXED_SEED, 0]))
    scores = []
    for shift in (0, 1e4):
        changed = values.copy()
        changed[hidden] += shift
        path = gap_table(tmp_path / f"test{shift:.0f}.csv", changed)
        recipe = gap_recipe(train, "data.dev_steps=null", "data.test_steps=null", f"data.test={path}")
        task, data = opened(recipe, "train", "test")
        task.source.names = {}
        found = task.measure(untrained(task), data["test"], quick=True).scorer.scores()
        scores.append(found)
    assert scores[1]["mae"] == pytest.approx(1e4, rel=0.05)
    # the deviation that errors are divided by is the same
    assert scores[1]["mae_standardised"] / scores[1]["mae"] == pytest.approx(
        scores[0]["mae_standardised"] / scores[0]["mae"], rel=0.3
    )


# -- measures


def test_the_measure_by_hand(tmp_path, cache):
    """Interpolation of the test part with the fixed values hidden, worked out without the task."""
    values = gappy()
    run = trained_run(gap_recipe(gap_table(tmp_path / "a.csv", values), COUNTS, "task.rounds=3"), tmp_path)
    errors, deviations = [], []
    for turn in range(3):
        hidden = np.zeros(values.shape, bool)
        draws = np.random.default_rng([1, 0]).random((24, 2))
        hidden[72:] = ((draws - turn * 0.1) % 1 < 0.1) & ~np.isnan(values[72:])
        found = interpolated(np.where(hidden, np.nan, values))
        errors += np.abs(found - values)[hidden].tolist()
        deviations += np.broadcast_to(np.nanstd(values[:60], axis=0), values.shape)[hidden].tolist()
    report = run.report()["test"]
    scores = report["counts"]["scores"]
    standardised = np.array(errors) / deviations
    assert scores == pytest.approx(
        {
            "mae_standardised": standardised.mean(),
            "rmse_standardised": np.sqrt((standardised**2).mean()),
            "mae": np.mean(errors),
            "rmse": np.sqrt(np.mean(np.square(errors))),
        },
        rel=1e-5,
    )
    assert report["counts"]["values"] == len(errors)
    assert report["signature"].startswith(
        "mae|scale:standardised|hidden:10%-of-points|draws:pcg64-1-series-number|rounds:3|"
        "by:training-deviation-of-each-series|window:all|steps:"
    )
    assert [*report["counts"]["hidden"]] == ["10% of points", "50% of points", "10% in blocks of 6"]
    assert report["counts"]["hidden"]["10% of points"] == scores
    assert report["counts"]["hidden"]["50% of points"]["mae"] > scores["mae"]


def test_ten_rounds_measure_each_value_once(tmp_path, cache):
    task, data = opened(gap_recipe(gap_table(tmp_path / "a.csv"), "task.rounds=10"))
    scorer = task.measure(untrained(task), data["dev"], quick=True).scorer
    assert scorer.counted.values == (~np.isnan(gappy()[60:72])).sum()
    assert scorer.others == {}


@given(st.integers(1, 300), st.integers(2, 60))
def test_windows_cover_every_step_once_and_far_from_their_ends(length, window):
    raw = Gappy("", np.zeros((length, 1)), np.zeros((length, 0), np.float32), np.ones((2, 1)))
    pieces = windows_over(raw, window)
    assert [piece.first for piece in pieces[1:]] == [piece.last for piece in pieces[:-1]]
    assert (pieces[0].first, pieces[-1].last) == (0, length)
    for piece in pieces:
        assert len(piece) == min(window, length)
        assert piece.begin <= piece.first < piece.last <= piece.end
        margin = window // 4 - 1
        assert piece.begin == 0 or piece.first - piece.begin >= margin
        assert piece.end == length or piece.end - piece.last >= margin


# -- what cannot be


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.embedder={kind: series}",
            "model.embedder: does not say where the gaps are. Set embedder: {kind: gaps}",
        ),
        ("model.head={kind: softmax}", "model.head: fills no gaps. Set head: {kind: fill}"),
        ("model.encoder=null", "model.encoder: is missing; the task imputation needs it"),
        ("model={kind: drift}", "model.kind: drift cannot do the task imputation"),
        ("source.known=[a]", "source.known: a gap is filled, not foreseen"),
        ("source.missing=last", "source.missing: leaves no gaps to fill"),
        ("source.transform=log", "source.transform: gaps are filled in the values themselves"),
        (
            "task={kind: imputation, pattern: blocks, block: 12, steps: 12}",
            "task.block: a stretch of 12 steps leaves nothing",
        ),
        ("training.select_by=mase", "training.select_by: there is no dev score 'mase'"),
        ("data.dev_share=0.1", "data.dev_share: series are divided by time, never by chance"),
    ],
)
def test_what_cannot_stand_together(override, message):
    with pytest.raises((UserError, UserErrors)) as caught:
        gap_recipe("a.csv", override)
    assert message in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


def test_a_column_without_a_training_value(tmp_path, cache):
    values = gappy()
    values[:60, 1] = np.nan
    path = gap_table(tmp_path / "a.csv", values)
    with pytest.raises(UserError, match=r"all values of 'b' for training are missing.*source.columns") as caught:
        opened(gap_recipe(path))
    assert caught.value.code == ExitCode.DATA
    opened(gap_recipe(path, "target.columns=[a]"))  # read, where it is there


def test_other_columns_than_the_models_name_both_lists(tmp_path, cache):
    run = trained_run(gap_recipe(gap_table(tmp_path / "a.csv"), COUNTS), tmp_path)
    other = series_of(gappy(20), "", hours(20), "a", "c")
    with pytest.raises(UserError, match="no column 'b': the columns are a, c, and the model reads a, b") as caught:
        next(Model.load(run).predict([other]))
    assert caught.value.code == ExitCode.DATA
    with pytest.raises(UserError, match="steps of 1 month, but the model was trained on steps of 1 hour"):
        next(Model.load(run).predict([replace(table_series(gappy(20)), frequency="1 month")]))


def test_a_split_without_values_to_hide(tmp_path, cache):
    values = gappy()
    values[72:] = np.nan
    task, data = opened(gap_recipe(gap_table(tmp_path / "a.csv", values)))
    with pytest.raises(UserError, match="10% of points hide nothing: too few values are there") as caught:
        task.measure(untrained(task), data["test"])
    assert caught.value.code == ExitCode.DATA


def test_models_that_hide_otherwise_are_not_compared(tmp_path, cache):
    path = gap_table(tmp_path / "a.csv")
    task, _ = opened(gap_recipe(path))
    same, _ = opened(gap_recipe(path, COUNTS))
    assert task.differences(same, "other") == []
    other, _ = opened(gap_recipe(path, "task.hide=0.5"))
    with pytest.raises(UserError, match="other fills other columns, or other values are hidden"):
        task.differences(other, "other")


def test_what_is_shown_of_windows(tmp_path, cache):
    task, data = opened(gap_recipe(gap_table(tmp_path / "a.csv")), "train")
    line = task.describe(data["train"], [0])[0]
    cells = line.removesuffix(" ...").split(": ", 1)[1].split(" ")
    assert len(cells) == 12
    assert "?" in "".join(task.describe(data["train"], range(20)))
    assert task.notices("train", data["train"]) == ["train: 5 windows an epoch to learn from, 10% of points hidden"]
