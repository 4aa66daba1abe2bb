"""The curves of a training, read from what it logged on its way: ``metrics.jsonl``, a line an evaluation."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from seqcli.errors import data_error, reading, usage_error
from seqcli.metrics.metric import METRICS
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Run

OF_VALUES = ("forecasting", "imputation")
"""Tasks whose loss is a value's; that of the others is in nats a target."""


@dataclass(frozen=True)
class Point:
    """One evaluation: ``train_loss`` is the mean over the steps since the one before; ``scores`` are of dev, nan where not a number.

    ``train_scores``: of the training split, where the training was asked for them. ``gradient_norm`` is a mean too.
    """

    step: int
    epoch: int
    minutes: float
    train_loss: float
    scores: dict[str, float]
    train_scores: dict[str, float]
    learning_rate: float = math.nan
    gradient_norm: float = math.nan
    tokens_per_second: float = math.nan


@dataclass(frozen=True)
class Curve:
    """The evaluations of one training in their order, one at least; ``finished`` when it came to its end."""

    run: str
    task: str
    select_by: str
    finished: bool
    points: list[Point]

    @property
    def best(self) -> Point | None:
        """The evaluation with the best score that a step is chosen by, the first of equals; None without a dev split."""
        name = self.select_by
        known = [point for point in self.points if math.isfinite(point.scores.get(name, math.nan))]
        if not known:
            return None
        sign = 1 if METRICS[name].better == "lower" else -1
        return min(known, key=lambda point: sign * point.scores[name])

    @property
    def score(self) -> str | None:
        """The dev score to draw beside the loss: what a step is chosen by, else the first there is; None without one."""
        names = [name for name in self.points[-1].scores if name != "loss" and name in METRICS]
        return self.select_by if self.select_by in names else next(iter(names), None)


def read_curve(run: Run) -> Curve:
    """The curve of a run, however far its training came.

    Raises:
        UserError: a training that logged nothing, and why (2); a damaged log or recipe (65), one that cannot be read (74).
    """
    path = run.metrics_path
    if not run.recipe_path.is_file():
        raise usage_error(f"{run} holds no training", hint="'seqcli models ls' lists those there are.")
    task = load_recipe(run.recipe_path).recipe.task.kind
    if not path.is_file():
        raise usage_error(f"{run} has no curve: {_why_none(run)}")
    with reading(path):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [json.loads(line)] if line else []
        except ValueError as error:
            if number < len(lines):  # the last line of a training that was killed may be half of one
                raise data_error("not a line of JSON", file=path, line=number) from error
    try:
        points = [_point(row) for row in rows]
        select_by = str(rows[-1]["select_by"]) if rows else ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise data_error("not what a training logs", file=path, hint="Train it again.") from error
    if select_by and select_by not in METRICS:
        raise data_error(f"no score is called '{select_by}'", file=path)
    if not points:
        raise usage_error(f"{run} has no curve yet: its training has not come to the first evaluation")
    return Curve(str(run), task, select_by, run.finished, points)


def _why_none(run: Run) -> str:
    if run.finished and "best_step" not in run.report():
        return "it was counted or fitted in one go, not trained in steps"
    if not run.finished:
        return "its training has not come to the first evaluation"
    return f"{run.metrics_path.name} is not in its folder"


def _point(row: dict[str, Any]) -> Point:
    return Point(
        int(row["step"]),
        int(row["epoch"]),
        float(row["minutes"]),
        _number(row["train_loss"]),
        {str(name): _number(value) for name, value in row["scores"].items()},
        {str(name): _number(value) for name, value in row.get("train_scores", {}).items()},
        *(_number(row.get(name)) for name in ("learning_rate", "gradient_norm", "tokens_per_second")),
    )


def _number(value: float | None) -> float:
    """A number of the log, where null stands for one that is not finite."""
    return math.nan if value is None else float(value)


def smoothed(values: list[float], weight: float) -> list[float]:
    """The exponential moving mean: m_t = w m_(t-1) + (1 - w) x_t, divided by 1 - w^t so that it begins at x_1.

    (Kingma and Ba 2015, section 3, correct the bias so.) Values that are not finite are passed over.
    """
    mean, share, means = 0.0, 0.0, []
    for value in values:
        if math.isfinite(value):
            mean = weight * mean + (1 - weight) * value
            share = weight * share + (1 - weight)
        means.append(mean / share if share else math.nan)
    return means
