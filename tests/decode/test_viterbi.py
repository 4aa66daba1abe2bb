"""Viterbi against every path listed, with and without forbidden steps and padding."""

import pytest
import torch
from chain_reference import brute_force, random_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.decode.viterbi import viterbi
from seqcli.models.crf import path_score


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 6),
    labels=st.integers(2, 5),
    forbidden=st.sampled_from([0.0, 0.4]),
)
def test_the_best_of_all_paths(seed, length, labels, forbidden):
    if labels**length > 1100:
        length = 4
    *scores, lengths = random_chain(seed, batch=2, length=length, labels=labels, forbidden=forbidden)
    found = viterbi(*scores, lengths)
    for row, size in enumerate(lengths.tolist()):
        _, _, best, _ = brute_force(scores[0][row, :size], *scores[1:])
        assert found[row].tolist() == best + [0] * (length - size)


def test_minus_infinity_forbids():
    emissions = torch.tensor([[[5.0, 0.0], [5.0, 0.0], [5.0, 0.0]]])
    never = float("-inf")
    transitions = torch.tensor([[never, 0.0], [0.0, never]])
    zero = torch.zeros(2)
    assert viterbi(emissions, transitions, zero, zero, torch.tensor([3])).tolist() == [[0, 1, 0]]
    start, end = torch.tensor([never, 0.0]), torch.tensor([0.0, never])
    assert viterbi(emissions[:, :2], transitions, start, zero, torch.tensor([2])).tolist() == [[1, 0]]
    assert viterbi(emissions, transitions.t() * 0, zero, end, torch.tensor([1])).tolist() == [[0, 0, 0]]


def test_padding_is_not_read():
    *scores, lengths = random_chain(11, batch=4, length=6)
    wide = torch.cat([scores[0], torch.full((4, 5, 4), 1e6, dtype=torch.float64)], dim=1)
    found = viterbi(wide, *scores[1:], lengths)
    assert found[:, :6].tolist() == viterbi(*scores, lengths).tolist()
    assert not found[:, 6:].any()


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_long_sequences(scale):
    """No path that differs in a few places scores better."""
    *scores, lengths = random_chain(13, batch=1, length=2000, scale=scale, forbidden=0.3)
    best = viterbi(*scores, lengths)
    top = path_score(*scores, best, lengths)
    assert top.isfinite().all()
    torch.manual_seed(0)
    for _ in range(50):
        other = best.clone()
        other[0, torch.randint(0, 2000, (3,))] = torch.randint(0, 4, (3,))
        assert path_score(*scores, other, lengths) <= top
