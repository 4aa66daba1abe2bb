"""BLEU, chrF and TER equal sacrebleu's, whatever the options."""

import itertools
import logging

import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from seqcli.errors import ExitCode, UserError
from seqcli.metrics.translation import TranslationMetric, zero_bleu_warning

CLASSES = {"bleu": BLEU, "chrf": CHRF, "ter": TER}

# Written for this test: punctuation, numbers, case, XML escapes, other scripts, an empty line, a repeated word.
HYPOTHESES = [
    "The train to Chennai leaves at 7:45 from platform 3.",
    'she said: "I don\'t know", and went home',
    "Prices rose by 3.5% in the last quarter, the bank said.",
    "the the the the the",
    "Tom &amp; Ann bought 2,000 apples...",
    "मोहन शर्मा चेन्नई में गाड़ी चला रहे थे।",
    "我 们 昨天去了北京。",
    "",
    "A well-known story about a dog and two cats",
    "Nobody has seen the old bridge since the flood of 1924.",
    "yes",
    "It rained , so we stayed at home .",
]
REFERENCES = [
    [
        "The train for Chennai departs at 7:45 from platform 3.",
        'She said: "I do not know" and went home.',
        "Prices rose by 3.5% last quarter, the bank said.",
        "the cat is on the mat",
        "Tom & Ann bought 2,000 apples.",
        "मोहन शर्मा चेन्नई में कार चला रहे थे।",
        "我们昨天去北京了。",
        "Nothing was said.",
        "A well known story of a dog and two cats.",
        "No one has seen the old bridge since the 1924 flood.",
        "yes",
        "It rained, so we stayed home.",
    ],
    [
        "At 7:45 the train to Chennai leaves from platform three.",
        '"I don\'t know," she said, and she went home',
        "The bank said prices were up 3.5% in the last quarter.",
        "there is a cat on the mat",
        "Tom and Ann have bought two thousand apples...",
        "मोहन शर्मा चेन्नई में गाड़ी चला रहे थे",
        "昨天我们去了北京。",
        "They said nothing.",
        "A famous story about one dog and two cats",
        "Nobody has seen the old bridge since the flood of 1924!",
        "Yes.",
        "Because it rained we stayed at home.",
    ],
]

GRID = {
    "bleu": {
        "lowercase": [False, True],
        "tokenize": ["13a", "intl", "char", "zh", "none"],
        "smooth": [("exp", None), ("floor", None), ("floor", 0.3), ("add-k", None), ("add-k", 2.0), ("none", None)],
        "max_ngram_order": [1, 2, 4, 6],
        "effective_order": [False, True],
    },
    "chrf": {
        "char_order": [1, 6],
        "word_order": [0, 2],
        "beta": [1, 2, 3],
        "lowercase": [False, True],
        "whitespace": [False, True],
        "eps_smoothing": [False, True],
    },
    "ter": {
        "case_sensitive": [False, True],
        "normalized": [False, True],
        "no_punct": [False, True],
        "asian_support": [False, True],
    },
}


def grid(name):
    for values in itertools.product(*GRID[name].values()):
        options = dict(zip(GRID[name], values, strict=True))
        if "smooth" in options:
            options["smooth_method"], options["smooth_value"] = options.pop("smooth")
        yield options


@pytest.mark.parametrize("references", [1, 2])
@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_corpus_scores_equal_sacrebleu_over_its_options(name, references):
    streams = REFERENCES[:references]
    for options in grid(name):
        theirs = CLASSES[name](**options)
        expected = theirs.corpus_score(HYPOTHESES, streams)
        score = TranslationMetric(name, **options).score(HYPOTHESES, streams)
        assert score.value == expected.score, options
        assert score.name == expected.name
        signature = theirs.get_signature().format()
        if options.get("max_ngram_order", 4) != 4:  # sacrebleu does not say it, we do
            signature = signature.replace("|version:", f"|order:{options['max_ngram_order']}|version:")
        assert score.signature == signature


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_real_text_equals_sacrebleu(name, mirror):
    folder = mirror / "indian-parallel-hi-en"
    count = {"bleu": 60, "chrf": 60, "ter": 15}[name]  # TER is slow
    texts = [(folder / f"devtest.hi-en.en.{number}").read_text().split("\n")[:count] for number in range(4)]
    hypotheses, streams = texts[0], texts[1:]
    for options in list(grid(name))[:: 21 if name == "bleu" else 7]:
        expected = CLASSES[name](**options).corpus_score(hypotheses, streams)
        assert TranslationMetric(name, **options).score(hypotheses, streams).value == expected.score, options


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_sentence_scores_equal_sacrebleu(name):
    pairs = list(zip(HYPOTHESES, zip(*REFERENCES, strict=True), strict=True))
    theirs = CLASSES[name](**({"effective_order": True} if name == "bleu" else {}))
    expected = [theirs.sentence_score(hypothesis, list(references)).score for hypothesis, references in pairs]
    assert [score.value for score in TranslationMetric(name).sentence_scores(iter(pairs))] == expected


def test_missing_references_count_as_none():
    streams = [REFERENCES[0], [text if number % 2 else None for number, text in enumerate(REFERENCES[1])]]
    score = TranslationMetric("bleu").score(HYPOTHESES, streams)
    assert score.signature.startswith("nrefs:var|")
    assert score.value == sacrebleu.corpus_bleu(HYPOTHESES, streams).score


