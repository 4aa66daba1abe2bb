"""Whole words out of a model of letters: against listing every word there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.decode.words import best_words


class Letters:
    """Each letter decides the next one by a table of probabilities; id 0 ends a word."""

    def __init__(self, table):
        self.log_probs = np.log(table).astype(np.float32)

    def start(self, count):
        return np.repeat(self.log_probs[:1], count, axis=0), np.zeros(count, np.int64)

    def read(self, ids_BT, state):
        return self.log_probs[ids_BT[:, -1]], ids_BT[:, -1]


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_best_words_are_those_of_a_list_of_all(seed, count):
    table = np.random.default_rng(seed).dirichlet(np.ones(4), size=4) + 1e-6
    table /= table.sum(1, keepdims=True)
    model = Letters(table)
    every = {}
    for length in range(1, 5):
        for word in itertools.product((1, 2, 3), repeat=length):
            path = [0, *word, 0]
            every[word] = np.prod([table[a, b] for a, b in itertools.pairwise(path)])
    expected = sorted(every.values(), reverse=True)[:count]
    found = best_words(model, *model.start(1), np.array([0]), count, longest=4)
    assert [probability for _, probability in found] == pytest.approx(expected, rel=1e-4)
    for ids, probability in found:
        assert every[tuple(ids)] == pytest.approx(probability, rel=1e-4)


def test_forbidden_letters_are_in_no_word():
    model = Letters(np.full((4, 4), 0.25))
    found = best_words(model, *model.start(1), np.array([0]), 5, forbidden=[2])
    assert len(found) == 5
    assert all(2 not in ids for ids, _ in found)
