"""conlleval's definition, written down a second time and slowly, to check the fast one against.

It walks over gold and predicted tags together and keeps one flag, "the open gold span and the open predicted span are
still the same", as the Perl scorer does, instead of extracting spans and comparing sets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


def _cut(tag):
    letter, dash, label = tag.partition("-")
    return letter, label if dash else ""


def _ends(previous, current):
    (before, before_label), (here, label) = _cut(previous), _cut(current)
    if (before, here) in {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}:
        return True
    return before != "O" and before_label != label


def _starts(previous, current):
    (before, before_label), (here, label) = _cut(previous), _cut(current)
    if (before, here) in {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}:
        return True
    return here != "O" and before_label != label


@dataclass
class Counts:
    correct: Counter = field(default_factory=Counter)
    gold: Counter = field(default_factory=Counter)
    predicted: Counter = field(default_factory=Counter)
    tokens: int = 0
    correct_tokens: int = 0


def conlleval_counts(sentences):
    """Counts over (gold tags, predicted tags) pairs in B, I and O; each sentence ends as if an O followed."""
    counts = Counts()
    for gold_tags, predicted_tags in sentences:
        same_so_far = False
        last_gold = last_predicted = "O"
        pairs = list(zip(gold_tags, predicted_tags, strict=True))
        for gold, predicted in [*pairs, ("O", "O")]:
            if same_so_far:
                gold_ends, predicted_ends = _ends(last_gold, gold), _ends(last_predicted, predicted)
                if gold_ends and predicted_ends and _cut(last_gold)[1] == _cut(last_predicted)[1]:
                    same_so_far = False
                    counts.correct[_cut(last_gold)[1]] += 1
                elif gold_ends != predicted_ends or _cut(gold)[1] != _cut(predicted)[1]:
                    same_so_far = False
            gold_starts, predicted_starts = _starts(last_gold, gold), _starts(last_predicted, predicted)
            if gold_starts and predicted_starts and _cut(gold)[1] == _cut(predicted)[1]:
                same_so_far = True
            counts.gold[_cut(gold)[1]] += gold_starts
            counts.predicted[_cut(predicted)[1]] += predicted_starts
            last_gold, last_predicted = gold, predicted
        counts.tokens += len(pairs)
        counts.correct_tokens += sum(gold == predicted for gold, predicted in pairs)
    return counts
