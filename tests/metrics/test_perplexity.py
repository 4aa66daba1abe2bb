"""Perplexity against sums done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli import __version__
from seqcli.errors import ExitCode, UserError
from seqcli.metrics.perplexity import PerplexityScorer


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary() -> None:
    scorer = PerplexityScorer()
    for length in (1, 7, 3):
        scorer.add(np.full(length, -math.log(10_002)), words=length - 1, characters=5 * length)
    assert scorer.scores()["perplexity"] == pytest.approx(10_002, rel=1e-12)
    assert scorer.scores()["word_perplexity"] == pytest.approx(10_002, rel=1e-12)


def test_three_words_by_hand() -> None:
    """p(a) = 1/2, p(cat) = 1/4, p(<UNK>) = 1/8, p(<EOS>) = 1/2: 7 bits for "a cat zzz" and its end."""
    scorer = PerplexityScorer("words", "sentences", 6)
    scorer.add(np.log([1 / 2, 1 / 4, 1 / 8, 1 / 2]), words=3, characters=9, unknown=[False, False, True, False])
    score = scorer.score()
    assert (score.name, score.signature) == (
        "perplexity",
        f"perplexity|tokens:words|unit:sentences|vocabulary:6|eos:counted|unk:counted|v:seqcli-{__version__}",
    )
    assert score.value == pytest.approx(2 ** (7 / 4))
    assert score.counts == pytest.approx(
        {
            "tokens": 4,
            "ends": 1,
            "words": 3,
            "characters": 9,
            "unknown": 1,
            "sequences": 1,
            "nats": 7 * math.log(2),
            "loss": 7 / 4 * math.log(2),
            "word_perplexity": 2 ** (7 / 4),
            "bits_per_character": 7 / 10,
            "loss_known": 4 / 3 * math.log(2),
            "perplexity_known": 2 ** (4 / 3),
        }
    )


def test_characters_of_two_words() -> None:
    """Nine characters and an end at 1 bit each: 10 bits over 2 words and an end, 1 bit a character."""
    scorer = PerplexityScorer("characters")
    scorer.add([-math.log(2)] * 10, words=2, characters=9)
    figures = scorer.scores()
    assert figures["perplexity"] == pytest.approx(2)
    assert figures["word_perplexity"] == pytest.approx(2 ** (10 / 3))
    assert figures["bits_per_character"] == pytest.approx(1)


def test_bits_a_character_are_nats_over_ln_2() -> None:
    scorer = PerplexityScorer("characters", "stream")
    scorer.add([-1.5] * 20, words=3, characters=18, ends=2)
    assert scorer.scores()["bits_per_character"] == pytest.approx(1.5 / math.log(2))


@given(st.lists(st.lists(st.floats(-30, 0), min_size=1, max_size=9), min_size=1, max_size=9))
def test_one_by_one_or_at_once(lines: list[list[float]]) -> None:
    apart, together = PerplexityScorer(), PerplexityScorer()
    for line in lines:
        apart.add(line, words=len(line), characters=2 * len(line), unknown=[value < -20 for value in line])
    whole = [value for line in lines for value in line]
    together.add(
        whole, words=len(whole), characters=2 * len(whole), unknown=[value < -20 for value in whole], ends=len(lines)
    )
    assert apart.scores() == pytest.approx(together.scores())


def test_the_edges() -> None:
    with pytest.raises(UserError, match="no tokens, so a perplexity is undefined") as caught:
        PerplexityScorer().score()
    assert caught.value.code == ExitCode.DATA
    with pytest.raises(ValueError, match="1 flags for 2 tokens"):
        PerplexityScorer().add([0, 0], words=1, characters=1, unknown=[True])
    impossible, unknown = PerplexityScorer(), PerplexityScorer()
    impossible.add([-math.inf], words=0, characters=0)
    assert impossible.scores()["perplexity"] == math.inf
    assert impossible.score().as_json()["value"] is None  # JSON has no infinity
    broken = PerplexityScorer()
    broken.add([math.nan], words=1, characters=1)
    assert math.isnan(broken.scores()["perplexity"])
    unknown.add([-1.0], words=1, characters=1, unknown=[True], ends=0)
    assert set(unknown.scores()) == {"loss", "perplexity", "word_perplexity", "bits_per_character"}
