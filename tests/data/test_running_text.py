"""Batches of a language model: each token where it should be, once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.arrays import Column
from seqcli.data.batch import IGNORE
from seqcli.data.streams import CONTEXT, PARTS, SentenceData, StreamData, TokenIds
from seqcli.recipe.schema import BatchConfig

EOS = 1
relaxed = settings(max_examples=60, deadline=None)


class FakeColumns(dict):
    """A split of sentences that are ids already."""

    def __init__(self, sentences):
        offsets = np.cumsum([0, *map(len, sentences)]).astype(np.int64)
        values = np.concatenate([np.array(one, np.uint32) for one in sentences])
        super().__init__(source=Column(values, offsets, [], np.zeros(0, np.int64)))

    def place(self, row):
        return f"text.txt:{row + 1}"


def stream_of(total, *, bptt, carries, sentences=None):
    """Tokens 0, 1, 2, ... so that a token's id is its place."""
    columns = FakeColumns(sentences or [list(range(total))])
    return StreamData(
        columns, TokenIds(columns["source"], np.arange(total, dtype=np.int64)), EOS, bptt=bptt, carries=carries
    )


def inputs_fit_targets(batch, total):
    """Every input is the token before its target on the ring; <EOS> before the very first of the text."""
    for ids, targets in zip(batch.source.arrays["words_BT"], batch.target.arrays["ids_BT"], strict=True):
        for before, after in zip(ids.tolist(), targets.tolist(), strict=True):
            if after == IGNORE:
                continue
            assert before == (after - 1) % total or (after == 0 and before == EOS)


# -- measuring


@relaxed
@given(total=st.one_of(st.integers(1, 50), st.integers(1, 12_000), st.integers(1, 100_000)))
def test_measuring_counts_each_token_once_after_enough_context(total):
    """A token has read CONTEXT tokens before it, or all; parts are read side by side."""
    data = stream_of(total, bptt=16, carries=True)
    counted = []
    for (head, *ids), read in data.parts():
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert head == (ids[0] - 1 if ids[0] else EOS)
        assert read == min(CONTEXT, ids[read])
        counted += ids[read:]
    assert counted == list(range(total))
    assert len(data.parts()) <= PARTS
    assert len(data.parts()) > 1 or total < 8 * CONTEXT


@pytest.mark.parametrize("total", [1, 7, 50_000])
def test_windows_on_their_own_are_measured_as_one_text(total):
    """A model of limited context cuts it where it has to."""
    ((ids, read),) = stream_of(total, bptt=16, carries=False).parts()
    assert read == 0
    assert ids.tolist() == [EOS, *range(total)]


# -- training


