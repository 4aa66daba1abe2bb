"""Tiny series with gaps, and a recipe that fills them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tiny_series import hours, wave, write_table

from seqcli.recipe.load import recipe_from_text

RECIPE = """
name: gaps
task: {kind: imputation, steps: 12}
data: {train: TRAIN, dev_steps: 12, test_steps: 24}
source: {kind: series, calendar: [hour]}
model:
  embedder: {kind: gaps, dim: 8}
  encoder: {kind: gru, dim: 8}
  head: {kind: fill}
training: {optimizer: {kind: adamw, lr: 0.01}, batch: {tokens: 96, per_epoch: 0}, epochs: 2, min_steps: 0}
"""
COUNTS = "model={kind: interpolation}"


def gappy(steps: int = 96, share: float = 0.15, seed: int = 0) -> np.ndarray:
    """Two columns that go together [T, 2], some values missing."""
    first = wave(steps, seed=seed)
    values = np.stack([first, 100 - 3 * first], 1).round(3)
    values[np.random.default_rng(seed).random(values.shape) < share] = np.nan
    return values


def gap_table(path: Path, values: np.ndarray | None = None) -> Path:
    """``time``, ``a``, ``b``."""
    values = gappy() if values is None else values
    times = np.datetime_as_string(hours(len(values)), "s")
    return write_table(path, {"time": times, "a": values[:, 0], "b": values[:, 1]})


def several_tables(path: Path, lengths: tuple[int, ...] = (5, 9, 12, 7)) -> Path:
    """Rows of several short series: ``id``, ``time``, ``a``, ``b``."""
    rows: dict[str, list[Any]] = {"id": [], "time": [], "a": [], "b": []}
    for number, length in enumerate(lengths):
        values = gappy(length, 0.2, number)
        rows["id"] += [f"s{number}"] * length
        rows["time"] += [*np.datetime_as_string(hours(length), "s")]
        rows["a"] += [*values[:, 0]]
        rows["b"] += [*values[:, 1]]
    return write_table(path, rows)


def gap_recipe(train: Path, *overrides: str) -> Any:
    return recipe_from_text(RECIPE.replace("TRAIN", str(train)), overrides=[*overrides]).recipe


def short_recipe(folder: Path, *overrides: str) -> Any:
    """Of `several_tables`, which are for training alone."""
    folder.mkdir(parents=True, exist_ok=True)
    return gap_recipe(several_tables(folder / "short.csv"), "data.dev_steps=null", "data.test_steps=null", *overrides)
