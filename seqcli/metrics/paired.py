"""Is one model better than another on the same examples? Paired tests, and how large the difference may be.

Shapes: N examples, S sums, R rounds of drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.metrics.metric import metric_of
from seqcli.metrics.score import Score

_DRAWS = 2 * 10**7
_FEWEST, _MOST = 1_000, 10_000
"""Numbers that are drawn in all, as far as there are not too few rounds of it, or more than help."""

_LEVEL = 0.05
"""The probability of chance below which a difference is one."""

_SMALLEST = 1e-300

_LEAST = 2
"""Examples without which nothing can be said of chance."""

_COARSE, _FINE = 0.5, 0.0005
"""Sizes of a difference from which two digits, and four digits, are enough."""


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


class Sums(NamedTuple):
    """A metric that is worked out of sums over examples: F1, BLEU and an error rate are, and any mean is.

    Attributes:
        name: of the metric.
        of_NS: what each of N examples adds to each of S sums.
        value: the metric of sums [..., S].
        less_is_better: whether a smaller value is the better one.
    """

    name: str
    of_NS: NDArray[np.float64]
    value: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    less_is_better: bool = False

    def of_rows(self, rows: NDArray[np.int64]) -> Sums:
        """The same of some examples, or of all in another order."""
        return self._replace(of_NS=self.of_NS[rows])


def mean(name: str, values_N: NDArray[np.float64]) -> Sums:
    """A metric that is the mean of a value of each example."""
    return Sums(name, np.stack([values_N, np.ones(len(values_N))], axis=1), ratio)


def ratio(sums_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first of two sums [..., 2], divided by the second; 0 where there is nothing to divide by."""
    first, second = sums_S[..., 0], sums_S[..., 1]
    return np.divide(first, second, out=np.zeros_like(first), where=second != 0)


