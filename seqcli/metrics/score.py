"""Score: a number that never travels without its name, what it counted and how it was computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seqcli.version import __version__


@dataclass(frozen=True)
class Score:
    """One result of a metric.

    Attributes:
        name: what was measured, as the field writes it (``BLEU``, ``F1``, ``WER``).
        value: the result. Shares and error rates are percentages from 0 to 100, as BLEU is.
        signature: every choice that can change the value, and the version that computed it.
        counts: the exact counts behind the value and the values derived from them, ready for JSON.
    """

    name: str
    value: float
    signature: str
    counts: Mapping[str, Any] = field(default_factory=dict)

    def format(self, digits: int = 2) -> str:
        """One line: ``F1 = 87.50 (spans|scheme:bio|...)``."""
        return f"{self.name} = {self.value:.{digits}f} ({self.signature})"

    def as_json(self) -> dict[str, Any]:
        """The whole score, not rounded, as JSON types; what is infinite or no number is None there."""
        document: dict[str, Any] = for_json(
            {"name": self.name, "value": self.value, "signature": self.signature, "counts": dict(self.counts)}
        )
        return document


class Counts(NamedTuple):
    """How many spans, or items of a label, are right, in the gold data, and predicted; the shares are percentages."""

    correct: int
    gold: int
    predicted: int

    @property
    def precision(self) -> float:
        return percent(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        return percent(self.correct, self.gold)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 0 when both are 0."""
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def as_json(self) -> dict[str, Any]:
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, **self._asdict()}


def for_json(value: Any) -> Any:
    """``value`` with None for every float that JSON has no word for: NaN, and the infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: for_json(one) for key, one in value.items()}
    return [for_json(one) for one in value] if isinstance(value, list | tuple) else value


def signature(metric: str, **choices: object) -> str:
    """``metric|key:value|...|v:seqcli-VERSION``: the signature of the metrics that seqcli computes itself."""
    parts = [metric, *(f"{key}:{_plain(value)}" for key, value in choices.items()), f"v:seqcli-{__version__}"]
    return "|".join(parts)


def percent(part: float, whole: float) -> float:
    """``100 * part / whole``, and 0 when there is nothing to divide by (the rule of conlleval)."""
    return 100 * part / whole if whole else 0.0


def _plain(value: object) -> object:
    return ("no", "yes")[value] if isinstance(value, bool) else value
