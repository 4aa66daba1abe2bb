"""How long the examples of a split are, how a model fares on each, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import usage_error
from seqcli.fields.base import Progress
from seqcli.metrics.translation import TranslationMetric
from seqcli.pipeline.model import Model
from seqcli.tasks.base import Measured, Task
from seqcli.tasks.tagging import TaggingTask
from seqcli.tasks.translation import TranslationTask

MOST_BINS = 20


@dataclass(frozen=True)
class Histogram:
    """Every example of a split: its length and its score; the calibration of a classifier where there is one.

    ``unit``: what the positions of a length are. ``score``: what is scored, in percent where it says so.
    ``calibration``: bins of the probability of the predicted label, as `ClassScorer.calibration` gives them.
    """

    model: str
    split: str
    unit: str
    score: str
    lengths_N: NDArray[np.int64]
    scores_N: NDArray[np.float64]
    calibration: list[dict[str, Any]]

    def edges(self) -> list[int]:
        """Bounds of bins of equal whole width, `MOST_BINS` of them at most: from each (incl.) to the next (excl.)."""
        low, high = int(self.lengths_N.min()), int(self.lengths_N.max()) + 1
        return [*range(low, high + (width := -(-(high - low) // MOST_BINS)), width)]

    def by_length(self) -> list[dict[str, Any]]:
        """The bins that are not empty: bounds [from, to), examples, mean score."""
        edges = self.edges()
        place_N = np.searchsorted(edges, self.lengths_N, side="right") - 1
        return [
            {
                "from": edges[place],
                "to": edges[place + 1],
                "examples": int((place_N == place).sum()),
                "score": float(self.scores_N[place_N == place].mean()),
            }
            for place in np.unique(place_N).tolist()
        ]


def histogram(model: Model[Any], split: str, progress: Progress | None = None) -> Histogram:
    """The examples of a split, as far as they could be read.

    Raises:
        UserError: a model whose examples are not measured one by one, or no such split (2); bad data (65).
    """
    task = model.task
    if not task.error_columns:
        raise usage_error(
            f"{model.name} is a model for {task.kind}, whose examples have no score of their own",
            hint="Taggers, classifiers and what writes text are shown so.",
        )
    columns = model.columns(None, split, progress=progress)
    data = task.data(columns)
    measured = task.measure(model.engine, data, mistakes=True)
    score, scores_N = _scores(task, measured)
    counts = measured.scorer.score().counts
    lengths_N = np.asarray(data.lengths, np.int64)
    return Histogram(model.name, split, task.source.unit, score, lengths_N, scores_N, counts.get("calibration", []))


def _scores(task: Task[Any], measured: Measured[Any]) -> tuple[str, NDArray[np.float64]]:
    """``(name, [N])``: the share of right tags, chrF, what the task compares by, else whether an example is right."""
    scores_N = np.where(measured.right, 100.0, 0.0)
    if isinstance(task, TaggingTask):
        for one in measured.mistakes:
            scores_N[one.row] = _share(one.gold, one.prediction.tags)
        return "right tags, %", scores_N
    if isinstance(task, TranslationTask):
        pairs = ((one.prediction.text, one.gold) for one in measured.mistakes)
        for one, found in zip(measured.mistakes, TranslationMetric("chrf").sentence_scores(pairs), strict=True):
            scores_N[one.row] = found.value
        return "chrF", scores_N
    if (sums := measured.sums()) is not None:
        return sums.name, sums.value(sums.of_NS)
    return "right, %", scores_N


def _share(gold: Sequence[str], predicted: Sequence[str]) -> float:
    return 100 * float(np.mean([one == other for one, other in zip(gold, predicted, strict=True)]))
