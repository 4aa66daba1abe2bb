"""Forecasts without a network: by hand, against numpy's least squares, and on series whose figures are known."""

import csv
import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from seqcli.data.batch import SeriesSizes
from seqcli.errors import ExitCode, UserError
from seqcli.metrics.series import SeriesScore, naive_error
from seqcli.models.counts.gaps import Interpolation, Median
from seqcli.models.counts.series import ETS, Drift, LastValue, LinearForecaster, SeasonalNaive, Theta, has_statsforecast
from seqcli.recipe.models import (
    DriftConfig,
    ETSConfig,
    InterpolationConfig,
    LastValueConfig,
    LinearForecastConfig,
    MedianConfig,
    SeasonalNaiveConfig,
    ThetaConfig,
)

NAN = math.nan
needs_statsforecast = pytest.mark.skipif(not has_statsforecast(), reason="statsforecast is not installed")


def sizes(look_back=4, steps=2, season=1, columns=1):
    return SeriesSizes(columns, tuple(range(columns)), 0, look_back, steps, season=season)


def forecast(kind, config, values, steps, season=1):
    """The forecast of one column by a model that learns nothing."""
    model = kind.fit(config, [], sizes(season=season))
    return model.forecast(np.array(values, float).reshape(1, -1, 1), steps)[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("values", "last", "seasonal", "drift"),
    [
        ([1, 2, 5, 4, 7], [7, 7, 7, 7], [5, 4, 7, 5], [8.5, 10, 11.5, 13]),
        ([1, 2, 5, NAN, 7, NAN], [7, 7, 7, 7], [5, 7, 7, 5], [10, 11.5, 13, 14.5]),
        ([NAN, 3], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]),
        ([NAN, NAN], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        ([], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_by_hand(values, last, seasonal, drift):
    assert forecast(LastValue, LastValueConfig(), values, 4) == last
    assert forecast(SeasonalNaive, SeasonalNaiveConfig(), values, 4, season=3) == seasonal
    assert forecast(Drift, DriftConfig(), values, 4) == pytest.approx(drift)


def windows(series_TC, look_back, steps, size=7):
    starts = np.arange(len(series_TC) - look_back - steps + 1)
    for begin in range(0, len(starts), size):
        some = starts[begin : begin + size]
        values = np.stack([series_TC[at : at + look_back + steps] for at in some])
        yield values[:, :look_back], values[:, look_back:]


def fitted(series_TC, look_back=5, steps=3):
    of = sizes(look_back, steps, columns=series_TC.shape[1])
    return LinearForecaster.fit(LinearForecastConfig(), windows(series_TC, look_back, steps), of)


def test_the_linear_model_is_least_squares():
    series = np.random.default_rng(0).normal(size=(300, 2)).cumsum(0)
    model = fitted(series)
    (x, y), *_ = [*windows(series, 5, 3, size=1000)]
    rows = np.moveaxis(x, 1, 2).reshape(-1, 5), np.moveaxis(y, 1, 2).reshape(-1, 3)
    expected, *_ = np.linalg.lstsq(np.c_[rows[0], np.ones(len(rows[0]))], rows[1], rcond=None)
    np.testing.assert_allclose(model.weights_LK, expected[:-1], atol=1e-10)
    np.testing.assert_allclose(model.bias_K, expected[-1], atol=1e-10)
    np.testing.assert_allclose(
        model.forecast(x, 3), np.moveaxis(np.moveaxis(x, 1, 2) @ expected[:-1] + expected[-1], 2, 1), atol=1e-9
    )


def test_windows_that_say_too_little_give_the_shortest_weights():
    line = np.arange(12.0)[:, None]  # every window is the one before and 1: least squares has many solutions
    model = fitted(line)
    (x, y), *_ = [*windows(line, 5, 3, size=1000)]
    expected = np.linalg.pinv(np.c_[x[:, :, 0], np.ones(len(x))]) @ y[:, :, 0]
    np.testing.assert_allclose(model.weights_LK, expected[:-1], atol=1e-8)
    np.testing.assert_allclose(model.forecast(line[None], 3)[0, :, 0], [12, 13, 14], atol=1e-8)


def test_more_steps_go_on_from_those_before():
    model = fitted(np.sin(np.arange(80.0))[:, None])
    values = np.sin(np.arange(20.0))[None, :, None]
    first = model.forecast(values, 3)
    then = model.forecast(np.concatenate([values, first], 1), 3)
    np.testing.assert_allclose(model.forecast(values, 5)[:, 3:], then[:, :2])
    np.testing.assert_allclose(first[0, :, 0], np.sin([20, 21, 22]), atol=1e-6)


def test_gaps_of_linear_windows_are_filled_and_missing_targets_left_out():
    numbers = np.random.default_rng(1)
    x, y = numbers.normal(size=(40, 4, 1)), numbers.normal(size=(40, 2, 1))
    holes, filled, lost = x.copy(), x.copy(), y.copy()
    holes[0, 1:3], filled[0, 1:3] = NAN, x[0, 0]
    holes[1, :2], filled[1, :2] = NAN, x[1, 2]
    holes[2], filled[2] = NAN, 0
    lost[3, 1] = NAN

    def fit(read, targets):
        return LinearForecaster.fit(LinearForecastConfig(), [(read, targets)], sizes())

    rest = np.arange(40) != 3
    found, expected = fit(holes, lost), fit(filled[rest], y[rest])
    np.testing.assert_allclose(found.weights_LK, expected.weights_LK)
    np.testing.assert_allclose(found.forecast(holes, 2), expected.forecast(filled, 2))
    with pytest.raises(UserError, match="no training window has all its values") as caught:
        fit(x[:1], np.full((1, 2, 1), NAN))
    assert caught.value.code == ExitCode.DATA


def test_a_model_is_its_arrays(tmp_path):
    series = np.random.default_rng(2).normal(size=(100, 1)).cumsum(0)
    model = fitted(series)
    save_file(model.arrays(), tmp_path / "m.safetensors")
    again = LinearForecaster.from_arrays(LinearForecastConfig(), load_file(tmp_path / "m.safetensors"), sizes(5, 3))
    np.testing.assert_allclose(again.forecast(series[None], 3), model.forecast(series[None], 3), rtol=1e-5)
    for kind, config in (
        (LastValue, LastValueConfig()),
        (Drift, DriftConfig()),
        (Interpolation, InterpolationConfig()),
    ):
        save_file(kind.fit(config, [], sizes()).arrays(), tmp_path / "n.safetensors")
        kind.from_arrays(config, load_file(tmp_path / "n.safetensors"), sizes())
        with pytest.raises(UserError, match=r"f.safetensors: no .*: 'more' does not belong to it") as caught:
            kind.from_arrays(config, {"more": np.zeros(1)}, sizes(), "f.safetensors")
        assert caught.value.code == ExitCode.DATA


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weights": np.zeros((4, 2), np.float32)}, "no linear forecast: 'bias' is missing"),
        ({"weights": np.zeros((4, 3), np.float32)}, r"'weights' is float32\[4, 3\], not float32\[4, 2\]"),
        ({"weights": np.full((4, 2), np.inf, np.float32)}, "'weights' has values that cannot be"),
    ],
)
def test_foreign_arrays_are_no_linear_model(arrays, message):
    with pytest.raises(UserError, match=message):
        LinearForecaster.from_arrays(LinearForecastConfig(), arrays, sizes())


def test_gaps_filled_by_hand():
    values = np.array([[NAN, 1, NAN], [2, NAN, NAN], [NAN, NAN, NAN], [6, 3, NAN]])
    last = LastValue.fit(LastValueConfig(), [], sizes()).impute(values)
    assert last.T.tolist() == [[0, 2, 2, 6], [1, 1, 1, 3], [0, 0, 0, 0]]
    line = Interpolation.fit(InterpolationConfig(), [], sizes()).impute(values)
    np.testing.assert_allclose(line.T, [[2, 2, 4, 6], [1, 5 / 3, 7 / 3, 3], [0, 0, 0, 0]])
    median = Median.fit(MedianConfig(), [values, values[:2] + 1], sizes(columns=3))
    assert median.impute(values).T.tolist() == [[3, 2, 3, 6], [1, 2, 2, 3], [0, 0, 0, 0]]
    again = Median.from_arrays(MedianConfig(), median.arrays(), sizes(columns=3))
    np.testing.assert_array_equal(again.impute(values), median.impute(values))
    with pytest.raises(UserError, match=r"'median' is float64\[3\], not float64\[2\]"):
        Median.from_arrays(MedianConfig(), median.arrays(), sizes(columns=2))


@needs_statsforecast
def test_ets_and_theta_go_on_with_a_season():
    steps = np.arange(60)
    values = (100 + steps) * (1 + 0.3 * np.sin(2 * np.pi * steps / 12))
    for kind, config in ((ETS, ETSConfig()), (Theta, ThetaConfig())):
        model = kind.fit(config, [], sizes(season=12))
        found = model.forecast(values[None, :48, None], 12)[0, :, 0]
        naive = np.abs(values[36:48] - values[48:]).mean()
        assert np.abs(found - values[48:]).mean() < naive / 3
        holes = np.full((1, 6, 3), 5.0)
        holes[0, :, 1], holes[0, 2:, 2] = NAN, NAN
        assert model.forecast(holes, 2).tolist() == [[[5, 0, 5], [5, 0, 5]]]


def test_without_statsforecast_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsforecast", None)
    model = ETS.fit(ETSConfig(), [], sizes())
    with pytest.raises(UserError, match=r"pip install 'seqcli\[series\]'") as caught:
        model.forecast(np.arange(9.0)[None, :, None], 1)
    assert caught.value.code == ExitCode.USAGE


# -- figures that are known


def mirrored(name):
    path = Path(os.environ.get("SEQCLI_MIRROR", "")) / name
    return path if path.is_file() else pytest.skip(f"SEQCLI_MIRROR has no {name}")


@pytest.mark.mirror
def test_air_passengers():
    """Seasonal naive of the last 24 months: RMSE 76.99, MAPE 15.52."""
    with mirrored("timeseries/airline-passengers.csv").open(encoding="utf-8") as file:
        values = np.array([float(row["Passengers"]) for row in csv.DictReader(file)])
    scorer = SeriesScore(24, ["y"])
    found = SeasonalNaive.fit(SeasonalNaiveConfig(), [], sizes(season=12)).forecast(values[None, :-24, None], 24)
    scorer.add(values[None, -24:, None], found, scale_BC=np.ones((1, 1)))
    assert round(scorer.scores()["rmse"], 2) == 76.99
    assert round(scorer.scores()["mape"], 2) == 15.52


@pytest.mark.mirror
def test_m4_hourly():
    """The published naive of the season: sMAPE 13.912, MASE 1.193 (Makridakis et al. 2020, M4's hourly series)."""

    def rows(name):
        with gzip.open(mirrored(f"m4-hourly/{name}"), "rt", encoding="utf-8") as file:
            return [np.array([float(cell) for cell in row[1:] if cell]) for row in list(csv.reader(file))[1:]]

    scorer = SeriesScore(48, ["y"])
    model = SeasonalNaive.fit(SeasonalNaiveConfig(), [], sizes(season=24))
    for past_T, future_K in zip(rows("Hourly-train.csv.gz"), rows("Hourly-test.csv.gz"), strict=True):
        found = model.forecast(past_T[None, :, None], 48)
        naive_BC = naive_error(past_T[:, None], 24)[None]
        scorer.add(future_K[None, :, None], found, scale_BC=np.ones((1, 1)), naive_BC=naive_BC)
    assert scorer.windows == 414
    assert scorer.scores()["smape"] == pytest.approx(13.912, abs=0.001)
    assert scorer.scores()["mase"] == pytest.approx(1.193, abs=0.001)
