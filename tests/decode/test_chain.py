"""The chain in numpy against every path listed, and against what training computes."""

import warnings

import numpy as np
import pytest
import torch
from chain_reference import brute_force, random_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.decode import chain
from seqcli.models import crf


def arrays(tensors):
    return [tensor.numpy() for tensor in tensors]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 5),
    labels=st.integers(2, 4),
    forbidden=st.sampled_from([0.0, 0.4]),
)
def test_every_path_listed(seed, length, labels, forbidden):
    *scores, lengths = random_chain(seed, batch=2, length=length, labels=labels, forbidden=forbidden)
    numbers = [*arrays(scores), lengths.numpy()]
    paths_BT = chain.viterbi(*numbers)
    chances_BTK, log_z_B = chain.posteriors(*numbers), chain.log_partition(*numbers)
    best_B = chain.path_score(*numbers[:4], paths_BT, numbers[4])
    for row, size in enumerate(lengths.tolist()):
        log_z, posteriors_TK, best, score = brute_force(scores[0][row, :size], *scores[1:])
        assert paths_BT[row].tolist() == best + [0] * (length - size)
        assert best_B[row] == pytest.approx(score.item(), abs=1e-10)
        assert log_z_B[row] == pytest.approx(log_z.item(), abs=1e-9)
        np.testing.assert_allclose(chances_BTK[row, :size], posteriors_TK.numpy(), atol=1e-9)
        assert not chances_BTK[row, size:].any()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 9),
    length=st.integers(1, 40),
    labels=st.integers(1, 20),
    kind=st.sampled_from([torch.float32, torch.float64]),
    forbidden=st.sampled_from([0.0, 0.4]),
)
def test_equal_to_what_training_computes(seed, batch, length, labels, kind, forbidden):
    *scores, lengths = random_chain(seed, batch=batch, length=length, labels=labels, forbidden=forbidden)
    scores = [score.to(kind) for score in scores]
    numbers = [*arrays(scores), lengths.numpy()]
    exact = kind == torch.float64
    emissions = scores[0].requires_grad_()
    log_z_B = crf.log_partition(emissions, *scores[1:], lengths)
    (marginals_BTK,) = torch.autograd.grad(log_z_B.sum(), emissions)
    rtol, atol = (1e-11, 1e-15) if exact else (1e-6, 1e-8)  # the loss is rounded to the scores' type
    np.testing.assert_allclose(chain.log_partition(*numbers), log_z_B.detach().numpy(), rtol=rtol)
    np.testing.assert_allclose(chain.posteriors(*numbers), marginals_BTK.numpy(), rtol=rtol, atol=atol)
    paths_BT = chain.viterbi(*numbers)
    expected = crf.path_score(emissions.detach(), *scores[1:], torch.from_numpy(paths_BT), lengths).numpy()
    np.testing.assert_allclose(chain.path_score(*numbers[:4], paths_BT, numbers[4]), expected, rtol=1e-5)


def test_minus_infinity_forbids():
    never = -np.inf
    emissions = np.array([[[5.0, 0.0], [5.0, 0.0], [5.0, 0.0]]])
    transitions, zero = np.array([[never, 0.0], [0.0, never]]), np.zeros(2)
    lengths = np.array([3])
    assert chain.viterbi(emissions, transitions, zero, zero, lengths).tolist() == [[0, 1, 0]]
    chances_BTK = chain.posteriors(emissions, transitions, zero, zero, lengths)
    np.testing.assert_allclose(chances_BTK.sum(-1), 1)
    assert chances_BTK[0, 0, 0] == pytest.approx(1 / (1 + np.exp(-5.0)))
    start, end = np.array([never, 0.0]), np.array([0.0, never])
    assert chain.viterbi(emissions[:, :2], transitions, start, zero, np.array([2])).tolist() == [[1, 0]]
    assert chain.viterbi(emissions, zero[:, None] + zero, zero, end, np.array([1])).tolist() == [[0, 0, 0]]


def test_padding_is_not_read():
    *scores, lengths = random_chain(11, batch=4, length=6)
    numbers = [*arrays(scores), lengths.numpy()]
    wide = [np.concatenate([numbers[0], np.full((4, 5, 4), 1e6)], axis=1), *numbers[1:]]
    for function in (chain.viterbi, chain.posteriors):
        found = function(*wide)
        np.testing.assert_allclose(found[:, :6], function(*numbers), rtol=1e-12)
        assert not found[:, 6:].any()
    np.testing.assert_allclose(chain.log_partition(*wide), chain.log_partition(*numbers), rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_long_sequences_stay_numbers(scale):
    *scores, lengths = random_chain(13, batch=1, length=2000, scale=scale, forbidden=0.3)
    numbers = [*arrays(scores), lengths.numpy()]
    best = chain.viterbi(*numbers)
    top = chain.path_score(*numbers[:4], best, numbers[4])
    assert np.isfinite(top).all()
    random = np.random.default_rng(0)
    for _ in range(50):  # no path that differs in a few places scores better
        other = best.copy()
        other[0, random.integers(0, 2000, 3)] = random.integers(0, 4, 3)
        assert chain.path_score(*numbers[:4], other, numbers[4]) <= top
    assert (top <= chain.log_partition(*numbers)).all()
    np.testing.assert_allclose(chain.posteriors(*numbers).sum(-1), 1, atol=1e-9)


def test_scores_of_any_size_warn_of_nothing():
    """Starts and ends beyond what exp can take count as they are; where no path is left there is no number."""
    emissions_BTK, transitions_KK = np.zeros((1, 2, 2), np.float32), np.zeros((2, 2), np.float32)
    start_K = end_K = np.array([1000, 0], np.float32)
    lengths_B = np.array([2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chain.log_partition(emissions_BTK, transitions_KK, start_K, end_K, lengths_B) == [2000]
        found_BTK = chain.posteriors(emissions_BTK, transitions_KK, start_K, end_K, lengths_B)
        assert found_BTK.tolist() == [[[1, 0], [1, 0]]]
        apart_BTK = np.array([[[1e30, 0], [0, 1e30]]], np.float32)
        never_KK = np.array([[0, -10000], [0, 0]], np.float32)
        assert np.isnan(chain.log_partition(apart_BTK, never_KK, start_K, end_K, lengths_B)).all()
        assert np.isnan(chain.posteriors(apart_BTK, never_KK, start_K, end_K, lengths_B)).any()
