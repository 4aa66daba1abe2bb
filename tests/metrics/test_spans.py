import random

import pytest
from conlleval_reference import conlleval_counts
from hypothesis import given
from hypothesis import strategies as st

from seqcli import __version__
from seqcli.metrics.accuracy import AccuracyScorer
from seqcli.metrics.schemes import Span, spans
from seqcli.metrics.spans import SpanScorer, errors

GOLD = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG", "I-ORG"]
PREDICTED = ["B-PER", "I-PER", "O", "O", "B-LOC", "B-ORG", "O"]


def test_a_case_counted_by_hand():
    scorer = SpanScorer()
    scorer.add(GOLD, PREDICTED)
    scorer.add(["O"], ["O"])
    score = scorer.score()
    assert score.name == "F1"
    assert score.value == pytest.approx(100 / 3)
    assert score.signature == f"spans|scheme:bio|matching:conlleval|average:micro|v:seqcli-{__version__}"
    counts = score.counts
    assert (counts["correct"], counts["gold"], counts["predicted"]) == (1, 3, 3)
    assert (counts["tokens"], counts["correct_tokens"], counts["sentences"]) == (8, 5, 2)
    assert counts["accuracy"] == 62.5
    assert counts["types"]["PER"]["f1"] == 100.0
    assert list(counts["types"]) == ["LOC", "ORG", "PER"]
    assert score.format(2) == f"F1 = 33.33 ({score.signature})"
    assert score.as_json()["counts"]["recall"] == pytest.approx(100 / 3)


def test_nothing_to_divide_by_is_zero():
    scorer = SpanScorer()
    assert scorer.score().value == 0.0
    scorer.add(["O"], ["O"])
    assert scorer.score().value == 0.0
    scorer.add(["B-PER"], ["O"])
    assert scorer.types["PER"].precision == 0.0
    assert scorer.types["PER"].f1 == 0.0


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="1 gold tags against 2 predicted"):
        SpanScorer().add(["O"], ["O", "O"])
    with pytest.raises(ValueError, match="1 gold labels against 2 predicted"):
        AccuracyScorer().add(["O"], ["O", "O"])


def noisy_pairs(seed, count):
    """Random gold sequences, valid or not, with predictions that differ from them here and there."""
    generator = random.Random(seed)
    tags = ["O", *(f"{letter}-{label}" for letter in "BI" for label in ("PER", "LOC", "art-work"))]
    for _ in range(count):
        gold = [generator.choice(tags) for _ in range(generator.randint(0, 12))]
        yield gold, [generator.choice(tags) if generator.random() < 0.2 else tag for tag in gold]


def test_equal_to_conlleval_on_10000_sequences():
    pairs = list(noisy_pairs(3, 10_000))
    expected = conlleval_counts(pairs)
    scorer = SpanScorer()
    for gold, predicted in pairs:
        scorer.add(gold, predicted)
        one = conlleval_counts([(gold, predicted)])  # sentence by sentence, so that faults cannot cancel out
        alone = SpanScorer()
        alone.add(gold, predicted)
        total = alone.total
        assert (total.correct, total.gold, total.predicted) == (
            one.correct.total(),
            one.gold.total(),
            one.predicted.total(),
        )
    for label, counts in scorer.types.items():
        assert (counts.correct, counts.gold, counts.predicted) == (
            expected.correct[label],
            expected.gold[label],
            expected.predicted[label],
        )
    assert scorer.total.correct > 1000
    assert (scorer.tokens, scorer.correct_tokens) == (expected.tokens, expected.correct_tokens)
    precision = 100 * expected.correct.total() / expected.predicted.total()
    recall = 100 * expected.correct.total() / expected.gold.total()
    assert scorer.score().value == 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("matching", ["conlleval", "strict"])
def test_f1_equals_seqeval(matching):
    from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    pairs = list(noisy_pairs(4, 2000))
    scorer = SpanScorer("iob2", matching)
    for gold, predicted in pairs:
        scorer.add(gold, predicted)
    gold, predicted = map(list, zip(*pairs, strict=True))
    mode = {"mode": "strict", "scheme": IOB2} if matching == "strict" else {}
    exactly = {"rel": 1e-14}
    assert scorer.total.precision == pytest.approx(100 * precision_score(gold, predicted, **mode), **exactly)
    assert scorer.total.recall == pytest.approx(100 * recall_score(gold, predicted, **mode), **exactly)
    assert scorer.score().value == pytest.approx(100 * f1_score(gold, predicted, **mode), **exactly)
    assert scorer.accuracy == pytest.approx(100 * accuracy_score(gold, predicted), **exactly)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ("B-PER I-PER", "B-PER O", [("boundary", Span(0, 2, "PER"), Span(0, 1, "PER"))]),
        ("B-PER I-PER", "B-LOC I-LOC", [("type", Span(0, 2, "PER"), Span(0, 2, "LOC"))]),
        ("B-PER I-PER", "O B-LOC", [("boundary+type", Span(0, 2, "PER"), Span(1, 2, "LOC"))]),
        ("B-PER O", "O O", [("missed", Span(0, 1, "PER"), None)]),
        ("O O", "O B-LOC", [("spurious", None, Span(1, 2, "LOC"))]),
        ("B-PER O", "B-PER O", []),
        # one gold span cut in two: the longer part is its partner, the other is spurious
        (
            "B-PER I-PER I-PER",
            "B-PER B-PER I-PER",
            [("boundary", Span(0, 3, "PER"), Span(1, 3, "PER")), ("spurious", None, Span(0, 1, "PER"))],
        ),
        # equal overlaps: the one with the right label is the partner
        (
            "B-PER B-LOC",
            "B-LOC I-LOC",
            [("missed", Span(0, 1, "PER"), None), ("boundary", Span(1, 2, "LOC"), Span(0, 2, "LOC"))],
        ),
        # a correct span is no partner for a wrong one
        ("B-PER O", "B-PER B-PER", [("spurious", None, Span(1, 2, "PER"))]),
    ],
)
def test_errors(gold, predicted, expected):
    assert sorted(errors(gold.split(), predicted.split()), key=str) == sorted(expected, key=str)


@given(st.integers(0, 10**6))
def test_every_wrong_span_is_in_exactly_one_error(seed):
    for gold, predicted in noisy_pairs(seed, 5):
        found = errors(gold, predicted)
        wrong_gold = set(spans(gold)) - set(spans(predicted))
        wrong_predicted = set(spans(predicted)) - set(spans(gold))
        assert sorted(e.gold for e in found if e.gold) == sorted(wrong_gold)
        assert sorted(e.predicted for e in found if e.predicted) == sorted(wrong_predicted)
        unpaired = [e for e in found if e.gold is None or e.predicted is None]
        assert all(e.kind == ("missed" if e.predicted is None else "spurious") for e in unpaired)


def test_token_accuracy():
    scorer = AccuracyScorer()
    scorer.add(["DT", "NN"], ["DT", "NN"])
    scorer.add(["DT", "NN"], ["DT", "JJ"])
    score = scorer.score()
    assert score.value == 75.0
    assert score.counts == {"correct": 3, "total": 4, "sequences": 2, "correct_sequences": 1}
    assert score.signature == f"accuracy|unit:token|v:seqcli-{__version__}"
    assert scorer.confusion["NN", "JJ"] == 1
    assert AccuracyScorer().score().value == 0.0
