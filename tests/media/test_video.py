"""Clips: which frames are taken, how they are squeezed, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from media_files import picture, sweep, write_clip, write_sound

from seqcli.data.example import MediaFile
from seqcli.errors import ExitCode, UserError
from seqcli.media.video import GreyFrames, read_video
from seqcli.recipe.features import GreyFramesConfig


def brightness(file, fps):
    """Of each frame that is taken, 0 to 255."""
    return [float(pixels.mean()) for pixels in read_video(file, fps, 6, 8)]


def refused(file, fps=5.0):
    with pytest.raises(UserError) as caught:
        brightness(file, fps)
    return caught.value


@pytest.fixture
def clip(tmp_path):
    """Two seconds of 25 frames each, every frame 4 brighter than the one before."""
    return MediaFile(write_clip(tmp_path / "a.mp4", [4 * number for number in range(50)]))


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "mov"])
def test_frames_are_taken_at_their_times(tmp_path, suffix):
    path = write_clip(tmp_path / f"a.{suffix}", [4 * number for number in range(50)])
    found = brightness(MediaFile(path), 5.0)
    np.testing.assert_allclose(found, [20 * number for number in range(10)], atol=5)


def test_a_rate_that_is_no_part_of_the_clips(clip):
    """At 7.3 a second each is the frame shown at that time."""
    expected = [4 * int(number / 7.3 * 25 + 1e-6) for number in range(15)]
    np.testing.assert_allclose(brightness(clip, 7.3), expected, atol=5)


def test_a_higher_rate_repeats_frames(clip):
    found = brightness(clip, 50.0)
    assert len(found) == 99
    np.testing.assert_allclose(found[::2], [4 * number for number in range(50)], atol=5)


def test_a_part_of_a_clip(clip):
    np.testing.assert_allclose(brightness(MediaFile(clip.path, 1.0, 1.5), 5.0), [100, 120, 140], atol=5)
    assert len(brightness(MediaFile(clip.path, 1.0), 5.0)) == 5
    assert "in the part that is asked for" in str(refused(MediaFile(clip.path, 5.0)))


def test_a_clip_of_one_frame(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [128])
    np.testing.assert_allclose(brightness(MediaFile(path), 5.0), [128], atol=3)


def test_a_picture_is_a_clip_of_one_frame(tmp_path):
    picture().save(tmp_path / "a.gif")
    assert len(brightness(MediaFile(tmp_path / "a.gif"), 5.0)) == 1


def test_grey_frames_are_rows_of_pixels_from_0_to_1(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [0, 255, 51])
    grey = GreyFrames(GreyFramesConfig(fps=25, height=3, width=4))
    frames = grey.read(MediaFile(path))
    assert (frames.shape, frames.dtype) == ((3, 12), np.float32)
    np.testing.assert_allclose(frames.mean(1), [0, 1, 0.2], atol=0.02)


@pytest.mark.parametrize("keep", [0.5, 0.02])
def test_a_clip_that_was_cut_off(clip, keep):
    clip.path.write_bytes(clip.path.read_bytes()[: int(keep * clip.path.stat().st_size)])
    error = refused(clip)
    assert (error.code, "is no clip that can be read" in str(error)) == (ExitCode.DATA, True)


def test_no_clip_names_its_first_bytes(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"%PDF-1.7 and more of the like" * 9)
    assert "it begins with 25 50 44 46 2d 31 2e 37 '%PDF-1.7'" in str(refused(MediaFile(tmp_path / "a.mp4")))


def test_sound_alone_and_nothing(tmp_path):
    assert "has no video in it" in str(refused(MediaFile(write_sound(tmp_path / "a.wav", sweep(0.5)))))
    (tmp_path / "a.mp4").write_bytes(b"")
    assert "the file is empty" in str(refused(MediaFile(tmp_path / "a.mp4")))
    assert "there is no such file" in str(refused(MediaFile(tmp_path / "none.mp4")))
    assert "is no plain file" in str(refused(MediaFile(tmp_path)))


def test_a_package_that_is_missing(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    error = refused(clip)
    assert (error.code, "pip install 'seqcli[vision]'" in str(error)) == (ExitCode.USAGE, True)
