"""Span precision, recall and F1 as conlleval counts them, and what kind of error each wrong span is.

Source: the scorer of the CoNLL-2000 and CoNLL-2003 shared tasks (Tjong Kim Sang and Buchholz 2000). A predicted span
is correct when its first token, last token and label are all those of a gold span. A share of nothing is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import eq
from typing import Literal, NamedTuple

from seqcli.metrics.schemes import Matching, Span, scheme_name, spans
from seqcli.metrics.score import Counts, Score, percent, signature

ErrorKind = Literal["boundary", "type", "boundary+type", "missed", "spurious"]


class SpanScorer:
    """Accumulates sentences and scores them at any time."""

    def __init__(self, scheme: str = "bio", matching: Matching = "conlleval") -> None:
        self.scheme = scheme_name(scheme)
        self.matching: Matching = matching
        self.tokens = 0
        self.correct_tokens = 0
        self.sentences = 0
        self._correct: Counter[str] = Counter()
        self._gold: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()

    def add(self, gold_tags: Sequence[str], predicted_tags: Sequence[str]) -> Counts:
        """Count one sentence; returns its own spans.

        Raises:
            ValueError: the two have different lengths.
            UserError: a tag that the scheme cannot write (exit code 65).
        """
        if len(gold_tags) != len(predicted_tags):
            raise ValueError(f"{len(gold_tags)} gold tags against {len(predicted_tags)} predicted ones")
        self.sentences += 1
        self.tokens += len(gold_tags)
        self.correct_tokens += sum(map(eq, gold_tags, predicted_tags))
        gold = spans(gold_tags, self.scheme, self.matching)
        predicted = spans(predicted_tags, self.scheme, self.matching)
        if not gold and not predicted:
            return Counts(0, 0, 0)
        self._gold.update([span.label for span in gold])
        self._predicted.update([span.label for span in predicted])
        correct = [span.label for span in set(gold).intersection(predicted)]
        self._correct.update(correct)
        return Counts(len(correct), len(gold), len(predicted))

    @property
    def types(self) -> dict[str, Counts]:
        """Counts by label, in order of the label; every label of the gold or the predicted spans is there."""
        return {
            label: Counts(self._correct[label], self._gold[label], self._predicted[label])
            for label in sorted(self._gold.keys() | self._predicted.keys())
        }

    @property
    def total(self) -> Counts:
        """Counts of all labels together (the micro average)."""
        return Counts(self._correct.total(), self._gold.total(), self._predicted.total())

    @property
    def accuracy(self) -> float:
        """Percentage of tokens whose tag is right, O included."""
        return percent(self.correct_tokens, self.tokens)

    @property
    def signature(self) -> str:
        """``spans|scheme:bio|matching:conlleval|average:micro|v:...``."""
        return signature("spans", scheme=self.scheme, matching=self.matching, average="micro")

    def score(self) -> Score:
        """The micro-averaged F1 in percent; precision, recall, accuracy, counts and labels are in its ``counts``."""
        total = self.total
        counts = {
            **total.as_json(),
            "accuracy": self.accuracy,
            "tokens": self.tokens,
            "correct_tokens": self.correct_tokens,
            "sentences": self.sentences,
            "types": {label: part.as_json() for label, part in self.types.items()},
        }
        return Score("F1", total.f1, self.signature, counts)


class SpanError(NamedTuple):
    """One wrong span: ``gold`` is None where it is spurious, ``predicted`` where it is missed."""

    kind: ErrorKind
    gold: Span | None
    predicted: Span | None


def span_errors(gold: Iterable[Span], predicted: Iterable[Span]) -> list[SpanError]:
    """What went wrong in one sentence, in order of position; correct spans are left out.

    Wrong spans that overlap are paired, each at most once, the pair with the most tokens in common first (then the
    same label, then the leftmost): same tokens is a ``type`` error, same label a ``boundary`` error, else
    ``boundary+type``. What is left over is ``missed`` or ``spurious``.
    """
    gold_set, predicted_set = set(gold), set(predicted)
    wrong_gold = sorted(gold_set - predicted_set)
    wrong_predicted = sorted(predicted_set - gold_set)
    result: list[SpanError] = []
    for one, other in sorted(_overlaps(wrong_gold, wrong_predicted), key=_preference):
        if one in gold_set and other in predicted_set:
            gold_set.remove(one)
            predicted_set.remove(other)
            result.append(SpanError(_kind(one, other), one, other))
    result += [SpanError("missed", span, None) for span in wrong_gold if span in gold_set]
    result += [SpanError("spurious", None, span) for span in wrong_predicted if span in predicted_set]
    return sorted(result, key=lambda error: (error.gold or error.predicted, error.kind))


def errors(
    gold_tags: Sequence[str], predicted_tags: Sequence[str], scheme: str = "bio", matching: Matching = "conlleval"
) -> list[SpanError]:
    """`span_errors` of two tag sequences."""
    return span_errors(spans(gold_tags, scheme, matching), spans(predicted_tags, scheme, matching))


def _overlaps(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Every overlapping pair; both are sorted and free of overlaps in themselves, so one sweep finds them."""
    pairs, here, there = [], 0, 0
    while here < len(gold) and there < len(predicted):
        one, other = gold[here], predicted[there]
        if one.start < other.end and other.start < one.end:
            pairs.append((one, other))
        if one.end <= other.end:
            here += 1
        else:
            there += 1
    return pairs


def _preference(pair: tuple[Span, Span]) -> tuple[int, bool, int]:
    one, other = pair
    return -(min(one.end, other.end) - max(one.start, other.start)), one.label != other.label, one.start


def _kind(gold: Span, predicted: Span) -> ErrorKind:
    if gold[:2] == predicted[:2]:
        return "type"
    return "boundary" if gold.label == predicted.label else "boundary+type"
