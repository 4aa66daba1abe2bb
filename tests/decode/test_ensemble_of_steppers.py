"""An ensemble of one is that one; of several, the mean of their probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from bigram import Bigrams

from seqcli.decode.ensemble import Ensemble
from seqcli.decode.generate import GenerateOptions, generate
from seqcli.errors import ExitCode, UserError

FIRST = [[0.2, 0.3, 0.5], [0.6, 0.4, 0], [1, 0, 0]]
SECOND = [[0.4, 0.5, 0.1], [0.2, 0.8, 0], [0.5, 0.5, 0]]


class Looking(Bigrams):
    """Looks at one position of the source, whatever it has read."""

    def __init__(self, table: object, weights_S: list[float]) -> None:
        super().__init__(table, eos=0)
        self.weights_S = np.array(weights_S, np.float32)

    def attention(self, state: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return np.tile(self.weights_S, (len(state), 1))

    def score(self, sequences: list[np.ndarray], *, headed: bool = False) -> list[np.ndarray]:
        return [scores[int(headed) :] for scores in super().score(sequences)]


def test_of_one() -> None:
    one = Looking(FIRST, [0.3, 0.7])
    ensemble = Ensemble([one])
    options = GenerateOptions(beam=3, best=3, max_length=4)
    assert generate(ensemble, 2, options, eos=0) == generate(one, 2, options, eos=0)
    log_probs, state = ensemble.start(2)
    assert log_probs.dtype == np.float32
    assert (log_probs == one.start(2)[0]).all()
    attention = ensemble.attention(state)
    assert attention is not None
    assert (attention == one.attention(np.zeros(2))).all()
    sequence = np.array([1, 1, 0])
    assert (ensemble.score([sequence])[0] == one.score([sequence])[0]).all()


@pytest.mark.filterwarnings("error")
def test_of_two_by_hand() -> None:
    ensemble = Ensemble([Looking(FIRST, [0.2, 0.8]), Looking(SECOND, [1, 0])])
    log_probs, state = ensemble.start(2)
    assert np.exp(log_probs) == pytest.approx(np.array([[0.3, 0.4, 0.3]] * 2))
    log_probs, state = ensemble.read(np.array([[1], [2]]), state)
    assert np.exp(log_probs) == pytest.approx(np.array([[0.4, 0.6, 0], [0.75, 0.25, 0]]))
    assert np.isneginf(log_probs[:, 2]).all()
    swapped = ensemble.select(state, np.array([1, 0, 1]))
    log_probs, _ = ensemble.read(np.array([[1], [2], [1]]), swapped)
    assert np.exp(log_probs) == pytest.approx(np.array([[0.4, 0.6, 0], [0.75, 0.25, 0], [0.4, 0.6, 0]]))
    attention = ensemble.attention(state)
    assert attention == pytest.approx(np.array([[0.6, 0.4]] * 2))
    whole, tail = np.array([1, 1, 0]), np.array([1, 1, 0])
    assert np.exp(ensemble.score([whole])[0]) == pytest.approx([0.4, 0.6, 0.4])
    assert np.exp(ensemble.score([tail], headed=True)[0]) == pytest.approx([0.6, 0.4])


def test_improbable_tokens_keep_their_probability() -> None:
    one, other = Bigrams(FIRST, eos=0), Bigrams(FIRST, eos=0)
    one.log_probs_VV[0], other.log_probs_VV[0] = [0, -200, -300], [0, -200 - np.log(3), -301]
    log_probs, state = Ensemble([one, other]).start(1)
    assert log_probs[0, 1] == pytest.approx(-200 + np.log(2 / 3))
    assert np.isfinite(log_probs).all()
    assert Ensemble([one, other]).attention(state) is None
    assert Ensemble([one, Looking(FIRST, [1, 0])]).attention(state) == pytest.approx(np.array([[1, 0]]))


def test_vocabularies_of_different_sizes() -> None:
    with pytest.raises(UserError, match="an ensemble needs one vocabulary, not rows of 3, 2 tokens") as caught:
        Ensemble([Bigrams(FIRST, eos=0), Bigrams([[0.5, 0.5]] * 2, eos=0)]).start(1)
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(ValueError, match="no models"):
        Ensemble([])
