"""Sampling from a model of the next token: filters of its distribution, and drawing from what they leave.

Shapes: B sequences, V rows of the vocabulary. Probabilities are natural logarithms.

Every row is worked on by itself, so a sequence comes out the same alone and in a batch, and each has random numbers of
its own: the first three of five samples are the three samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.stepper import LogProbs, Stepper
from seqcli.errors import UserError, usage_error

_AT_ONCE = 256
"""Sequences that are sampled side by side: enough for full batches, few enough for memory and whoever waits."""

_FEW = 512
_SLACK = 1e-6  # a set that reaches a share but for the rounding of float32 reaches it


@dataclass(frozen=True)
class SamplingOptions:
    """What is done to the distribution before a token is drawn, in this order.

    Each filter sees what the one before it left, renormalised; at least one token is always left.

    Attributes:
        temperature: ln p is divided by it; 1 is the model's own distribution, below 1 the likely become likelier, and 0
            is greedy.
        top_k: only the k most probable tokens (Fan et al. 2018).
        typical: only the tokens whose -ln p is nearest to the entropy, as few as have this probability together
            (locally typical sampling, Meister et al. 2023).
        top_p: only the most probable tokens, as few as have this probability together (nucleus, Holtzman et al. 2020).
        min_p: only tokens with at least this share of the most probable one's probability (Nguyen et al. 2024).
        greedy: always the most probable token; every other option is then without effect.

    Raises:
        UserError: a value out of its range (2).
    """

    temperature: float = 1.0
    top_k: int | None = None
    typical: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    greedy: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise usage_error(f"temperature must be 0 (greedy) or more, not {self.temperature:g}")
        if self.top_k is not None and self.top_k < 1:
            raise usage_error(f"top-k must be 1 or more, not {self.top_k}")
        for name, share in (("typical", self.typical), ("top-p", self.top_p)):
            if not 0 < share <= 1:
                raise usage_error(f"{name} must be above 0 and at most 1, not {share:g}")
        if not 0 <= self.min_p <= 1:
            raise usage_error(f"min-p must be from 0 to 1, not {self.min_p:g}")

    @property
    def is_greedy(self) -> bool:
        """True when nothing is left to chance."""
        return self.greedy or self.temperature == 0


class Drawn(NamedTuple):
    """One token of one sequence; ``log_prob`` is the model's own ln p(token | those before it), before any filter."""

    sequence: int
    token: int
    log_prob: float


def filtered(row: LogProbs, options: SamplingOptions) -> tuple[NDArray[np.int64] | None, LogProbs]:
    """What `SamplingOptions` leave: ``(its ids in order, or None for all; ln p, the highest about 0, not normalised)``.

    Of equally probable tokens at a border, those with the lower ids stay. A filter that leaves few tokens makes those
    after it cheap.
    """
    row = row - row.max()
    if options.is_greedy:
        return row.argmax(axis=0, keepdims=True), np.zeros_like(row[:1])
    if options.temperature != 1:
        with np.errstate(over="ignore"):  # what is far below the most probable token has no probability then
            row /= np.float32(min(max(options.temperature, 1e-30), 1e30))  # beyond, a float32 has 0 or infinity
    ids: NDArray[np.int64] | None = None
    filters: tuple[tuple[bool, Callable[[LogProbs], NDArray[np.int64]]], ...] = (
        (options.top_k is not None, lambda row: largest(row[None], options.top_k or 0)[0]),
        (options.typical < 1, lambda row: _typical(row, options.typical)),
        (options.top_p < 1, lambda row: _first(-row, np.exp(row), options.top_p)),
        (options.min_p > 0, lambda row: np.flatnonzero(row - row.max() >= math.log(options.min_p) - _SLACK)),
    )
    for wanted, choose in filters:
        if wanted:
            chosen = choose(row)
            row, ids = row[chosen], chosen if ids is None else ids[chosen]
    return ids, row


