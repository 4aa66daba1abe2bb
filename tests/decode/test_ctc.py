"""CTC against brute force: every alignment is written out, every text is tried."""

import itertools
import math

import numpy as np
import pytest
import torch

from seqcli.decode.ctc import align, confidence, forward_score, greedy, needed, prefix_beam
from seqcli.decode.fusion import Lexicon, TextFusion, Words

BLANK = 1


def log_probs(steps, units, seed=0, sharp=1.5):
    scores = np.random.default_rng(seed).normal(size=(steps, units)) * sharp
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def collapsed(path):
    return tuple(unit for unit, _ in itertools.groupby(path) if unit != BLANK)


def texts_of(log_probs_TV):
    """ln p of every text, and its likeliest path, over all V^T paths."""
    total, best = {}, {}
    steps, units = log_probs_TV.shape
    for path in itertools.product(range(units), repeat=steps):
        score = sum(log_probs_TV[step, unit] for step, unit in enumerate(path))
        text = collapsed(path)
        total[text] = np.logaddexp(total.get(text, -np.inf), score)
        if score > best.get(text, (-np.inf,))[0]:
            best[text] = (score, path)
    return total, best


@pytest.mark.parametrize("seed", range(4))
def test_the_forward_score_is_the_sum_over_all_alignments(seed):
    values = log_probs(5, 4, seed)
    total, _ = texts_of(values)
    assert math.isclose(np.logaddexp.reduce([*total.values()]), 0, abs_tol=1e-9)
    for text in itertools.chain.from_iterable(itertools.product((0, 2, 3), repeat=length) for length in range(7)):
        found = forward_score(values, text, BLANK)
        assert found == pytest.approx(total.get(text, -np.inf), abs=1e-9)
        assert (found == -np.inf) == (needed(text) > 5)


