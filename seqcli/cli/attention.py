"""A picture of where each token of a translation looked in its source, as the papers draw it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.errors import UserError, usage_error
from seqcli.files import cannot_write

if TYPE_CHECKING:
    from seqcli.tasks.writing import Generated

_SUFFIXES = (".png", ".svg", ".pdf")


def draw_attention(one: Generated, file: Path) -> None:
    """Write a matrix of weights, source tokens across, target tokens down (Bahdanau et al. 2015, figure 3).

    Raises:
        UserError: the model has no attention, or the file has another ending than .png, .svg or .pdf (2); matplotlib
            is not installed (1); the file cannot be written (74).
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise usage_error(f"--attention: {file.name} is none of {', '.join(_SUFFIXES)}")
    best = one.hypotheses[0]
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

    columns, rows = [*one.source, "<EOS>"], [*best.tokens, *(["<EOS>"] if best.ended else [])]
    weights_TS = best.attention_TS[: len(rows), : len(columns)]
    figure, axes = pyplot.subplots(figsize=(1.5 + 0.32 * len(columns), 1.2 + 0.32 * len(rows)), layout="constrained")
    picture = axes.imshow(weights_TS, cmap="Greys", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    figure.colorbar(picture, ax=axes, label="attention", shrink=0.8)
    try:
        figure.savefig(file, dpi=150)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        pyplot.close(figure)
