"""A network and a model fitted in one go as one: the mixture of what both say.

Shapes: B sequences, N targets (labels, or next tokens), V rows of the vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Outputs, Side
from seqcli.decode.ensemble import Ensemble, log_mean
from seqcli.decode.stepper import Stepper
from seqcli.tasks.base import CountsEngine, Engine

SHARE = "share"
"""Name of the share among the arrays of the model of counts."""


class Mixture(CountsEngine):
    """``share`` of the probability is what ``counts`` says, the rest the network's."""

    flat = False

    def __init__(self, network: Engine, counts: Engine, share: float) -> None:
        self.network, self.counts, self.shares = network, counts, (1 - share, share)
        self.parallel, self.positions = network.parallel, network.positions

    def outputs(self, source: Side) -> Outputs:
        both = [engine.outputs(side) for engine, side in ((self.network, source), (self.counts, flat(source)))]
        return {name: log_mean([one[name] for one in both], self.shares) for name in both[0]}

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        return Ensemble([self.network.stepper(), self.counts.stepper()], self.shares)


def flat(source: Side) -> Side:
    """The words of padded texts one after the other, as a model of counts reads them."""
    index_BT = source.arrays["index_BT"]
    real_BT = np.arange(index_BT.shape[1]) < source.lengths_B[:, None]
    return Side({"values": source.arrays["words_U"][index_BT[real_BT]]}, source.lengths_B)


def best_share(network_N: NDArray[Any], counts_N: NDArray[Any]) -> float:
    """The share of counts, in hundredths, that makes the targets most probable.

    Args:
        network_N, counts_N: ln p of each target by the network and by the model of counts.
    """
    shares = [number / 100 for number in range(101)]
    return max(shares, key=lambda share: _mean(network_N, counts_N, share))


def _mean(network_N: NDArray[Any], counts_N: NDArray[Any], share: float) -> float:
    return float(np.mean(log_mean([network_N, counts_N], (1 - share, share))))
