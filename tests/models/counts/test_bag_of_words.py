"""Bags of n-grams: by hand, against scikit-learn, and the parts of a decision against its whole."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from seqcli.errors import UserError
from seqcli.models.counts import ngram_rows
from seqcli.models.counts.bag_of_words import BagOfWords
from seqcli.models.counts.base import Labelled, Sizes
from seqcli.models.counts.integer_table import IntegerTable
from seqcli.models.counts.ngram_rows import NGramRows, Rows
from seqcli.recipe.models import BagOfWordsConfig
from seqcli.text.words import Words

WORDS = 14
few = settings(max_examples=40, deadline=None, derandomize=True)
texts = st.lists(st.lists(st.integers(0, 9), max_size=9), min_size=1, max_size=12)


def packed(sequences):
    ends = np.cumsum([0, *map(len, sequences)])
    return np.array([token for sequence in sequences for token in sequence], np.int32), ends


def random_text(seed, count=80, words=WORDS, longest=12):
    numbers = np.random.default_rng(seed)
    sequences = [
        (1 + (words - 1) * numbers.random(numbers.integers(longest)) ** 2).astype(int).tolist() for _ in range(count)
    ]
    return sequences, numbers


def fit(sequences, labels, classes=2, words=WORDS, weights=None, multilabel=False, progress=None, **options):
    data = Labelled(*packed(sequences), np.asarray(labels), weights)
    sizes = Sizes(words=words, classes=classes, multilabel=multilabel)
    return BagOfWords.fit(BagOfWordsConfig(**options), data, sizes, progress)


def sentences(sequences):
    """As text for scikit-learn; it must not join words over an unknown one, so that one is not in them."""
    return [" ".join(f"w{token}" for token in sequence if token > 1) for sequence in sequences]


def slow_ngrams(sequence, order):
    """The n-grams of a text in which every word is known."""
    return [
        tuple(sequence[at : at + length])
        for length in range(1, order + 1)
        for at in range(len(sequence) - length + 1)
        if min(sequence[at : at + length]) > 1
    ]


def test_the_lectures_bag_by_hand():
    vocabulary = ["<PAD>", "<UNK>", "Ram", "is", "a", "good", "boy", "Sita", "girl"]
    text = Words().tokenize("Ram is a good boy. Sita is a good girl.")
    ids = [vocabulary.index(word) for word in text if word != "."]
    texts = packed([ids, ids[::-1], []])
    rows = NGramRows.fit(*texts, words=9, order=1, buckets=None, min_count=1)
    bags = Rows.joined(rows.blocks(*texts))
    assert bags.rows.tolist() == [*range(7), *range(7)]
    assert bags.counts.tolist() == [1, 2, 2, 2, 1, 1, 1] * 2
    assert bags.ends.tolist() == [0, 7, 14, 14]
    assert Rows.joined([]).ends.tolist() == [0]


@few
@given(sequences=texts, order=st.integers(1, 4), min_count=st.integers(1, 3), block=st.sampled_from([3, 99]))
def test_rows_against_counting_by_hand(sequences, order, min_count, block):
    ids, offsets = packed(sequences)
    rows = NGramRows.fit(ids, offsets, words=10, order=order, buckets=None, min_count=min_count)
    of_each = [slow_ngrams(sequence, order) for sequence in sequences]
    in_texts = {}
    for grams in of_each:
        for gram in set(grams):
            in_texts[gram] = in_texts.get(gram, 0) + 1
    kept = {gram for gram, count in in_texts.items() if count >= min_count}
    assert rows.size == len(kept)
    before, ngram_rows._BLOCK = ngram_rows._BLOCK, block
    try:
        blocks = list(rows.blocks(ids, offsets))
    finally:
        ngram_rows._BLOCK = before
    found = [
        sorted(found.counts[begin:end].tolist())
        for found in blocks
        for begin, end in zip(found.ends, found.ends[1:], strict=False)
    ]
    assert found == [sorted(grams.count(gram) for gram in set(grams) & kept) for grams in of_each]
    names = {}  # each row is one n-gram, always the same one
    for length, at, numbers in rows.occurrences(ids.astype(np.int64), offsets):
        for begin, row in zip(at.tolist(), numbers.tolist(), strict=True):
            assert names.setdefault(row, tuple(ids[begin : begin + length])) == tuple(ids[begin : begin + length])
    assert set(names.values()) == kept


@few
@given(sequences=texts, order=st.integers(1, 4), buckets=st.sampled_from([1, 7, 100_000]))
def test_hashed_rows_count_every_ngram(sequences, order, buckets):
    ids, offsets = packed(sequences)
    rows = NGramRows.fit(ids, offsets, words=10, order=order, buckets=buckets, min_count=1)
    found = list(rows.blocks(ids, offsets))
    of_each = [len(slow_ngrams(sequence, order)) for sequence in sequences]
    assert [
        int(part.counts[begin:end].sum())
        for part in found
        for begin, end in zip(part.ends, part.ends[1:], strict=False)
    ] == of_each
    words = len({token for sequence in sequences for token in sequence if token > 1})
    longer = {gram for sequence in sequences for gram in slow_ngrams(sequence, order) if len(gram) > 1}
    assert rows.size <= words + buckets
    if buckets == 100_000:
        assert rows.size == words + len(longer)  # so few n-grams hardly ever meet
    assert rows.size - words <= len(longer)


def test_hashed_rows_that_are_too_rare_are_left_out():
    rows = NGramRows.fit(*packed([[2, 3, 4], [2, 3], [3, 4, 5]]), words=6, order=2, buckets=1000, min_count=2)
    assert rows.size == 3 + 2  # the words 2, 3, 4; the pairs 2 3 and 3 4


@given(st.sets(st.integers(0, 2**62), max_size=200), st.lists(st.integers(0, 2**62), max_size=50))
def test_the_table_of_integers(held, asked):
    keys = np.array(sorted(held), np.int64)
    asked = np.array([*asked, *held], np.int64)
    places, numbers = IntegerTable(keys).find(asked)
    number_of = {key: number for number, key in enumerate(keys.tolist())}
    assert places.tolist() == [at for at, key in enumerate(asked.tolist()) if key in number_of]
    assert numbers.tolist() == [number_of[key] for key in asked.tolist() if key in number_of]


VECTORIZERS = {
    "binary": (CountVectorizer, {"binary": True}),
    "counts": (CountVectorizer, {}),
    "tfidf": (TfidfVectorizer, {"norm": None}),
}


@pytest.mark.parametrize("weighting", ["binary", "counts", "tfidf"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("min_count", [1, 3])
def test_as_scikit_learn(weighting, norm, min_count):
    sequences, numbers = random_text(1)
    sequences = [[token for token in sequence if token > 1] for sequence in sequences]
    labels = numbers.integers(0, 3, len(sequences))
    ours = fit(sequences, labels, 3, weighting=weighting, normalize=norm, min_count=min_count)
    kind, options = VECTORIZERS[weighting]
    vectorizer = kind(token_pattern=r"\S+", ngram_range=(1, 2), min_df=min_count, **options)
    features = vectorizer.fit_transform(sentences(sequences)).astype(float)
    others, _ = random_text(2)
    others = [[token for token in sequence if token > 1] for sequence in others]
    asked = vectorizer.transform(sentences(others)).astype(float)
    if norm:
        features, asked = normalize(features), normalize(asked)
    theirs = LogisticRegression(tol=1e-9, max_iter=10_000).fit(features, labels).predict_proba(asked)
    assert np.abs(np.exp(ours.log_probs(*packed(others))) - theirs).max() < 1e-3


@pytest.mark.parametrize("norm", [False, True])
def test_the_naive_bayes_ratio_by_the_papers_equation(norm):
    sequences, numbers = random_text(3)
    sequences = [[token for token in sequence if token > 1] for sequence in sequences]
    labels = numbers.integers(0, 2, len(sequences))
    ours = fit(sequences, labels, naive_bayes=True, normalize=norm)
    features = (
        CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True)
        .fit_transform(sentences(sequences))
        .toarray()
        .astype(float)
    )
    p, q = 1 + features[labels == 1].sum(0), 1 + features[labels == 0].sum(0)
    ratio = np.log((p / p.sum()) / (q / q.sum()))
    scaled = (normalize(features) if norm else features) * ratio
    theirs = LogisticRegression(tol=1e-9, max_iter=10_000).fit(scaled, labels).predict_proba(scaled)
    assert np.abs(np.exp(ours.log_probs(*packed(sequences))) - theirs).max() < 1e-3


def test_naive_bayes_of_three_classes_is_one_against_the_rest():
    sequences, numbers = random_text(4)
    truth = np.eye(3, dtype=bool)[numbers.integers(0, 3, len(sequences))]
    together = fit(sequences, truth, 3, naive_bayes=True, multilabel=True)
    for label in range(3):
        alone = fit(sequences, truth[:, label].astype(int), 2, naive_bayes=True)
        assert np.allclose(
            together.log_probs(*packed(sequences))[:, label], alone.log_probs(*packed(sequences))[:, 1], atol=1e-4
        )


OPTIONS = st.fixed_dictionaries(
    {
        "ngrams": st.integers(1, 3),
        "weighting": st.sampled_from(["binary", "counts", "tfidf"]),
        "naive_bayes": st.booleans(),
        "normalize": st.booleans(),
        "buckets": st.sampled_from([None, 5, 1000]),
        "min_count": st.sampled_from([1, 2]),
    }
)


@few
@given(seed=st.integers(0, 99), options=OPTIONS, classes=st.integers(2, 4), multilabel=st.booleans())
def test_contributions_and_bias_are_the_logits(seed, options, classes, multilabel):
    sequences, numbers = random_text(seed, 20)
    labels = numbers.random((20, classes)) < 0.4 if multilabel else numbers.integers(0, classes, 20)
    model = fit(sequences, labels, classes, multilabel=multilabel, **options)
    log_p = model.log_probs(*packed(sequences))
    assert log_p.dtype == np.float32
    for sequence, expected in zip(sequences, log_p, strict=True):
        parts = model.contributions(np.array(sequence, np.int64))
        assert parts.shape == (len(sequence), classes)
        assert not parts[[at for at, token in enumerate(sequence) if token < 2]].any()
        logits = parts.sum(0, dtype=np.float64) + model.bias
        total = np.logaddexp(0, logits) if multilabel else np.logaddexp.reduce(logits)
        assert np.abs(logits - total - expected).max() < 1e-3


def test_a_pairs_weight_is_shared_by_its_words():
    model = fit([[2, 3], [3, 2]] * 5, [1, 0] * 5, ngrams=2, normalize=False)
    parts = model.contributions(np.array([2, 3]))
    assert parts[0] == pytest.approx(parts[1], abs=1e-5)  # words say nothing here, their order says all
    assert parts[0, 1] > 0.1
    assert parts[0, 0] == -parts[0, 1]


@few
@given(seed=st.integers(0, 99), options=OPTIONS)
def test_alone_in_any_order_and_in_blocks_of_any_size(seed, options):
    sequences, numbers = random_text(seed, 20)
    model = fit(sequences, numbers.integers(0, 2, 20), **options)
    together = model.log_probs(*packed(sequences))
    alone = np.concatenate([model.log_probs(*packed([sequence])) for sequence in sequences])
    assert np.allclose(together, alone, atol=1e-6)
    backwards = model.log_probs(*packed(sequences[::-1]))[::-1]
    assert np.allclose(together, backwards, atol=1e-6)


def test_an_empty_text_has_the_bias_alone():
    model = fit([[2], [3], [3]], [0, 1, 1])
    expected = model.bias - np.logaddexp.reduce(model.bias)
    for text in ([], [0], [1, 1], [7]):
        assert np.allclose(model.log_probs(*packed([text])), expected, atol=1e-6)
    assert model.log_probs(*packed([])).shape == (0, 2)
    assert np.array_equal(
        model.log_probs(*packed([[], [2], []])),
        np.concatenate([model.log_probs(*packed([text])) for text in ([], [2], [])]),
    )
    assert model.contributions(np.zeros(0, np.int64)).shape == (0, 2)


@pytest.mark.parametrize("weighting", ["binary", "counts", "tfidf"])
@pytest.mark.parametrize("naive_bayes", [False, True])
def test_weights_are_repetitions(weighting, naive_bayes):
    sequences, numbers = random_text(6)
    labels, times = numbers.integers(0, 2, len(sequences)), numbers.integers(1, 4, len(sequences))
    weighted = fit(sequences, labels, weighting=weighting, naive_bayes=naive_bayes, weights=times)
    copies = np.repeat(np.arange(len(sequences)), times)
    repeated = fit([sequences[at] for at in copies], labels[copies], weighting=weighting, naive_bayes=naive_bayes)
    assert np.allclose(weighted.log_probs(*packed(sequences)), repeated.log_probs(*packed(sequences)), atol=1e-3)


def test_nothing_to_learn_from():
    model = fit([[], [1]], [1, 1])
    assert model.log_probs(*packed([[5, 6]])).argmax() == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ngrams": 1},
        {"ngrams": 3, "weighting": "tfidf", "normalize": True},
        {"buckets": 50, "weighting": "counts"},
        {"ngrams": 1, "buckets": 5},
        {"weighting": "tfidf", "normalize": False},
    ],
)
def test_a_file_gives_the_same_model(tmp_path, options):
    sequences, numbers = random_text(7)
    model = fit(sequences, numbers.integers(0, 3, len(sequences)), 3, **options)
    save_file(model.arrays(), tmp_path / "model.safetensors")
    again = BagOfWords.from_arrays(
        BagOfWordsConfig(**options), load_file(tmp_path / "model.safetensors"), Sizes(words=WORDS, classes=3)
    )
    assert np.array_equal(model.log_probs(*packed(sequences)), again.log_probs(*packed(sequences)))
    assert np.array_equal(model.bias, again.bias)


def changed(arrays, name, change):
    return {**arrays, name: change(arrays[name])}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights", lambda array: array[:-1], r"'weights' is float32\[\d+, 1\], not float32\[\d+, 1\]"),
        ("weights", lambda array: array.astype(np.float64), "'weights' is float64"),
        ("weights", lambda array: array * np.nan, "'weights' has values that cannot be"),
        ("bias", lambda array: np.zeros(3, np.float32), r"'bias' is float32\[3\], not float32\[1\]"),
        ("words", lambda array: array[::-1].copy(), "'words' is not sorted, or is not within 2 and 13"),
        ("words", lambda array: array - 1, "'words' is not sorted, or is not within 2 and 13"),
        ("words", lambda array: array + 1, "'words' is not sorted, or is not within 2 and 13"),
        ("2.keys", lambda array: array + 10**6, "'2.keys' is not sorted, or is not within 0 and"),
        ("2.keys", lambda array: array[None], r"'2.keys' is int64\[1, \d+\], not int64\[any\]"),
        ("idf", lambda array: array * 0, "'idf' has values that cannot be"),
    ],
)
def test_damaged_arrays_are_refused(name, change, message):
    sequences, numbers = random_text(8)
    arrays = fit(sequences, numbers.integers(0, 2, len(sequences)), weighting="tfidf", normalize=True).arrays()
    with pytest.raises(UserError, match=message) as caught:
        BagOfWords.from_arrays(
            BagOfWordsConfig(weighting="tfidf", normalize=True),
            changed(arrays, name, change),
            Sizes(words=WORDS, classes=2),
            "model.safetensors",
        )
    assert caught.value.code == 65
    assert str(caught.value).startswith("model.safetensors: no bag of words: ")


def test_foreign_arrays_are_refused():
    sequences, numbers = random_text(8)
    arrays = fit(sequences, numbers.integers(0, 2, len(sequences))).arrays()
    with pytest.raises(UserError, match=r"'3\.keys' is missing"):
        BagOfWords.from_arrays(BagOfWordsConfig(ngrams=3), arrays, Sizes(words=WORDS, classes=2))
    with pytest.raises(UserError, match=r"'2\.keys' does not belong to it"):
        BagOfWords.from_arrays(
            BagOfWordsConfig(ngrams=1),
            changed(arrays, "weights", lambda array: array[: len(arrays["words"])]),
            Sizes(words=WORDS, classes=2),
        )


def test_the_model_never_imports_torch():
    code = (
        "import sys, numpy as np\n"
        "from seqcli.models.counts.bag_of_words import BagOfWords\n"
        "from seqcli.models.counts.base import Labelled, Sizes\n"
        "from seqcli.models.counts.majority import Majority\n"
        "from seqcli.models.counts.mean_pool import MeanPool\n"
        "from seqcli.recipe.models import BagOfWordsConfig\n"
        "assert 'scipy' not in sys.modules\n"
        "data = Labelled(np.array([2, 3]), np.array([0, 1, 2]), np.array([0, 1]))\n"
        "BagOfWords.fit(BagOfWordsConfig(), data, Sizes(words=4, classes=2))\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_fits_the_same_bits_twice_and_tells_of_it():
    sequences, numbers = random_text(9)
    labels = numbers.integers(0, 2, len(sequences))
    reports = []
    first = fit(sequences, labels, progress=lambda *parts: reports.append(parts))
    assert reports[-1] == (100, 100)
    again = fit(sequences, labels)
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in first.arrays().items())
