"""Is one classifier better than another on the same examples? A paired test, and how large the difference may be."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PairedTest:
    """Examples by which of two models, a and b, is right, and how likely so uneven a split is by chance.

    ``better``: only a is right, ``worse``: only b is; ``p`` is two-sided.
    """

    better: int
    worse: int
    both: int
    neither: int
    p: float


@dataclass(frozen=True)
class Interval:
    """The accuracy of a minus that of b in percentage points, and the bounds of its confidence interval."""

    difference: float
    low: float
    high: float
    level: float
    resamples: int
    seed: int


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> PairedTest:
    """McNemar's test (1947), exact: of the examples that one model alone gets right, half should fall to each.

    ``p`` is the two-sided binomial probability with 1/2, in full: the chi-square approximation of it, which Dietterich
    (1998) recommends for classifiers, is poor where few examples differ.

    Args:
        right_a, right_b: bool [N], whether each model is right about each example.

    Raises:
        ValueError: arrays of different lengths.
    """
    better, worse, both, neither = _pair(right_a, right_b)
    return PairedTest(better, worse, both, neither, _binomial(better, worse))


def paired_bootstrap(
    right_a: np.ndarray, right_b: np.ndarray, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The percentile bootstrap interval (Efron 1979) of the difference, examples drawn in pairs (Koehn 2004).

    An example adds 1, 0 or -1 to the difference, so N draws with replacement are one draw of how often each of the
    three comes: a multinomial, and the interval takes milliseconds however many examples there are.

    Args:
        right_a, right_b: bool [N], whether each model is right about each example.

    Raises:
        ValueError: arrays of different lengths, or empty ones.
    """
    better, worse, both, neither = _pair(right_a, right_b)
    total = better + worse + both + neither
    if not total:
        raise ValueError("no example to draw from")
    shares = np.array([better, worse, both + neither]) / total
    samples = np.random.default_rng(seed).multinomial(total, shares, size=resamples)
    differences = 100 * (samples[:, 0] - samples[:, 1]) / total
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return Interval(100 * (better - worse) / total, float(low), float(high), level, resamples, seed)


def compare_right(right_a: np.ndarray, right_b: np.ndarray) -> dict[str, Any]:
    """Both of them, ready for JSON; without the interval where there is no example."""
    interval = asdict(paired_bootstrap(right_a, right_b)) if len(right_a) else {}
    return {**asdict(mcnemar(right_a, right_b)), **interval}


def compare_values(
    values_a: np.ndarray, values_b: np.ndarray, *, resamples: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Paired bootstrap (Koehn 2004) of a metric that is a mean over examples, ready for JSON.

    ``p`` is two-sided: twice the share of the resamples in which the difference does not have the sign it has over all
    examples (one is counted in more, so it is never 0).

    Args:
        values_a, values_b: [N], what each model's answer to each example is worth.

    Raises:
        ValueError: arrays of different lengths.
    """
    differences_N = np.asarray(values_a, np.float64) - np.asarray(values_b, np.float64)
    total, mean = len(differences_N), float(differences_N.mean()) if len(differences_N) else 0.0
    if not total:
        return {}
    random = np.random.default_rng(seed)
    samples = np.array([differences_N[random.integers(total, size=total)].mean() for _ in range(resamples)])
    against = int((samples <= 0).sum() if mean > 0 else (samples >= 0).sum())
    low, high = np.quantile(samples, [0.025, 0.975]).tolist()
    p = min(1.0, 2 * (against + 1) / (resamples + 1))
    return {"difference": mean, "low": low, "high": high, "level": 0.95, "resamples": resamples, "seed": seed, "p": p}


def _pair(right_a: np.ndarray, right_b: np.ndarray) -> tuple[int, int, int, int]:
    """How many examples only a, only b, both, and neither has right."""
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"two models on the same examples: {a.shape} against {b.shape}")
    return int((a & ~b).sum()), int((~a & b).sum()), int((a & b).sum()), int((~a & ~b).sum())


def _binomial(better: int, worse: int) -> float:
    """min(1, 2 P(X <= the smaller count)) for X of a binomial with n = better + worse and 1/2."""
    total, smaller = better + worse, min(better, worse)
    if 2 * smaller == total:
        return 1.0
    # log C(n, k) - n log 2, summed from the largest term, which is the last
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) - total * math.log(2)
        for k in range(smaller, -1, -1)
    ]
    return min(1.0, 2 * math.exp(logs[0]) * math.fsum(math.exp(one - logs[0]) for one in logs))
