"""Pictures of where each token of a text looked in its source, as the papers draw them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.cli.pictures import check_picture, pyplot, save_picture
from seqcli.errors import usage_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqcli.tasks.writing import Generated, Written

_SIDE = 224
"""Pixels that a picture is drawn with at least."""

_DIM, _TINT, _COLOUR = 0.35, 0.55, (1.0, 0.6, 0.1)
"""How bright a picture is where nobody looks; how strong the light is, and its colour."""


def draw_attention(one: Generated, file: Path) -> None:
    """Write a matrix of weights, source tokens across, target tokens down (Bahdanau et al. 2015, figure 3).

    Raises:
        UserError: the model has no attention, or the file has another ending than .png, .svg or .pdf (2); matplotlib
            is not installed (1); the file cannot be written (74).
    """
    check_picture("--attention", file)
    best = one.hypotheses[0]
    weights_TS = _weights(best)
    columns, rows = [*one.source, "<EOS>"], [*best.tokens, *(["<EOS>"] if best.ended else [])]
    weights_TS = weights_TS[: len(rows), : len(columns)]
    figure, axes = pyplot().subplots(figsize=(1.5 + 0.32 * len(columns), 1.2 + 0.32 * len(rows)), layout="constrained")
    picture = axes.imshow(weights_TS, cmap="Greys", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    figure.colorbar(picture, ax=axes, label="attention", shrink=0.8)
    save_picture(figure, file)


def draw_places(one: Generated, file: Path, pixels: NDArray[np.uint8] | None) -> None:
    """Write the image once for each word, lit where the word looked (Xu et al. 2015, figure 3).

    Args:
        pixels: of the image, [height, width] or [height, width, 3]; without them only the light is drawn.

    Raises:
        UserError: as `draw_attention`.
    """
    import math

    import numpy as np

    check_picture("--attention", file)
    best = one.hypotheses[0]
    weights_TS = _weights(best)
    words = [*best.tokens, *(["<EOS>"] if best.ended else [])]
    side = math.isqrt(weights_TS.shape[1])
    shape = (side, side) if side**2 == weights_TS.shape[1] else (1, weights_TS.shape[1])
    across = min(6, len(words))
    down = math.ceil(len(words) / across)
    figure, grid = pyplot().subplots(
        down, across, figsize=(1.8 * across, 2.0 * down), layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.axis("off")
    for axes, word, weights_S in zip(grid.flat, words, weights_TS, strict=False):
        axes.imshow(lit(np.asarray(weights_S).reshape(shape), pixels), extent=(0.0, 1.0, 0.0, 1.0))
        axes.set_title(f"{word}  {weights_S.max():.2f}", fontsize=9)
    save_picture(figure, file)


def lit(weights_RC: NDArray[np.float32], pixels: NDArray[np.uint8] | None) -> NDArray[np.float64]:
    """A picture [height, width, 3], 0 to 1: as it is where the weights of its places are greatest, dim where they are 0.

    What is dark in the picture takes the colour of the light, so that the light is seen there too.
    """
    import numpy as np

    if pixels is None:
        pixels = np.zeros(weights_RC.shape, np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    larger = -(-_SIDE // min(pixels.shape[:2]))  # of few pixels, so that the light is smooth
    picture_HW3 = np.repeat(np.repeat(pixels, larger, axis=0), larger, axis=1) / 255
    light_HW = weights_RC / max(float(weights_RC.max()), 1e-9)
    for axis in (0, 1):
        middles = (np.arange(picture_HW3.shape[axis]) + 0.5) * light_HW.shape[axis] / picture_HW3.shape[axis] - 0.5
        spread = [np.interp(middles, np.arange(len(line)), line) for line in np.moveaxis(light_HW, axis, -1)]
        light_HW = np.moveaxis(np.stack(spread), -1, axis)
    light_HW1 = light_HW[:, :, None]
    seen_HW3 = picture_HW3 * (_DIM + (1 - _DIM) * light_HW1)
    return np.asarray(seen_HW3 + (1 - seen_HW3) * _TINT * light_HW1 * np.array(_COLOUR))


def _weights(best: Written) -> NDArray[np.float32]:
    """Where each token looked [T, S]."""
    if best.attention_TS is None:
        raise usage_error(
            "there is no attention to draw: the model has none, or the line was translated in parts",
            hint="A decoder has it with model.decoder.attention: general.",
        )
    return best.attention_TS
