import random
from collections import Counter

import pytest
from sklearn import metrics

from seqcli import __version__
from seqcli.metrics.accuracy import AccuracyScorer
from seqcli.metrics.classes import classification_report


def labels(seed, count, names=("neg", "neu", "pos", "mixed")):
    generator = random.Random(seed)
    gold = [generator.choice(names[:3]) for _ in range(count)]
    return gold, [label if generator.random() < 0.6 else generator.choice(names) for label in gold]


def test_equal_to_scikit_learn_item_by_item():
    gold, predicted = labels(1, 500)
    report = classification_report(Counter(zip(gold, predicted, strict=True)))
    assert report.accuracy.value == pytest.approx(100 * metrics.accuracy_score(gold, predicted), rel=1e-15)
    assert report.macro_f1.value == pytest.approx(
        100 * metrics.f1_score(gold, predicted, average="macro", zero_division=0), rel=1e-14
    )
    assert report.kappa.value == pytest.approx(metrics.cohen_kappa_score(gold, predicted), rel=1e-13)
    names = sorted({*gold, *predicted})
    matrix = metrics.confusion_matrix(gold, predicted, labels=names)
    assert [[report.confusion.get((one, other), 0) for other in names] for one in names] == matrix.tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        gold, predicted, labels=names, zero_division=0
    )
    for row, name in enumerate(names):
        counts = report.labels[name]
        assert (counts.precision, counts.recall, counts.f1) == pytest.approx(
            (100 * precision[row], 100 * recall[row], 100 * f1[row]), rel=1e-14
        )
        assert counts.gold == support[row]
        assert counts.correct == matrix[row][row]
        assert counts.predicted == matrix[:, row].sum()


def test_the_accuracy_of_training_is_the_accuracy_of_the_report():
    gold, predicted = labels(2, 333)
    scorer = AccuracyScorer(unit="line")
    scorer.add(gold, predicted)
    report = classification_report(scorer.confusion)
    assert report.accuracy.value == scorer.score().value
    assert report.accuracy.signature == scorer.score().signature == f"accuracy|unit:line|v:seqcli-{__version__}"


def test_kappa_of_a_single_label_is_undefined():
    report = classification_report({("a", "a"): 3})
    assert report.kappa is None
    assert report.accuracy.value == report.macro_f1.value == 100.0


def test_a_label_that_is_never_right_counts_in_the_macro_average():
    report = classification_report({("a", "a"): 3, ("a", "b"): 1})
    assert list(report.labels) == ["a", "b"]
    assert report.labels["b"].f1 == 0.0
    assert report.macro_f1.value == pytest.approx((100 * 6 / 7 + 0) / 2)
