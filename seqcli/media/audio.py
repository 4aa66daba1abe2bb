"""Recordings: samples of a file, one channel, and their spectra. Shapes: N samples, T frames, D channels."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.errors import data_error, plural, reading, usage_error
from seqcli.lines import source_name
from seqcli.media.features import Extractor, beginning, needed
from seqcli.recipe.features import LogMelConfig, MFCCConfig, SpectrumConfig

Samples = NDArray[np.float32]
"""Samples of one channel between -1 and 1, [N]."""

_BLOCK_SECONDS = 30.0
_SLACK_SECONDS = 0.1
"""How far a recording may be shorter than its header or a list of parts says: encoders round up to whole blocks."""


@dataclass(frozen=True)
class Recording:
    """Samples [N] at ``rate`` a second; the mean of the ``channels`` that the file has."""

    samples: Samples
    rate: int
    channels: int = 1

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def read_audio(file: MediaFile | bytes) -> Recording:
    """A recording at its own rate, all of it in memory; its channels are averaged to one.

    ``bytes`` are those of a file, such as standard input's.

    Raises:
        UserError: no such file, no recording, one that was cut off, without a sample, or that ends before the part that
            is asked for (65); a format that needs another decoder (2); an unreadable file (74).
    """
    with _opened(file) as sound:
        blocks = list(_blocks(sound, file, _BLOCK_SECONDS))
        return Recording(np.concatenate(blocks), sound.samplerate, sound.channels)


def read_blocks(file: MediaFile | bytes, rate: int | None, seconds: float = _BLOCK_SECONDS) -> Iterator[Samples]:
    """`read_audio` resampled to ``rate`` (None: its own), some seconds at a time: in memory that stays flat, however long it
    is."""
    with _opened(file) as sound:
        if rate is None or sound.samplerate == rate:
            yield from _blocks(sound, file, seconds)
            return
        stream = needed("soxr", "soxr", "audio").ResampleStream(sound.samplerate, rate, 1, dtype="float32")
        for block in _blocks(sound, file, seconds):
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def resample(recording: Recording, rate: int) -> Recording:
    """The recording at another rate (soxr's high quality: the band below half the lower rate stays as it is)."""
    if recording.rate == rate:
        return recording
    soxr = needed("soxr", "soxr", "audio")
    samples = soxr.resample(recording.samples, recording.rate, rate, quality="HQ")
    return Recording(np.asarray(samples, np.float32), rate, recording.channels)


@contextmanager
def _opened(file: MediaFile | bytes) -> Iterator[Any]:
    """A file as soundfile reads it, checked against its own header."""
    soundfile = needed("soundfile", "soundfile", "audio")
    name = _name(file)
    with reading(name):
        if isinstance(file, MediaFile) and not file.path.is_file():
            raise data_error("is no plain file" if file.path.exists() else "there is no such file", file=name)
        data = io.BytesIO(file) if isinstance(file, bytes) else file.path.open("rb")
        with data:
            start = data.read(16)
            _check_length(data, name)
            data.seek(0)
            if not start:
                raise data_error("the file is empty", file=name)
            try:
                sound = soundfile.SoundFile(data)
            except soundfile.LibsndfileError as error:
                raise _unreadable(soundfile, name, start, error) from error
            with sound:
                try:
                    yield sound
                except soundfile.LibsndfileError as error:
                    raise data_error(f"is broken: {_why(error)}", file=name) from error


def _unreadable(soundfile: Any, name: str, start: bytes, error: Exception) -> Exception:
    is_mp3 = start.startswith((b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")) or name.lower().endswith(".mp3")
    if is_mp3 and "MP3" not in soundfile.available_formats():
        return usage_error(
            f"the libsndfile {soundfile.__libsndfile_version__} here reads no mp3",
            file=name,
            hint="Install a newer one: pip install --upgrade soundfile (libsndfile 1.1 or newer reads mp3).",
        )
    return data_error(
        f"is no recording that can be read ({_why(error)}); {beginning(start)}",
        file=name,
        hint="wav, flac, ogg and mp3 are read; 'ffmpeg -i FILE out.wav' makes one of most others.",
    )


def _why(error: Exception) -> str:
    return str(error).rpartition(": ")[2].rstrip(".")


def _check_length(data: Any, name: str) -> None:
    """Refuse a wav that was cut off: libsndfile reads what is there without a word.

    Lengths of nothing or of 4 GB stand in the header of a stream, whose length nobody knew.
    """
    size = data.seek(0, io.SEEK_END)
    data.seek(0)
    if data.read(4) != b"RIFF":
        return
    data.seek(12)
    bytes_a_second = 0
    while len(head := data.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"fmt ":
            bytes_a_second = int.from_bytes(data.read(12)[8:], "little")
            length -= 12
        if head[:4] == b"data":
            missing = data.tell() + length - size
            if 0 < length < 2**32 - 2**16 and missing > _SLACK_SECONDS * bytes_a_second:
                raise data_error(
                    f"was cut off: its header says {length:,} bytes of sound, and {length - missing:,} are there",
                    file=name,
                    hint="Copy it again, or have its header made anew: ffmpeg -i FILE out.wav.",
                )
            return
        data.seek(length + length % 2, io.SEEK_CUR)


def _blocks(sound: Any, file: MediaFile | bytes, seconds: float) -> Iterator[Samples]:
    """What is left of the part that is asked for, some seconds at a time."""
    name, rate, total = _name(file), sound.samplerate, sound.frames
    start = (isinstance(file, MediaFile) and file.start) or 0.0
    end = file.end if isinstance(file, MediaFile) else None
    first = round(start * rate)
    last = total if end is None else min(round(end * rate), total)
    if total <= 0:
        raise data_error("a recording without a single sample", file=name)
    if first >= last or (end or 0) * rate > total + _SLACK_SECONDS * rate:
        part = f"{start:g} to {end:g} s" if end is not None else f"from {start:g} s on"
        raise data_error(f"there is no part {part}: it is {total / rate:.2f} s long", file=name)
    if first:
        sound.seek(first)
    at = first
    while at < last:
        block = sound.read(min(max(1, round(seconds * rate)), last - at), dtype="float32", always_2d=True)
        if not len(block):
            break
        at += len(block)
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise data_error(f"a sample near {at / rate:.2f} s is no finite number", file=name)
        yield np.ascontiguousarray(mono)
    if last - at > _SLACK_SECONDS * rate:
        raise data_error(f"ends after {at / rate:.2f} s, and its header says {total / rate:.2f} s", file=name)
    if at == first:
        raise data_error("a recording without a single sample", file=name)


def _name(file: MediaFile | bytes) -> str:
    return "<stdin>" if isinstance(file, bytes) else source_name(file.path)


class Spectrum(Extractor):
    """Frames of a spectrum, one every ``hop`` milliseconds, each in the middle of its window; dither is off."""

    config: SpectrumConfig

    def __init__(self, config: SpectrumConfig) -> None:
        super().__init__(config)
        self.channels = self.width(config)

    @staticmethod
    @abstractmethod
    def width(config: Any) -> int:
        """D of its frames."""

    @abstractmethod
    def computer(self) -> Any:
        """What Kaldi computes one recording with."""

    def compute(self, file: MediaFile) -> NDArray[np.float32]:
        recording = read_audio(file)
        self.note(recording)
        frames = self.of(resample(recording, self.config.rate).samples)
        if not len(frames):
            raise data_error(
                f"{recording.seconds * 1000:.1f} ms of sound are too short for a frame ({self.config.hop:g} ms)",
                file=_name(file),
            )
        return frames

    def of(self, samples: Samples) -> NDArray[np.float32]:
        """The frames [T, D] of samples [N] at the rate of the config; T = N / hop, rounded."""
        computer = self.computer()
        computer.accept_waveform(self.config.rate, samples)
        computer.input_finished()
        count = computer.num_frames_ready
        return np.array([computer.get_frame(frame) for frame in range(count)], np.float32).reshape(count, self.channels)

    def note(self, recording: Recording) -> None:
        """Remember what has to be done to it."""
        if recording.channels > 1:
            self.notes.setdefault(f"{plural(recording.channels, 'channel')} of a recording are averaged to one")
        if recording.rate != self.config.rate:
            self.notes.setdefault(
                f"recordings of {recording.rate:,} samples a second are resampled to {self.config.rate:,}"
            )

    def set_up(self, options: Any) -> Any:
        """Options as the config says, of Kaldi's classes."""
        config = self.config
        frame, mel = options.frame_opts, options.mel_opts
        frame.samp_freq, frame.frame_length_ms, frame.frame_shift_ms = float(config.rate), config.window, config.hop
        frame.dither, frame.snip_edges = 0.0, False
        mel.low_freq, mel.high_freq = config.low, config.high or config.rate / 2
        return options


class LogMel(Spectrum):
    config: LogMelConfig

    @staticmethod
    def width(config: LogMelConfig) -> int:
        return config.bins

    def computer(self) -> Any:
        kaldi = needed("kaldi_native_fbank", "kaldi-native-fbank", "audio")
        options = self.set_up(kaldi.FbankOptions())
        options.mel_opts.num_bins = self.config.bins
        return kaldi.OnlineFbank(options)


class MFCC(Spectrum):
    config: MFCCConfig

    @staticmethod
    def width(config: MFCCConfig) -> int:
        return config.cepstra

    def computer(self) -> Any:
        kaldi = needed("kaldi_native_fbank", "kaldi-native-fbank", "audio")
        options = self.set_up(kaldi.MfccOptions())
        options.mel_opts.num_bins, options.num_ceps = self.config.bins, self.config.cepstra
        options.use_energy = False
        return kaldi.OnlineMfcc(options)
