"""Learning curves: a recipe trained anew on growing shares of its training data, measured on train and dev.

A training score far from what is wanted speaks of bias: the model cannot learn it. A dev score far below the training
score speaks of variance: it has learned its examples more than the task, and more of them help.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.errors import ExitCode, UserError, usage_error
from seqcli.fields.base import Progress
from seqcli.pipeline.curves import Curve, read_curve
from seqcli.pipeline.evaluate import evaluate_model
from seqcli.pipeline.events import Event, Prepared
from seqcli.pipeline.model import Model
from seqcli.pipeline.train import train
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run, Store
from seqcli.tasks.base import new_task


@dataclass(frozen=True)
class Fitted:
    """One training: on how many percent of the examples, and what its model scores on those and on dev, by name.

    ``curve`` is None for a model that is not trained in steps.
    """

    size: float
    seed: int
    examples: int
    minutes: float
    train: dict[str, float]
    dev: dict[str, float]
    curve: Curve | None


@dataclass(frozen=True)
class AtSize:
    """The trainings of one share: means over the seeds, and standard deviations (of a sample; 0 for one training)."""

    size: float
    examples: float
    train: float
    dev: float
    train_deviation: float
    dev_deviation: float


@dataclass(frozen=True)
class LearningCurve:
    """The trainings that came to their end, smallest share first; ``stopped`` where a signal ended them early."""

    recipe: str
    score: str
    fitted: list[Fitted]
    stopped: ExitCode | None = None

    def sizes(self) -> list[AtSize]:
        """Each share with the score that models are chosen by."""
        return [self._at([one for one in self.fitted if one.size == size]) for size in self._shares()]

    def _shares(self) -> list[float]:
        return list(dict.fromkeys(one.size for one in self.fitted))

    def _at(self, some: Sequence[Fitted]) -> AtSize:
        train = [one.train.get(self.score, math.nan) for one in some]
        dev = [one.dev.get(self.score, math.nan) for one in some]
        examples = float(np.mean([one.examples for one in some]))
        return AtSize(
            some[0].size, examples, *(float(np.mean(one)) for one in (train, dev)), *map(_deviation, (train, dev))
        )

    def by_epoch(self) -> Curve | None:
        """The curve of the first training on the largest share; None where it was not trained in steps."""
        largest = max(self._shares(), default=None)
        return next((one.curve for one in self.fitted if one.size == largest), None)


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def learning_curve(
    recipe: Recipe,
    sizes: Sequence[float],
    seeds: int,
    *,
    device: str = "auto",
    store: Store | None = None,
    should_stop: Callable[[], ExitCode | None] = lambda: None,
    progress: Progress | None = None,
    show: Callable[[Fitted], object] = lambda one: None,
    event: Callable[[Event], object] = lambda event: None,
) -> LearningCurve:
    """Train ``recipe`` on each share of its training examples, with several seeds.

    A seed decides initialisation, order, and which examples are in a share (``data.train_draw``); a share of a seed is
    part of that seed's larger ones. Dev stays the same.

    Args:
        sizes: percent of the training examples.
        seeds: trainings of each share; their seeds count up from the recipe's.
        store: keeps the runs; without one they lie in a temporary folder and go at the end.
        should_stop: asked after each step; an exit code ends it all, with what is there.
        show, event: told of each training that is over, and of what it tells on its way.

    Raises:
        UserError: a recipe without a score, or without dev data (2); what `train` raises.
    """
    if not (task := new_task(recipe)).score_names:
        raise usage_error(f"a model for {task.kind} has no score on a split, so it has no curve")
    fitted: list[Fitted] = []
    with tempfile.TemporaryDirectory(prefix="seqcli-curve-") as folder:
        kept = store or Store(folder)
        for size, seed, changed in _recipes(recipe, sizes, seeds):
            try:
                one = _fit(changed, size, seed, kept, device, should_stop, progress, event)
            except UserError as error:
                if error.code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
                    return LearningCurve(recipe.name, task.select_by, fitted, ExitCode(error.code))
                raise
            fitted.append(one)
            show(one)
    return LearningCurve(recipe.name, task.select_by, fitted)


def _recipes(recipe: Recipe, sizes: Sequence[float], seeds: int) -> Iterator[tuple[float, int, Recipe]]:
    for size in sorted(set(sizes)):
        for number in range(seeds):
            seed = recipe.training.seed + number
            share = {"train_share": size / 100 * recipe.data.train_share, "train_draw": recipe.data.train_draw + number}
            update = {
                "data": recipe.data.model_copy(update=share),
                "training": recipe.training.model_copy(update={"seed": seed}),
            }
            yield size, seed, recipe.model_copy(update=update)


def _fit(
    recipe: Recipe,
    size: float,
    seed: int,
    store: Store,
    device: str,
    should_stop: Callable[[], ExitCode | None],
    progress: Progress | None,
    show: Callable[[Event], object],
) -> Fitted:
    examples, folder = 0, ""
    for event in train(recipe, store, device=device, should_stop=should_stop, progress=progress, train_scores=True):
        if isinstance(event, Prepared):
            examples, folder = event.splits["train"]["examples"], event.folder
            if "dev" not in event.splits:
                raise usage_error(
                    f"the data of {recipe.name} has no dev split, which a curve is measured on",
                    hint="Set data.dev, or data.dev_share.",
                )
        show(event)
    run = Run(Path(folder), recipe.name)
    model = Model.load(run)
    scores = {split: _score(model, split) for split in ("train", "dev")}
    curve = read_curve(run) if run.metrics_path.is_file() else None
    return Fitted(size, seed, examples, run.report()["minutes"], scores["train"], scores["dev"], curve)


def _score(model: Model[Any], split: str) -> dict[str, float]:
    return evaluate_model(model, split=split).scores
