"""Pictures of where each token of a text looked in its source, as the papers draw them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqcli.errors import UserError, usage_error
from seqcli.files import cannot_write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqcli.tasks.writing import Generated, Written

_SUFFIXES = (".png", ".svg", ".pdf")


def draw_attention(one: Generated, file: Path) -> None:
    """Write a matrix of weights, source tokens across, target tokens down (Bahdanau et al. 2015, figure 3).

    Raises:
        UserError: the model has no attention, or the file has another ending than .png, .svg or .pdf (2); matplotlib
            is not installed (1); the file cannot be written (74).
    """
    best = one.hypotheses[0]
    pyplot, weights_TS = _drawing(best, file)
    columns, rows = [*one.source, "<EOS>"], [*best.tokens, *(["<EOS>"] if best.ended else [])]
    weights_TS = weights_TS[: len(rows), : len(columns)]
    figure, axes = pyplot.subplots(figsize=(1.5 + 0.32 * len(columns), 1.2 + 0.32 * len(rows)), layout="constrained")
    picture = axes.imshow(weights_TS, cmap="Greys", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    figure.colorbar(picture, ax=axes, label="attention", shrink=0.8)
    _save(figure, file)


def draw_places(one: Generated, file: Path, image: Path | None) -> None:
    """Write the image once for each word, lit where the word looked (Xu et al. 2015, figure 3).

    Without an image (a row of features) only the light is drawn.

    Raises:
        UserError: as `draw_attention`; the image cannot be read (65).
    """
    import math

    import numpy as np

    best = one.hypotheses[0]
    pyplot, weights_TS = _drawing(best, file)
    words = [*best.tokens, *(["<EOS>"] if best.ended else [])]
    side = math.isqrt(weights_TS.shape[1])
    shape = (side, side) if side**2 == weights_TS.shape[1] else (1, weights_TS.shape[1])
    pixels = None
    if image is not None:
        from seqcli.data.example import MediaFile
        from seqcli.media.image import read_image

        pixels = read_image(MediaFile(image))
    across = min(6, len(words))
    down = math.ceil(len(words) / across)
    figure, grid = pyplot.subplots(
        down, across, figsize=(1.8 * across, 2.0 * down), layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.axis("off")
    for axes, word, weights_S in zip(grid.flat, words, weights_TS, strict=False):
        extent = (0.0, 1.0, 0.0, 1.0)
        light = np.asarray(weights_S).reshape(shape)
        if pixels is not None:
            axes.imshow(pixels, extent=extent)
        axes.imshow(
            light,
            cmap="Greys_r",
            alpha=0.65 if pixels is not None else 1,
            extent=extent,
            vmin=0,
            interpolation="bicubic",
        )
        axes.set_title(f"{word}  {light.max():.2f}", fontsize=9)
    _save(figure, file)


def _drawing(best: Written, file: Path) -> tuple[Any, NDArray[np.float32]]:
    """Pyplot, and where each token looked."""
    if file.suffix.lower() not in _SUFFIXES:
        raise usage_error(f"--attention: {file.name} is none of {', '.join(_SUFFIXES)}")
    if best.attention_TS is None:
        raise usage_error(
            "there is no attention to draw: the model has none, or the line was translated in parts",
            hint="A decoder has it with model.decoder.attention: general.",
        )
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("drawing needs matplotlib", hint="pip install 'seqcli[plots]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot, best.attention_TS


def _save(figure: Any, file: Path) -> None:
    from matplotlib import pyplot

    try:
        figure.savefig(file, dpi=150)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        pyplot.close(figure)
