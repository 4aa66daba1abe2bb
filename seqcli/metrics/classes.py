"""Scores of a classifier: right and wrong, and how far its probabilities can be trusted.

K: labels, N: examples of a batch, G: gold labels, those that the model does not know among them. What is held are
counts and sums, so memory does not grow with the examples. Plain numpy: the numbers are scikit-learn's (the tests
compare them), which takes over a second to load.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqcli.metrics.score import Counts, Score, percent, signature

BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017, table 1."""
_LEAST = np.finfo(np.float64).eps
"""The least probability in a loss, as in scikit-learn, so that it stays finite."""


class ClassScorer:
    """One label an example: accuracy, macro F1, loss, Brier score, calibration error; for grades also how far off.

    - Macro F1 is the plain mean over every label that is gold or predicted somewhere.
    - Loss is the mean of -ln p(gold) in nats, p at least 2.2e-16.
    - Brier (1950): the mean over the examples of the sum over ALL labels of (p - y)^2, from 0 to 2. With two labels
      that is twice scikit-learn's ``brier_score_loss(scale_by_half=True)``.
    - Calibration error: 15 bins of equal width over the probability of the predicted label; the mean over the
      examples of |accuracy - mean confidence| of their bin, in percent (Guo et al. 2017, equation 3).
    - Grades (``ordinal``) are the labels' numbers where all are numbers, else their positions: the mean absolute
      error, and Cohen's kappa with the weights (grade - grade)^2 (Cohen 1968), nan where it is undefined.

    A gold label that the model does not know is always wrong. With one the loss is nan (its probability is nobody's);
    in the Brier score it had the probability 0.
    """

    def __init__(self, labels: Sequence[str], *, ordinal: bool = False) -> None:
        self.labels = list(labels)
        self.ordinal = ordinal
        size = len(self.labels)
        self.confusion = np.zeros((size, size), dtype=np.int64)
        """[gold, predicted] -> how often."""
        self.unknown: dict[str, np.ndarray] = {}
        """Gold label that the model does not know -> how often each label was predicted for it [K]."""
        self.loss_sum = 0.0
        self.brier_sum = 0.0
        self.bins = np.zeros((3, BINS))
        """Examples, right ones and the sum of confidences of each calibration bin."""

    def add(self, gold: np.ndarray, probs: np.ndarray, unknown: Sequence[str] = ()) -> None:
        """Count a batch.

        Args:
            gold: int [N], the number of each example's label; -1 for a label that the model does not know.
            probs: float [N, K], one distribution over the labels a row. The first of equal ones is the prediction.
            unknown: the names of the labels behind the -1, in their order.

        Raises:
            ValueError: shapes that do not fit.
        """
        gold, probs = np.asarray(gold), np.asarray(probs, dtype=np.float64)
        size = len(self.labels)
        if gold.ndim != 1 or probs.shape != (len(gold), size):
            raise ValueError(f"gold {gold.shape} and probs {probs.shape} for {size} labels")
        if not len(gold):
            return
        predicted, known = probs.argmax(axis=1), gold >= 0
        if len(unknown) != (~known).sum():
            raise ValueError(f"{len(unknown)} names for {(~known).sum()} unknown labels")
        pairs = np.bincount(gold[known] * size + predicted[known], minlength=size * size)
        self.confusion += pairs.reshape(size, size)
        for name, label in zip(unknown, predicted[~known], strict=True):
            self.unknown.setdefault(name, np.zeros(size, dtype=np.int64))[label] += 1
        of_gold = probs[np.flatnonzero(known), gold[known]]
        self.loss_sum += float(-np.log(np.clip(of_gold, _LEAST, None)).sum())
        # sum (p - y)^2 = sum p^2 - 2 p(gold) + 1; an unknown label has p(gold) = 0
        self.brier_sum += float((probs**2).sum() - 2 * of_gold.sum() + len(gold))
        confidence = probs.max(axis=1)
        places = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
        for row, weights in enumerate((None, (predicted == gold).astype(float), confidence)):
            self.bins[row] += np.bincount(places, weights, minlength=BINS)

    @property
    def total(self) -> int:
        """How many examples were added."""
        return int(self.bins[0].sum())

    @property
    def correct(self) -> int:
        return int(np.trace(self.confusion))

    @property
    def _gold_labels(self) -> list[str]:
        return [*self.labels, *self.unknown]

    @property
    def _table(self) -> np.ndarray:
        """[G, K]: how often each label was predicted for each gold label."""
        return np.vstack([self.confusion, *self.unknown.values()])

    def scores(self) -> dict[str, float]:
        """Each score by its name. Shares are percentages, loss is in nats an example; nan where there is nothing."""
        total = self.total
        count, right, confidence = self.bins
        scores = {
            "accuracy": percent(self.correct, total),
            "macro_f1": macro_f1(self.per_label().values()),
            "loss": self.loss_sum / total if total and not self.unknown else math.nan,
            "brier": self.brier_sum / total if total else math.nan,
            "calibration_error": percent(float(np.abs(right - confidence).sum()), float(count.sum())),
        }
        if self.ordinal:
            scores["mean_absolute_error"], scores["kappa"] = self._grade_scores()
        return scores

    def per_label(self) -> dict[str, Counts]:
        """Counts of each label that is gold or predicted somewhere."""
        return label_counts(self._gold_labels, self._table)

    def score(self) -> Score:
        """The accuracy in percent; its counts hold all there is: every score, label table, confusion, calibration."""
        confusion = {
            gold: {label: count for label, count in zip(self.labels, row, strict=True) if count}
            for gold, row in zip(self._gold_labels, self._table.tolist(), strict=True)
            if any(row)
        }
        counts: dict[str, Any] = {
            "correct": self.correct,
            "total": self.total,
            "scores": self.scores(),
            "labels": {name: one.as_json() for name, one in self.per_label().items()},
            "confusion": confusion,
            "calibration": self.calibration(),
            "unknown_labels": {name: int(row.sum()) for name, row in self.unknown.items()},
        }
        choices = {"brier": "sum-over-labels", "calibration": f"{BINS}-bins"}
        choices |= {"kappa": "quadratic"} if self.ordinal else {}
        accuracy = percent(self.correct, self.total)
        return Score("accuracy", accuracy, signature("accuracy", unit="example", **choices), counts)

    def calibration(self) -> list[dict[str, float]]:
        """The bins that are not empty: bounds (low, high], examples, accuracy and mean confidence in percent."""
        return [
            {
                "low": place / BINS,
                "high": (place + 1) / BINS,
                "count": int(count),
                "correct": int(right),
                "accuracy": percent(right, count),
                "confidence": percent(confidence, count),
            }
            for place, (count, right, confidence) in enumerate(self.bins.T.tolist())
            if count
        ]

    def _grade_scores(self) -> tuple[float, float]:
        """Mean absolute error and quadratic kappa; nan where a gold label has no grade."""
        grades, table = _grades(self._gold_labels), self._table
        if (grades is None and self.unknown) or not table.sum():
            return math.nan, math.nan
        of_gold = np.arange(len(self.labels), dtype=float) if grades is None else np.array(grades)
        distance = of_gold[:, None] - of_gold[None, : len(self.labels)]
        return float((np.abs(distance) * table).sum() / table.sum()), cohen_kappa(table, distance**2)


