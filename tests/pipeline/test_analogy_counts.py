"""Analogy questions against gensim's own evaluation, on random vectors with real structure in them."""

import numpy as np
import pytest

from seqcli.metrics.analogies import read_questions
from seqcli.pipeline.analogies import evaluate_analogies
from seqcli.text.word_vectors import WordVectors


def test_the_counts_are_those_of_gensim(tmp_path):
    keyed = pytest.importorskip("gensim.models", reason="gensim is not installed").KeyedVectors(12)
    chance = np.random.default_rng(5)
    stems, offset = chance.normal(size=(30, 12)), chance.normal(size=12)
    words = [f"{kind}{number}" for kind in ("base", "form") for number in range(30)]
    matrix = np.concatenate([stems, stems + offset + chance.normal(size=(30, 12)) * 0.4]).astype(np.float32)
    pairs = [(f"base{number}", f"Form{number}") for number in range(34)]  # the last four have no vector
    lines = [
        ": gram1",
        *(f"{a} {b} {c} {d}" for a, b in pairs[:20] for c, d in pairs if a != c),
        ": other",
        *(f"{b} {a} {d} {c}" for a, b in pairs[20:] for c, d in pairs if a != c),
    ]
    path = tmp_path / "q.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    keyed.add_vectors(words, matrix)
    share, sections = keyed.evaluate_word_analogies(str(path))
    score = evaluate_analogies(WordVectors(words, matrix), read_questions(path))
    for ours, theirs in zip(score.counts["sections"], sections, strict=False):
        assert ours["name"] == theirs["section"]
        assert ours["correct"] == len(theirs["correct"])
        assert ours["covered"] == len(theirs["correct"]) + len(theirs["incorrect"])
    assert score.value == pytest.approx(100 * share)
    assert 5 < score.value < 95
    assert score.counts["all"]["covered"] < score.counts["all"]["questions"] == len(lines) - 2


def test_nothing_covered(tmp_path):
    path = tmp_path / "q.txt"
    path.write_text(": one\na b c d\n")
    score = evaluate_analogies(WordVectors(["a", "b", "c", "e"], np.eye(4, dtype=np.float32)), read_questions(path))
    assert (score.value, score.counts["all"]["covered"], score.counts["all"]["questions"]) == (0, 0, 1)
