"""Channels made of the data's: by hand, the same for training and prediction, and scaled by training alone."""

from __future__ import annotations

import numpy as np
import pytest
from columns import column_of

from seqcli.errors import ExitCode, UserError
from seqcli.fields.frames import FrameField
from seqcli.recipe.fields import FrameFieldConfig

POINTS = np.array(
    [[[1, 2], [4, 6], [0, 1]], [[2, 2], [5, 7], [0, 3]], [[2, 5], [6, 6], [1, 1]]], np.float32
)  # 3 frames of 3 points x, y


def field(**derive):
    return FrameField(FrameFieldConfig.model_validate({"derive": derive}))


def read(frames=POINTS, **derive):
    return field(**derive).read(frames.reshape(len(frames), 6), "x:1")


def test_points_are_told_from_where_one_of_them_begins():
    found = read(point=2, origin=1)
    np.testing.assert_array_equal(found, (POINTS - [4, 6]).reshape(3, 6))


def test_pairs_of_points_are_added():
    found = read(point=2, pairs=[[1, 0], [2, 1]], origin=0)
    bones = np.stack([POINTS[:, 1] - POINTS[:, 0], POINTS[:, 2] - POINTS[:, 1]], 1)
    np.testing.assert_array_equal(found, np.concatenate([POINTS - [1, 2], bones], 1).reshape(3, 10))


def test_changes_are_added_and_a_single_frame_has_none():
    found = read(differences=2)
    first = np.array([[0] * 6, [1, 0, 1, 1, 0, 2], [0, 3, 1, -1, 1, -2]])
    second = np.array([[0] * 6, [1, 0, 1, 1, 0, 2], [-1, 3, 0, -2, 1, -4]])
    np.testing.assert_array_equal(found, np.concatenate([POINTS.reshape(3, 6), first, second], 1))
    np.testing.assert_array_equal(read(POINTS[:1], differences=1)[0, 6:], np.zeros(6))
    assert read(POINTS[:0], differences=1, origin=0).shape == (0, 12)


@pytest.mark.parametrize(
    ("derive", "message"),
    [
        ({"point": 4}, "frames of 6 channels, but source.derive speaks of 1 points of 4 channels or more"),
        ({"point": 3, "origin": 2}, "frames of 6 channels, but source.derive speaks of 3 points of 3 channels or more"),
        ({"pairs": [[0, 6]]}, "frames of 6 channels, but source.derive speaks of 7 channels or more"),
    ],
)
def test_points_that_are_not_there(derive, message):
    with pytest.raises(UserError) as caught:
        read(**derive)
    assert (str(caught.value), caught.value.code) == (f"x:1: {message}", ExitCode.DATA)


def test_a_message_counts_the_channels_of_the_data(tmp_path):
    one = field(point=2, pairs=[[0, 1]], differences=1)
    one.fit(column_of([one.read(POINTS.reshape(3, 6), "x:1")]), ["train"])
    assert one.channels == 16
    one.save(tmp_path)
    again = field(point=2, pairs=[[0, 1]], differences=1)
    again.load(tmp_path)
    np.testing.assert_array_equal(again.read(POINTS.reshape(3, 6), "x:1"), one.read(POINTS.reshape(3, 6), "x:1"))
    for wrong in (
        lambda: again.read(np.zeros((2, 8), np.float32), "y:1"),
        lambda: again.over(column_of([np.zeros((2, 20), np.float32)]), ["y:1"]),
    ):
        with pytest.raises(UserError, match="y:1: frames of 8 channels, but the model was trained on 6"):
            wrong()


def test_one_scale_for_all_values_and_one_for_their_changes():
    random = np.random.default_rng(1)
    raws = [random.normal(3, [1, 2, 0], (length, 3)).astype(np.float32) for length in (5, 9)]
    one = FrameField(FrameFieldConfig.model_validate({"scaling": "common", "derive": {"differences": 1}}))
    derived = [one.read(frames, "x:1") for frames in raws]
    one.fit(column_of(derived), ["train"])
    mean, deviation = one.sizes().scaling
    joined = np.concatenate(derived)
    for group in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(mean[group], joined[:, group].mean(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(deviation[group], joined[:, group].std(), rtol=1e-4)
    plain = FrameField(FrameFieldConfig.model_validate({"scaling": "common"}))
    plain.fit(column_of([np.full((2, 3), 7, np.float32)]), ["train"])
    assert plain.sizes().scaling[1].tolist() == [1, 1, 1]
