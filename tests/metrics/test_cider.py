"""CIDEr-D and ROUGE-L against values of the COCO caption evaluation (pycocoevalcap 1.2) on made-up sentences."""

from __future__ import annotations

import numpy as np
import pytest

from seqcli.metrics.captions import CiderD, rouge_l

TEXTS = [
    "a dog runs on the grass",
    "two cats sleep on a red sofa",
    "a man rides a bike",
    "children play",
    "the the the boat boat",
]
REFERENCES = [
    ["a brown dog runs on grass", "a dog is running across the grass", "the dog runs"],
    ["two cats are sleeping on a sofa", "cats on a red sofa"],
    ["a woman reads a book", "a person rides a bike down the street"],
    ["a group of children play football in the park", "children playing"],
    ["the boat is on the water", "a boat on the sea", "the boat"],
]


def test_cider_d_of_each_image():
    score, values = CiderD(REFERENCES).score(TEXTS)
    expected = [283.914823, 385.124552, 124.550615, 118.661699, 137.319963]
    np.testing.assert_allclose(values, expected, rtol=1e-7)
    assert score.value == pytest.approx(209.9143305247574)
    assert score.signature.startswith("cider-d|nrefs:3|n:4|sigma:6.0|df:references|scale:100|tok:none|v:seqcli-")


def test_rouge_l():
    score = rouge_l(TEXTS, REFERENCES)
    assert score.value == pytest.approx(70.62885227741523)
    assert score.signature.startswith("rouge-l|nrefs:3|beta:1.2|tok:none|v:seqcli-")


def test_nothing_in_common_is_zero():
    assert CiderD([["a b c"], ["d e f"]]).score(["x y", ""])[1].tolist() == [0, 0]
    assert rouge_l(["x y", ""], [["a b c"], ["d e f"]]).value == 0


def test_a_caption_that_equals_its_only_reference_has_the_highest_cider():
    references = [["one red boat here"], ["two blue cats there"]]
    assert CiderD(references).score([own[0] for own in references])[1] == pytest.approx([1000, 1000])