def draw(row: LogProbs, uniform: float) -> int:
    """One token by the inverse of the distribution function: the first whose cumulated p exceeds the uniform.

    Args:
        row: ln p; it need not be normalised, and a probability of 0 is never drawn.
        uniform: a number in [0, 1).
    """
    probabilities = np.exp(row)
    cumulated = np.cumsum(probabilities, dtype=np.float64)
    token = int(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"))
    # the product can round up to the sum itself
    return token if token < len(row) else int(np.flatnonzero(probabilities)[-1])


def sample(
    model: Stepper,
    prompt: Sequence[int],
    count: int,
    options: SamplingOptions,
    *,
    max_tokens: int,
    stop: int | None = None,
    seed: int = 0,
    forbidden: Collection[int] = (),
    stopped: Callable[[int], bool] = lambda sequence: False,
) -> Iterator[Drawn]:
    """Sample ``count`` sequences, `_AT_ONCE` of them together, and yield each token as it is drawn.

    Args:
        prompt: ids that each sequence begins with; may be empty.
        max_tokens: most tokens a sequence, the prompt not counted.
        stop: the token that ends a sequence (it is yielded); None when none does.
        seed: with the number of the sequence, the seed of its random numbers.
        forbidden: ids that are never drawn.
        stopped: asked after each token whether this sequence has ended for another reason.

    Raises:
        UserError: the model gives no number, or all probability to forbidden tokens (1).
    """
    read, after = model.start(1)
    if len(prompt):
        read, after = model.read(np.asarray([prompt], dtype=np.int64), after)
    barred = np.array(sorted(forbidden), dtype=np.int64)
    for begin in range(0, count, _AT_ONCE):
        alive = np.arange(begin, min(begin + _AT_ONCE, count))
        rows = np.zeros(len(alive), dtype=np.int64)
        log_probs, state = read[rows], model.select(after, rows)
        chances = {number: np.random.default_rng([seed, number]) for number in alive.tolist()}
        for left in range(max_tokens - 1, -1, -1):
            check_numbers(log_probs)
            allowed = log_probs
            if len(barred):
                allowed = log_probs.copy()
                allowed[:, barred] = -math.inf
            numbers = alive.tolist()
            tokens = np.array(
                [choose(row, options, chances[number]) for row, number in zip(allowed, numbers, strict=True)],
                dtype=np.int64,
            )
            going = np.zeros(len(alive), dtype=bool)
            for row, (number, token) in enumerate(zip(numbers, tokens.tolist(), strict=True)):
                yield Drawn(number, token, float(log_probs[row, token]))
                going[row] = token != stop and not stopped(number)
            if not left or not going.any():
                break
            if not going.all():
                alive, tokens, state = alive[going], tokens[going], model.select(state, np.flatnonzero(going))
            log_probs, state = model.read(tokens[:, None], state)


def check_numbers(log_probs: NDArray[np.floating]) -> None:
    """Raise a UserError (1) when log-probabilities are NaN or above every number."""
    highest = log_probs.max(initial=-math.inf)
    if np.isnan(highest) or highest == math.inf:
        raise UserError(
            "the model gives no number (NaN) for the next token",
            hint="Its training went wrong; train it again, with a lower learning rate.",
        )


def choose(row: LogProbs, options: SamplingOptions, chance: np.random.Generator) -> int:
    """The next token of one sequence; what is barred has ln p = -inf.

    Raises:
        UserError: no token has a probability (1).
    """
    if row.max() == -math.inf:
        raise nothing_left()
    if options.is_greedy:
        return int(row.argmax())
    ids, left = filtered(row, options)
    drawn = draw(left, chance.random())
    return drawn if ids is None else int(ids[drawn])


def nothing_left() -> UserError:
    """The error of a model that gives no probability to what is allowed."""
    return UserError("the model gives no probability to any token that can be drawn")


def largest(values_BN: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Index [B, count] of the largest values of each row, rising; of equal values those with the lower index.

    With fewer than ``count`` values, all of them.
    """
    rows, size = values_BN.shape
    if count >= size:
        return np.broadcast_to(np.arange(size), (rows, size))
    if count == 1:
        return values_BN.argmax(axis=1)[:, None]
    border_B1 = np.partition(values_BN, size - count)[:, size - count, None]
    taken_BN = values_BN >= border_B1
    if np.count_nonzero(taken_BN) > rows * count:
        above_BN, ties_BN = values_BN > border_B1, values_BN == border_B1
        missing_B1 = count - above_BN.sum(axis=1, keepdims=True)
        taken_BN = above_BN | ties_BN & (ties_BN.cumsum(axis=1) <= missing_B1)
    return taken_BN.nonzero()[1].reshape(rows, count)


def _typical(row: LogProbs, share: float) -> NDArray[np.int64]:
    probabilities = np.exp(row)
    total = float(probabilities.sum(dtype=np.float64))
    possible = np.where(probabilities > 0, row, 0)  # 0 ln 0 = 0
    entropy = math.log(total) - float(np.dot(probabilities, possible)) / total
    return _first(np.abs(row + np.float32(entropy - math.log(total))), probabilities, share)


def _first(keys: NDArray[np.float32], weights: NDArray[np.float32], share: float) -> NDArray[np.int64]:
    """The entries with the smallest keys, as few as have this share of all weights; of equal keys the first."""
    goal = float(weights.sum(dtype=np.float64)) * share * (1 - _SLACK)
    some = np.arange(0)
    if len(keys) > 2 * _FEW:  # the few smallest are mostly enough, and sorting all takes far longer
        some = np.flatnonzero(keys < np.partition(keys, _FEW)[_FEW])
    if not len(some) or float(weights[some].sum(dtype=np.float64)) < goal:
        some = np.arange(len(keys))
    order = some[np.argsort(keys[some])]
    last = keys[order[_reach(weights[order], goal)]]
    below, ties = some[keys[some] < last], some[keys[some] == last]
    missing = goal - float(weights[below].sum(dtype=np.float64))
    return np.sort(np.concatenate([below, ties[: _reach(weights[ties], missing) + 1]]))


def _reach(weights: NDArray[np.float32], goal: float) -> int:
    """Index of the entry with which the sum from the first on comes to ``goal``; the last where rounding is against."""
    return min(int(np.searchsorted(np.cumsum(weights, dtype=np.float64), goal)), len(weights) - 1)
