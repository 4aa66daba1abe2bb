"""The joint score of a decoder and CTC against brute force: every alignment is written out, every text is tried."""

import itertools
import math

import numpy as np
import pytest
from bigram import Bigrams

from seqcli.decode.ctc import forward_score, prefix_beam
from seqcli.decode.fusion import Lexicon, TextFusion, Words
from seqcli.decode.generate import GenerateOptions, generate
from seqcli.decode.joint import Beginnings, JointReader

EOS = 1
UNITS = (0, 2, 3)
STEPS = 5


def log_softmax(scores):
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)


def heard(seed, steps=STEPS, units=4, sharp=1.5):
    return log_softmax(np.random.default_rng(seed).normal(size=(steps, units)) * sharp)


def decoder(seed):
    return Bigrams(np.random.default_rng([seed, 9]).dirichlet(np.ones(4), 4), EOS)


def texts(longest=STEPS):
    return itertools.chain.from_iterable(itertools.product(UNITS, repeat=length) for length in range(longest + 1))


def whole(model, log_probs_SV, text, weight):
    """The joint score of a text, term by term."""
    tokens = [EOS, *text, EOS]
    written = sum(model.log_probs_VV[one, other] for one, other in itertools.pairwise(tokens))
    spoken = forward_score(log_probs_SV, text, EOS)
    return (1 - weight) * written + weight * spoken


