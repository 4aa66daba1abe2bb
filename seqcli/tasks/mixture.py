"""A network and models fitted in one go as one: the mixture of what they say.

Shapes: B sequences, M models, N targets (labels, or next tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Outputs, Side
from seqcli.decode.ensemble import Ensemble, log_mean
from seqcli.decode.stepper import Stepper
from seqcli.tasks.base import CountsEngine, Engine

MOST_STEPS, LEAST_MOVE = 1000, 1e-6
"""When the search for shares ends."""

SHARES = "shares"
"""Name of the shares among the arrays of the models beside a network."""


class Mixture(CountsEngine):
    """A network's probabilities and those of models fitted in one go, each with its share; the network's is the first."""

    flat = False

    def __init__(self, network: Engine, counts: Sequence[Engine], shares: Sequence[float]) -> None:
        self.network, self.counts, self.shares = network, counts, shares
        self.parallel, self.positions = network.parallel, network.positions

    def outputs(self, source: Side) -> Outputs:
        words = flat(source)
        each = [self.network.outputs(source), *(one.outputs(words) for one in self.counts)]
        return {name: log_mean([one[name] for one in each], self.shares) for name in each[0]}

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        return Ensemble([one.stepper() for one in (self.network, *self.counts)], self.shares)


def flat(source: Side) -> Side:
    """The words of padded texts one after the other, as a model of counts reads them."""
    index_BT = source.arrays["index_BT"]
    real_BT = np.arange(index_BT.shape[1]) < source.lengths_B[:, None]
    return Side({"values": source.arrays["words_U"][index_BT[real_BT]]}, source.lengths_B)


def best_shares(log_probs: Sequence[NDArray[Any]]) -> list[float]:
    """The shares of some models that make the targets most probable, by expectation maximization.

    The likelihood of a mixture is concave in its shares, so there is no other best. Targets that no model holds possible
    say nothing; without others all have the same share.

    Args:
        log_probs: of each model ln p of each target, [N].
    """
    log_probs_MN = np.stack(log_probs)
    log_probs_MN = log_probs_MN[:, np.isfinite(log_probs_MN.max(0))]
    shares_M = np.full(len(log_probs), 1 / len(log_probs))
    if not log_probs_MN.size:
        return list(map(float, shares_M))
    probs_MN = np.exp(log_probs_MN - log_probs_MN.max(0))
    for _ in range(MOST_STEPS):
        joint_MN = shares_M[:, None] * probs_MN
        after_M = (joint_MN / joint_MN.sum(0)).mean(1)
        moved, shares_M = np.abs(after_M - shares_M).max(), after_M
        if moved < LEAST_MOVE:
            break
    return list(map(float, shares_M / shares_M.sum()))
