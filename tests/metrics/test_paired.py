"""Paired comparison of two classifiers: equal to scipy's exact test, and to drawing example by example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from seqcli.metrics.paired import compare_values, mcnemar, paired_bootstrap


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


def test_a_mean_over_examples_is_compared_by_drawing_them_in_pairs():
    random = np.random.default_rng(1)
    worth = random.normal(50, 20, 400)
    better = compare_values(worth + random.normal(2, 5, 400), worth)
    assert better["low"] < better["difference"] < better["high"]
    assert better["low"] > 0
    assert better["p"] < 0.01
    same = compare_values(worth + random.normal(0, 5, 400), worth)
    assert same["low"] < 0 < same["high"]
    assert same["p"] > 0.05
    mirrored = compare_values(worth, worth + random.normal(2, 5, 400))
    assert mirrored["difference"] < 0
    assert mirrored["p"] < 0.01
    assert compare_values(np.zeros(0), np.zeros(0)) == {}