def batch(sequences):
    """``(padded, positions)``; padding holds what must not be read."""
    longest = max(map(len, sequences))
    padded = np.full((len(sequences), longest, 4), 7.0, np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, np.array([len(one) for one in sequences], np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_a_beginning_is_as_likely_as_all_texts_that_begin_so(seed):
    values = heard(seed)
    beginnings = Beginnings(*batch([heard(seed + 50, 9), values, heard(seed + 90, 2)]), EOS)
    whole_texts = {text: forward_score(values, text, EOS) for text in texts()}
    for text in texts(3):
        begun = beginnings.start().rows(np.array([1]))
        assert begun.total_R == 0
        for unit in text:
            scores_RV = beginnings.scores(begun)
            begun = beginnings.extend(begun, np.array([unit]), scores_RV[:, unit])
        (found_V,) = beginnings.scores(begun)
        score = whole_texts[text]
        assert found_V[EOS] == pytest.approx(score, abs=1e-5) if score > -np.inf else found_V[EOS] < -900
        for unit in UNITS:
            longer = (*text, unit)
            some = [score for other, score in whole_texts.items() if other[: len(longer)] == longer]
            score = np.logaddexp.reduce(some, initial=-np.inf)
            assert found_V[unit] == pytest.approx(score, abs=1e-5) if score > -np.inf else found_V[unit] < -900


@pytest.mark.parametrize("weight", [0.3, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_joint_beam_finds_the_best_text_of_all(seed, weight):
    sources = [heard(seed), heard(seed + 10, 3), heard(seed + 20, 1)]
    model = decoder(seed)
    joint = JointReader(model, Beginnings(*batch(sources), EOS), weight, eos=EOS)
    options = GenerateOptions(beam=400, best=3, length_penalty=0, grows=True)
    found = generate(joint, 3, options, eos=EOS, limits=[len(one) + 1 for one in sources])
    for source, own in zip(sources, found, strict=True):
        wanted = sorted(((whole(model, source, text, weight), text) for text in texts(len(source))), reverse=True)
        for one, (score, text) in zip(own, wanted, strict=False):
            if score > -np.inf:
                assert (tuple(one.ids), one.ended) == (text, True)
                assert one.score == pytest.approx(score, abs=1e-5)
            else:
                assert one.score < -100


def test_each_voice_alone():
    values, model = heard(5), decoder(5)
    options = GenerateOptions(beam=60, length_penalty=0)
    for weight, wanted in (
        (1.0, prefix_beam(values, EOS, 60)[0].ids),
        (0.0, max(texts(), key=lambda text: whole(model, np.zeros((STEPS + 3, 4)), text, 0.0))),
    ):
        joint = JointReader(model, Beginnings(*batch([values]), EOS), weight, eos=EOS)
        ((one,),) = generate(joint, 1, options, eos=EOS, limits=[STEPS + 1])
        assert tuple(one.ids) == tuple(wanted)
    alone = generate(model, 1, options, eos=EOS, limits=[STEPS])
    assert generate(JointReader(model, None, 0.0, eos=EOS), 1, options, eos=EOS, limits=[STEPS]) == alone


def test_a_source_is_searched_alike_alone_and_among_others():
    sources = [heard(seed, steps, sharp=2.5) for seed, steps in ((1, 9), (2, 4), (3, 6))]
    model, options = decoder(1), GenerateOptions(beam=3, length_penalty=0)
    together = generate(JointReader(model, Beginnings(*batch(sources), EOS), 0.4, eos=EOS), 3, options, eos=EOS)
    for source, (one,) in zip(sources, together, strict=True):
        joint = JointReader(model, Beginnings(*batch([source]), EOS), 0.4, eos=EOS)
        ((alone,),) = generate(joint, 1, options, eos=EOS)
        assert alone.ids == one.ids
        assert alone.score == pytest.approx(one.score, abs=1e-5)


def test_a_long_recording_keeps_its_numbers():
    values = log_softmax(np.random.default_rng(1).normal(size=(4000, 4)) * 6)
    beginnings = Beginnings(values[None], np.array([4000.0]), EOS)
    begun, text = beginnings.start(), [0, 2, 2, 3, 0] * 40
    for unit in text:
        scores_RV = beginnings.scores(begun)
        assert np.isfinite(scores_RV).all()
        begun = beginnings.extend(begun, np.array([unit]), scores_RV[:, unit])
    assert beginnings.scores(begun)[0, EOS] == pytest.approx(forward_score(values, text, EOS), rel=1e-9)


def test_forbidden_units_are_never_written_and_change_no_other_score():
    values, model = heard(3), decoder(3)
    joint = JointReader(model, Beginnings(*batch([values]), EOS), 0.3, eos=EOS, forbidden=(2,))
    options = GenerateOptions(beam=400, best=5, length_penalty=0, grows=True)
    (found,) = generate(joint, 1, options, eos=EOS, limits=[STEPS + 1])
    wanted = sorted(((whole(model, values, text, 0.3), text) for text in texts() if 2 not in text), reverse=True)
    for one, (score, text) in zip(found, wanted, strict=False):
        assert (tuple(one.ids), one.score) == (text, pytest.approx(score, abs=1e-5))


SPELLING = Words(["a", "<EOS>", "b", "▁"], whole=False)


@pytest.mark.parametrize("seed", range(3))
def test_a_language_model_weighs_every_text_too(seed):
    values, model, language = heard(seed), decoder(seed), decoder(seed + 30)
    fusion = TextFusion(SPELLING, model=language, weight=0.6, bonus=0.4, tokens=[0, 1, 2, 3], eos=EOS)
    joint = JointReader(model, Beginnings(*batch([values]), EOS), 0.4, eos=EOS, fusion=fusion)
    options = GenerateOptions(beam=400, length_penalty=0, grows=True)
    ((one,),) = generate(joint, 1, options, eos=EOS, limits=[STEPS + 1])

    def score(text):
        read = sum(language.log_probs_VV[a, b] for a, b in itertools.pairwise([EOS, *text, EOS]))
        return whole(model, values, text, 0.4) + 0.6 * read + 0.4 * len(text)

    best = max(texts(), key=score)
    assert tuple(one.ids) == best
    assert one.score == pytest.approx(score(best), abs=1e-5)


def test_a_lexicon_holds_the_search_to_its_words_however_sure_the_network_is():
    sure = np.full((4, 4), -60.0)
    sure[[0, 1, 2, 3], [2, 1, 2, 1]] = 0  # it hears "bb"
    fusion = TextFusion(SPELLING, lexicon=Lexicon(["ab", "a"]))
    joint = JointReader(decoder(1), Beginnings(sure[None], np.array([4.0]), EOS), 0.5, eos=EOS, fusion=fusion)
    ((one,),) = generate(joint, 1, GenerateOptions(beam=8, length_penalty=0), eos=EOS, limits=[5])
    written = "".join(SPELLING.spelling[unit] for unit in one.ids).replace("▁", " ")
    assert set(written.split()) <= {"ab", "a"}


def test_where_nothing_is_allowed_the_text_ends():
    class Nothing:
        def start(self):
            return 0

        def extend(self, state, unit):
            return None

        def end(self, state):
            return None

    joint = JointReader(decoder(1), Beginnings(*batch([heard(1)]), EOS), 0.5, eos=EOS, fusion=Nothing())
    ((one,),) = generate(joint, 1, GenerateOptions(beam=2, length_penalty=0), eos=EOS)
    assert one.ids == []
    assert math.isfinite(one.score)


def test_no_positions_give_no_text():
    joint = JointReader(decoder(1), Beginnings(np.zeros((1, 0, 4)), np.zeros(1), EOS), 0.9, eos=EOS)
    ((one,),) = generate(joint, 1, GenerateOptions(beam=2, length_penalty=0), eos=EOS)
    assert one.ids == []
