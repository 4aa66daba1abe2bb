"""Scores of classifiers: equal to scikit-learn's, and by hand where it has none."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from seqcli.metrics.classes import BINS, ClassScorer, MultilabelScorer

LABELS = ["1", "2", "3", "4"]


def drawn(seed, size=300, labels=4):
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.ones(labels) * random.uniform(0.2, 3), size)
    gold = np.where(random.random(size) < 0.5, probs.argmax(1), random.integers(0, labels, size))
    return gold, probs


def scored(gold, probs, labels=LABELS, **options):
    scorer = ClassScorer(labels, **options)
    scorer.add(np.asarray(gold), np.asarray(probs))
    return scorer


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300))
def test_equal_to_scikit_learn(seed, size):
    gold, probs = drawn(seed, size)
    predicted, found = probs.argmax(1), scored(gold, probs, ordinal=True).scores()
    numbers = list(range(4))
    assert found["accuracy"] == pytest.approx(100 * metrics.accuracy_score(gold, predicted))
    assert found["macro_f1"] == pytest.approx(100 * metrics.f1_score(gold, predicted, average="macro", zero_division=0))
    assert found["loss"] == pytest.approx(metrics.log_loss(gold, probs, labels=numbers))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(gold, probs, labels=numbers, scale_by_half=False))
    assert found["mean_absolute_error"] == pytest.approx(metrics.mean_absolute_error(gold, predicted))
    if len({*gold, *predicted}) > 1:
        kappa = metrics.cohen_kappa_score(gold, predicted, weights="quadratic", labels=numbers)
        assert found["kappa"] == pytest.approx(kappa)


def test_two_labels_have_twice_the_half_brier_of_scikit_learn():
    gold, probs = drawn(1, 200, 2)
    brier = scored(gold, probs, ["bad", "good"]).scores()["brier"]
    assert brier == pytest.approx(2 * metrics.brier_score_loss(gold, probs[:, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_from_scikit_learns_curve(seed):
    gold, probs = drawn(seed, 500, 2)
    scorer = scored(gold, probs, ["a", "b"])
    confidence, right = probs.max(1), probs.argmax(1) == gold
    accuracies, confidences = calibration_curve(right, confidence, n_bins=BINS)
    bins = scorer.calibration()
    assert [one["accuracy"] for one in bins] == pytest.approx(100 * accuracies)
    assert [one["confidence"] for one in bins] == pytest.approx(100 * confidences)
    counts = np.array([one["count"] for one in bins])
    expected = 100 * (counts * abs(accuracies - confidences)).sum() / 500
    assert scorer.scores()["calibration_error"] == pytest.approx(expected)


def test_calibration_by_hand():
    # Confidence 0.6 twice, one right; 1.0 once, wrong: (2 |0.5 - 0.6| + 1 |0 - 1|) / 3
    scorer = scored([0, 1, 1], [[0.6, 0.4], [0.6, 0.4], [1, 0]], ["a", "b"])
    assert scorer.scores()["calibration_error"] == pytest.approx(100 * (2 * 0.1 + 1) / 3)
    assert [(round(one["low"] * 15), one["count"], one["correct"]) for one in scorer.calibration()] == [
        (8, 2, 1),
        (14, 1, 0),
    ]


@given(st.integers(0, 10_000), st.lists(st.integers(0, 40), max_size=5))
@settings(max_examples=25, deadline=None)
def test_batches_do_not_matter(seed, cuts):
    gold, probs = drawn(seed, 40)
    whole, parts = scored(gold, probs, ordinal=True), ClassScorer(LABELS, ordinal=True)
    bounds = [0, *sorted(cuts), 40]
    for begin, end in pairwise(bounds):
        parts.add(gold[begin:end], probs[begin:end])
    assert parts.scores() == pytest.approx(whole.scores(), nan_ok=True)
    assert parts.score().counts["confusion"] == whole.score().counts["confusion"]


def test_a_label_that_the_model_does_not_know_is_wrong_and_has_a_row():
    scorer = ClassScorer(["a", "b"])
    scorer.add(np.array([0, -1, 1, -1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]), ["new", "odd"])
    found = scorer.scores()
    gold, predicted = ["a", "new", "b", "odd"], ["a", "a", "a", "b"]
    assert found["accuracy"] == 25.0
    assert found["macro_f1"] == pytest.approx(100 * metrics.f1_score(gold, predicted, average="macro", zero_division=0))
    assert math.isnan(found["loss"])
    rows = [0.1**2 * 2, 0.8**2 + 0.2**2 + 1, 0.7**2 * 2, 0.1**2 + 0.9**2 + 1]
    assert found["brier"] == pytest.approx(sum(rows) / 4)
    counts = scorer.score().counts
    assert counts["confusion"] == {"a": {"a": 1}, "b": {"a": 1}, "new": {"a": 1}, "odd": {"b": 1}}
    assert counts["unknown_labels"] == {"new": 1, "odd": 1}
    assert counts["labels"]["new"] == {"precision": 0, "recall": 0, "f1": 0, "correct": 0, "gold": 1, "predicted": 0}


def test_grades_are_the_labels_numbers_and_else_their_places():
    half = np.eye(3)
    by_number = scored([0, 2, 1], half[[1, 0, 1]], ["0.5", "1", "4"], ordinal=True).scores()
    assert by_number["mean_absolute_error"] == pytest.approx((0.5 + 3.5 + 0) / 3)
    by_place = scored([0, 2, 1], half[[1, 0, 1]], ["low", "middle", "high"], ordinal=True).scores()
    assert by_place["mean_absolute_error"] == pytest.approx((1 + 2 + 0) / 3)
    assert by_place["kappa"] == pytest.approx(
        metrics.cohen_kappa_score([0, 2, 1], [1, 0, 1], weights="quadratic", labels=[0, 1, 2])
    )


def test_grades_of_unknown_labels():
    scorer = ClassScorer(["1", "2"], ordinal=True)
    scorer.add(np.array([0, -1]), np.array([[1.0, 0], [0, 1.0]]), ["5"])
    assert scorer.scores()["mean_absolute_error"] == 1.5  # 5 is a grade though nobody ever predicts it
    scorer.add(np.array([-1]), np.array([[1.0, 0]]), ["bad"])
    assert math.isnan(scorer.scores()["mean_absolute_error"])
    assert math.isnan(scorer.scores()["kappa"])


def test_kappa_of_one_label_is_undefined_and_null_in_json():
    score = scored([0, 0], np.eye(4)[[0, 0]], ordinal=True).score()
    assert score.as_json()["counts"]["scores"]["kappa"] is None


def test_the_score_carries_everything_as_json_and_says_its_choices():
    gold, probs = drawn(3)
    score = scored(gold, probs, ordinal=True).score()
    assert score.name == "accuracy"
    assert score.signature.startswith(
        "accuracy|unit:example|brier:sum-over-labels|calibration:15-bins|kappa:quadratic|v:seqcli-"
    )
    assert json.loads(json.dumps(score.as_json()))["counts"]["scores"]["macro_f1"] > 0
    assert set(score.counts["labels"]["1"]) == {"precision", "recall", "f1", "gold", "predicted", "correct"}
    assert sum(sum(row.values()) for row in score.counts["confusion"].values()) == score.counts["total"] == 300
    assert sum(one["count"] for one in score.counts["calibration"]) == 300


def test_a_sure_and_wrong_classifier_has_a_finite_loss():
    assert scored([1], [[1.0, 0.0]], ["a", "b"]).scores()["loss"] == pytest.approx(-math.log(np.finfo(float).eps))


def test_nothing_added():
    found = ClassScorer(LABELS, ordinal=True).scores()
    assert (found["accuracy"], found["macro_f1"], found["calibration_error"]) == (0, 0, 0)
    assert all(math.isnan(found[name]) for name in ("loss", "brier", "mean_absolute_error", "kappa"))


@pytest.mark.parametrize(
    ("gold", "probs", "names"),
    [([0, 1], np.ones((1, 4)), None), ([0], np.ones((1, 3)), None), ([-1], np.ones((1, 4)), ["a", "b"])],
)
def test_shapes_that_do_not_fit(gold, probs, names):
    with pytest.raises(ValueError):
        ClassScorer(LABELS).add(np.array(gold), probs, names)


# Several labels an example


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_several_labels_equal_scikit_learn(seed, threshold):
    random = np.random.default_rng(seed)
    gold, probs = random.random((50, 4)) < 0.3, random.random((50, 4))
    predicted, scorer = probs >= threshold, MultilabelScorer(LABELS)
    scorer.add(gold[:20], probs[:20], threshold)
    scorer.add(gold[20:], probs[20:], threshold)
    found = scorer.scores()
    used = [label for label in range(4) if gold[:, label].any() or predicted[:, label].any()]
    assert found["f1"] == pytest.approx(100 * metrics.f1_score(gold, predicted, average="micro", zero_division=0))
    assert found["macro_f1"] == pytest.approx(
        100 * metrics.f1_score(gold, predicted, average="macro", labels=used, zero_division=0)
    )
    assert found["exact_match"] == pytest.approx(100 * metrics.accuracy_score(gold, predicted))
    each = [metrics.log_loss(gold[:, k], probs[:, k], labels=[False, True]) for k in range(4)]
    assert found["loss"] == pytest.approx(sum(each))
    assert found["brier"] == pytest.approx(((probs - gold) ** 2).mean())


def test_several_labels_with_an_unknown_one_and_none_at_all():
    scorer = MultilabelScorer(["a", "b"])
    scorer.add(np.array([[1, 0], [0, 0]]), np.array([[0.5, 0.1], [0.2, 0.2]]), 0.5, np.array([1, 0]))
    found = scorer.scores()
    assert (found["precision"], found["recall"], found["exact_match"]) == (100, 50, 50)
    assert found["f1"] == pytest.approx(200 / 3)
    assert math.isnan(found["loss"])
    score = scorer.score()
    assert (score.name, score.counts["gold"], score.counts["unknown_labels"]) == ("F1", 2, 1)
    assert score.signature.startswith("f1|unit:label|average:micro|")
    assert list(score.counts["labels"]) == ["a"]


def test_several_labels_shapes():
    with pytest.raises(ValueError, match="2 labels"):
        MultilabelScorer(["a", "b"]).add(np.ones((1, 3)), np.ones((1, 3)))
