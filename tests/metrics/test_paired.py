"""Paired comparison of two classifiers: equal to scipy's exact test, and to drawing example by example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, permutation_test

from seqcli.metrics.bleu_sums import bleu_sums
from seqcli.metrics.paired import (
    Sums,
    apart,
    briefly,
    compare_sums,
    f1,
    interval,
    mcnemar,
    mean,
    p_text,
    paired_bootstrap,
    percentage,
    with_words,
)
from seqcli.metrics.score import Score
from seqcli.metrics.translation import TranslationMetric


def rights(better, worse, both=3, neither=2):
    a = [True] * (better + both) + [False] * (worse + neither)
    b = [False] * better + [True] * (both + worse) + [False] * neither
    return np.array(a), np.array(b)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_p_is_scipys_exact_one(better, worse):
    found = mcnemar(*rights(better, worse))
    assert (found.better, found.worse, found.both, found.neither) == (better, worse, 3, 2)
    expected = binomtest(better, better + worse, 0.5).pvalue if better + worse else 1.0
    assert found.p == pytest.approx(expected, rel=1e-9)


def test_by_hand_and_with_many_examples():
    assert mcnemar(*rights(5, 0)).p == pytest.approx(2 / 2**5)
    assert mcnemar(*rights(0, 0, 0, 0)).p == 1.0
    many = mcnemar(*rights(50_400, 49_600))
    assert many.p == pytest.approx(binomtest(50_400, 100_000, 0.5).pvalue, rel=1e-6)
    assert mcnemar(*rights(3000, 0)).p < 1e-300


def test_the_interval_is_seeded_and_holds_the_difference():
    a, b = rights(60, 40, 800, 100)
    found = paired_bootstrap(a, b)
    assert found == paired_bootstrap(a, b)
    assert found != paired_bootstrap(a, b, seed=1)
    assert found.difference == pytest.approx(2.0)
    assert found.low < 2.0 < found.high


def test_the_interval_is_that_of_drawing_examples():
    a, b = rights(60, 40, 300, 100)
    drawn = np.random.default_rng(7).integers(0, len(a), (10_000, len(a)))
    differences = 100 * (a.astype(int) - b.astype(int))[drawn].mean(axis=1)
    low, high = np.quantile(differences, [0.025, 0.975])
    found = paired_bootstrap(a, b, seed=3)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.25), pytest.approx(high, abs=0.25))


def test_equal_models_have_no_interval_to_speak_of():
    a, _ = rights(0, 0)
    found = paired_bootstrap(a, a)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="same examples"):
        mcnemar(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="no example"):
        paired_bootstrap(np.ones(0), np.ones(0))


def means(a, b):
    return compare_sums(mean("worth", a), mean("worth", b))


def test_a_mean_over_examples_is_compared_by_drawing_them_in_pairs():
    random = np.random.default_rng(1)
    worth = random.normal(50, 20, 400)
    better = means(worth + random.normal(2, 5, 400), worth)
    assert better["low"] < better["difference"] < better["high"]
    assert better["low"] > 0
    assert better["p"] < 0.01
    same = means(worth + random.normal(0, 5, 400), worth)
    assert same["low"] < 0 < same["high"]
    assert same["p"] > 0.05
    mirrored = means(worth, worth + random.normal(2, 5, 400))
    assert mirrored["difference"] < 0
    assert mirrored["p"] < 0.01
    assert means(np.zeros(0), np.zeros(0)) == {}
    assert means(np.zeros(1), np.ones(1)) == {}


def test_a_model_against_itself_is_chance():
    worth = np.random.default_rng(2).normal(size=50)
    found = means(worth, worth)
    assert (found["difference"], found["low"], found["high"], found["p"], found["p_randomisation"]) == (0, 0, 0, 1, 1)


def test_randomisation_is_scipys_permutation_of_pairs():
    random = np.random.default_rng(3)
    a = random.normal(0.3, 1, 120)
    b = random.normal(0, 1, 120)
    expected = permutation_test(
        (a, b),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        permutation_type="samples",
        n_resamples=4_000,
        rng=4,
        vectorized=True,
        axis=-1,
    )
    assert means(a, b)["p_randomisation"] == pytest.approx(expected.pvalue, abs=0.025)


def test_the_interval_of_a_mean_is_scipys_percentile_bootstrap():
    random = np.random.default_rng(5)
    a, b = random.normal(1, 2, 80), random.normal(0, 2, 80)
    expected = bootstrap((a - b,), np.mean, n_resamples=20_000, method="percentile", rng=6).confidence_interval
    found = means(a, b)
    assert (found["low"], found["high"]) == (
        pytest.approx(expected.low, abs=0.04),
        pytest.approx(expected.high, abs=0.04),
    )


@pytest.fixture(scope="module")
def translations():
    """References, and two systems that get words wrong now and then, the second a little more often."""
    random = np.random.default_rng(7)
    words = [f"w{number}" for number in range(30)]
    references = [" ".join(random.choice(words, random.integers(5, 15))) for _ in range(150)]

    def worse(share):
        return [" ".join(w if random.random() > share else "x" for w in line.split()) for line in references]

    return references, worse(0.2), worse(0.23)


def test_bleu_is_compared_as_sacrebleu_does(translations):
    references, one, two = translations
    lines = [[line] for line in references]
    found = compare_sums(bleu_sums(one, lines), bleu_sums(two, lines))
    base, other = TranslationMetric("bleu").compare(
        {"one": one, "two": two}, [references], bootstrap_resamples=2000, randomisation_trials=4000
    )
    assert found["difference"] == pytest.approx(base.score.value - other.score.value, abs=1e-9)
    assert found["p"] / 2 == pytest.approx(other.p_bootstrap, abs=0.03)  # which counts one side
    assert found["p_randomisation"] == pytest.approx(other.p_randomisation, abs=0.03)


def test_f1_and_an_error_rate_by_hand():
    spans = Sums("F1", np.array([[1.0, 2, 1], [2, 2, 3]]), f1)
    assert spans.value(spans.of_NS.sum(0)) == pytest.approx(100 * 2 * 3 / (4 + 4))
    assert f1(np.zeros(3)) == 0
    errors = Sums("WER", np.array([[1.0, 4], [0, 6]]), percentage, less_is_better=True)
    assert errors.value(errors.of_NS.sum(0)) == pytest.approx(10)


def test_an_interval_of_95_percent_holds_the_truth_in_95_of_100():
    """Simulated pairs whose true difference is known."""
    random = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        shared = random.normal(0, 3, 100)
        found = means(shared + random.normal(0.4, 1, 100), shared + random.normal(0, 1, 100))
        held += found["low"] <= 0.4 <= found["high"]
    assert 0.90 <= held / 200 <= 0.985


def test_what_a_comparison_says():
    paired = {
        "metric": "F1",
        "difference": 1.8,
        "low": 0.3,
        "high": 3.3,
        "level": 0.95,
        "p": 0.02,
        "p_randomisation": 0.03,
    }
    assert with_words("a", "b", paired)["says"] == (
        "a is better than b by 1.80 F1 (95% interval 0.30 to 3.30, bootstrap p = 0.02, randomisation p = 0.03)"
    )
    assert with_words("a", "b", {**paired, "less_is_better": True})["says"].startswith("a is worse than b by 1.80 F1")
    assert with_words("a", "b", {**paired, "low": -0.1})["says"].startswith("a and b cannot be told apart: +1.80 F1")
    small = {**paired, "metric": "bits a character", "difference": 0.0123, "low": 0.01, "high": 0.02}
    assert with_words("a", "b", small)["says"].startswith(
        "a is better than b by 0.0123 bits a character (95% interval 0.0100 "
    )
    assert with_words("a", "b", {}) == {}
    assert p_text(0.0) == "< 1e-300"


def spans_of(random, count):
    """Spans that are right, gold and predicted, of made-up sentences."""
    gold, predicted = random.integers(0, 5, (2, count))
    return np.stack([random.binomial(np.minimum(gold, predicted), 0.7), gold, predicted], axis=1).astype(float)


def test_the_interval_of_one_score_is_scipys_percentile_bootstrap():
    """Of an F1, which is no mean over examples: the examples of all three sums are drawn together."""
    of_N3 = spans_of(np.random.default_rng(11), 150)
    found = interval(Sums("F1", of_N3, f1))
    expected = bootstrap(
        tuple(of_N3.T),
        lambda right, gold, predicted, axis: f1(np.stack([part.sum(axis) for part in (right, gold, predicted)], -1)),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=12,
    ).confidence_interval
    assert found["value"] == pytest.approx(f1(of_N3.sum(0)))
    assert (found["low"], found["high"]) == (
        pytest.approx(expected.low, abs=0.15),
        pytest.approx(expected.high, abs=0.15),
    )


def test_one_example_has_no_interval():
    assert interval(Sums("F1", np.array([[1.0, 2, 2]]), f1)) == {"value": 50.0}


def test_the_interval_of_one_score_holds_the_truth_in_95_of_100():
    """Simulated error rates whose true value is known, over examples of different lengths."""
    random = np.random.default_rng(14)
    held = 0
    for _ in range(300):
        lengths = random.integers(5, 20, 80)
        found = interval(
            Sums("WER", np.stack([random.binomial(lengths, 0.2), lengths], axis=1).astype(float), percentage)
        )
        held += found["low"] <= 20 <= found["high"]
    assert 0.93 <= held / 300 <= 0.97


def test_what_a_report_says_of_a_baseline():
    paired = {"metric": "F1", "difference": 34.2, "low": 31.0, "high": 37.4, "level": 0.95, "p": 0.0001}
    assert briefly("majority", paired)["says"] == (
        "better than majority by 34.20 F1 (95% interval 31.00 to 37.40, p = 0.0001)"
    )
    turned = {**paired, "difference": -34.2, "low": -37.4, "high": -31.0}
    assert briefly("majority", turned)["says"] == (
        "loses to majority by 34.20 F1 (95% interval 31.00 to 37.40, p = 0.0001)"
    )
    assert briefly("b", {**turned, "less_is_better": True})["says"].startswith(
        "better than b by 34.20 F1 (95% interval 31"
    )
    assert briefly("b", {**paired, "difference": 0.4, "low": -1.1, "high": 1.9, "p": 0.64})["says"] == (
        "cannot be told apart from b: +0.40 F1 (95% interval -1.10 to +1.90, p = 0.64)"
    )
    assert briefly("b", {}) == {}


def test_series_are_apart_and_nothing_is_said_of_chance():
    one, other = (Score("MSE, standardised", value, "") for value in (0.3758, 0.375))
    assert briefly("linear", apart(one, other))["says"] == "loses to linear by 0.0008 MSE, standardised"
    assert briefly("linear", apart(other, one))["says"] == "better than linear by 0.0008 MSE, standardised"
    assert briefly("linear", apart(one, one))["says"] == "equal to linear in MSE, standardised"
    assert with_words("mine", "linear", apart(one, other))["says"] == "mine loses to linear by 0.0008 MSE, standardised"
    assert apart(one, Score("MSE, standardised", float("inf"), "")) == {}
    hair = briefly("b", apart(Score("RMSE", 2.0000219, ""), Score("RMSE", 2.0, "")))
    assert hair["says"] == "loses to b by 0.000022 RMSE"