class MultilabelScorer:
    """Any number of labels an example: micro F1 (the score), macro F1, examples with exactly the right labels.

    A label is predicted where its probability is at least the threshold. Micro F1 counts all labels of all examples
    together; a gold label that the model does not know is missed there, and has no row in the table and the macro F1.
    Loss is the sum over the labels of the binary cross-entropy in nats an example (nan with unknown labels), Brier
    the mean of (p - y)^2 over all labels of all examples, from 0 to 1.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)
        self.counts = np.zeros((3, len(self.labels)), dtype=np.int64)
        """How often each label is right, gold, and predicted."""
        self.total = 0
        self.exact = 0
        self.unknown = 0
        self.loss_sum = 0.0
        self.brier_sum = 0.0

    def add(
        self, gold: np.ndarray, probs: np.ndarray, threshold: float = 0.5, unknown: np.ndarray | None = None
    ) -> None:
        """Count a batch.

        Args:
            gold: bool [N, K], which labels each example has.
            probs: float [N, K], the probability of each label.
            threshold: from which probability on a label is predicted.
            unknown: int [N], how many gold labels of each example the model does not know.

        Raises:
            ValueError: shapes that do not fit.
        """
        gold, probs = np.asarray(gold, dtype=bool), np.asarray(probs, dtype=np.float64)
        if gold.shape != probs.shape or gold.ndim != 2 or gold.shape[1] != len(self.labels):
            raise ValueError(f"gold {gold.shape} and probs {probs.shape} for {len(self.labels)} labels")
        missed = np.zeros(len(gold), dtype=np.int64) if unknown is None else np.asarray(unknown)
        predicted = probs >= threshold
        self.counts += np.stack([(gold & predicted).sum(axis=0), gold.sum(axis=0), predicted.sum(axis=0)])
        self.total += len(gold)
        self.exact += int(((gold == predicted).all(axis=1) & (missed == 0)).sum())
        self.unknown += int(missed.sum())
        of_truth = np.clip(np.where(gold, probs, 1 - probs), _LEAST, None)
        self.loss_sum += float(-np.log(of_truth).sum())
        self.brier_sum += float(((probs - gold) ** 2).sum())

    @property
    def micro(self) -> Counts:
        """Counts of all labels together."""
        correct, gold, predicted = self.counts.sum(axis=1).tolist()
        return Counts(correct, gold + self.unknown, predicted)

    def scores(self) -> dict[str, float]:
        """Each score by its name. Shares are percentages, loss is in nats an example; nan where there is nothing."""
        micro, cells = self.micro, self.total * len(self.labels)
        return {
            "f1": micro.f1,
            "precision": micro.precision,
            "recall": micro.recall,
            "macro_f1": macro_f1(self.per_label().values()),
            "exact_match": percent(self.exact, self.total),
            "loss": self.loss_sum / self.total if self.total and not self.unknown else math.nan,
            "brier": self.brier_sum / cells if cells else math.nan,
        }

    def per_label(self) -> dict[str, Counts]:
        """Counts of each label that is gold or predicted somewhere."""
        counts = (Counts(*numbers) for numbers in self.counts.T.tolist())
        return {name: one for name, one in zip(self.labels, counts, strict=True) if one.gold or one.predicted}

    def score(self) -> Score:
        """Micro F1 in percent; its counts hold every score and the table of labels."""
        micro = self.micro
        counts: dict[str, Any] = {
            "correct": micro.correct,
            "gold": micro.gold,
            "predicted": micro.predicted,
            "total": self.total,
            "exact": self.exact,
            "unknown_labels": self.unknown,
            "scores": self.scores(),
            "labels": {name: one.as_json() for name, one in self.per_label().items()},
        }
        return Score("F1", micro.f1, signature("f1", unit="label", average="micro", brier="mean-over-labels"), counts)


@dataclass(frozen=True)
class ClassificationReport:
    """All there is to say about two lists of labels.

    ``kappa`` is a number from -1 to 1, None where it is undefined (gold and predicted hold one and the same label).
    """

    accuracy: Score
    macro_f1: Score
    kappa: Score | None
    labels: Mapping[str, Counts]
    confusion: Mapping[tuple[str, str], int]


def classification_report(confusion: Mapping[tuple[str, str], int], unit: str = "line") -> ClassificationReport:
    """Scores of a table (gold, predicted) -> count, which holds at least one item."""
    names = sorted({label for pair in confusion for label in pair})
    places = {name: place for place, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    for (gold, predicted), count in confusion.items():
        table[places[gold], places[predicted]] = count
    labels, kappa = label_counts(names, table), cohen_kappa(table, 1 - np.eye(len(names)))
    counts = {"correct": int(np.trace(table)), "total": int(table.sum())}
    accuracy = percent(counts["correct"], counts["total"])
    return ClassificationReport(
        Score("accuracy", accuracy, signature("accuracy", unit=unit), counts),
        Score(
            "macro F1",
            macro_f1(labels.values()),
            signature("f1", unit=unit, average="macro"),
            {"labels": len(names), **counts},
        ),
        None if math.isnan(kappa) else Score("kappa", kappa, signature("kappa", unit=unit, weights="none"), counts),
        labels,
        dict(confusion),
    )


def label_counts(names: Sequence[str], table: np.ndarray) -> dict[str, Counts]:
    """Counts of each label that is gold or predicted somewhere.

    Args:
        names: G labels, of which the first K can be predicted.
        table: int [G, K], how often each label was predicted for each gold label.
    """
    predictable = table.shape[1]
    gold, predicted = table.sum(axis=1).tolist(), [*table.sum(axis=0).tolist(), *[0] * (len(names) - predictable)]
    correct = [*table.diagonal().tolist(), *[0] * (len(names) - predictable)]
    rows = zip(names, map(Counts, correct, gold, predicted), strict=True)
    return {name: one for name, one in rows if one.gold or one.predicted}


def macro_f1(counts: Collection[Counts]) -> float:
    """The plain mean of the labels' F1 in percent, 0 without a label."""
    return sum(one.f1 for one in counts) / len(counts) if counts else 0.0


def cohen_kappa(table: np.ndarray, weights: np.ndarray) -> float:
    """Cohen's kappa (1960, weighted 1968) of a table [G, K]; nan where chance alone would disagree nowhere.

    Args:
        weights: float [G, K], how much each disagreement counts.
    """
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    expected = float((weights * by_chance).sum())
    return 1 - float((weights * table).sum()) / expected if expected else math.nan


def _grades(labels: Sequence[str]) -> list[float] | None:
    """The labels as numbers, None where one of them is none."""
    try:
        grades = [float(label) for label in labels]
    except ValueError:
        return None
    return grades if all(map(math.isfinite, grades)) else None
