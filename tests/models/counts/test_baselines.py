"""Majority and mean-pool: by hand, and against scikit-learn."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from seqcli.errors import UserError, plural
from seqcli.models.counts.base import Labelled, Sizes
from seqcli.models.counts.majority import Majority
from seqcli.models.counts.mean_pool import MeanPool
from seqcli.recipe.models import MajorityConfig, MeanPoolConfig

NOTHING = np.zeros(0, np.int32), np.zeros(1, np.int64)


def sequences(seed, count=60, channels=4, longest=9):
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 3, count)
    parts = [
        (numbers.normal(size=(numbers.integers(1, longest), channels)) + label * numbers.normal(size=channels))
        * [1, 10, 0.1, 1000]
        + [0, 5, 0, 1e4]
        for label in labels
    ]
    return parts, labels


def packed(parts):
    return np.concatenate(parts).astype(np.float32), np.cumsum([0, *map(len, parts)])


def fit(parts, labels, classes=3, weights=None, multilabel=False):
    data = Labelled(*packed(parts), np.asarray(labels), weights)
    return MeanPool.fit(MeanPoolConfig(), data, Sizes(classes=classes, multilabel=multilabel))


def majority(labels, classes, weights=None, multilabel=False):
    data = Labelled(*NOTHING, np.array(labels), weights)
    return Majority.fit(MajorityConfig(), data, Sizes(classes=classes, multilabel=multilabel))


def test_the_majority_by_hand():
    model = majority([0, 1, 1, 1], 2)
    log_p = model.log_probs(np.arange(5), np.array([0, 0, 5]))
    assert log_p.dtype == np.float32
    assert np.exp(log_p).tolist() == pytest.approx(np.array([[0.25, 0.75]] * 2))


def test_the_majority_of_weighted_examples_and_of_several_labels():
    weighted = majority([0, 1], 2, weights=np.array([3, 1]))
    assert np.exp(weighted.log_probs(*NOTHING)).shape == (0, 2)
    assert np.exp(weighted.log_probs(NOTHING[0], np.zeros(2, int)))[0] == pytest.approx([0.75, 0.25])
    truth = np.array([[True, True], [False, True]])
    both = majority(truth, 2, multilabel=True)
    assert np.exp(both.log_probs(NOTHING[0], np.zeros(2, int)))[0] == pytest.approx([0.5, 1.0])


def test_a_class_that_training_lacks_stays_a_number(tmp_path):
    model = majority([0, 0], 3)
    save_file(model.arrays(), tmp_path / "m.safetensors")
    again = Majority.from_arrays(MajorityConfig(), load_file(tmp_path / "m.safetensors"), Sizes(classes=3))
    log_p = again.log_probs(NOTHING[0], np.zeros(2, int))
    assert np.isfinite(log_p).all()
    assert np.exp(log_p)[0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no majority baseline: 'log_probs' is missing"),
        ({"log_probs": np.zeros(3, np.float32)}, r"'log_probs' is float32\[3\], not float32\[2\]"),
        ({"log_probs": np.ones(2, np.float32)}, "'log_probs' has values that cannot be"),
        ({"log_probs": np.zeros(2, np.float32), "more": np.zeros(2)}, "'more' does not belong to it"),
    ],
)
def test_foreign_arrays_are_no_majority(arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        Majority.from_arrays(MajorityConfig(), arrays, Sizes(classes=2))
    assert caught.value.code == 65


def test_the_mean_pool_as_scikit_learn():
    parts, labels = sequences(1)
    model = fit(parts, labels)
    scaler = StandardScaler().fit(np.concatenate(parts))
    means = np.stack([scaler.transform(part).mean(0) for part in parts])
    theirs = LogisticRegression(tol=1e-9, max_iter=10_000).fit(means, labels)
    others, _ = sequences(2)
    asked = np.stack([scaler.transform(part).mean(0) for part in others])
    log_p = model.log_probs(*packed(others))
    assert log_p.dtype == np.float32
    assert np.abs(np.exp(log_p) - theirs.predict_proba(asked)).max() < 1e-3


def test_shifted_test_data_do_not_change_the_scaling():
    parts, labels = sequences(3)
    model = fit(parts, labels)
    before = {name: array.copy() for name, array in model.arrays().items()}
    shifted = model.log_probs(*packed([part + 1e5 for part in parts]))
    assert all(np.array_equal(array, before[name]) for name, array in model.arrays().items())
    assert not np.allclose(shifted, model.log_probs(*packed(parts)), atol=0.1)


def test_no_frame_gives_the_bias_and_one_frame_is_its_own_mean():
    parts, labels = sequences(4)
    model = fit(parts, labels)
    bias = model.arrays()["bias"]
    empty = np.zeros((0, 4), np.float32)
    found = model.log_probs(*packed([empty, parts[0][:1], empty, np.repeat(parts[0][:1], 5, axis=0), empty]))
    for row in (0, 2, 4):
        assert np.allclose(found[row], bias - np.logaddexp.reduce(bias), atol=1e-5)
    assert np.allclose(found[1], found[3], atol=1e-5)
    assert not np.allclose(found[1], found[0], atol=1e-2)


def test_missing_values_are_left_out_of_the_mean():
    parts, labels = sequences(5)
    holes = [part.copy() for part in parts]
    holes.append(np.concatenate([parts[0], np.full((2, 4), np.nan)]))  # adds nothing: the same mean as parts[0]
    holes.append(np.full((1, 4), np.nan))
    model = fit(holes, [*labels, labels[0], 0])
    log_p = model.log_probs(*packed(holes))
    assert np.isfinite(log_p).all()
    assert np.allclose(log_p[-2], log_p[0], atol=1e-5)
    assert np.allclose(log_p[-1], model.log_probs(np.zeros((0, 4)), np.zeros(2, int))[0], atol=1e-5)


def test_a_channel_that_never_changes_and_one_that_is_never_there():
    parts, labels = sequences(7)
    for part in parts:
        part[:, 1], part[:, 2] = 16_777_215.0, np.nan
    model = fit(parts, labels)
    assert np.isfinite(model.log_probs(*packed(parts))).all()
    assert model.arrays()["deviation"][1:3].tolist() == [1, 1]


@pytest.mark.parametrize(("frames", "channels"), [(np.zeros((2, 3)), 3), (np.zeros(2), 1)])
def test_other_channels_are_refused_and_both_named(frames, channels):
    model = fit(*sequences(8))
    with pytest.raises(
        UserError, match=f"frames of {plural(channels, 'channel')}, but the model was trained on frames of 4"
    ) as caught:
        model.log_probs(frames, np.array([0, 2]))
    assert caught.value.code == 65


def test_no_frames_at_all():
    with pytest.raises(UserError, match="no frame"):
        fit([np.zeros((0, 4))], [0])


def test_two_classes_several_labels_and_weights():
    parts, labels = sequences(9)
    two = fit(parts, labels > 0, classes=2)
    truth = labels[:, None] == np.arange(3)
    together = fit(parts, truth, multilabel=True)
    alone = fit(parts, labels == 0, classes=2)
    assert two.arrays()["weights"].shape == (4, 1)
    assert np.allclose(together.log_probs(*packed(parts))[:, 0], alone.log_probs(*packed(parts))[:, 1], atol=1e-3)
    heavy = fit(parts, labels, weights=np.where(labels == 1, 50.0, 1.0)).log_probs(*packed(parts))
    assert (heavy.argmax(1) == 1).sum() > (fit(parts, labels).log_probs(*packed(parts)).argmax(1) == 1).sum()


def test_a_file_gives_the_same_mean_pool_and_a_foreign_one_none(tmp_path):
    parts, labels = sequences(10)
    model = fit(parts, labels)
    save_file(model.arrays(), tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    again = MeanPool.from_arrays(MeanPoolConfig(), arrays, Sizes(classes=3))
    assert np.array_equal(again.log_probs(*packed(parts)), model.log_probs(*packed(parts)))
    for name, array in (
        ("deviation", arrays["deviation"] * 0),
        ("weights", arrays["weights"][:2]),
        ("mean", arrays["mean"][:, None]),
        ("bias", arrays["bias"] * np.nan),
    ):
        with pytest.raises(UserError, match=f"f.safetensors: no mean-pool baseline: '{name}'") as caught:
            MeanPool.from_arrays(MeanPoolConfig(), {**arrays, name: array}, Sizes(classes=3), "f.safetensors")
        assert caught.value.code == 65
    with pytest.raises(UserError, match=r"'weights' is float32\[4, 3\], not float32\[4, 1\]"):
        MeanPool.from_arrays(MeanPoolConfig(), arrays, Sizes(classes=2))
    with pytest.raises(UserError, match=r"'mean' is float32\[4\], not float32\[5\]"):
        MeanPool.from_arrays(MeanPoolConfig(), arrays, Sizes(classes=3, channels=5))
