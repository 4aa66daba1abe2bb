"""Where the error of a regression comes from: bias, variance and noise, measured on repeated draws of its data.

The truth is h(x) = sin(2 pi x) for 0 <= x <= 1. A draw d is M samples y = h(x) + e at evenly spaced x, e ~ N(0, s^2);
a polynomial f_d of degree p is fitted to it by least squares. At N points between, with f the mean of the f_d:

    bias^2    = mean over x of (f(x) - h(x))^2                    the model cannot bend as h does
    variance  = mean over x and d of (f_d(x) - f(x))^2            it bends with the noise of its samples
    noise     = mean over x and e of e^2                          nobody can know it
    MSE       = mean over x, d and e of (h(x) + e - f_d(x))^2  =  bias^2 + variance + noise

The sum is exact because the noise that is tested with comes in pairs e, -e (antithetic variates): its product with the
error of a model then has the mean 0. Bishop 2006, section 3.2; Geman, Bienenstock and Doursat 1992.
Shapes: D draws, M samples, N test points, K noises a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS, NOISES = 50, 100
"""Test points, and noises at each."""


@dataclass(frozen=True)
class Parts:
    """The error of the polynomials of one degree; ``train_mse`` is that on the samples they were fitted to."""

    degree: int
    bias_squared: float
    variance: float
    noise: float
    mse: float
    train_mse: float


def decompose(
    degrees: Sequence[int], *, samples: int = 25, noise: float = 0.3, draws: int = 200, seed: int = 1
) -> list[Parts]:
    """The parts of the error for each degree, all on the same draws.

    Args:
        noise: standard deviation s of the noise.

    Raises:
        ValueError: a degree that ``samples`` points do not decide (degree >= samples), or no draw.
    """
    if max(degrees) >= samples or min(degrees) < 0 or draws < 1:
        raise ValueError(f"degrees {list(degrees)} for {samples} samples, {draws} draws")
    random = np.random.default_rng(seed)
    x_M = np.linspace(0, 1, samples)
    x_N = (np.arange(POINTS) + 0.5) / POINTS
    y_DM = truth(x_M) + noise * random.standard_normal((draws, samples))
    half_NK = noise * random.standard_normal((POINTS, NOISES // 2))
    return [_parts(degree, x_M, y_DM, x_N, np.concatenate([half_NK, -half_NK], axis=1)) for degree in degrees]


def truth(x: Array) -> Array:
    """h(x) = sin(2 pi x)."""
    return np.sin(2 * np.pi * x)


def _parts(degree: int, x_M: Array, y_DM: Array, x_N: Array, noise_NK: Array) -> Parts:
    design_MP, design_NP = (chebvander(2 * x - 1, degree) for x in (x_M, x_N))
    weights_PD, *_ = np.linalg.lstsq(design_MP, y_DM.T, rcond=None)
    f_ND = design_NP @ weights_PD
    mean_N, truth_N = f_ND.mean(1), truth(x_N)
    # every model against every noisy target, as the MSE is defined: it is not put together from the parts
    squares_N = [
        ((h + noise_K - f_D[:, None]) ** 2).mean() for h, noise_K, f_D in zip(truth_N, noise_NK, f_ND, strict=True)
    ]
    return Parts(
        degree,
        float(((mean_N - truth_N) ** 2).mean()),
        float(((f_ND - mean_N[:, None]) ** 2).mean()),
        float((noise_NK**2).mean()),
        float(np.mean(squares_N)),
        float(((design_MP @ weights_PD - y_DM.T) ** 2).mean()),
    )
