"""Several models as one. Shapes: B sequences, T tokens, S source positions, V rows of the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.stepper import LogProbs, State, Stepper
from seqcli.errors import usage_error


class Ensemble:
    """A `Stepper` whose probabilities are the mean of those of several models of the same vocabulary.

    Args:
        shares: what each counts in the mean; together 1. None: all the same.

    Raises:
        UserError: vocabularies of different sizes (2), found at the first token.
    """

    def __init__(self, models: Sequence[Stepper], shares: Sequence[float] | None = None) -> None:
        if not models:
            raise ValueError("an ensemble of no models")
        self.models = tuple(models)
        self.shares = shares or [1 / len(models)] * len(models)

    def start(self, count: int) -> tuple[LogProbs, tuple[State, ...]]:
        return self._together([model.start(count) for model in self.models])

    def read(self, ids_BT: NDArray[np.int64], state: tuple[State, ...]) -> tuple[LogProbs, tuple[State, ...]]:
        return self._together([model.read(ids_BT, one) for model, one in zip(self.models, state, strict=True)])

    def select(self, state: tuple[State, ...], rows: NDArray[np.int64]) -> tuple[State, ...]:
        return tuple(model.select(one, rows) for model, one in zip(self.models, state, strict=True))

    def score(self, sequences: Sequence[NDArray[np.int64]], *, headed: bool = False) -> list[NDArray[np.float64]]:
        each = [model.score(sequences, headed=headed) for model in self.models]
        return [log_mean(scores, self.shares) for scores in zip(*each, strict=True)]

    def attention(self, state: tuple[State, ...]) -> NDArray[np.float32] | None:
        """The mean of the models that have attention."""
        weights = [model.attention(one) for model, one in zip(self.models, state, strict=True)]
        given = [one for one in weights if one is not None]
        return np.mean(given, axis=0) if given else None

    def _together(self, answers: Sequence[tuple[LogProbs, State]]) -> tuple[LogProbs, tuple[State, ...]]:
        sizes = [log_probs.shape[1] for log_probs, _ in answers]
        if len(set(sizes)) > 1:
            raise usage_error(f"an ensemble needs one vocabulary, not rows of {', '.join(map(str, sizes))} tokens")
        mean = log_mean([log_probs for log_probs, _ in answers], self.shares)
        return mean, tuple(state for _, state in answers)


def log_mean(log_probs: Sequence[NDArray[Any]], shares: Sequence[float]) -> NDArray[Any]:
    """ln of the weighted mean of probabilities; much faster than `numpy.logaddexp`, and exact for one model."""
    highest = np.maximum.reduce(log_probs)
    highest = np.where(highest == -math.inf, 0, highest)
    total = np.zeros_like(highest)
    for one, share in zip(log_probs, shares, strict=True):
        total += share * np.exp(one - highest)
    with np.errstate(divide="ignore"):
        return np.log(total) + highest
