"""Recordings: what is read of a file, what is refused, and spectra against a definition written down here."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import sweep, write_sound

from seqcli.data.example import MediaFile
from seqcli.errors import ExitCode, UserError
from seqcli.media.audio import MFCC, LogMel, Recording, read_audio, read_blocks, resample
from seqcli.recipe.features import LogMelConfig, MFCCConfig


def refused(file, at="", config=None):
    with pytest.raises(UserError) as caught:
        LogMel(config or LogMelConfig(rate=8000)).read(file, at)
    return caught.value


# -- files


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_every_format_gives_the_same_sound(tmp_path, suffix):
    path = write_sound(tmp_path / f"a.{suffix}", sweep(2.0, 16000), 16000)
    recording = read_audio(MediaFile(path))
    assert (recording.rate, recording.channels) == (16000, 1)
    assert abs(recording.seconds - 2) < 0.1
    wave = sweep(2.0, 16000)
    offsets = range(0, 2400, 1)  # mp3 begins a little late
    error = min(np.abs(recording.samples[at : at + 8000] - wave[:8000]).mean() for at in offsets)
    assert error < (0.02 if suffix in ("ogg", "mp3") else 1e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW"])
def test_samples_are_between_minus_one_and_one(tmp_path, subtype):
    path = write_sound(tmp_path / "a.wav", sweep(0.5), subtype=subtype)
    tolerance = {"PCM_U8": 1e-2, "ULAW": 1e-2, "PCM_16": 1e-4}.get(subtype, 1e-6)
    np.testing.assert_allclose(read_audio(MediaFile(path)).samples, sweep(0.5), atol=tolerance)


def test_several_channels_are_averaged(tmp_path):
    left, right = sweep(0.5), -0.5 * sweep(0.5)
    path = write_sound(tmp_path / "a.wav", np.stack([left, right], 1), subtype="FLOAT")
    recording = read_audio(MediaFile(path))
    assert recording.channels == 2
    np.testing.assert_allclose(recording.samples, (left + right) / 2, atol=1e-7)


def test_a_part_is_what_stands_between_its_times(tmp_path):
    path = write_sound(tmp_path / "a.wav", sweep(2.0), subtype="FLOAT")
    part = read_audio(MediaFile(path, 0.5, 1.25))
    np.testing.assert_array_equal(part.samples, sweep(2.0)[4000:10000])
    np.testing.assert_array_equal(read_audio(MediaFile(path, 1.5)).samples, sweep(2.0)[12000:])


def test_bytes_are_read_as_a_file_is(tmp_path):
    path = write_sound(tmp_path / "a.wav", sweep(0.5))
    np.testing.assert_array_equal(read_audio(path.read_bytes()).samples, read_audio(MediaFile(path)).samples)


def test_a_wav_of_unknown_length_is_read_to_its_end(tmp_path):
    """What a program writes into a pipe: the lengths in the header are all ones."""
    path = write_sound(tmp_path / "a.wav", sweep(0.5))
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert len(read_audio(bytes(data)).samples) == 4000


def test_blocks_are_the_recording(tmp_path):
    path = write_sound(tmp_path / "a.wav", sweep(3.0, 11025), 11025, subtype="FLOAT")
    blocks = list(read_blocks(MediaFile(path), 8000, 0.7))
    whole = resample(read_audio(MediaFile(path)), 8000).samples
    assert len(blocks) > 3
    joined = np.concatenate(blocks)
    assert len(joined) == len(whole) == 24000
    np.testing.assert_allclose(joined, whole, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
def test_resampling_keeps_a_tone_and_its_loudness(rate):
    times = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    found = resample(Recording(tone, rate), 16000)
    assert found.rate == 16000
    assert abs(len(found.samples) - 16000) <= 1
    expected = np.sin(2 * np.pi * 440 * np.arange(len(found.samples)) / 16000)
    np.testing.assert_allclose(found.samples[800:-800], expected[800:-800], atol=1e-3)


def test_what_a_lower_rate_cannot_hold_is_taken_out():
    tone = np.sin(2 * np.pi * 7000 * np.arange(48000) / 48000).astype(np.float32)
    assert np.abs(resample(Recording(tone, 48000), 8000).samples[400:-400]).max() < 1e-3


# -- what is refused


def test_no_recording_names_its_first_bytes(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"%PDF-1.7 and more")
    error = refused(MediaFile(tmp_path / "a.wav"))
    assert error.code == ExitCode.DATA
    assert str(error).startswith(f"{tmp_path}/a.wav: is no recording that can be read")
    assert "it begins with 25 50 44 46 2d 31 2e 37 '%PDF-1.7'" in str(error)


def test_a_list_that_names_the_file_is_named(tmp_path):
    error = refused(MediaFile(tmp_path / "none.wav"), "list.tsv:7")
    assert str(error) == f"list.tsv:7: '{tmp_path}/none.wav': there is no such file"


@pytest.mark.parametrize(("samples", "words"), [(0, "without a single sample"), (20, "2.5 ms of sound are too short")])
def test_too_little_sound(tmp_path, samples, words):
    path = write_sound(tmp_path / "a.wav", sweep(1.0)[:samples])
    error = refused(MediaFile(path))
    assert (error.code, words in str(error)) == (ExitCode.DATA, True)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_recording_that_was_cut_off(tmp_path, suffix):
    path = write_sound(tmp_path / f"a.{suffix}", sweep(8.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refused(MediaFile(path))
    assert error.code == ExitCode.DATA
    assert ("was cut off: its header says 128,000 bytes" if suffix == "wav" else "is broken") in str(error)


def test_a_folder_and_an_empty_file(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    assert "the file is empty" in str(refused(MediaFile(tmp_path / "a.wav")))
    assert "is no plain file" in str(refused(MediaFile(tmp_path)))


@pytest.mark.parametrize(("start", "end"), [(3.0, None), (1.0, 4.0), (1.5, 1.0)])
def test_a_part_that_is_not_there(tmp_path, start, end):
    path = write_sound(tmp_path / "a.wav", sweep(2.0))
    assert "it is 2.00 s long" in str(refused(MediaFile(path, start, end)))


def test_a_sample_that_is_no_number(tmp_path):
    samples = sweep(1.0)
    samples[5000] = np.nan
    assert "no finite number" in str(refused(MediaFile(write_sound(tmp_path / "a.wav", samples, subtype="FLOAT"))))


def test_an_mp3_without_a_decoder_says_what_to_install(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "a.mp3", sweep(1.0, 16000), 16000)

    def refuse(*args):
        raise soundfile.LibsndfileError(1)

    monkeypatch.setattr(soundfile, "SoundFile", refuse)
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV"})
    error = refused(MediaFile(path))
    assert error.code == ExitCode.USAGE
    assert "pip install --upgrade soundfile" in str(error)


def test_a_package_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    error = refused(MediaFile(tmp_path / "a.wav"))
    assert error.code == ExitCode.USAGE
    assert str(error).endswith("Install it: pip install 'seqcli[audio]'.")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_no_bytes_break_the_reader(noise, at, value):
    """Noise, and a wav with one byte changed: sound, or an error in one line."""
    handle = io.BytesIO()
    soundfile.write(handle, sweep(0.1), 8000, format="WAV")
    changed = bytearray(handle.getvalue())
    changed[at] = value
    for data in (noise, bytes(changed), noise[:4] + bytes(changed)[4:]):
        try:
            assert np.isfinite(read_audio(data).samples).all()
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert error.code == ExitCode.DATA  # noqa: PT017


# -- spectra


def kaldi_log_mel(samples, rate, bins, window_ms=25.0, hop_ms=10.0, low=20.0, high=None):
    """Log-mel as Kaldi defines it (Povey et al. 2011; feature-window.cc, mel-computations.cc), frame by frame.

    Frames are centred, the signal is mirrored at its ends; the mean is taken off, pre-emphasis 0.97, window
    (0.5 - 0.5 cos)^0.85, power spectrum of the next power of two, triangles on the scale 1127 ln(1 + f / 700).
    """
    size, hop = round(rate * window_ms / 1000), round(rate * hop_ms / 1000)
    padded = 1 << (size - 1).bit_length()
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))) ** 0.85
    mel = lambda hertz: 1127 * np.log(1 + hertz / 700)  # noqa: E731
    edges = np.linspace(mel(low), mel(high or rate / 2), bins + 2)
    scale = mel(np.arange(padded // 2) * rate / padded)
    rises = (scale - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falls = (edges[2:, None] - scale) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rises, falls))
    frames = []
    for number in range((len(samples) + hop // 2) // hop):
        begin = number * hop + hop // 2 - size // 2
        places = np.arange(begin, begin + size)
        while ((places < 0) | (places >= len(samples))).any():
            places = np.where(places < 0, -places - 1, places)
            places = np.where(places >= len(samples), 2 * len(samples) - 1 - places, places)
        frame = samples[places].astype(np.float64)
        frame -= frame.mean()
        frame -= 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, padded)) ** 2
        frames.append(np.log(np.maximum(triangles @ power[:-1], np.finfo(np.float32).eps)))
    return np.array(frames)


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 8000, "bins": 40},
        {"rate": 16000, "bins": 80},
        {"rate": 16000, "bins": 23, "window": 32.0, "hop": 16.0, "low": 60.0, "high": 7000.0},
    ],
)
def test_log_mel_is_kaldis(options):
    config = LogMelConfig(**options)
    noise = np.random.default_rng(1).normal(0, 0.05, round(0.7 * config.rate)).astype(np.float32)
    samples = sweep(0.7, config.rate) + noise
    expected = kaldi_log_mel(samples, config.rate, config.bins, config.window, config.hop, config.low, config.high)
    found = LogMel(config).of(samples)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_mfcc_is_the_cosine_transform_of_log_mel():
    """Orthonormal DCT-II, liftered by 1 + 11 sin(pi n / 22); the first coefficient is the 0th (use_energy off)."""
    config = MFCCConfig(rate=8000)
    samples = sweep(0.5) + np.random.default_rng(2).normal(0, 0.05, 4000).astype(np.float32)
    mels = kaldi_log_mel(samples, 8000, config.bins)
    order, band = np.arange(13)[:, None], np.arange(config.bins)[None]
    basis = np.sqrt(2 / config.bins) * np.cos(np.pi * order * (band + 0.5) / config.bins)
    basis[0] = np.sqrt(1 / config.bins)
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    np.testing.assert_allclose(MFCC(config).of(samples), (mels @ basis.T) * lifter, atol=2e-2)


def test_twice_as_loud_is_ln_4_more():
    """Scaling: the energy of a band goes with the square of the amplitude."""
    log_mel = LogMel(LogMelConfig(rate=8000, bins=40))
    quiet = np.random.default_rng(3).normal(0, 0.05, 8000).astype(np.float32)
    np.testing.assert_allclose(log_mel.of(2 * quiet) - log_mel.of(quiet), np.log(4), atol=1e-3)


def test_a_tone_is_in_its_band():
    config = LogMelConfig(rate=16000, bins=40)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    mel = lambda hertz: 1127 * np.log(1 + hertz / 700)  # noqa: E731
    centres = np.linspace(mel(20), mel(8000), 42)[1:-1]
    assert LogMel(config).of(tone)[50].argmax() == np.abs(centres - mel(1000)).argmin()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30_000), st.sampled_from([8000, 16000]), st.sampled_from([5.0, 10.0, 12.5]))
def test_a_frame_for_every_hop(samples, rate, hop):
    shift = round(rate * hop / 1000)
    frames = LogMel(LogMelConfig(rate=rate, hop=hop, bins=10)).of(np.zeros(samples, np.float32))
    assert frames.shape == ((samples + shift // 2) // shift, 10)


def test_silence_has_a_floor(tmp_path):
    path = write_sound(tmp_path / "a.wav", np.zeros(8000))
    frames = LogMel(LogMelConfig(rate=8000)).read(MediaFile(path))
    np.testing.assert_allclose(frames, np.log(np.finfo(np.float32).eps), atol=1e-3)


def test_the_same_sound_at_another_rate_gives_nearly_the_same_frames(tmp_path):
    config = LogMelConfig(rate=8000, bins=20, high=3000.0)
    frames = [
        LogMel(config).read(MediaFile(write_sound(tmp_path / f"{rate}.wav", tone, rate)))
        for rate in (8000, 44100)
        for tone in [0.3 * np.sin(2 * np.pi * 500 * np.arange(rate) / rate)]
    ]
    assert frames[0].shape == frames[1].shape
    loud = frames[0][20:80] > -5
    assert np.abs(frames[0] - frames[1])[20:80][loud].max() < 0.05


def test_what_is_done_to_a_recording_is_said_once(tmp_path):
    config = LogMelConfig(rate=8000)
    log_mel = LogMel(config)
    for name in "ab":
        log_mel.read(MediaFile(write_sound(tmp_path / f"{name}.wav", np.stack([sweep(0.2, 44100)] * 2, 1), 44100)))
    assert [*log_mel.notes] == [
        "2 channels of a recording are averaged to one",
        "recordings of 44,100 samples a second are resampled to 8,000",
    ]
