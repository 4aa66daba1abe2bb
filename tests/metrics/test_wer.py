import random

import jiwer
import pytest

from seqcli import __version__
from seqcli.errors import ExitCode, UserError
from seqcli.metrics.wer import Normalisation, error_rate


def random_texts(seed, count):
    generator = random.Random(seed)
    words = ["one", "two", "Three", "three", "four,", "four", "it's", "well-known", "sechs", "über", "end."]
    for _ in range(count):
        reference = [generator.choice(words) for _ in range(generator.randint(1, 9))]
        hypothesis = [
            generator.choice(words) if generator.random() < 0.2 else word
            for word in reference
            if generator.random() > 0.1
        ] + [generator.choice(words) for _ in range(generator.randint(0, 2))]
        yield " ".join(hypothesis), " ".join(reference)


def test_words_and_characters_equal_jiwer():
    hypotheses, references = map(list, zip(*random_texts(1, 300), strict=True))
    words = jiwer.process_words(references, hypotheses)
    score = error_rate(hypotheses, references)
    assert score.value == pytest.approx(100 * words.wer, rel=1e-15)
    assert {name: score.counts[name] for name in ("substitutions", "deletions", "insertions", "hits")} == {
        "substitutions": words.substitutions,
        "deletions": words.deletions,
        "insertions": words.insertions,
        "hits": words.hits,
    }
    assert score.value == pytest.approx(100 * jiwer.wer(references, hypotheses), rel=1e-15)
    assert error_rate(hypotheses, references, characters=True).value == pytest.approx(
        100 * jiwer.cer(references, hypotheses), rel=1e-15
    )


def test_normalisation_equals_jiwers_transforms():
    hypotheses, references = map(list, zip(*random_texts(2, 100), strict=True))
    transform = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
            jiwer.ReduceToListOfListOfWords(),
        ]
    )
    expected = jiwer.wer(references, hypotheses, reference_transform=transform, hypothesis_transform=transform)
    score = error_rate(hypotheses, references, normalisation=Normalisation(lowercase=True, remove_punctuation=True))
    assert score.value == pytest.approx(100 * expected, rel=1e-15)
    assert score.value < error_rate(hypotheses, references).value


def test_a_case_counted_by_hand():
    score = error_rate(["a the cat sat the mat"], ["The cat sat on the mat"])
    assert score.name == "WER"
    assert (score.counts["substitutions"], score.counts["deletions"], score.counts["insertions"]) == (1, 1, 1)
    assert (score.counts["ref_len"], score.counts["hyp_len"]) == (6, 6)
    assert score.value == 50.0
    assert score.signature == f"wer|case:mixed|punct:yes|norm:none|jiwer:{jiwer_version()}|v:seqcli-{__version__}"


def test_composed_and_decomposed_letters_match_in_a_normal_form():
    assert error_rate(["caf\u00e9"], ["cafe\u0301"]).value == 100.0
    assert error_rate(["caf\u00e9"], ["cafe\u0301"], normalisation=Normalisation(unicode_form="NFC")).value == 0.0


def test_any_white_space_separates_words():
    assert error_rate(["a\tb  c"], ["a b\u2028c"]).value == 0.0


def test_empty_texts():
    score = error_rate(["", "more words"], ["two words", ""])
    assert (score.counts["deletions"], score.counts["insertions"], score.value) == (2, 2, 200.0)
    with pytest.raises(UserError, match="the reference has no words") as caught:
        error_rate(["a"], [""])
    assert caught.value.code == ExitCode.DATA
    with pytest.raises(ValueError, match="1 hypotheses against 2 references"):
        error_rate(["a"], ["a", "b"])


def jiwer_version():
    from importlib.metadata import version

    return version("jiwer")
