"""Gaps filled by hand, and against numpy's interpolation."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.gaps import interpolated, last_known, steps_since

NAN = math.nan
SERIES = np.array([[NAN, NAN], [1, NAN], [NAN, NAN], [NAN, NAN], [4, NAN], [NAN, NAN]])


def column(values):
    return [None if math.isnan(value) else value for value in values]


def test_by_hand():
    assert column(last_known(SERIES)[:, 0]) == [None, 1, 1, 1, 4, 4]
    assert steps_since(SERIES)[:, 0].tolist() == [math.inf, 0, 1, 2, 0, 1]
    assert column(interpolated(SERIES)[:, 0]) == [1, 1, 2, 3, 4, 4]
    assert np.isnan(interpolated(SERIES)[:, 1]).all()
    assert np.isnan(last_known(SERIES)[:, 1]).all()
    assert np.isinf(steps_since(SERIES)[:, 1]).all()


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
    for fill in (last_known, steps_since, interpolated):
        np.testing.assert_array_equal(fill(batch), [fill(SERIES), fill(SERIES[::-1])])
