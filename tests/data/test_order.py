"""Batches: every row once, within the budget, and the same order for the same (seed, epoch)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data import order
from seqcli.data.batch import Batch, Side, pad_frames, pad_ids
from seqcli.data.order import epoch_batches, sorted_batches

lengths_lists = st.lists(st.integers(0, 60), max_size=120).map(lambda values: np.array(values, np.int64))
quick = settings(max_examples=80, deadline=None, derandomize=True)


def check(batches, lengths, tokens, sequences):
    rows = np.concatenate(batches) if batches else np.zeros(0, np.int64)
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) >= 1
        assert len(batch) == 1 or len(batch) * max(1, lengths[batch].max()) <= tokens
        assert sequences is None or len(batch) <= sequences


@quick
@given(lengths_lists, st.integers(1, 200), st.none() | st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_each_row_once_within_the_budget_and_reproducible(lengths, tokens, sequences, seed, epoch):
    batches = epoch_batches(lengths, tokens=tokens, sequences=sequences, seed=seed, epoch=epoch)
    check(batches, lengths, tokens, sequences)
    again = epoch_batches(lengths, tokens=tokens, sequences=sequences, seed=seed, epoch=epoch)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]


@quick
@given(lengths_lists, st.integers(1, 200), st.none() | st.integers(1, 9))
def test_sorted_batches(lengths, tokens, sequences):
    batches = sorted_batches(lengths, tokens=tokens, sequences=sequences)
    check(batches, lengths, tokens, sequences)
    if batches:
        assert (np.diff(lengths[np.concatenate(batches)]) >= 0).all()


def test_another_epoch_or_seed_is_another_order():
    lengths = np.random.default_rng(0).integers(1, 50, 300)
    orders = {
        (seed, epoch): np.concatenate(epoch_batches(lengths, tokens=256, sequences=None, seed=seed, epoch=epoch))
        for seed in (1, 2)
        for epoch in (0, 1)
    }
    assert len({order.tobytes() for order in orders.values()}) == 4


def test_like_lengths_share_a_batch():
    """Little padding, and the batches themselves come in no order of length."""
    lengths = np.random.default_rng(1).integers(1, 100, 2000)
    batches = epoch_batches(lengths, tokens=2048, sequences=None, seed=1, epoch=0)
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    assert padded < 1.15 * lengths.sum()
    longest = [int(lengths[batch].max()) for batch in batches]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_padding_of_ids():
    found = pad_ids(np.array([5, 6, 7, 8]), np.array([3, 0, 1]))
    assert found.tolist() == [[5, 6, 7], [0, 0, 0], [8, 0, 0]]
    assert pad_ids(np.array([5]), np.array([1, 0]), fill=-1).tolist() == [[5], [-1]]
    assert pad_ids(np.zeros(0, np.int64), np.array([0, 0])).shape == (2, 1)
    assert pad_ids(np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == (0, 1)
    side = Side({"index_BT": found}, np.array([3, 0, 1]))
    assert Batch(side, side, np.arange(3)).positions == 4


def test_padding_of_frames():
    found = pad_frames([np.ones((1, 2), np.float32), np.zeros((0, 2), np.float32), np.full((3, 2), 2, np.float32)])
    assert found.dtype == np.float32
    assert found[:, :, 0].tolist() == [[1, 0, 0], [0, 0, 0], [2, 2, 2]]
    assert pad_frames([np.zeros((0, 2), np.float32)]).shape == (1, 1, 2)


@pytest.mark.parametrize("lengths", [[], [0], [10**6]])
def test_odd_corpora(lengths):
    array = np.array(lengths, np.int64)
    assert [batch.tolist() for batch in epoch_batches(array, tokens=8, sequences=None, seed=1, epoch=0)] == [
        [row] for row in range(len(lengths))
    ]


def test_a_corpus_of_several_pools(monkeypatch):
    """Each pool is a random sample of the whole, and the order is as good as with one pool."""
    monkeypatch.setattr(order, "_POOL", 500)
    lengths = np.random.default_rng(2).integers(1, 40, 2000)
    batches = epoch_batches(lengths, tokens=256, sequences=None, seed=3, epoch=1)
    check(batches, lengths, 256, None)
    assert sum(len(batch) * int(lengths[batch].max()) for batch in batches) < 1.3 * lengths.sum()
    assert [batch.tolist() for batch in batches[3:6]] == [batches[number].tolist() for number in (3, 4, 5)]
    spread = [int(batch.max() - batch.min()) for batch in batches if len(batch) > 8]
    assert min(spread) > 500
