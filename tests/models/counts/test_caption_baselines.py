"""Captions taken from training images: neighbours and consensus against what is worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seqcli.errors import ExitCode, UserError
from seqcli.models.counts.captions import Captions, ConsensusCaption, NearestCaption, RandomCaption, Reranker
from seqcli.recipe.models import ConsensusCaptionConfig, NearestCaptionConfig, RandomCaptionConfig

VECTORS = np.array([[1, 0], [0.9, 0.1], [0.8, 0.3], [-1, 0.2], [0, -1]], np.float32)
TEXTS = [
    "a red dog runs",
    "a dog runs fast",
    "the red dog sleeps",
    "two cats sit",
    "a boat",
    "A Red dog runs",
    "blue sky",
]
OWNERS = np.array([0, 0, 1, 2, 3, 3, 4])
FIVE = Captions(VECTORS, TEXTS, OWNERS)


def consensus(**options):
    return ConsensusCaption(ConsensusCaptionConfig(**options), FIVE, 1)


def idf(gram):
    """ln (images / images with the n-gram), worked out without the program."""
    images = [[TEXTS[n].lower().split() for n in np.flatnonzero(image == OWNERS)] for image in range(5)]
    size = len(gram)
    having = sum(any(gram == tuple(t[i : i + size]) for t in own for i in range(len(t))) for own in images)
    return math.log(5 / max(1, having))


def cider(one, other):
    """The mean over n of the cosine of tf-idf vectors (Vedantam et al. 2015, eq. 2 and 3)."""
    total = 0.0
    for size in (1, 2, 3, 4):
        vectors = []
        for text in (one, other):
            tokens = text.lower().split()
            grams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
            vectors.append({gram: grams.count(gram) * idf(gram) for gram in grams})
        norms = [math.sqrt(sum(value**2 for value in vector.values())) for vector in vectors]
        if all(norms):
            total += sum(v * vectors[1].get(gram, 0) for gram, v in vectors[0].items()) / math.prod(norms)
    return total / 4


def test_likeness_is_cider():
    numbers = range(len(TEXTS))
    found = consensus().likeness(numbers)
    expected = [[cider(TEXTS[a], TEXTS[b]) for b in numbers] for a in numbers]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("row", range(5))
@pytest.mark.parametrize("agreeing", [1, 2, 125])
def test_consensus_by_hand_on_five_images(row, agreeing):
    scaled = (VECTORS - VECTORS.mean(0)) / VECTORS.std(0)
    cosine = [float(scaled[row] @ one / np.linalg.norm(scaled[row]) / np.linalg.norm(one)) for one in scaled]
    nearest = sorted(range(5), key=lambda image: -cosine[image])[:3]
    candidates = [n for image in nearest for n in range(len(TEXTS)) if OWNERS[n] == image]

    def worth(one):
        others = sorted((cider(TEXTS[one], TEXTS[n]) for n in candidates if n != one), reverse=True)
        return sum(others[:agreeing])

    best = max(map(worth, candidates))
    expected = next(TEXTS[n] for n in candidates if worth(n) == pytest.approx(best, abs=1e-9))
    assert consensus(neighbours=3, agreeing=agreeing).captions(VECTORS[row : row + 1]) == [expected]


def test_texts_agree_with_the_captions_of_the_nearest_images_as_much_as_their_cider_says():
    reranker = Reranker.of(FIVE)
    texts = ["a red dog sleeps", "purple", "A dog runs fast", "a red zebra runs"]
    near = [n for n in range(len(TEXTS)) if OWNERS[n] in (0, 1)]
    expected = [
        100 * np.mean([cider(text, TEXTS[n]) for n in near]) for text in ("a red dog sleeps", "a dog runs fast")
    ]
    found = reranker.agreement(np.array([1, 0.02], np.float32), texts, 2)
    np.testing.assert_allclose(found[[0, 2]], expected, atol=1e-4)
    assert found[1] == 0
    assert 0 < found[3] < 100 * np.mean([cider("a red runs", TEXTS[n]) for n in near])  # what nobody says weighs in
    again = Reranker.from_arrays(reranker.arrays(), 2)
    np.testing.assert_array_equal(again.agreement(np.array([1, 0.02], np.float32), texts, 2), found)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("grams", np.array([3, 2, 1], np.uint64), "'grams' is empty or not sorted"),
        ("ids", np.array([10**6]), "'ids' is not within"),
        ("ends", np.array([9, 1, 2, 3, 4, 5, 6]), "not in order"),
        ("owners", np.array([4, 0, 1, 2, 3, 3, 4]), "not in order"),
    ],
)
def test_captions_that_cannot_choose_are_refused(name, value, message):
    with pytest.raises(UserError, match=message) as caught:
        Reranker.from_arrays(Reranker.of(FIVE).arrays() | {name: value}, 2, "captions.safetensors")
    assert caught.value.code == ExitCode.DATA


def test_the_nearest_image_gives_its_first_caption():
    model = NearestCaption(NearestCaptionConfig(), FIVE, 1)
    assert model.captions(VECTORS + 0.01) == [
        "a red dog runs",
        "the red dog sleeps",
        "two cats sit",
        "a boat",
        "blue sky",
    ]


def test_a_random_caption_is_that_of_the_image_and_the_seed_alone():
    many = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    model = RandomCaption(RandomCaptionConfig(), FIVE, 1)
    found = model.captions(many)
    assert found == [text for row in many for text in model.captions(row[None])]
    assert set(found) == set(TEXTS)
    assert found != RandomCaption(RandomCaptionConfig(), FIVE, 2).captions(many)


@pytest.mark.parametrize("kind", [NearestCaption, ConsensusCaption])
def test_a_model_is_its_arrays(kind):
    config = {NearestCaption: NearestCaptionConfig, ConsensusCaption: ConsensusCaptionConfig}[kind]()
    model = kind(config, FIVE, 7)
    again = kind.from_arrays(config, model.arrays(), 2)
    assert again.captions(VECTORS) == model.captions(VECTORS)
    assert again.seed == 7


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("owners", np.array([0, 0, 1, 2, 3, 3, 9]), "'owners' is not within 0 and 4"),
        ("owners", np.array([4, 0, 1, 2, 3, 3, 4]), "not in order"),
        ("ends", np.array([1, 2, 3, 4, 5, 6, 10**6]), "'ends' is not within"),
        ("texts", np.full(93, 255, np.uint8), "not UTF-8"),
        ("vectors", VECTORS[:, :1], r"'vectors' is float32\[5, 1\]"),
        ("more", VECTORS, "'more' does not belong to it"),
    ],
)
def test_arrays_that_are_no_such_model_are_refused(name, value, message):
    arrays = NearestCaption(NearestCaptionConfig(), FIVE, 1).arrays() | {name: value}
    with pytest.raises(UserError, match=message) as caught:
        NearestCaption.from_arrays(NearestCaptionConfig(), arrays, 2, "model.safetensors")
    assert caught.value.code == ExitCode.DATA
