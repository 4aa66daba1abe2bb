"""Bias, variance and noise of polynomials: the three make up the error, and each is what theory says."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.inspect.bias_variance import NOISES, POINTS, decompose, truth


@settings(max_examples=25, deadline=None)
@given(
    degree=st.integers(0, 12),
    samples=st.integers(13, 40),
    noise=st.floats(0, 3),
    draws=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_three_add_up_to_the_mean_squared_error(degree, samples, noise, draws, seed):
    (one,) = decompose([degree], samples=samples, noise=noise, draws=draws, seed=seed)
    assert one.bias_squared + one.variance + one.noise == pytest.approx(one.mse, rel=1e-10, abs=1e-12)
    assert min(one.bias_squared, one.variance, one.noise) >= 0


def test_one_draw_has_no_variance_and_no_noise_leaves_bias_alone():
    (one,) = decompose([3], draws=1)
    assert one.variance == 0 < one.bias_squared
    (one,) = decompose([1], noise=0, draws=5)
    assert (one.noise, one.variance) == (0, pytest.approx(0, abs=1e-20))
    assert one.mse == pytest.approx(one.bias_squared)


def test_bias_is_what_the_best_polynomial_without_noise_misses():
    """Of the means: 0.5 of a sine by a constant; by a line the least squares of numpy."""
    flat, line = decompose([0, 1], noise=0.3, draws=4000)
    assert flat.bias_squared == pytest.approx(0.5, abs=1e-3)
    x_M, x_N = np.linspace(0, 1, 25), (np.arange(POINTS) + 0.5) / POINTS
    best = np.polynomial.Polynomial.fit(x_M, truth(x_M), 1)
    assert line.bias_squared == pytest.approx(float(((best(x_N) - truth(x_N)) ** 2).mean()), rel=0.01)


@pytest.mark.parametrize("degree", [0, 2, 5])
def test_variance_is_the_noise_times_the_leverage(degree):
    """Var f(x) = s^2 v(x)' (V'V)^-1 v(x) for least squares on fixed x (Hastie et al. 2009, equation 3.8)."""
    x_M, x_N = np.linspace(0, 1, 25), (np.arange(POINTS) + 0.5) / POINTS
    v_MP, v_NP = (np.vander(x, degree + 1) for x in (x_M, x_N))
    leverage_N = np.einsum("np,pq,nq->n", v_NP, np.linalg.inv(v_MP.T @ v_MP), v_NP)
    (one,) = decompose([degree], noise=0.5, draws=4000)
    assert one.variance == pytest.approx(0.25 * leverage_N.mean(), rel=0.05)
    assert one.noise == pytest.approx(0.25, rel=5 * np.sqrt(4 / (POINTS * NOISES)))


def test_a_higher_degree_has_less_bias_more_variance_and_fits_its_samples_better():
    parts = decompose([0, 1, 3, 9])
    for lower, higher in pairwise(parts):
        assert lower.bias_squared > higher.bias_squared
        assert lower.variance < higher.variance
        assert lower.train_mse > higher.train_mse
    assert len({one.noise for one in parts}) == 1  # the same tests for all


@pytest.mark.parametrize(("degrees", "draws"), [([25], 2), ([-1], 2), ([1], 0)])
def test_what_cannot_be_fitted_is_refused(degrees, draws):
    with pytest.raises(ValueError, match="samples"):
        decompose(degrees, samples=25, draws=draws)
