"""Classification without a network: models that are fitted in seconds, on their own or to compare others with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqcli.errors import usage_error
from seqcli.metrics.paired import compare_right
from seqcli.models.counts.base import CountsClassifier, Labelled, Sizes
from seqcli.recipe import registry
from seqcli.recipe.encoders import BagOfWordsConfig, MajorityConfig, MeanPoolConfig
from seqcli.recipe.schema import ModelConfig, Recipe
from seqcli.tasks.class_base import ClassificationBase
from seqcli.tasks.class_data import ClassificationData
from seqcli.tasks.class_scorers import FittedScorer
from seqcli.tasks.sources import FrameSource, TextSource

BASELINES = frozenset({"majority", "bag-of-words", "mean-pool"})
"""Encoders that are whole models, fitted in seconds."""

MOST_COMPARED = 2**26
"""Values of a training split (tokens, numbers in frames) up to which a report has baselines that need all in memory."""


class FittedClassification(ClassificationBase):
    """The task ``classification`` with a baseline, which is fitted in seconds and in one go."""

    used = frozenset({"seed", "select_by"})

    def __init__(self, recipe: Recipe) -> None:
        assert recipe.model.encoder is not None
        self.encoder = recipe.model.encoder
        self.kind: type[CountsClassifier] = registry.implementation("encoder", self.encoder.kind)
        frames = self.encoder.kind == "mean-pool" or (self.encoder.kind == "majority" and recipe.text is None)
        for part in ("embedder", "pooling", "head"):
            if getattr(recipe.model, part) is not None:
                raise usage_error(f"model.{part}: {self.encoder.kind} has none", hint=f"Take model.{part} out.")
        if recipe.model.members > 1:
            raise usage_error(
                f"model.members: {self.encoder.kind} has one optimum, so several would be alike",
                hint="Take model.members out.",
            )
        super().__init__(recipe, FrameSource(recipe) if frames else TextSource(recipe))
        if self.several and self.config.class_weights is not None:
            raise usage_error(
                f"task.class_weights: {self.encoder.kind} weighs whole examples, and one may have several labels here",
                hint="Take task.class_weights out.",
            )

    @property
    def title(self) -> str:
        """The model as a report names it."""
        return self.kind.title(self.encoder)

    @property
    def sizes(self) -> Sizes:
        words, channels = 0, 0
        if isinstance(self.source, TextSource):
            words = len(self.source.encoder.features.words)
        else:
            channels = self.source.channels
        return Sizes(words=words, channels=channels, classes=len(self.labels), multilabel=self.several)

    def fit_weights(self, data: Mapping[str, Any], progress: Callable[[int, int], None]) -> dict[str, Tensor]:
        """Fit on the training split."""
        train: ClassificationData = data["train"]
        gold = train.gold_ids(np.arange(len(train.split)))
        weights = None if self.weights_K is None else self.weights_K[gold]
        model = self.kind.fit(self.encoder, Labelled(*train.all_values(), gold, weights), self.sizes, progress)
        return {name: torch.from_numpy(array) for name, array in model.arrays().items()}

    def model_of(self, weights: dict[str, Tensor]) -> CountsClassifier:
        """The model of stored weights."""
        arrays = {name: value.numpy() for name, value in weights.items()}
        return self.kind.from_arrays(self.encoder, arrays, self.sizes)

    def scorer(self, data: ClassificationData) -> FittedScorer:
        """Accuracy, macro F1, calibration; for several labels micro F1."""
        return FittedScorer(self, data)

    def baselines(self, data: Mapping[str, ClassificationData], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `baseline_scores`."""
        return baseline_scores(self, data, measured)


def baseline_scores(
    task: ClassificationBase, data: Mapping[str, ClassificationData], measured: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Scores of each baseline on the splits measured, and how the model compares example by example; ready for JSON.

    A training split too large to be held in memory is left to the model alone.

    Args:
        measured: the scorer of each split that the task's own model was measured on.
    """
    train = data["train"].split
    found = []
    for encoder in _encoders(task):
        if encoder.kind != "majority" and data["train"].size > MOST_COMPARED:
            continue
        other = FittedClassification(_recipe_of(task, encoder))
        other.fit(train)
        model = other.model_of(other.fit_weights({"train": other.data(train)}, lambda done, total: None))
        entry: dict[str, Any] = {"model": other.title}
        for name, scorer in measured.items():
            theirs = other.scorer(other.data(data[name].split))
            theirs.add_all(model)
            entry[name] = {**theirs.score().as_json(), "paired": compare_right(scorer.right, theirs.right)}
        found.append(entry)
    return found


def _encoders(task: ClassificationBase) -> list[Any]:
    """The encoder sections of the baselines that the recipe asks for, without the kind that it trains itself."""
    text = isinstance(task.source, TextSource)
    wanted = task.config.baselines
    if wanted is None:
        wanted = ["majority", "bag-of-words" if text else "mean-pool"]
    missing = "refuse" if isinstance(task.source, TextSource) or not task.source.missing else "mask"
    made: dict[str, Any] = {
        "majority": MajorityConfig.model_validate({}),
        "bag-of-words": BagOfWordsConfig.model_validate({}),
        "mean-pool": MeanPoolConfig.model_validate({"missing": missing}),
    }
    own = task.recipe.model.encoder
    return [made[kind] for kind in dict.fromkeys(wanted) if own is None or kind != own.kind]


def _recipe_of(task: ClassificationBase, encoder: Any) -> Recipe:
    """The recipe of a baseline: the same task and text, the weights of the classes only where they mean something."""
    model = ModelConfig.model_construct(embedder=None, encoder=encoder, pooling=None, head=None, members=1)
    config = task.config
    if task.several or encoder.kind == "majority":  # the majority is that of the data, whatever the loss counts
        config = config.model_copy(update={"class_weights": None})
    return task.recipe.model_copy(update={"model": model, "task": config})
