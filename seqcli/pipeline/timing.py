"""How long models take, each timed in turn with the others, so that a busy machine hurts them all alike."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from threading import Timer
from typing import Any

import numpy as np

from seqcli.data.example import MediaFile
from seqcli.errors import UserError
from seqcli.pipeline.language import language_model
from seqcli.pipeline.model import Model
from seqcli.pipeline.score import LineScorer
from seqcli.tasks.base import Data
from seqcli.tasks.language_model import LanguageModelTask

ROUNDS = 3
"""How often each model is timed; the median counts."""

_ENOUGH = 0.5
"""Seconds of the slowest model from which a pass is long enough."""

_FEWEST, _MORE = 16, 4
"""Items of the first pass, and how many times as many the next one has, which warm up and tell how many are enough."""

_PATIENCE = 120.0
"""Seconds after which no further pass is begun, and a first answer is no longer waited for."""

_VERBS = {
    "tagging": "predict",
    "classification": "predict",
    "transcription": "predict",
    "translation": "translate",
    "captioning": "caption",
    "language-model": "score",
    "forecasting": "forecast",
    "imputation": "impute",
}
"""The verb that asks a model of each task."""

Tick = Callable[[], None]
"""Called after each timing."""


def first_answers(models: Sequence[Model[Any]], source: Any, file: Path, tick: Tick) -> list[float | None]:
    """Seconds from the start of the program to its first line about one example; None where it says nothing.

    Args:
        source: of the example: text, frames or a file of them; of series the whole ``file`` is read.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments, text = [], b""
        if models[0].task.has_series:
            arguments = [str(file)]
        elif isinstance(source, MediaFile):
            arguments = [str(source.path)]
        elif isinstance(source, np.ndarray):
            arguments = [str(Path(folder) / "example.npy")]
            np.save(arguments[0], source)
        else:
            text = (line_of(source) + "\n").encode()
        rounds = [[_first_answer(model, arguments, text, tick) for model in models] for _ in range(ROUNDS)]
    return [_median(times) for times in zip(*rounds, strict=True)]


def _first_answer(model: Model[Any], arguments: Sequence[str], text: bytes, tick: Tick) -> float | None:
    assert model.run is not None
    command = [sys.executable, "-m", "seqcli", _VERBS[model.task.kind], str(model.run.path.resolve()), *arguments]
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        timer = Timer(_PATIENCE, process.kill)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.write(text)
                process.stdin.close()
            process.stdout.readline()
            seconds = time.perf_counter() - began
            process.stdout.read()
        finally:
            timer.cancel()
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.kill()
    tick()
    return seconds if process.returncode == 0 else None


def speeds(
    models: Sequence[Model[Any]], splits: Sequence[Data], items: Sequence[Any], tick: Tick
) -> list[float | None]:
    """Items a second, from what stands in the data to the prediction; of series, windows of the split that are measured.

    Args:
        splits: the same split as each model reads it.
        items: the sources of its examples. As many of them are timed as take the slowest model half a second.
    """
    passes = [_passes(model, data) for model, data in zip(models, splits, strict=True)]
    began, count = time.monotonic(), min(_FEWEST, len(items))
    while count < len(items) and max(_timed(one, items[:count])[1] for one in passes) < _ENOUGH:
        count = min(_MORE * count, len(items))
    rounds: list[list[float | None]] = []
    while len(rounds) < ROUNDS and (not rounds or time.monotonic() - began < _PATIENCE):
        rounds.append([_speed(one, items[:count], tick) for one in passes])
    return [_median(found) for found in zip(*rounds, strict=True)]


def _passes(model: Model[Any], data: Data) -> Callable[[Sequence[Any]], int]:
    """What goes over items once, and says how many it has seen."""
    task = model.task
    if task.has_series:
        return lambda items: int(task.measure(model.engine, data).scorer.score().counts["windows"])
    if isinstance(task, LanguageModelTask):
        scorer = LineScorer(language_model(model))
        return lambda items: len(scorer.score([line_of(one) for one in items]))
    return lambda items: sum(1 for _ in model.predict(items))


def _speed(one: Callable[[Sequence[Any]], int], items: Sequence[Any], tick: Tick) -> float | None:
    count, seconds = _timed(one, items)
    tick()
    return count / seconds if count else None


def _timed(one: Callable[[Sequence[Any]], int], items: Sequence[Any]) -> tuple[int, float]:
    """``(items seen, seconds)``; none where the model does not read what stands in the data."""
    count, began = 0, time.perf_counter()
    with suppress(UserError):
        count = one(items)
    return count, time.perf_counter() - began


def _median(found: Sequence[float | None]) -> float | None:
    there = [one for one in found if one is not None]
    return median(there) if len(there) == len(found) else None


def line_of(source: Any) -> str:
    """A source of text, in tokens or not, as one line."""
    return " ".join((source if isinstance(source, str) else " ".join(source)).split("\n"))