def test_the_forward_score_is_that_of_torch():
    values = log_probs(12, 6, 3)
    ids = [2, 2, 0, 5, 3]
    loss = torch.nn.functional.ctc_loss(
        torch.tensor(values).unsqueeze(1), torch.tensor([ids]), [12], [5], blank=BLANK, reduction="sum"
    )
    assert forward_score(values, ids, BLANK) == pytest.approx(-float(loss), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_alignment_is_the_likeliest_path_of_the_text(seed):
    values = log_probs(5, 4, seed)
    _, best = texts_of(values)
    for text, (score, path) in best.items():
        found = align(values, text, BLANK)
        assert found.score == pytest.approx(score, abs=1e-9)
        spelled = [BLANK] * 5
        for unit, (start, end) in zip(found.ids, found.spans, strict=True):
            spelled[start:end] = [unit] * (end - start)
        assert tuple(spelled) == path
    assert align(values, [0, 0, 0, 0], BLANK) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed):
    values = log_probs(5, 4, seed)
    total, _ = texts_of(values)
    ranked = sorted(total, key=lambda text: -total[text])
    found = prefix_beam(values, BLANK, 1000, least=-np.inf, best=len(total))
    assert [tuple(one.ids) for one in found] == ranked
    assert [one.log_prob for one in found] == pytest.approx([total[text] for text in ranked], abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_a_narrow_beam_never_claims_more_than_there_is(seed):
    values = log_probs(7, 4, seed)
    (one,) = prefix_beam(values, BLANK, 2, least=-np.inf)
    assert one.log_prob <= forward_score(values, one.ids, BLANK) + 1e-9


def test_a_sharp_network_is_read_alike_by_both():
    values = log_probs(60, 8, 1, sharp=30)
    path = greedy(values, BLANK)
    (one,) = prefix_beam(values, BLANK, 4)
    assert one.ids == path.ids == [unit for unit, _ in itertools.groupby(values.argmax(1)) if unit != BLANK]
    assert path.spans == align(values, path.ids, BLANK).spans
    assert 0.9 < confidence(values, path.ids, path.spans) <= 1


def test_nothing_is_read_of_nothing():
    nothing = np.zeros((0, 4))
    assert greedy(nothing, BLANK) == ([], [], 0.0)
    assert prefix_beam(nothing, BLANK, 4)[0].ids == []
    assert forward_score(nothing, [], BLANK) == 0
    assert forward_score(nothing, [2], BLANK) == -math.inf


def test_forbidden_units_are_never_written():
    values = log_probs(6, 4, 5)
    for one in prefix_beam(values, BLANK, 1000, forbidden=(0,), least=-np.inf, best=1000):
        assert 0 not in one.ids


# -- a language model beside it

SPELLING = ["a", "<blank>", "b", "▁"]
CHARACTERS = Words(SPELLING, whole=False)


class Table:
    """A language model whose next token depends on the last one alone."""

    def __init__(self, units, seed=0):
        self.table = np.concatenate([log_probs(units, units, seed)])
        self.reads = 0

    def start(self, count):
        return self.table[:1], 0

    def read(self, ids_BT, state):
        self.reads += 1
        return self.table[ids_BT[:, -1]], int(ids_BT[0, -1])


def fused(values, extra, allowed=lambda text: True):
    """The texts in the order of CTC and ``extra`` together."""
    total, _ = texts_of(values)
    scored = {text: total[text] + extra(text) for text in total if allowed(text)}
    return sorted(scored, key=lambda text: -scored[text]), scored


@pytest.mark.parametrize("seed", range(6))
def test_a_model_of_characters_weighs_every_text(seed):
    values, model = log_probs(5, 4, seed), Table(5, seed)
    tokens, eos, weight, bonus = [1, -1, 2, 3], 0, 0.7, 0.4

    def extra(text):
        ids = [0, *(tokens[unit] for unit in text), eos]
        read = sum(model.table[before, after] for before, after in itertools.pairwise(ids))
        return weight * read + bonus * len(text)

    ranked, scored = fused(values, extra)
    fusion = TextFusion(CHARACTERS, model=model, weight=weight, bonus=bonus, tokens=tokens, eos=eos)
    found = prefix_beam(values, BLANK, 1000, fusion=fusion, least=-np.inf, best=len(ranked))
    assert [one.score for one in found] == pytest.approx([scored[text] for text in ranked], abs=1e-9)
    assert [tuple(one.ids) for one in found] == ranked


def words_of(text):
    return "".join(SPELLING[unit] for unit in text).replace("▁", " ").split()


@pytest.mark.parametrize("seed", range(6))
def test_a_model_of_words_and_a_lexicon_weigh_every_text(seed):
    values, model = log_probs(5, 4, seed), Table(4, seed)
    ids = {"ab": 1, "b": 2}
    lexicon = Lexicon(["ab", "b", "ba"])

    def extra(text):
        read = [0, *(ids.get(word, 3) for word in words_of(text)), 0]
        return 0.6 * sum(model.table[a, b] for a, b in itertools.pairwise(read)) + 0.3 * len(words_of(text))

    def allowed(text):
        return set(words_of(text)) <= {"ab", "b", "ba"}

    ranked, scored = fused(values, extra, allowed)
    fusion = TextFusion(CHARACTERS, model=model, weight=0.6, bonus=0.3, word_ids=ids, unknown=3, lexicon=lexicon)
    found = prefix_beam(values, BLANK, 1000, fusion=fusion, least=-np.inf, best=1000)
    assert {tuple(one.ids): one.score for one in found} == pytest.approx(scored, abs=1e-9)
    assert tuple(found[0].ids) == ranked[0]


def test_a_model_is_asked_once_for_each_beginning():
    values, model = log_probs(30, 4, 2), Table(5)
    fusion = TextFusion(CHARACTERS, model=model, weight=0.5, tokens=[1, -1, 2, 3], eos=0)
    prefix_beam(values, BLANK, 4, fusion=fusion)
    assert model.reads < 30 * 4 * 3


def test_words_that_are_units():
    spelled = Words(["<UNK>", "<EOS>", "yes", "no"], whole=True)
    values = log_probs(5, 4, 7)
    fusion = TextFusion(spelled, lexicon=Lexicon(["yes"]))
    found = prefix_beam(values, BLANK, 1000, fusion=fusion, forbidden=(0,), least=-np.inf, best=1000)
    assert {unit for one in found for unit in one.ids} == {2}