def test_the_example_of_the_lecture():
    hypothesis = ["The dog the dog hiding under the bed"]
    references = [["The Dog is hiding under the bed"], ["There is a dog under the bed"]]
    bleu = TranslationMetric("bleu").score(hypothesis, references)
    assert round(bleu.value, 1) == 38.3
    assert [round(precision, 1) for precision in bleu.counts["precisions"]] == [75.0, 42.9, 33.3, 20.0]
    assert bleu.counts["matches"] == [6, 3, 2, 1]
    assert bleu.counts["totals"] == [8, 7, 6, 5]
    assert (bleu.counts["bp"], round(bleu.counts["ratio"], 3)) == (1.0, 1.143)
    assert (bleu.counts["hyp_len"], bleu.counts["ref_len"]) == (8, 7)
    assert round(TranslationMetric("bleu", lowercase=True).score(hypothesis, references).value, 1) == 41.1
    assert round(TranslationMetric("chrf").score(hypothesis, references).value, 1) == 68.0
    assert round(TranslationMetric("ter").score(hypothesis, references).value, 1) == 28.6


def test_confidence_equals_sacrebleu():
    expected = BLEU().corpus_score(HYPOTHESES, REFERENCES, n_bootstrap=200)
    score = TranslationMetric("bleu").score(HYPOTHESES, REFERENCES, resamples=200)
    confidence = score.counts["confidence"]
    assert (confidence["mean"], confidence["half_width"]) == (expected._mean, expected._ci)
    assert "|bs:200|seed:12345|" in score.signature
    other = TranslationMetric("bleu").score(HYPOTHESES, REFERENCES, resamples=200, seed=7)
    assert other.counts["confidence"]["mean"] != confidence["mean"]
    assert other.value == score.value


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_paired_tests_equal_sacrebleu(name, monkeypatch):
    systems = {"a": HYPOTHESES, "b": REFERENCES[1], "c": [line.lower() for line in HYPOTHESES]}
    results = TranslationMetric(name).compare(
        systems, [REFERENCES[0]], bootstrap_resamples=100, randomisation_trials=300, seed=11
    )
    monkeypatch.setenv("SACREBLEU_SEED", "11")
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)
    for kind, samples, attribute in (("bs", 100, "p_bootstrap"), ("ar", 300, "p_randomisation")):
        metric = CLASSES[name](references=[REFERENCES[0]])
        _, scores = PairedTest(list(systems.items()), {name: metric}, None, kind, n_samples=samples)()
        (title,) = scores.keys() - {"System"}
        assert [getattr(result, attribute) for result in results] == [result.p_value for result in scores[title]]
        assert [result.score.value for result in results] == [result.score for result in scores[title]]
        if kind == "bs":
            assert [(r.mean, r.half_width) for r in results] == [(r.mean, r.ci) for r in scores[title]]
    assert results[0].p_bootstrap is None
    assert "bs:100|ar:300|seed:11|" in results[1].score.signature


def test_a_seed_that_sacrebleu_would_ignore_is_refused():
    with pytest.raises(UserError, match="seed must be at least 1"):
        TranslationMetric("bleu").compare({"a": ["x"], "b": ["y"]}, [["x"]], seed=0)


def test_transposed_references_are_refused_where_sacrebleu_says_100():
    hypotheses = ["the cat sat on the mat", "a dog ran in the park", "no one was at home"]
    transposed = [[line] for line in hypotheses]
    assert sacrebleu.corpus_bleu(hypotheses, transposed).score == pytest.approx(100.0)
    with pytest.raises(UserError, match="look transposed") as caught:
        TranslationMetric("bleu").score(hypotheses, transposed)
    assert caught.value.code == ExitCode.DATA


def test_an_unknown_option_is_refused_with_a_suggestion():
    for options, message in [
        ({"tokenize": "12a"}, "unknown tokenizer '12a'. Did you mean '13a'?"),
        ({"smooth_method": "expo"}, "unknown smoothing method 'expo'. Did you mean 'exp'?"),
        (
            {"smooth_value": 0.1},
            "--smooth-value has no effect with the smoothing method 'exp'. It belongs to 'floor' and 'add-k'.",
        ),
    ]:
        with pytest.raises(UserError) as caught:
            TranslationMetric("bleu", **options)
        assert str(caught.value) == message
        assert caught.value.code == ExitCode.USAGE


def test_why_bleu_is_zero():
    short = ["yes sir", "not at all"]
    score = TranslationMetric("bleu").score(short, [short])
    assert score.value == 0.0
    assert "although the hypothesis equals the reference: no line of the hypothesis has 4 words" in zero_bleu_warning(
        score, short, [short]
    )
    effective = TranslationMetric("bleu", effective_order=True).score(short, [short])
    assert effective.value == pytest.approx(100.0)
    assert zero_bleu_warning(effective, short, [short]) is None
    other = TranslationMetric("bleu").score(["no match"], [["nothing here fits at all"]])
    assert other.value == 0.0


def test_downloads_still_find_the_module_that_is_left_out_at_import():
    import subprocess
    import sys

    code = (
        "import sys; from seqcli.metrics.translation import TranslationMetric; TranslationMetric('bleu');"
        "assert 'portalocker' not in sys.modules;"
        "import sacrebleu.utils; print(sacrebleu.utils.portalocker.Lock.__name__, 'portalocker' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Lock True\n"
