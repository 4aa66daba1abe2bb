"""Fitting a recipe, which was tuned on a data set of its own, to the size of the data it is trained on."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from seqcli.recipe.schema import BatchConfig, Recipe, TrainingConfig
from seqcli.tasks.base import Data

SMALLEST_BATCH = 32
"""Positions below which no batch is cut."""

ADAPTED = ("batch.tokens", "batch.sequences", "epochs", "evaluate_every")
"""Options of ``training`` that may change."""

EVALUATIONS = 40
"""Evaluations of a training with added epochs, at most one an epoch."""


class Change(NamedTuple):
    """An option of ``training`` that was adapted, by its dotted name below it."""

    name: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"training.{self.name} {self.before:,} -> {self.after:,}"


def adapt(recipe: Recipe, train: Data) -> tuple[Recipe, list[Change]]:
    """The recipe with batches, epochs and evaluations that suit its training split, and what that changed.

    Batches are halved until an epoch has ``batch.per_epoch`` of them, then epochs are added until there are
    ``min_steps`` steps, with evaluations at a sensible pace. Where the data has enough of both, nothing changes.
    """
    before = recipe.training
    batch, batches = _smaller(before, train)
    steps = math.ceil(batches / before.accumulate)
    least = min(before.min_steps, before.max_steps or before.min_steps)
    epochs = max(before.epochs, math.ceil(least / steps))
    every = before.evaluate_every
    if epochs > before.epochs or (before.min_steps and every is not None and epochs * steps < 2 * every):
        pace = max(steps, epochs * steps // EVALUATIONS)  # little is soon learned by heart, and must be seen before
        every = pace if every is None else min(every, pace)
    training = before.model_copy(update={"batch": batch, "epochs": epochs, "evaluate_every": every})
    were = before.model_copy(update={"evaluate_every": before.evaluate_every or steps})
    changes = [
        Change(name, old, new)
        for (name, old), new in zip(adapted_values(were).items(), adapted_values(training).values(), strict=True)
        if old is not None and new is not None and old != new
    ]
    return (recipe.model_copy(update={"training": training}) if changes else recipe), changes


def adapted_values(training: TrainingConfig) -> dict[str, int | None]:
    """Those of `ADAPTED`."""
    batch = training.batch
    values = batch.tokens, batch.sequences, training.epochs, training.evaluate_every
    return dict(zip(ADAPTED, values, strict=True))


def _smaller(training: TrainingConfig, train: Data) -> tuple[BatchConfig, int]:
    """The batch, halved while an epoch has too few of them and halving gives more; and batches an epoch."""

    def count(batch: BatchConfig) -> int:
        return len(train.training_order(batch, seed=training.seed, epoch=0))

    batch = smaller = training.batch
    batches = count(batch)
    while batches < batch.per_epoch and smaller.tokens >= 2 * SMALLEST_BATCH and smaller.sequences != 1:
        halved: dict[str, Any] = {"tokens": smaller.tokens // 2}
        if smaller.sequences is not None:
            halved["sequences"] = smaller.sequences // 2
        smaller = smaller.model_copy(update=halved)
        if (more := count(smaller)) > batches:
            batch, batches = smaller, more
    return batch, batches