@relaxed
@given(
    total=st.integers(1, 600),
    bptt=st.integers(1, 40),
    tokens=st.integers(1, 300),
    sequences=st.one_of(st.none(), st.integers(1, 9)),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_training_windows_go_round_the_ring_once(total, bptt, tokens, sequences, seed, epoch):
    data = stream_of(total, bptt=bptt, carries=True)
    batch = BatchConfig(tokens=tokens, sequences=sequences)
    order = data.training_order(batch, seed=seed, epoch=epoch)
    again = data.training_order(batch, seed=seed, epoch=epoch)
    assert all((one == two).all() for one, two in zip(order, again, strict=True))
    side = len(order[0])
    assert side <= max(1, sequences if sequences else tokens // bptt)
    for before, after in pairwise(order):
        assert (before[:, 1] == after[:, 0]).all()
    assert (
        [bool(rows[:, 2].all()) for rows in order]
        == [bool(rows[:, 2].any()) for rows in order]
        == [number == 0 for number in range(len(order))]
    )
    seen = np.zeros(total, int)
    for rows in order:
        assert len(set((rows[:, 1] - rows[:, 0]).tolist())) == 1, "windows of a batch have one length"
        made = data.batch(rows)
        targets_BT = made.target.arrays["ids_BT"]
        assert targets_BT.shape[1] <= bptt
        assert made.fresh == bool(rows[0, 2])
        assert made.positions == targets_BT.size
        assert data.widths(rows).tolist() == made.source.lengths_B.tolist()
        inputs_fit_targets(made, total)
        np.add.at(seen, targets_BT.ravel(), 1)
    assert seen.max() == 1
    assert (seen == 0).sum() == total % side


@relaxed
@given(total=st.integers(1, 600), bptt=st.integers(1, 40), tokens=st.integers(1, 300), epoch=st.integers(0, 3))
def test_windows_on_their_own_are_the_text_in_another_order(total, bptt, tokens, epoch):
    data = stream_of(total, bptt=bptt, carries=False)
    order = data.training_order(BatchConfig(tokens=tokens), seed=1, epoch=epoch)
    seen = np.zeros(total, int)
    for rows in order:
        assert rows[:, 2].all()
        batch = data.batch(rows)
        targets_BT = batch.target.arrays["ids_BT"]
        assert targets_BT.shape == (len(rows), min(bptt, total))
        assert batch.fresh
        inputs_fit_targets(batch, total)
        np.add.at(seen, targets_BT.ravel(), 1)
    assert seen.max() == 1
    assert (seen == 0).sum() == total % min(bptt, total)


def test_the_cut_moves_from_epoch_to_epoch_and_with_the_seed():
    for carries in (True, False):
        data = stream_of(500, bptt=10, carries=carries)
        orders = [
            np.concatenate(data.training_order(BatchConfig(tokens=50), seed=seed, epoch=epoch)).tolist()
            for seed, epoch in ((1, 1), (1, 2), (2, 1))
        ]
        assert len({str(order) for order in orders}) == 3
    first = stream_of(500, bptt=10, carries=True).training_order(BatchConfig(tokens=50), seed=1, epoch=0)
    assert first[0].tolist() == [[100 * part, 100 * part + 10, 1] for part in range(5)], "epoch 0 begins at the start"


def test_a_text_shorter_than_a_window():
    data = stream_of(5, bptt=64, carries=True)
    (rows,) = data.training_order(BatchConfig(tokens=2048), seed=1, epoch=0)
    batch = data.batch(rows)
    assert batch.source.arrays["words_BT"].tolist() == [[EOS, 0, 1, 2, 3]]
    assert batch.target.arrays["ids_BT"].tolist() == [[0, 1, 2, 3, 4]]


def test_a_text_of_one_token():
    for carries in (True, False):
        data = stream_of(1, bptt=64, carries=carries)
        for epoch in (0, 1):
            (rows,) = data.training_order(BatchConfig(), seed=1, epoch=epoch)
            assert data.batch(rows).target.arrays["ids_BT"].tolist() == [[0]]


def test_any_part_of_a_batch_is_a_batch():
    """Threads take parts of a batch's rows."""
    data = stream_of(100, bptt=8, carries=True)
    for rows in data.training_order(BatchConfig(tokens=40), seed=1, epoch=1):
        whole = data.batch(rows)
        parts = [data.batch(rows[:2]), data.batch(rows[2:])]
        for side, name in (("source", "words_BT"), ("target", "ids_BT")):
            joined = np.concatenate([getattr(part, side).arrays[name] for part in parts])
            assert joined.tolist() == getattr(whole, side).arrays[name].tolist()
        assert {part.fresh for part in parts} == {whole.fresh}


def test_places_name_the_line_where_a_window_begins():
    data = stream_of(10, bptt=4, carries=True, sentences=[[0, 1, 2], [3], [4, 5, 6, 7, 8, 9]])
    rows = np.array([[0, 4, 1], [3, 7, 1], [4, 8, 1], [9, 13, 1], [12, 16, 1]])
    assert data.places(rows) == ["text.txt:1", "text.txt:2", "text.txt:3", "text.txt:3", "text.txt:1"]


def test_ids_of_a_ring():
    ids = TokenIds(FakeColumns([[0, 1, 2, 1]])["source"], np.array([5, 6, 7], np.int64))
    assert len(ids) == 4
    assert ids[1:3].tolist() == [6, 7]
    assert ids.ring(-1, 2).tolist() == [6, 5, 6]
    assert ids.ring(3, 10).tolist() == [6, 5, 6, 7, 6, 5, 6]


# -- sentences


@pytest.fixture
def sentences():
    columns = FakeColumns([[5, 6, 1], [1], [7, 5, 6, 1]])
    return SentenceData(columns, TokenIds(columns["source"], np.arange(8, dtype=np.int64)), EOS)


def test_a_sentence_begins_with_its_start_and_ends_in_eos(sentences):
    batch = sentences.batch(np.array([2, 1, 0]))
    assert batch.source.arrays["words_BT"].tolist() == [[1, 7, 5, 6], [1, 0, 0, 0], [1, 5, 6, 0]]
    assert batch.target.arrays["ids_BT"].tolist() == [[7, 5, 6, 1], [1, -100, -100, -100], [5, 6, 1, -100]]
    assert batch.source.lengths_B.tolist() == batch.target.lengths_B.tolist() == [4, 1, 3]
    assert batch.fresh
    assert sentences.places(np.array([2, 0])) == ["text.txt:3", "text.txt:1"]


def test_each_sentence_is_in_an_epoch_once(sentences):
    for order in (sentences.training_order(BatchConfig(tokens=4), seed=1, epoch=2), sentences.measuring_order(4)):
        assert sorted(np.concatenate([*order]).tolist()) == [0, 1, 2]
