"""Accuracy of one label a token (parts of speech) or a line: exact counts, then a percentage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import eq

from seqcli.metrics.score import Score, percent, signature


class AccuracyScorer:
    """Accumulates sequences of labels; ``unit`` says in the signature what one label belongs to."""

    def __init__(self, unit: str = "token") -> None:
        self.unit = unit
        self.sequences = 0
        self.correct_sequences = 0
        self.confusion: Counter[tuple[str, str]] = Counter()
        """(gold, predicted) -> how often."""

    def add(self, gold: Sequence[str], predicted: Sequence[str]) -> int:
        """Count one sequence; returns how many of its labels are right.

        Raises:
            ValueError: the two have different lengths.
        """
        if len(gold) != len(predicted):
            raise ValueError(f"{len(gold)} gold labels against {len(predicted)} predicted ones")
        self.sequences += 1
        right = sum(map(eq, gold, predicted))
        self.correct_sequences += right == len(gold)
        self.confusion.update(zip(gold, predicted, strict=True))
        return right

    def score(self) -> Score:
        """The accuracy in percent, with the counts and how many sequences are right throughout."""
        counts = {
            "correct": sum(count for (gold, predicted), count in self.confusion.items() if gold == predicted),
            "total": self.confusion.total(),
            "sequences": self.sequences,
            "correct_sequences": self.correct_sequences,
        }
        accuracy = percent(counts["correct"], counts["total"])
        return Score("accuracy", accuracy, signature("accuracy", unit=self.unit), counts)
