"""Neighbours and analogies: by hand, against brute force in double precision, and against gensim."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqcli.errors import ExitCode, UserError
from seqcli.text import word_vectors
from seqcli.text.word_vectors import MEASURES, METHODS, WordVectors

DEGREES = {"man": 0, "woman": 30, "king": 40, "queen": 70, "princess": 50, "apple": 220}
ROUND = WordVectors(
    list(DEGREES),
    np.array(
        [[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in DEGREES.values()], np.float32
    ),
)
GRID = WordVectors(
    ["man", "woman", "king", "queen", "apple"], np.array([[1, 1], [1, 3], [4, 1], [4, 3], [9, 9]], np.float32)
)


def pairs(found, digits=4):
    return [(word, round(score, digits)) for word, score in found]


def test_king_minus_man_plus_woman_by_hand():
    # woman - man + king = (0.6321, 1.1428), at 61.05 degrees: queen is 8.95 away, princess 11.05
    assert pairs(ROUND.analogy("man", "woman", "king", k=2), 3) == [("queen", 0.988), ("princess", 0.981)]
    # queen: 0.88302 x 0.93301 / (0.67101 + 0.001); princess: 0.96985 x 0.99240 / (0.82139 + 0.001)
    assert pairs(ROUND.analogy("man", "woman", "king", k=2, method="3cosmul")) == [
        ("queen", 1.2260),
        ("princess", 1.1703),
    ]
    assert pairs(GRID.analogy("man", "woman", "king", measure="euclidean")) == [
        ("queen", 0),
        ("apple", round(math.sqrt(61), 4)),
    ]
    assert pairs(GRID.analogy("man", "woman", "king", measure="manhattan")) == [("queen", 0), ("apple", 11)]


def test_neighbors_by_hand():
    assert pairs(ROUND.neighbors("man", k=2)) == [("woman", 0.8660), ("king", 0.7660)]
    assert pairs(GRID.neighbors("king", k=2, measure="euclidean")) == [("queen", 2), ("man", 3)]
    assert pairs(GRID.neighbors("woman", k=3, measure="manhattan")) == [("man", 2), ("queen", 3), ("king", 5)]
    vector = np.array([4, 2.75], np.float32)
    assert pairs(GRID.neighbors(vector, k=2, measure="euclidean")) == [("queen", 0.25), ("king", 1.75)]


def test_the_first_of_equals_comes_first_and_more_than_there_are_is_all():
    same = WordVectors(list("abcdef"), np.ones((6, 2), np.float32))
    assert [word for word, _ in same.neighbors("c", k=3)] == ["a", "b", "d"]
    assert [word for word, _ in same.neighbors("c", k=99)] == ["a", "b", "d", "e", "f"]
    assert same.analogy("a", "b", "a", k=2)[0].word == "c"
    three = WordVectors(list("abc"), np.eye(3, dtype=np.float32))
    assert three.analogy("a", "b", "c") == []
    assert three.answers(np.array([[0, 1, 2]])).tolist() == [-1]


def test_a_vector_of_zeros_is_like_nothing():
    words = WordVectors(["nought", "a", "b"], np.array([[0, 0], [1, 0], [0, 1]], np.float32))
    assert pairs(words.neighbors("nought")) == [("a", 0), ("b", 0)]
    assert pairs(words.neighbors("a")) == [("nought", 0), ("b", 0)]


def test_words_are_looked_up_in_lower_case_where_all_are():
    assert ROUND.find("King") == ROUND.find("king") == 2
    cased = WordVectors(["Paris", "king"], np.eye(2, dtype=np.float32))
    assert (cased.find("paris"), cased.find("King"), cased.find("Paris")) == (None, None, 0)
    assert (cased.dim, len(cased)) == (2, 2)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: ROUND.neighbors("quen"), "there is no vector of 'quen'. Did you mean 'queen'?"),
        (lambda: ROUND.neighbors("xyzzy"), "there is no vector of 'xyzzy'"),
        (lambda: ROUND.analogy("men", "woman", "king"), "there is no vector of 'men'"),
        (lambda: ROUND.neighbors("man", k=0), "k is the number of words wanted, at least 1, not 0"),
        (lambda: ROUND.analogy("man", "woman", "king", k=-1), "k is the number of words wanted, at least 1, not -1"),
        (
            lambda: ROUND.neighbors("man", measure="angle"),
            "unknown measure 'angle'. Known: cosine, euclidean, manhattan.",
        ),
        (
            lambda: ROUND.answers(np.zeros((1, 3), np.int64), "3cosadds"),
            "unknown method '3cosadds'. Known: 3cosadd, 3cosmul.",
        ),
        (
            lambda: ROUND.analogy("man", "woman", "king", method="3cosmul", measure="manhattan"),
            "3cosmul multiplies cosines; it has no manhattan form. Use 3cosadd.",
        ),
    ],
)
def test_what_cannot_be_asked(ask, message):
    with pytest.raises(UserError) as caught:
        ask()
    assert (str(caught.value), caught.value.code) == (message, ExitCode.USAGE)


def test_several_spellings_are_offered():
    words = WordVectors(["queen", "queens", "apple", "Queen"], np.eye(4, dtype=np.float32))
    with pytest.raises(UserError, match=r"Did you mean 'queen', 'queens' or 'Queen'\?"):
        words.row_of("queeen")


TABLES = st.integers(1, 5).flatmap(
    lambda dim: st.integers(4, 40).flatmap(
        lambda size: arrays(np.float32, (size, dim), elements=st.integers(-8, 8).map(lambda value: value / 4))
    )
)


def cosine(left, right):
    lengths = np.linalg.norm(left) * np.linalg.norm(right)
    return float(left @ right / lengths) if lengths else 0.0


def brute(matrix, vector, measure):
    """Scores in double precision, one word at a time; larger is nearer."""
    if measure == "cosine":
        return [cosine(row, vector) for row in matrix]
    return [
        -float(np.abs(row - vector).sum() if measure == "manhattan" else np.sqrt(((row - vector) ** 2).sum()))
        for row in matrix
    ]


def compare(found, scores, excluded, k, sign):
    """The scores are the k best of those allowed, each is that of its word, and no word comes twice."""
    allowed = sorted((score for row, score in enumerate(scores) if row not in excluded), reverse=True)[:k]
    assert [sign * score for _, score in found] == pytest.approx(allowed, abs=2e-5)
    rows = [int(word) for word, _ in found]
    assert [sign * score for _, score in found] == pytest.approx([scores[row] for row in rows], abs=2e-5)
    assert len({*rows, *excluded}) == len(rows) + len(set(excluded))


@settings(max_examples=80, deadline=None)
@given(TABLES, st.integers(1, 12), st.sampled_from(MEASURES), st.integers(0, 3))
def test_neighbors_are_those_of_brute_force(matrix, k, measure, row):
    words = WordVectors([str(number) for number in range(len(matrix))], matrix)
    found = words.neighbors(str(row), k, measure)
    precise = matrix.astype(np.float64)
    compare(found, brute(precise, precise[row], measure), {row}, k, 1 if measure == "cosine" else -1)


@settings(max_examples=120, deadline=None)
@given(TABLES, st.integers(1, 12), st.sampled_from([*MEASURES, "3cosmul"]), st.permutations(range(4)))
def test_analogies_are_those_of_brute_force(matrix, k, how, order):
    words = WordVectors([str(number) for number in range(len(matrix))], matrix)
    rows = list(order[:3])
    precise = matrix.astype(np.float64)
    a, b, c = precise[rows]
    if how == "3cosmul":
        similar = [[(cosine(row, one) + 1) / 2 for row in precise] for one in (a, b, c)]
        scores = [two * three / (one + 0.001) for one, two, three in zip(*similar, strict=True)]
        # a near-zero denominator enlarges what rounding makes of the cosines
        found = [(word, score) for word, score in words.analogy(*map(str, rows), k, "3cosmul")]
        allowed = sorted((score for row, score in enumerate(scores) if row not in rows), reverse=True)[:k]
        assert [score for _, score in found] == pytest.approx(allowed, rel=2e-3, abs=2e-5)
        return
    if how == "cosine":
        a, b, c = (one / (np.linalg.norm(one) or 1) for one in (a, b, c))
    if np.linalg.norm(b - a + c) < 1e-4:  # a direction that rounding decides
        return
    found = words.analogy(*map(str, rows), k, measure=how)
    compare(found, brute(precise, b - a + c, how), rows, k, 1 if how == "cosine" else -1)


@pytest.mark.parametrize("method", METHODS)
def test_many_questions_at_once_are_answered_as_one_by_one(method, monkeypatch):
    monkeypatch.setattr(word_vectors, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(word_vectors, "_QUESTIONS_AT_ONCE", 5)
    chance = np.random.default_rng(3)
    words = WordVectors([f"w{number}" for number in range(60)], chance.normal(size=(60, 9)).astype(np.float32))
    questions = chance.integers(0, 60, size=(33, 3))
    alone = [words.analogy(*(f"w{row}" for row in question), 1, method)[0].word for question in questions]
    assert [f"w{row}" for row in words.answers(questions, method)] == alone


def gensim_vectors(words, matrix):
    keyed = pytest.importorskip("gensim.models", reason="gensim is not installed").KeyedVectors(matrix.shape[1])
    keyed.add_vectors(words, matrix)
    return keyed


def test_gensim_finds_the_same(monkeypatch):
    monkeypatch.setattr(word_vectors, "_EPSILON", 1e-6)  # the paper has 0.001, gensim this
    chance = np.random.default_rng(1)
    names = [f"w{number}" for number in range(300)]
    matrix = chance.normal(size=(300, 20)).astype(np.float32)
    ours, theirs = WordVectors(names, matrix), gensim_vectors(names, matrix)
    for word in names[:20]:
        expected = theirs.most_similar(word, topn=7)
        found = ours.neighbors(word, 7)
        assert [near.word for near in found] == [word for word, _ in expected]
        assert [near.score for near in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    for a, b, c in chance.integers(0, 300, size=(20, 3)):
        if len({a, b, c}) < 3:
            continue
        asked = [f"w{row}" for row in (a, b, c)]
        expected = theirs.most_similar(positive=asked[1:], negative=asked[:1], topn=5)
        assert pairs(ours.analogy(*asked, 5), 4) == [(word, round(score, 4)) for word, score in expected]
        expected = theirs.most_similar_cosmul(positive=asked[1:], negative=asked[:1], topn=5)
        found = ours.analogy(*asked, 5, "3cosmul")
        assert [near.word for near in found] == [word for word, _ in expected]
        assert [near.score for near in found] == pytest.approx([score for _, score in expected], rel=1e-4)
