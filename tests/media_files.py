"""Small media files for tests: sounds, pictures and clips that are computed, not recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
    return write_pictures(path, (np.full((*size, 3), value, np.uint8) for value in brightness), fps)


def write_pictures(path: Path, pictures: Iterable[np.ndarray], fps: int = 25) -> Path:
    """A clip of pictures [height, width, 3]."""
    with av.open(str(path), "w") as container:
        stream = None
        for pixels in pictures:
            if stream is None:
                stream = container.add_stream("mpeg4", rate=fps)
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
                stream.bit_rate = 4_000_000
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
    return path


ENCODER_BLOCKS = (  # kernel, stride, times wider inside, channels out: Tan and Le (2019), table 1, at an eighth of the width
    *(
        (3, 1, 1, 2),
        (3, 2, 6, 3),
        (3, 1, 6, 3),
        (5, 2, 6, 5),
        (5, 1, 6, 5),
        (3, 2, 6, 10),
        (3, 1, 6, 10),
        (3, 1, 6, 10),
    ),
    *((5, 1, 6, 14), (5, 1, 6, 14), (5, 1, 6, 14), (5, 2, 6, 24), (5, 1, 6, 24), (5, 1, 6, 24), (5, 1, 6, 24)),
    (3, 1, 6, 40),
)


def random_weights() -> dict[str, Any]:
    """Of the image encoder, named and shaped as the published ones, narrower."""
    import torch

    torch.manual_seed(1)
    weights = {}

    def layer(name, norm, shape):
        weights[f"{name}.weight"] = torch.randn(shape) * (2 / np.prod(shape[1:])) ** 0.5
        for part, values in (
            ("weight", 1 + 0.1 * torch.randn(shape[0])),
            ("bias", 0.1 * torch.randn(shape[0])),
            ("running_mean", 0.1 * torch.randn(shape[0])),
            ("running_var", 0.5 + torch.rand(shape[0])),
        ):
            weights[f"{norm}.{part}"] = values

    layer("_conv_stem", "_bn0", (4, 3, 3, 3))
    channels = 4
    for number, (kernel, _, wider, out) in enumerate(ENCODER_BLOCKS):
        name, inside = f"_blocks.{number}.", channels * wider
        if wider > 1:
            layer(f"{name}_expand_conv", f"{name}_bn0", (inside, channels, 1, 1))
        layer(f"{name}_depthwise_conv", f"{name}_bn1", (inside, 1, kernel, kernel))
        layer(f"{name}_project_conv", f"{name}_bn2", (out, inside, 1, 1))
        channels = out
    layer("_conv_head", "_bn1", (160, channels, 1, 1))
    return weights


def put_small_encoder(cache: Path) -> None:
    """A graph of random weights where the program looks for that of the published ones."""
    from seqcli.engines.onnx_efficientnet import graph_of_weights

    graph = graph_of_weights(random_weights())
    folder = cache / "encoders"
    folder.mkdir(parents=True)
    (folder / f"efficientnet-lite0-{hashlib.sha256(graph).hexdigest()}.onnx").write_bytes(graph)
