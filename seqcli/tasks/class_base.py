"""What classification is whatever the model: the source, the labels, the data, the scores. Shapes: K labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Split
from seqcli.errors import data_error, did_you_mean, usage_error
from seqcli.files import atomic_write_text
from seqcli.lines import read_lines
from seqcli.metrics.classes import ClassScorer, MultilabelScorer
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import ClassificationConfig
from seqcli.tasks.class_data import ClassificationData
from seqcli.tasks.labelled import LabelledFrames, LabelledText
from seqcli.tasks.sources import Source, TextSource

_SCORES = ("accuracy", "macro_f1", "brier", "calibration_error", "loss")
_ORDINAL_SCORES = ("mean_absolute_error", "kappa")
_SEVERAL_SCORES = ("f1", "precision", "recall", "macro_f1", "exact_match", "brier", "loss")
_ONLY_FOR = {"bag-of-words": "text", "mean-pool": "frames"}


class ClassificationBase:
    """What classifiers of every make share; see `seqcli.tasks.base.Task` for the methods."""

    def __init__(self, recipe: Recipe, source: Source) -> None:
        self.recipe, self.source = recipe, source
        self.config = cast(ClassificationConfig, recipe.task)
        self.labels: list[str] = []
        self.weights_K: NDArray[np.float32] | None = None
        if self.several and (self.config.ordinal or self.config.class_weights == "balanced"):
            what = "ordinal" if self.config.ordinal else "class_weights: balanced"
            raise usage_error(f"task.{what} is for examples with one label each, and task.separator allows several")
        here = "text" if isinstance(source, TextSource) else "frames"
        for kind in self.config.baselines or ():
            if _ONLY_FOR.get(kind, here) != here:
                raise usage_error(
                    f"task.baselines: {kind} is for {_ONLY_FOR[kind]}, and this recipe reads {here}",
                    hint=f"Take {kind} out of task.baselines.",
                )
        self.select_by = recipe.training.select_by or ("f1" if self.several else "accuracy")
        known = _SEVERAL_SCORES if self.several else _SCORES + _ORDINAL_SCORES * self.config.ordinal
        if self.select_by not in known:
            raise usage_error(
                f"training.select_by: there is no dev score '{self.select_by}'",
                hint=did_you_mean(self.select_by, known) or f"Scores: {', '.join(known)}.",
            )

    @property
    def several(self) -> bool:
        """Whether an example may have several labels, or none."""
        return self.config.separator is not None

    @property
    def tokenizer_model(self) -> Path | bool | None:
        """The tokenizer's model file: None where one is not there yet, False where there is no text."""
        return self.source.tokenizer_model if isinstance(self.source, TextSource) else False

    @tokenizer_model.setter
    def tokenizer_model(self, path: Path | None) -> None:
        assert isinstance(self.source, TextSource)
        self.source.tokenizer_model = path

    def pieces(self) -> LabelledText | LabelledFrames:
        """Turns an example into its tokens or frames, and its labels."""
        return self.source.pieces(self.config.separator)

    def fit(self, train: Split) -> None:
        """What the source needs, and the labels of the training split.

        Raises:
            UserError: fewer than two labels, or grades that are no numbers (65); a class weight for no label (2).
        """
        self.source.fit(train)
        field = train.fields["label"]
        counts = dict(zip(field.symbols, field.counts.tolist(), strict=True))
        # most frequent first, so that the ids do not depend on the order of the file
        self.labels = sorted(counts, key=lambda label: (-counts[label], label))
        if self.config.ordinal:
            self.labels.sort(key=lambda label: _grade(label, train.files))
        if len(counts) < 2 and not (self.several and counts):
            found = f"one label only, '{self.labels[0]}'" if counts else "no labels"
            raise data_error(
                f"the training data has {found}: there is nothing to tell apart", file=", ".join(train.files)
            )
        self.weights_K = self._weights(counts)

    def _weights(self, counts: Mapping[str, int]) -> NDArray[np.float32] | None:
        weights = self.config.class_weights
        if weights is None:
            return None
        if weights == "balanced":
            total = sum(counts.values())
            return np.array([total / (len(counts) * counts[label]) for label in self.labels], np.float32)
        if alien := [label for label in weights if label not in counts]:
            raise usage_error(
                f"task.class_weights: no training example has the label '{alien[0]}'",
                hint=did_you_mean(alien[0], self.labels) or f"Labels: {', '.join(self.labels)}.",
            )
        return np.array([weights.get(label, 1.0) for label in self.labels], np.float32)

    def save(self, folder: Path) -> list[str]:
        """``labels.txt`` (a label a line), and what the source learned."""
        atomic_write_text(folder / "labels.txt", "".join(f"{label}\n" for label in self.labels))
        return ["labels.txt", *self.source.save(folder)]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; class weights are for training alone."""
        self.labels = [line for _, line in read_lines(folder / "labels.txt")]
        self.source.load(folder)

    def data(self, split: Split) -> ClassificationData:
        """A split as batches."""
        return ClassificationData(self, split)

    def new_scorer(self) -> ClassScorer | MultilabelScorer:
        """A scorer that has counted nothing."""
        if self.several:
            return MultilabelScorer(self.labels)
        return ClassScorer(self.labels, ordinal=self.config.ordinal)

    def written(self, labels: Sequence[str]) -> str:
        """Labels of an example as one text; nothing where it has none."""
        return (self.config.separator or " ").join(labels)

    def describe(self, data: ClassificationData, rows: Sequence[int]) -> list[str]:
        """The labels of an example, and its tokens as the model sees them."""
        return [
            f"{self.written(data.gold(row)) or '(no label)'}: {self.source.readable(data.split, row, known=True)}"
            for row in rows
        ]

    def summary(self) -> dict[str, Any]:
        """Sizes of the source, and the labels."""
        return {**self.source.summary(), "labels": len(self.labels)}


def _grade(label: str, files: Sequence[str]) -> float:
    try:
        grade = float(label)
    except ValueError:
        grade = math.nan
    if not math.isfinite(grade):
        raise data_error(
            f"task.ordinal: the label '{label}' is no number, so it has no place on a scale",
            file=", ".join(files),
            hint="Set ordinal: false, or give grades such as 1 to 5.",
        )
    return grade
