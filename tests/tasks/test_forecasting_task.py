"""The task forecasting: overfit -> save -> load -> same output -> batched = single, recursion, measures, baselines, rules."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from tiny import run_inside, trained_run
from tiny_series import monthly, months, series_of, series_recipe, several, wave, write_table

from seqcli.engines.torch_engine import torch_engine
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.pipeline.events import Notice
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.train import train
from seqcli.store.runs import Store
from seqcli.tasks.base import new_task
from seqcli.tasks.forecasting import Forecast

BY_HEART = ("training.epochs=60", "training.evaluate_every=180", "training.optimizer.lr=0.02")
GRU = "model={embedder: {kind: series}, encoder: {kind: gru, dim: 8, bidirectional: false}, head: {kind: direct}}"
SEQ2SEQ = (
    "model={kind: encoder-decoder, embedder: {kind: series}, encoder: {kind: gru, dim: 8}, decoder: {kind: gru, dim: 8}, "
    "head: {kind: stepwise}}"
)


def opened(recipe):
    """``(task fitted to the training split, data of all splits)``."""
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev", "test"))
    task.fit(columns["train"])
    return task, {split: task.data(one) for split, one in columns.items()}


def engine_of(task, seed=0):
    torch.manual_seed(seed)
    return torch_engine(task, task.network().eval())


def counted(task, data):
    """The scores of a model that is no network, on the test."""
    arrays = task.fit_counts(data["train"], lambda done, total: None)
    return task.measure(task.counts_engine(arrays), data["test"]).scorer.scores()


# -- from a recipe to forecasts


@pytest.mark.parametrize("model", [None, GRU, SEQ2SEQ], ids=["linear", "gru", "seq2seq"])
def test_a_wave_is_learned_by_heart_and_forecast_after_loading(tmp_path, cache, model):
    values = wave(72, noise=0).round(4)
    overrides = [*BY_HEART, *([model] if model else []), "source.calendar=[month]"]
    run = trained_run(series_recipe(monthly(tmp_path / "a.csv", values), *overrides), tmp_path)
    report = run.report()
    assert report["engine"]["kind"] == "onnx"
    assert report["engine"]["precision"] == "fp32"
    assert report["test"]["counts"]["scores"]["mape"] < 3
    series = [series_of(values[:end]) for end in (40, 50, 64)]
    found = {engine: list(Model.load(run, engine=engine).predict(series)) for engine in ("onnx", "torch")}
    for one, end in zip(found["onnx"], (40, 50, 64), strict=True):
        np.testing.assert_allclose(one.values_KM[:, 0], values[end : end + 4], rtol=0.06)
        assert one.times_K.astype("datetime64[M]").tolist() == months(80)[end : end + 4].tolist()
    for one, other in zip(found["onnx"], found["torch"], strict=True):
        np.testing.assert_allclose(one.values_KM, other.values_KM, rtol=1e-4)
    for one, whole in zip(series, found["onnx"], strict=True):
        (alone,) = Model.load(run).predict([one])
        np.testing.assert_allclose(alone.values_KM, whole.values_KM, rtol=1e-6)


def test_the_measure_is_what_the_predictions_are_worth(tmp_path, cache):
    """Every forecast of the test again, one by one from the series before it, and its errors by hand."""
    values = wave(72).round(4)
    run = trained_run(series_recipe(monthly(tmp_path / "a.csv", values), "task.stride=2"), tmp_path)
    model = Model.load(run)
    starts = range(64, 69, 2)
    found = [next(model.predict([series_of(values[:start])])).values_KM[:, 0] for start in starts]
    errors = np.concatenate([values[start : start + 4] - one for start, one in zip(starts, found, strict=True)])
    scores = run.report()["test"]["counts"]["scores"]
    assert run.report()["test"]["counts"]["windows"] == 3
    trained = values[:56]
    naive = np.abs(trained[12:] - trained[:-12]).mean()
    gold = np.concatenate([values[start : start + 4] for start in starts])
    expected = {
        "mae": np.abs(errors).mean(),
        "rmse": np.sqrt((errors**2).mean()),
        "mase": np.abs(errors).mean() / naive,
        "smape": (200 * np.abs(errors) / (np.abs(gold) + np.abs(gold - errors))).mean(),
        "mape": (100 * np.abs(errors) / gold).mean(),
        "mse_standardised": ((errors / trained.std()) ** 2).mean(),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert run.report()["test"]["signature"].startswith(
        "mse|scale:standardised|look-back:8|steps:4|stride:2|season:12|windows:3|values:12|"
    )


def test_several_columns_are_read_and_one_is_predicted(tmp_path, cache):
    path = monthly(tmp_path / "a.csv", wave(72), z=wave(72, seed=3, level=900).round(3))
    task, data = opened(series_recipe(path, "target.columns=[z]"))
    assert (task.sizes().columns, task.sizes().targets) == (2, (1,))
    batch = data["train"].batch(np.arange(5))
    assert batch.source.arrays["values_BLC"].shape == (5, 8, 2)
    assert batch.target.arrays["values_BKC"].shape == (5, 4, 1)
    scorer = task.measure(engine_of(task), data["test"]).scorer
    assert scorer.counted.columns == ("z",)
    assert scorer.scores()["mae"] > 1  # in the unit of z


def test_quantiles_rise_and_the_median_is_the_forecast(tmp_path, cache):
    recipe = series_recipe(monthly(tmp_path / "a.csv", wave(90, noise=2)), "task.quantiles=[0.1, 0.5, 0.9]", *BY_HEART)
    run = trained_run(recipe, tmp_path)
    (one,) = Model.load(run).predict([series_of(wave(80))])
    assert one.quantiles_KMQ.shape == (4, 1, 3)
    assert (np.diff(one.quantiles_KMQ, axis=-1) >= 0).all()
    np.testing.assert_array_equal(one.quantiles_KMQ[..., 1], one.values_KM)
    counts = run.report()["test"]["counts"]
    assert counts["scores"]["pinball"] > 0
    assert [band["nominal"] for band in counts["bands"]] == [pytest.approx(80)]
    assert "pinball" not in run.report()["baselines"][0]["test"]["counts"]["scores"]


# -- one step after the other


def test_recursion_of_one_step_is_the_direct_forecast_of_one(tmp_path, cache):
    path = monthly(tmp_path / "a.csv")
    direct, data = opened(series_recipe(path, "task.steps=1", GRU))
    again, _ = opened(series_recipe(path, "task.steps=1", "task.horizon=1", GRU))
    engine = engine_of(direct)
    first = direct.measure(engine, data["test"]).scorer.scores()
    assert again.measure(engine, data["test"]).scorer.scores() == first


@pytest.mark.parametrize("transform", ["none", "log", "difference", "log-difference"])
def test_recursion_reads_its_own_forecast(tmp_path, cache, transform):
    """By hand: the first step, put behind the series, then the next."""
    recipe = series_recipe(
        monthly(tmp_path / "a.csv"),
        "task.steps=1",
        f"source.transform={transform}",
        "source.calendar=[month]",
        "task.horizon=3",
        GRU,
    )
    task, _ = opened(recipe)
    model = Model("x", task, engine_of(task))
    values = wave(40).round(4)
    (whole,) = model.predict([series_of(values)])
    task.look_ahead(1)
    for step in range(3):
        (one,) = model.predict([series_of(values)])
        assert whole.values_KM[step, 0] == pytest.approx(one.values_KM[0, 0], rel=1e-4)
        values = np.append(values, one.values_KM[0, 0])


def test_steps_beyond_the_model_are_cut_to_those_asked(tmp_path, cache):
    task, data = opened(series_recipe(monthly(tmp_path / "a.csv"), "task.horizon=6", "source.calendar=[month]"))
    model = Model("x", task, engine_of(task))
    (six,) = model.predict([series_of(wave(40))])
    assert (six.values_KM.shape, len(six.times_K)) == ((6, 1), 6)
    task.look_ahead(3)
    (three,) = model.predict([series_of(wave(40))])
    np.testing.assert_allclose(three.values_KM, six.values_KM[:3], rtol=1e-6)
    task.look_ahead(6)
    assert task.measure(model.engine, data["test"]).scorer.counted.windows == 3


def test_who_reads_what_it_does_not_predict_cannot_go_on(tmp_path, cache):
    path = monthly(tmp_path / "a.csv", wave(72), z=wave(72, seed=3).round(3))
    task, _ = opened(series_recipe(path, "target.columns=[z]"))
    with pytest.raises(UserError, match=r"5 steps are more than the 4 of the model, .* it reads y too") as caught:
        task.look_ahead(5)
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(UserError, match="it reads y too"):
        opened(series_recipe(path, "target.columns=[z]", "task.horizon=5"))


# -- networks that do nothing


@pytest.mark.parametrize(("normalize", "level"), [("last", lambda x: x[-1]), ("mean", lambda x: x.mean())])
def test_zeros_with_reversible_normalisation_are_the_last_value_or_the_mean(tmp_path, cache, normalize, level):
    recipe = series_recipe(several(tmp_path / "a.csv"), f"model.embedder.normalize={normalize}")
    task, _ = opened(recipe)
    network = task.network()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    values = wave(48, seed=1, level=200).round(4)
    (one,) = Model("x", task, torch_engine(task, network.eval())).predict([series_of(values, "s1")])
    np.testing.assert_allclose(one.values_KM[:, 0], level(values[-8:]), rtol=1e-5)


# -- models that are no networks


def test_baselines_by_hand(tmp_path, cache):
    values = wave(72, noise=1).round(4)
    task, data = opened(
        series_recipe(
            monthly(tmp_path / "a.csv", values), "task.horizon=8", "task.baselines=[last-value, seasonal-naive, drift]"
        )
    )
    gold = values[64:]
    expected = {
        "last value": np.full(8, values[63]),
        "seasonal naive": values[52:60],
        "drift": values[63] + np.arange(1, 9) * (values[63] - values[0]) / 63,
    }
    found = {}
    for title, other in task.baselines(data):
        columns = open_columns(task.recipe, other, ("train", "test"))
        other.fit(columns["train"])
        found[title] = counted(other, {split: other.data(one) for split, one in columns.items()})
    assert [*found] == [*expected]
    for title, forecast in expected.items():
        assert found[title]["mae"] == pytest.approx(np.abs(gold - forecast).mean(), rel=1e-5)
        assert found[title]["rmse"] == pytest.approx(np.sqrt(((gold - forecast) ** 2).mean()), rel=1e-5)


def test_the_linear_model_is_least_squares(tmp_path, cache):
    values = wave(90, noise=1).round(4)
    recipe = series_recipe(monthly(tmp_path / "a.csv", values), "model={kind: linear}")
    run = trained_run(recipe, tmp_path)
    trained = values[:74]
    x = np.stack([trained[start : start + 8] for start in range(74 - 11)])
    y = np.stack([trained[start + 8 : start + 12] for start in range(74 - 11)])
    weights, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)
    (one,) = Model.load(run).predict([series_of(values)])
    np.testing.assert_allclose(one.values_KM[:, 0], np.r_[values[-8:], 1] @ weights, rtol=1e-4)


def test_a_baseline_is_scaled_as_the_recipe_says(tmp_path, cache):
    """Of series with one window each, scaled by all of their steps, the mean would tell of those to predict."""
    files = {}
    for split in ("train", "test"):
        files[split] = tmp_path / f"{split}.csv"
        rows = [wave(12, seed=number, level=5 + number % 7, noise=1) for number in range(40)]
        lines = (",".join([f"{split}{number}", *map(str, row.round(3))]) for number, row in enumerate(rows))
        files[split].write_text("\n".join(lines) + "\n")
    recipe = series_recipe(
        files["train"],
        f"data.test={files['test']}",
        "data.dev_steps=null",
        "data.test_steps=null",
        "data.format=series-rows",
        "source.scaling=none",
        "model={kind: linear}",
    )
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "test"))
    task.fit(columns["train"])
    data = {split: task.data(one) for split, one in columns.items()}
    rows = np.stack([wave(12, seed=number, level=5 + number % 7, noise=1).round(3) for number in range(40)])
    x = np.c_[rows[:, :8], np.ones(40)]
    weights, *_ = np.linalg.lstsq(x, rows[:, 8:], rcond=None)
    assert counted(task, data)["mae"] == pytest.approx(np.abs(x @ weights - rows[:, 8:]).mean(), rel=1e-4)


@pytest.mark.parametrize("kind", ["last-value", "seasonal-naive", "drift", "linear"])
def test_a_baseline_is_a_model_of_its_own(tmp_path, cache, kind):
    recipe = series_recipe(several(tmp_path / "a.csv"), f"model={{kind: {kind}}}", "source.transform=log")
    run = trained_run(recipe, tmp_path)
    assert kind.replace("-", " ") not in [entry["model"] for entry in run.report()["baselines"]]
    series = [series_of(wave(length, seed=n, level=20 * 10**n), f"s{n}") for n, length in enumerate((60, 20, 9))]
    whole = list(Model.load(run).predict(series))
    for one, together in zip(series, whole, strict=True):
        (alone,) = Model.load(run).predict([one])
        np.testing.assert_allclose(alone.values_KM, together.values_KM, rtol=1e-9)
        assert together.name == one.name
    if kind == "last-value":
        np.testing.assert_allclose(whole[1].values_KM[:, 0], series[1].values_TC[-1, 0])


def test_a_model_that_loses_says_so(tmp_path, cache):
    """A series that only its last value tells something about."""
    steps = np.random.default_rng(2).normal(size=120).cumsum() + 50
    recipe = series_recipe(monthly(tmp_path / "a.csv", steps), "training.max_steps=1")
    notices = [
        event.text for event in train(recipe, Store(tmp_path / "runs"), device="cpu") if isinstance(event, Notice)
    ]
    assert any(text.startswith("the model is no better than its baseline: test MSE, standardised") for text in notices)
    found = run_inside("evaluate", "waves", "--runs", str(tmp_path / "runs"))
    assert "verdict: loses to " in found.out
    report = Store(tmp_path / "runs").resolve("waves").report()
    says = {one["model"]: one["test"]["paired"]["says"] for one in report["baselines"]}
    assert re.fullmatch(r"loses to last value by \d\S+ MSE, standardised", says["last value"])
    assert says["last value"] in found.out
    assert "last value" in found.out.split("verdict:")[1]


# -- what is said


def test_a_split_is_described(tmp_path, cache):
    task, data = opened(series_recipe(several(tmp_path / "a.csv"), "task.horizon=8"))
    assert task.notices("train", data["train"]) == ["train: steps of 1 month, season 12, 99 windows to learn from"]
    assert task.notices("test", data["test"]) == ["test: 3 forecasts of 8 steps to measure"]
    assert task.extent(data["train"]) == {"examples": 3, "tokens": 44 + 32 + 56}
    assert data["train"].places(np.array([0, 40])) == [f"{tmp_path}/a.csv:2, step 9", f"{tmp_path}/a.csv:62, step 16"]
    (line, _) = task.describe(data["train"], [0, 40])
    assert line.startswith(f"{tmp_path}/a.csv:2, step 9: ... ")


def test_the_order_of_an_epoch_has_each_window_once(tmp_path, cache):
    recipe = series_recipe(several(tmp_path / "a.csv"))
    _, data = opened(recipe)
    orders = [
        [rows.tolist() for rows in data["train"].training_order(recipe.training.batch, seed=1, epoch=epoch)]
        for epoch in (0, 1, 0)
    ]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(row for rows in orders[0] for row in rows) == [*range(99)]
    assert {len(rows) for rows in orders[0][:-1]} == {8}


def test_evaluate_shows_models_steps_and_columns(tmp_path, cache):
    path = monthly(tmp_path / "a.csv", wave(72), z=wave(72, seed=3).round(3))
    trained_run(series_recipe(path, "task.quantiles=[0.1, 0.5, 0.9]"), tmp_path)
    runs = ["--runs", str(tmp_path / "runs")]
    shown = run_inside("evaluate", "waves", *runs).out
    for part in (
        "waves@1 ",
        "last value ",
        "seasonal naive ",
        "linear ",
        "verdict: ",
        "step ",
        "column ",
        "pinball loss",
    ):
        assert part in shown
    assert [line.split()[0] for line in shown.split("\nstep ")[1].split("\n")[1:5]] == ["1", "2", "3", "4"]
    assert "% of the values lie between the quantiles 0.1 and 0.9 (should: 80%)" in shown
    document = json.loads(run_inside("evaluate", "waves", *runs, "--json").out)
    assert len(document["score"]["counts"]["steps"]) == 4
    assert {*document["score"]["counts"]["columns"]} == {"y", "z"}
    own = json.loads(run_inside("evaluate", "waves", str(path), *runs, "--json").out)
    assert own["score"]["counts"]["windows"] == 72 - 8 - 4 + 1


def test_two_forecasters_are_compared(tmp_path, cache):
    path = monthly(tmp_path / "a.csv")
    for more in (["name=one"], ["name=two", "task.look_back=10"], ["name=other", "task.steps=2"]):
        trained_run(series_recipe(path, *more), tmp_path)
    runs = ["--runs", str(tmp_path / "runs")]
    found = run_inside("evaluate", "one", "--against", "two", *runs)
    assert "\ntwo@1 " in found.out
    assert "two@1 reads 10 steps, not 8" in found.err
    refused = run_inside("evaluate", "one", "--against", "other", *runs)
    assert (refused.code, "predicts other columns or steps" in refused.err) == (ExitCode.USAGE, True)


# -- what cannot be


@pytest.mark.parametrize(
    ("overrides", "where", "message"),
    [
        (["task.quantiles=[0.1, 0.9]"], "task.quantiles", "must rise, with 0.5 among them"),
        (["task.quantiles=[0.9, 0.5]"], "task.quantiles", "must rise"),
        (["task.quantiles=[0.5]", "source.transform=difference"], "task.quantiles", "do not add up"),
        (["task.quantiles=[0.5]", "model={kind: drift}"], "task.quantiles", "drift predicts values alone"),
        (["source.columns=[a, b]", "target.columns=[a]", "task.horizon=9"], "task.horizon", "every column"),
        (["source.missing=mask", "source.transform=difference"], "source.missing", "over a gap"),
        (["target.transform=log"], "target.transform", "unknown key"),
        (["data.dev=x.csv"], "data.dev_steps", "there is a dev file"),
        (["data.dev_share=0.1"], "data.dev_share", "divided by time, never by chance"),
        (["training.select_by=pinball"], "training.select_by", "no dev score 'pinball'"),
        (["training.select_by=f1"], "training.select_by", "no dev score 'f1'"),
        (["model={kind: majority}"], "model.kind", "majority cannot do the task forecasting"),
        (["source={kind: text}"], "source", "does not read text"),
        (["model.head=null"], "model.head", "is missing"),
        (["model.head={kind: softmax}"], "model.head", "softmax"),
    ],
)
def test_rules(tmp_path, overrides, where, message):
    with pytest.raises((UserErrors, UserError)) as caught:
        series_recipe(tmp_path / "a.csv", *overrides)
    assert where in str(caught.value)
    assert message in str(caught.value)


def test_a_split_without_a_whole_forecast_is_refused(tmp_path, cache):
    task, data = opened(series_recipe(monthly(tmp_path / "a.csv"), "task.horizon=9"))
    with pytest.raises(UserError, match="no forecast of 9 steps ends within the split"):
        task.measure(engine_of(task), data["test"])


# -- the published figure


@pytest.mark.mirror
def test_the_seasonal_naive_forecast_of_the_airline_passengers(tmp_path, cache):
    import os
    from pathlib import Path

    path = Path(os.environ["SEQCLI_MIRROR"]) / "timeseries" / "airline-passengers.csv"
    recipe = series_recipe(
        path, "data.dev_steps=null", "data.test_steps=24", "task.horizon=24", "model={kind: seasonal-naive}"
    )
    scores = counted(*opened(recipe))
    assert (scores["rmse"], scores["mape"]) == (pytest.approx(76.99, abs=0.01), pytest.approx(15.52, abs=0.01))


def test_a_forecast_can_be_cut_to_some_quantiles():
    one = Forecast("x", ("y",), np.zeros((2, 1)), None, (0.1, 0.5, 0.9), np.arange(6.0).reshape(2, 1, 3))
    assert one.only([0.9]).quantiles_KMQ.ravel().tolist() == [2, 5]
    assert one.only([]).quantiles_KMQ is None


def test_rows_of_times_are_no_values(tmp_path, cache):
    path = write_table(tmp_path / "a.csv", {"ds": months(72), "y": wave(72).round(3), "z": wave(72, seed=1).round(3)})
    task, _ = opened(series_recipe(path))
    assert task.source.columns == ["y", "z"]
