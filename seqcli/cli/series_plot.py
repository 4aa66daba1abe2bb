"""A picture of series: what was, what is forecast, and the bands between quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqcli.cli.pictures import pyplot, save_picture

if TYPE_CHECKING:
    from seqcli.pipeline.forecast import Answer

MOST = 6
"""Columns of series that are drawn."""

_BEFORE = 5
"""Steps of the past for each step ahead."""


def draw_forecasts(answers: Sequence[Answer], file: Path, quantiles: Sequence[float]) -> None:
    """Write a panel for each predicted column of each series, the first `MOST`.

    Raises:
        UserError: matplotlib is not installed (1); the file cannot be written (74).
    """
    panels = [(answer, place) for answer in answers for place in range(len(answer.forecast.columns))][:MOST]
    figure, grid = pyplot().subplots(
        len(panels), 1, figsize=(9, 1 + 2.2 * len(panels)), layout="constrained", squeeze=False
    )
    for axes, (answer, place) in zip(grid.flat, panels, strict=True):
        _draw(axes, answer, place, quantiles)
    grid.flat[0].legend(loc="upper left", frameon=False)
    save_picture(figure, file, dpi=110)


def _draw(axes: Any, answer: Answer, place: int, quantiles: Sequence[float]) -> None:
    import numpy as np

    series, forecast = answer.series, answer.forecast
    end, steps = len(series) - len(answer.ahead_KC), len(forecast.values_KM)
    begin = max(0, end - _BEFORE * max(steps, 12))
    past = series.values_TC[begin:end, series.columns.index(forecast.columns[place])]
    x_past: Any = np.arange(begin, end)
    x_ahead: Any = np.arange(end - 1, end + steps)
    if series.times_T is not None and forecast.times_K is not None:
        x_past = series.times_T[begin:end]
        x_ahead = np.concatenate([series.times_T[end - 1 : end], forecast.times_K])
    axes.plot(x_past, past, color="#444444", linewidth=1.2, label="measured")
    values = np.concatenate([past[-1:], forecast.values_KM[:, place]])  # joined to the last value
    axes.plot(x_ahead, values, color="#c03030", linewidth=1.5, label="forecast")
    if forecast.quantiles_KMQ is not None:
        shares = sorted(quantiles or forecast.quantiles)
        for low, high in zip(shares[: len(shares) // 2], reversed(shares), strict=False):
            ends = [
                np.concatenate([past[-1:], forecast.quantiles_KMQ[:, place, forecast.quantiles.index(share)]])
                for share in (low, high)
            ]
            axes.fill_between(
                x_ahead, *ends, color="#c03030", alpha=0.18, linewidth=0, label=f"between {low:g} and {high:g}"
            )
    title = [part for part in (forecast.name, forecast.columns[place]) if part]
    axes.set_title(", ".join(title), fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