def percentage(sums_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """`ratio` in percent."""
    return 100 * ratio(sums_S)


def f1(sums_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 in percent of spans [..., 3] that are right, in the gold data, and predicted: 2 right / (gold + predicted)."""
    correct, gold, predicted = sums_S[..., 0], sums_S[..., 1], sums_S[..., 2]
    return 2 * percentage(np.stack([correct, gold + predicted], axis=-1))


def interval(a: Sums, *, seed: int = 0) -> dict[str, Any]:
    """The value of one model and its percentile bootstrap interval over examples (Efron 1979), ready for JSON.

    Of fewer than two examples there is no interval: the value alone.
    """
    value = float(a.value(a.of_NS.sum(0)))
    if len(a.of_NS) < _LEAST:
        return {"value": value}
    rounds = _rounds(a.of_NS)
    drawn_RS = _resampled(np.random.default_rng(seed), a.of_NS, rounds)
    low, high = np.quantile(a.value(drawn_RS), [0.025, 0.975]).tolist()
    return {"value": value, "low": low, "high": high, "level": 0.95, "resamples": rounds, "seed": seed}


def apart(a: Score, b: Score) -> dict[str, Any]:
    """How far two scores of the same name are apart, ready for JSON, where nothing can be said of chance.

    ``difference`` is a's value less b's; empty where one of them is no number.
    """
    difference, metric = a.value - b.value, metric_of(a.name)
    if not math.isfinite(difference):
        return {}
    less_is_better = metric is not None and metric.better == "lower"
    return {"metric": a.name, "less_is_better": less_is_better, "difference": difference}


def compare_sums(a: Sums, b: Sums, *, seed: int = 0) -> dict[str, Any]:
    """Two models on the same examples, ready for JSON; empty where there are not two of them to draw from,
    or a value that is no number.

    ``difference`` is a's value less b's; ``low`` and ``high`` bound its percentile bootstrap interval (Efron 1979), for
    which examples are drawn in pairs (Koehn 2004). Two p-values, both two-sided, ask how often so large a difference
    comes about by chance: ``p`` of the bootstrap, whose differences are moved to have the mean 0 (sacrebleu counts one side
    of them, so its p is half of this one), and ``p_randomisation``, for which the answers of the two models change places at each example with probability
    1/2 (Noreen 1989; Riezler and Maxwell 2005). One is counted in more, so neither is ever 0.

    Raises:
        ValueError: other numbers of examples.
    """
    if a.of_NS.shape != b.of_NS.shape:
        raise ValueError(f"two models on the same examples: {a.of_NS.shape} against {b.of_NS.shape}")
    total, width = a.of_NS.shape
    value_a, value_b = float(a.value(a.of_NS.sum(0))), float(b.value(b.of_NS.sum(0)))
    difference = value_a - value_b
    if total < _LEAST or not math.isfinite(difference):
        return {}
    rounds = _rounds(a.of_NS)
    random = np.random.default_rng(seed)
    drawn_RS = _resampled(random, np.concatenate([a.of_NS, b.of_NS], axis=1), rounds)
    differences_R = a.value(drawn_RS[:, :width]) - b.value(drawn_RS[:, width:])
    low, high = np.quantile(differences_R, [0.025, 0.975]).tolist()
    sum_S, change_NS = a.of_NS.sum(0), b.of_NS - a.of_NS
    swaps = (random.integers(2, size=shape, dtype=np.int8).astype(float) for shape in _parts(rounds, total))
    moved_RS = np.concatenate([swapped_RN @ change_NS for swapped_RN in swaps])
    swapped_R = a.value(sum_S + moved_RS) - b.value(b.of_NS.sum(0) - moved_RS)
    far = abs(difference) - 1e-12 * (abs(value_a) + abs(value_b))  # the same sums in another order are the same
    return {
        "metric": a.name,
        "less_is_better": a.less_is_better,
        "difference": difference,
        "low": low,
        "high": high,
        "level": 0.95,
        "p": _share_of(np.abs(differences_R - differences_R.mean()) >= far),
        "p_randomisation": _share_of(np.abs(swapped_R) >= far),
        "resamples": rounds,
        "seed": seed,
    }


def _rounds(of_NS: NDArray[np.float64]) -> int:
    return int(np.clip(_DRAWS / of_NS.size, _FEWEST, _MOST))


def _resampled(random: np.random.Generator, of_NS: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
    """The sums [R, S] of N examples drawn with replacement, R times."""
    return np.concatenate([_drawn(random, shape) @ of_NS for shape in _parts(rounds, len(of_NS))])


def _parts(rounds: int, total: int) -> Iterator[tuple[int, int]]:
    """Shapes of the draws [rounds, examples], in parts that memory holds."""
    most = max(1, 2**18 // total)
    for start in range(0, rounds, most):
        yield min(most, rounds - start), total


def _drawn(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """How often each of N examples [rounds, N] comes when N are drawn with replacement."""
    rounds, total = shape
    rows_RN = random.integers(total, size=shape) + total * np.arange(rounds)[:, None]
    return np.bincount(rows_RN.ravel(), minlength=rounds * total).reshape(shape).astype(np.float64)


def _share_of(chances_R: NDArray[np.bool_]) -> float:
    return float((chances_R.sum() + 1) / (len(chances_R) + 1))


def with_words(one: str, other: str, paired: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison with what it says in words: empty stays empty."""
    return {**paired, "says": _verdict(one, other, paired)} if paired else {}


def briefly(other: str, paired: Mapping[str, Any]) -> dict[str, Any]:
    """`with_words` of the first model's side alone, with one p."""
    return {**paired, "says": _brief_verdict(other, paired)} if paired else {}


def _verdict(one: str, other: str, paired: Mapping[str, Any]) -> str:
    """``ner is better than ner-plain by 1.80 F1 (95% interval 0.30 to 3.30, McNemar p = 0.02)``, if the two can be told apart."""
    if "low" not in paired:
        return f"{one} {'' if _loses(paired) else 'is '}{_brief_verdict(other, paired)}"
    if "p_randomisation" in paired:
        p = f"bootstrap p {p_text(paired['p'])}, randomisation p {p_text(paired['p_randomisation'])}"
    else:
        p = f"McNemar p {p_text(paired['p'])}"
    if _may_be_chance(paired):
        return f"{one} and {other} cannot be told apart: {_amount(paired, p)}"
    return f"{one} is {'worse' if _loses(paired) else 'better'} than {other} by {_amount(paired, p)}"


def _brief_verdict(other: str, paired: Mapping[str, Any]) -> str:
    """``better than majority by 1.80 F1 (95% interval 0.30 to 3.30, p = 0.02)``."""
    if "low" not in paired and paired["difference"] == 0:
        return f"equal to {other} in {_unit(paired)}"
    amount = _amount(paired, f"p {p_text(paired['p'])}" if "p" in paired else "")
    if "low" in paired and _may_be_chance(paired):
        return f"cannot be told apart from {other}: {amount}"
    return f"{'loses to' if _loses(paired) else 'better than'} {other} by {amount}"


def _amount(paired: Mapping[str, Any], p: str) -> str:
    """The difference and how sure it is; with signs, as a - b, only where that may be chance."""
    chance = "low" in paired and _may_be_chance(paired)
    digits, difference, sign = _digits(paired), paired["difference"], "+" if chance else ""
    size = f"{difference if chance else abs(difference):{sign}.{digits}f} {_unit(paired)}"
    if "low" not in paired:
        return size
    low, high = (paired["low"], paired["high"]) if chance or difference > 0 else (-paired["high"], -paired["low"])
    return f"{size} ({100 * paired['level']:.0f}% interval {low:{sign}.{digits}f} to {high:{sign}.{digits}f}, {p})"


def _unit(paired: Mapping[str, Any]) -> str:
    return str(paired.get("metric", "points"))


def _loses(paired: Mapping[str, Any]) -> bool:
    return bool((paired["difference"] > 0) == paired.get("less_is_better", False) and paired["difference"] != 0)


def _may_be_chance(paired: Mapping[str, Any]) -> bool:
    return bool(paired["low"] <= 0 <= paired["high"] or paired["p"] >= _LEVEL)


def _digits(paired: Mapping[str, Any]) -> int:
    """Behind the point: two, or more where all that is said is small."""
    size = max(abs(paired.get(name, 0.0)) for name in ("difference", "low", "high"))
    if size == 0 or size >= _COARSE:
        return 2
    return 4 if size >= _FINE else 1 - math.floor(math.log10(size))


def p_text(p: float) -> str:
    """``= 0.02``, a probability as people read it; never 0."""
    return f"< {_SMALLEST:g}" if p < _SMALLEST else f"= {p:.2g}"


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
