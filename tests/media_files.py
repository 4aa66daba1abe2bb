"""Small media files for tests: sounds, pictures and clips that are computed, not recorded."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image


def sweep(seconds: float, rate: int = 8000) -> np.ndarray:
    """A tone that rises from 100 Hz to a quarter of the rate, as loud as speech."""
    times = np.arange(round(seconds * rate)) / rate
    top = rate / 4
    return (0.3 * np.sin(2 * np.pi * (100 * times + (top - 100) * times**2 / (2 * seconds)))).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray, rate: int = 8000, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def picture(height: int = 320, width: int = 480, seed: int = 0) -> Image.Image:
    """Coloured squares, no two the same."""
    squares = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    return Image.fromarray(np.kron(squares, np.ones((height // 8, width // 8, 1), np.uint8)))


def write_clip(path: Path, brightness: list[int], fps: int = 25, size: tuple[int, int] = (48, 64)) -> Path:
    """A clip of even grey frames, one for each of ``brightness`` (0 to 255)."""
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.bit_rate = 4_000_000
        for value in brightness:
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), value, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
