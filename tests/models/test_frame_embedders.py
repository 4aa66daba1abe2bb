"""Frames that are pictures against plain torch, and what is varied in training: never the length, never a prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqcli.data.batch import InputSizes
from seqcli.errors import ExitCode, UserError
from seqcli.models.dropout import chance
from seqcli.models.frames import FrameCNN, FrameEmbedder, Vary
from seqcli.recipe.embedders import FrameCNNConfig, FramesConfig, VaryConfig


def sizes(channels, **options):
    scaling = np.arange(channels, dtype=np.float32), np.full(channels, 2, np.float32)
    return InputSizes(frame_dim=channels, scaling=scaling, **options)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("height", "width", "planes"), [(1, 1, 1), (4, 6, 1), (5, 3, 2)])
def test_a_picture_goes_through_convolutions_that_halve_it(height, width, planes, gaps):
    torch.manual_seed(1)
    config = FrameCNNConfig(height=height, width=width, filters=[3, 4], dim=5)
    channels = height * width * planes
    layer = FrameCNN(config, sizes(channels, frame_gaps=gaps)).eval()
    seen = planes * (1 + gaps)
    first, second = nn.Conv2d(seen, 3, 3, 2, 1), nn.Conv2d(3, 4, 3, 2, 1)
    for mine, theirs in zip((first, second), layer.convolutions(), strict=True):
        mine.load_state_dict(theirs.state_dict())
    frames = torch.randn(2, 4, channels)
    if gaps:
        frames[0, 1, 0] = torch.nan
    found = layer({"frames_BTD": frames}, torch.tensor([4, 1]))
    for row, length in enumerate((4, 1)):
        for place in range(4):
            x = (frames[row, place] - torch.arange(channels)) / 2
            if gaps:
                x = torch.cat([x.nan_to_num(0), frames[row, place].isnan().float()])
            x = torch.relu(second(torch.relu(first(x.view(1, seen, height, width)))))
            expected = torch.relu(layer.dense(x.flatten(1)))[0] if place < length else torch.zeros(5)
            torch.testing.assert_close(found[row, place], expected, rtol=0, atol=1e-5)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(
        UserError, match="pictures of 4 x 6 are 24 channels or a multiple, and the frames have 25"
    ) as caught:
        FrameCNN(FrameCNNConfig(height=4, width=6), sizes(25))
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(UserError, match="turn and tilt are for points x, y, z"):
        FrameEmbedder(FramesConfig(vary=VaryConfig(turn=10)), sizes(4))


ALL = VaryConfig(warp=0.3, turn=40, tilt=10, scale=0.2, noise=0.1)
LENGTHS = torch.tensor([7, 1, 4])


def varied(config, frames, lengths=LENGTHS, picture=None, seed=1):
    layer = Vary(config, picture).train()
    with chance(torch.Generator().manual_seed(seed)):
        return layer(frames, lengths, torch.ones(frames.size(2)))


def test_nothing_is_varied_but_in_training_and_chance_alone_decides():
    frames = torch.randn(3, 7, 6)
    assert Vary(ALL).eval()(frames, LENGTHS, torch.ones(6)) is frames
    torch.testing.assert_close(varied(ALL, frames), varied(ALL, frames))
    assert not torch.allclose(varied(ALL, frames), varied(ALL, frames, seed=2))
    torch.testing.assert_close(varied(VaryConfig(), frames), frames)


def test_a_warp_stays_within_the_sequence_and_in_order():
    """Of values that rise by one a frame the warped ones rise too, between the first and the last; padding never gets in."""
    frames = torch.arange(7.0).view(1, 7, 1).expand(3, 7, 1).clone()
    for row, length in enumerate(LENGTHS.tolist()):
        frames[row, length:] = 1000
    shares = []
    for seed in range(200):
        found = varied(VaryConfig(warp=0.4), frames, seed=seed)
        for row, length in enumerate(LENGTHS.tolist()):
            values = found[row, :length, 0]
            assert (values.diff() >= 0).all()
            assert 0 <= values[0] <= 0.4 * (length - 1) + 1e-5
            assert 0.6 * (length - 1) - 1e-5 <= values[-1] <= length - 1
        shares.append(float(found[0, 3, 0]))
    assert np.std(shares) > 0.3


def test_a_turn_keeps_what_is_upright_and_every_length():
    frames = torch.randn(3, 7, 6)
    points = frames.view(3, 7, 2, 3)
    found = varied(VaryConfig(turn=90), frames).view(3, 7, 2, 3)
    torch.testing.assert_close(found[..., 1], points[..., 1])
    torch.testing.assert_close(found.norm(dim=-1), points.norm(dim=-1))
    assert not torch.allclose(found[0], points[0])
    angle = torch.atan2(found[..., 2], found[..., 0]) - torch.atan2(points[..., 2], points[..., 0])
    torch.testing.assert_close(
        angle.cos()[0], angle.cos()[0, :1, :1].expand(7, 2), rtol=0, atol=1e-4
    )  # one turn a sequence
    tilted = varied(VaryConfig(tilt=30), frames).view(3, 7, 2, 3)
    torch.testing.assert_close(tilted.norm(dim=-1), points.norm(dim=-1))
    assert not torch.allclose(tilted[..., 1], points[..., 1])


def test_pictures_are_moved_together_with_their_edges():
    pictures = torch.arange(12.0).view(1, 1, 1, 3, 4).expand(2, 5, 2, 3, 4)
    seen = set()
    for seed in range(40):
        found = varied(VaryConfig(shift=1), pictures.reshape(2, 5, 24), torch.tensor([5, 5]), (3, 4), seed).view(
            2, 5, 2, 3, 4
        )
        for one in found:
            torch.testing.assert_close(one, one[:1, :1].expand(5, 2, 3, 4))  # all frames and planes alike
            seen.add(tuple(one[0, 0].flatten().int().tolist()))
    rows, columns = np.arange(3), np.arange(4)
    moved = {
        tuple((4 * np.clip(rows + down, 0, 2)[:, None] + np.clip(columns + right, 0, 3)).ravel().tolist())
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    assert seen == moved


@pytest.mark.parametrize("options", [{"scale": 0.5}, {"noise": 0.5}])
def test_factors_and_noise_have_the_size_that_is_said(options):
    frames = torch.ones(4000, 2, 3)
    found = varied(VaryConfig(**options), frames, torch.full((4000,), 2))
    if "scale" in options:
        torch.testing.assert_close(found, found[:, :1, :1].expand_as(found))
        assert float(found.log().std()) == pytest.approx(0.5, rel=0.05)
    else:
        assert float((found - 1).std()) == pytest.approx(0.5, rel=0.05)
