"""What a model of the next token offers to whoever generates with it or scores with it, whatever it is made of.

Shapes: B sequences, T tokens, S source positions, V rows of the vocabulary. Arrays are numpy's, so that a model of counts needs no torch.
Probabilities are natural logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

State = Any
"""What a model remembers of the tokens it has read; only the model that gave it knows what is in it."""

LogProbs = NDArray[np.floating[Any]]


class Reader(Protocol):
    """What a search asks for the next token, given those before it."""

    def start(self, count: int) -> tuple[LogProbs, State]:
        """``(ln p of the first token [B, V], state)`` of ``count`` sequences that have read nothing yet.

        A model bound to sources is asked for as many as it has and gives one for each, in their order.
        """

    def read(self, ids_BT: NDArray[np.int64], state: State) -> tuple[LogProbs, State]:
        """Read T >= 1 more tokens of each sequence: ``(ln p of the token after them [B, V], new state)``.

        The state given stays as it was, so that several continuations can start from it.
        """

    def select(self, state: State, rows: NDArray[np.int64]) -> State:
        """The state of some of the sequences, in the order of ``rows``; a row may come more than once."""

    def attention(self, state: State) -> NDArray[np.float32] | None:
        """Where the model looked in the source when it made the log-probabilities that came with this state.

        Weights [B, S], 0 at padding; None from a model without a source or without attention.
        """


class Stepper(Reader, Protocol):
    """A model of the next token, given those before it; that of an encoder-decoder is bound to its sources."""

    def score(self, sequences: Sequence[NDArray[np.int64]], *, headed: bool = False) -> list[NDArray[np.float64]]:
        """ln p of each token of each sequence, read from the start; <EOS> is a token like any other.

        ``headed``: of each but the first, which is only read, as the token that the second one follows.
        """
