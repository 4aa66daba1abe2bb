"""Scores of one label an item: accuracy, scikit-learn's macro F1 and Cohen's kappa, and the confusion behind them.

Everything is computed from the table (gold, predicted) -> count, so memory does not grow with the items.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from seqcli.metrics.score import Score, percent, signature


@dataclass(frozen=True)
class LabelCounts:
    """Precision, recall and F1 of one label in percent, and how often it is gold, predicted, and both."""

    precision: float
    recall: float
    f1: float
    correct: int
    gold: int
    predicted: int


@dataclass(frozen=True)
class ClassificationReport:
    """All there is to say about two lists of labels.

    ``kappa`` is a number from -1 to 1, None where it is undefined (gold and predicted hold one and the same label).
    """

    accuracy: Score
    macro_f1: Score
    kappa: Score | None
    labels: Mapping[str, LabelCounts]
    confusion: Mapping[tuple[str, str], int]


def classification_report(confusion: Mapping[tuple[str, str], int], unit: str = "line") -> ClassificationReport:
    """Scores of a table (gold, predicted) -> count, which holds at least one item.

    Macro F1 is the plain mean over every label that is gold or predicted somewhere; F1 of a label that is never
    right is 0.
    """
    from sklearn import metrics

    pairs = sorted(confusion)
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    weights = [confusion[pair] for pair in pairs]
    names = sorted({*gold, *predicted})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an undefined kappa is said by None
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            gold, predicted, labels=names, sample_weight=weights, zero_division=0
        )
        kappa = float(metrics.cohen_kappa_score(gold, predicted, sample_weight=weights))
    macro = float(metrics.f1_score(gold, predicted, average="macro", sample_weight=weights, zero_division=0))
    gold_counts, predicted_counts = _totals(confusion, 0), _totals(confusion, 1)
    counts = {"correct": sum(confusion.get((name, name), 0) for name in names), "total": sum(weights)}
    labels = {
        name: LabelCounts(
            100 * float(precision[row]),
            100 * float(recall[row]),
            100 * float(f1[row]),
            confusion.get((name, name), 0),
            gold_counts[name],
            predicted_counts[name],
        )
        for row, name in enumerate(names)
    }
    return ClassificationReport(
        Score("accuracy", percent(counts["correct"], counts["total"]), signature("accuracy", unit=unit), counts),
        Score("macro F1", 100 * macro, signature("f1", unit=unit, average="macro"), {"labels": len(names), **counts}),
        None if math.isnan(kappa) else Score("kappa", kappa, signature("kappa", unit=unit, weights="none"), counts),
        labels,
        dict(confusion),
    )


def _totals(confusion: Mapping[tuple[str, str], int], side: int) -> Counter[str]:
    totals: Counter[str] = Counter()
    for pair, count in confusion.items():
        totals[pair[side]] += count
    return totals
