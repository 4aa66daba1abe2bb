"""Errors of predicted values: by hand, and against scikit-learn and utilsforecast."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

from seqcli.metrics.metric import METRICS, SERIES_METRICS
from seqcli.metrics.series import SeriesScore, naive_error

NAN = math.nan


def score(gold, predicted, scale=1.0, naive=None, **options):
    """One column: gold and predicted [B, K]."""
    gold, predicted = np.array(gold)[..., None], np.array(predicted)[..., None]
    scorer = SeriesScore(gold.shape[1], ["y"], **options)
    column = np.ones((len(gold), 1))
    naive = None if naive is None else naive * column
    scorer.add(gold, predicted, scale_BC=scale * column, naive_BC=naive)
    return scorer


def test_by_hand():
    scores = score([[1.0, 2.0, 4.0]], [[2.0, 2.0, 1.0]], scale=2.0, naive=0.5).scores()
    assert scores == pytest.approx(
        {
            "mae": 4 / 3,
            "rmse": math.sqrt(10 / 3),
            "mase": 8 / 3,
            "smape": (200 / 3 + 0 + 200 * 3 / 5) / 3,
            "mape": (100 + 0 + 75) / 3,
            "mae_standardised": 2 / 3,
            "mse_standardised": 10 / 12,
            "rmse_standardised": math.sqrt(10 / 12),
        }
    )


def test_what_has_no_percentage_is_left_out_and_counted():
    found = score([[0.0, 0.0, -2.0]], [[0.0, 1.0, -1.0]], naive=0.0)
    assert found.scores()["smape"] == pytest.approx((0 + 200 + 200 / 3) / 3)
    assert found.scores()["mape"] == 50
    assert math.isnan(found.scores()["mase"])
    assert found.score("mape").counts["left_out"] == {"mase": 3, "mape": 2}
    assert "|left-out:2|windows:1|values:3|" in found.signature("mape")


def test_a_missing_value_is_not_counted():
    found = score([[1.0, NAN], [3.0, 4.0]], [[2.0, 9.0], [3.0, 6.0]])
    assert found.values == 3
    assert found.scores()["mae"] == 1
    assert [step["mae"] for step in found.steps()] == [0.5, 2]


def test_a_value_that_nothing_is_predicted_for_is_an_error():
    with pytest.raises(ValueError, match="nothing is predicted"):
        score([[1.0]], [[NAN]])
    with pytest.raises(ValueError, match=r"gold \(1, 2, 1\) and predicted \(1, 1, 1\)"):
        score([[1.0, 2.0]], [[1.0]])


def test_nothing_at_all():
    assert all(map(math.isnan, SeriesScore(2, ["y"]).scores().values()))


def test_steps_columns_and_windows():
    scorer = SeriesScore(2, ["a", "b"])
    gold = np.array([[[1.0, 10.0], [2.0, NAN]], [[NAN, NAN], [NAN, NAN]]])
    means = scorer.add(gold, np.zeros((2, 2, 2)), scale_BC=np.array([[1.0, 10.0], [1.0, 1.0]]))
    assert means.tolist() == pytest.approx([4 / 3, NAN], nan_ok=True)
    assert [step["mae"] for step in scorer.steps()] == [5.5, 2]
    assert {name: one["mae"] for name, one in scorer.by_column().items()} == {"a": 1.5, "b": 10}
    assert scorer.score("mae_standardised").value == pytest.approx(4 / 3)


def test_signatures():
    found = score(np.ones((1000, 3)), np.ones((1000, 3)), choices={"look-back": 96, "season": 24})
    assert found.signature("mae").startswith(
        "mae|scale:original|look-back:96|season:24|windows:1,000|values:3,000|v:seqcli-"
    )
    assert found.signature("mse_standardised").startswith("mse|scale:standardised|look-back:96|")


def test_quantiles_and_bands_by_hand():
    scorer = SeriesScore(1, ["y"], quantiles=[0.1, 0.5, 0.9])
    gold = np.array([1.0, 2.0, 3.0, 10.0]).reshape(4, 1, 1)
    quantiles = np.tile([1.0, 2.0, 5.0], (4, 1, 1, 1))
    scorer.add(gold, quantiles[..., 1], scale_BC=np.ones((4, 1)), quantiles_BKCQ=quantiles)
    assert scorer.bands() == [{"low": 0.1, "high": 0.9, "nominal": 80, "coverage": 75}]
    # of 10 against (1, 2, 5): 0.1 * 9 + 0.5 * 8 + 0.9 * 5
    assert scorer.scores()["pinball"] == pytest.approx(
        ((0 + 0.5 + 0.4) + (0.1 + 0 + 0.3) + (0.2 + 0.5 + 0.2) + (0.9 + 4 + 4.5)) / 12
    )
    assert "|quantiles:0.1,0.5,0.9|" in scorer.signature("pinball")


VALUES = st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12)


@given(VALUES, VALUES)
def test_as_scikit_learn_in_any_batches(gold, predicted):
    gold, predicted = np.reshape(gold, (6, 2, 1)), np.reshape(predicted, (6, 2, 1))
    quantiles = np.stack([predicted - 1, predicted, predicted + 2], -1)
    scorer = SeriesScore(2, ["y"], quantiles=[0.2, 0.5, 0.8])
    for part in (slice(0, 1), slice(1, 1), slice(1, 6)):
        scorer.add(gold[part], predicted[part], scale_BC=np.ones((6, 1))[part], quantiles_BKCQ=quantiles[part])
    scores = scorer.scores()
    flat = gold.ravel(), predicted.ravel()
    assert scores["mae"] == pytest.approx(mean_absolute_error(*flat))
    assert scores["rmse"] == pytest.approx(math.sqrt(mean_squared_error(*flat)))
    losses = [
        mean_pinball_loss(flat[0], quantiles[..., at].ravel(), alpha=share) for at, share in enumerate((0.2, 0.5, 0.8))
    ]
    assert scores["pinball"] == pytest.approx(np.mean(losses))


def test_as_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses", reason="comes with statsforecast, which is not installed")
    pandas = pytest.importorskip("pandas")
    numbers = np.random.default_rng(1)
    gold, predicted = numbers.normal(5, 3, (7, 4, 1)), numbers.normal(5, 3, (7, 4, 1))
    train = numbers.normal(size=(7, 50))
    scorer = SeriesScore(4, ["y"])
    naive = np.stack([naive_error(row[:, None], 12) for row in train])
    scorer.add(gold, predicted, scale_BC=np.ones((7, 1)), naive_BC=naive)
    ids = np.repeat(np.arange(7), 4)
    table = pandas.DataFrame(
        {"unique_id": ids, "ds": np.tile(np.arange(4), 7), "y": gold.ravel(), "f": predicted.ravel()}
    )
    past = pandas.DataFrame({"unique_id": np.repeat(np.arange(7), 50), "y": train.ravel()})
    scores = scorer.scores()
    assert scores["mase"] == pytest.approx(losses.mase(table, ["f"], 12, past)["f"].mean())
    assert scores["smape"] == pytest.approx(200 * losses.smape(table, ["f"])["f"].mean())
    assert scores["mape"] == pytest.approx(100 * losses.mape(table, ["f"])["f"].mean())


def test_the_naive_error_leaves_out_gaps():
    values = np.array([[1.0, 5.0], [3.0, NAN], [2.0, 5.0], [7.0, NAN]])
    assert naive_error(values, 1).tolist() == pytest.approx([8 / 3, NAN], nan_ok=True)
    assert naive_error(values, 2).tolist() == [2.5, 0]
    assert naive_error(values, 9).tolist() == pytest.approx([NAN, NAN], nan_ok=True)


def test_every_score_is_a_metric():
    scorer = score([[1.0]], [[1.0]], naive=1.0, quantiles=[0.5])
    assert list(scorer.scores()) == [metric.name for metric in SERIES_METRICS]
    assert {METRICS[name].better for name in scorer.scores()} == {"lower"}
