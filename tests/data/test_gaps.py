"""Gaps filled by hand, and against numpy's interpolation."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.gaps import Hiding, interpolated, last_known, surroundings

NAN = math.nan
SERIES = np.array([[NAN, NAN], [1, NAN], [NAN, NAN], [NAN, NAN], [4, NAN], [NAN, NAN]])


def column(values):
    return [None if math.isnan(value) else value for value in values]


def test_by_hand():
    assert column(last_known(SERIES)[:, 0]) == [None, 1, 1, 1, 4, 4]
    assert column(interpolated(SERIES)[:, 0]) == [1, 1, 2, 3, 4, 4]
    assert np.isnan(interpolated(SERIES)[:, 1]).all()
    assert np.isnan(last_known(SERIES)[:, 1]).all()


def test_what_stands_around_by_hand():
    around = surroundings(SERIES)
    assert around.before[:, 0].tolist() == [0, 1, 1, 1, 4, 4]
    assert around.after[:, 0].tolist() == [1, 1, 4, 4, 4, 0]
    assert around.since[:, 0].tolist() == [math.inf, 0, 1, 2, 0, 1]
    assert around.until[:, 0].tolist() == [1, 0, 2, 1, 0, math.inf]
    assert around.line[:, 0].tolist() == [1, 1, 2, 3, 4, 4]
    assert [part[:, 1].tolist() for part in around] == [[0] * 6, [0] * 6, [math.inf] * 6, [math.inf] * 6, [0] * 6]
    assert {part.dtype.name for part in surroundings(SERIES.astype(np.float32))} == {"float32"}


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_as_numpy_interpolates(values):
    values = np.array([NAN if value is None else value for value in values])
    found = interpolated(values[:, None])[:, 0]
    there = np.flatnonzero(~np.isnan(values))
    if len(there):
        np.testing.assert_allclose(found, np.interp(np.arange(len(values)), there, values[there]), atol=1e-6)
    else:
        assert np.isnan(found).all()


def test_a_batch_is_its_series():
    batch = np.stack([SERIES, SERIES[::-1]])
    for fill in (last_known, interpolated):
        np.testing.assert_array_equal(fill(batch), [fill(SERIES), fill(SERIES[::-1])])


def test_points_hide_about_their_share_and_never_what_is_not_there():
    there = np.random.default_rng(0).random((400, 5)) < 0.8
    hiding = Hiding(0.1)
    patterns = [hiding.hidden(there, np.random.default_rng(1), number) for number in range(10)]
    assert not any((hidden & ~there).any() for hidden in patterns)
    assert 0.07 < patterns[0].sum() / there.sum() < 0.13
    np.testing.assert_array_equal(np.sum(patterns, 0), there)  # each value once


def test_blocks_hide_whole_stretches():
    there = np.ones((600, 3), bool)
    hidden = Hiding(0.2, "blocks", 6).hidden(there, np.random.default_rng(2))
    assert (hidden.any(1) == hidden.all(1)).all()
    lengths = np.diff(np.flatnonzero(np.diff(hidden[:, 0], prepend=0, append=0)))[::2]
    assert set(lengths % 6) <= {0} | {lengths[0] % 6, lengths[-1] % 6}
    assert 0.1 < hidden.mean() < 0.3
    assert Hiding(0.2, "blocks", 6).name == "20% in blocks of 6"
