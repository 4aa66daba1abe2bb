"""Tiny series: waves with a trend, as tables, and a recipe that forecasts them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.data.series import Series
from seqcli.recipe.load import recipe_from_text

RECIPE = """
name: waves
task: {kind: forecasting, look_back: 8, steps: 4}
data: {train: TRAIN, dev_steps: 8, test_steps: 8}
source: {kind: series}
model:
  embedder: {kind: series}
  head: {kind: direct, reads: all}
training: {optimizer: {kind: adamw, lr: 0.01}, batch: {tokens: 64, per_epoch: 0}, epochs: 2, min_steps: 0}
"""


def wave(steps: int = 72, *, seed: int = 0, level: float = 20.0, noise: float = 0.1) -> np.ndarray:
    """A season of 12, a slope, and chance; all above zero."""
    time = np.arange(steps)
    chance = np.random.default_rng(seed).normal(size=steps)
    return level + 0.05 * time + 3 * np.sin(2 * np.pi * time / 12) + noise * chance


def months(steps: int, start: str = "2001-01") -> np.ndarray:
    return np.datetime64(start, "M") + np.arange(steps)


def hours(steps: int, start: str = "2001-01-01T00") -> np.ndarray:
    return np.datetime64(start, "h") + np.arange(steps)


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """A column each; NaN is an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        write = csv.writer(handle, lineterminator="\n").writerow
        write(columns)
        for row in zip(*columns.values(), strict=True):
            write(["" if str(cell) == "nan" else cell for cell in row])
    return path


def monthly(path: Path, values: np.ndarray | None = None, **more: Sequence[Any]) -> Path:
    """``Month``, ``y`` and more columns."""
    values = wave() if values is None else values
    return write_table(path, {"Month": months(len(values)), "y": values.round(4), **more})


def several(path: Path, lengths: Sequence[int] = (60, 48, 72)) -> Path:
    """Rows of several series: ``unique_id``, ``ds``, ``y``; their levels differ."""
    rows: dict[str, list[Any]] = {"unique_id": [], "ds": [], "y": []}
    for number, length in enumerate(lengths):
        rows["unique_id"] += [f"s{number}"] * length
        rows["ds"] += [*months(length)]
        rows["y"] += [*wave(length, seed=number, level=20 * 10**number).round(4)]
    return write_table(path, rows)


def series_of(values: np.ndarray, name: str = "", times: np.ndarray | None = None, *columns: str) -> Series:
    values = values[:, None] if values.ndim == 1 else values
    times = months(len(values)) if times is None else times
    frequency = {"M": "1 month", "h": "1 hour"}[np.datetime_data(times.dtype)[0]]
    return Series(name, columns or ("y",), values, times.astype("datetime64[ms]"), frequency)


def series_recipe(train: Path, *overrides: str) -> Any:
    return recipe_from_text(RECIPE.replace("TRAIN", str(train)), overrides=[*overrides]).recipe
