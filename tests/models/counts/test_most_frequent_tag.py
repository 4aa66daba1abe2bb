"""The tag a word has most often: by hand."""

import numpy as np
import pytest

from seqcli.errors import UserError
from seqcli.models.counts.base import Labelled, Sizes
from seqcli.models.counts.most_frequent_tag import MostFrequentTag
from seqcli.recipe.models import MostFrequentTagConfig

SIZES = Sizes(words=4, classes=2)


def fitted():
    data = Labelled(np.array([2, 2, 2, 3]), np.array([0, 4]), np.array([0, 0, 1, 1]))
    return MostFrequentTag.fit(MostFrequentTagConfig(), data, SIZES)


def test_by_hand():
    """Tags 0 and 1 are each half of all; word 2 has 0 twice and 1 once, word 3 has 1; word 1 was never seen."""
    probs = np.exp(fitted().log_probs(np.array([2, 3, 1])))
    assert probs == pytest.approx(np.array([[2.5 / 4, 1.5 / 4], [0.5 / 2, 1.5 / 2], [0.5, 0.5]]))


def test_arrays_come_back_and_others_are_refused():
    model = fitted()
    again = MostFrequentTag.from_arrays(MostFrequentTagConfig(), model.arrays(), SIZES)
    assert np.array_equal(again.log_probs(np.arange(4)), model.log_probs(np.arange(4)))
    with pytest.raises(UserError, match=r"no table of tags: 'log_probs' is float32\[4, 2\], not float32\[5, 2\]"):
        MostFrequentTag.from_arrays(MostFrequentTagConfig(), model.arrays(), Sizes(words=5, classes=2))
