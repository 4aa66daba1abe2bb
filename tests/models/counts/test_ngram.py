"""The n-gram model against a slow reference, against numbers worked by hand and against KenLM's."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kneser_ney_reference import Reference
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from seqcli.data.arrays import DiskArray
from seqcli.errors import UserError
from seqcli.models.counts import ngram
from seqcli.models.counts.base import Sizes, Tokens
from seqcli.models.counts.kneser_ney import discounts
from seqcli.models.counts.ngram import NGramModel
from seqcli.recipe.models import NGramConfig

UNK, EOS = 0, 1
SIZES = Sizes(words=8, bos=EOS, unk=UNK)


def packed(sequences):
    ends = np.cumsum([0, *map(len, sequences)])
    return np.array([token for sequence in sequences for token in sequence], np.uint16), ends


def fit(sequences, *, order=3, prune=(), size=8, stream=False):
    config = NGramConfig(order=order, prune=list(prune))
    return NGramModel.fit(config, Tokens(*packed(sequences), stream), Sizes(words=size, bos=EOS, unk=UNK))


def random_text(seed, count, size=8, *, of=3):
    """Sequences in which some tokens and pairs come often, so that counts 1, 2, 3 and 4 are all there."""
    numbers = random.Random(seed)
    text = []
    for _ in range(count):
        token, sequence = of, []
        for _ in range(numbers.randrange(7)):
            token = of + (token * 2 + int(numbers.random() ** 3 * (size - of))) % (size - of)
            sequence.append(token)
        text.append([*sequence, EOS])
    return text


def ids(sequences):
    return [np.array(sequence) for sequence in sequences]


orders = st.integers(1, 5)
seeds = st.integers(0, 10**6)
few = settings(max_examples=25, deadline=None, derandomize=True)


@few
@given(
    seed=seeds,
    order=orders,
    count=st.sampled_from([1, 3, 40, 150]),
    stream=st.booleans(),
    prune=st.sampled_from([[], [0, 1], [0, 0, 1, 2], [1], [3, 4]]),
)
def test_equals_the_reference(seed, order, count, stream, prune):
    text = random_text(seed, count)
    prune = prune[:order]
    thresholds = [*prune, *(prune[-1:] or [0]) * order][:order]
    units = [[token for sequence in text for token in sequence]] if stream else text
    reference = Reference(units, order=order, size=8, start=EOS, kept_rows={UNK, EOS}, thresholds=thresholds)
    model = fit(text, order=order, prune=prune, stream=stream)
    unseen = random_text(seed + 1, 6, 8, of=2)  # a token that the training text lacks among them
    for sequence, found in zip(unseen, model.score(ids(unseen)), strict=True):
        expected = [math.log(reference.p(token, [EOS, *sequence[:at]])) for at, token in enumerate(sequence)]
        assert found == pytest.approx(expected, abs=1e-9)
    log_p, _ = model.read(np.array([unseen[0]]), model.start(1)[1])
    expected = [reference.p(token, [EOS, *unseen[0]]) for token in range(8)]
    assert np.exp(log_p[0].astype(float)) == pytest.approx(expected, abs=1e-6)


@few
@given(seed=seeds, order=orders, stream=st.booleans())
def test_reading_token_by_token_says_what_score_says_and_sums_to_one(seed, order, stream):
    model = fit(random_text(seed, 60), order=order, stream=stream)
    numbers = np.random.default_rng(seed)
    sequences = numbers.integers(0, 8, (4, 9))
    scored = model.score(list(sequences))
    log_p, state = model.start(4)
    for step in range(9):
        assert np.exp(log_p.astype(float)).sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)
        assert log_p.dtype == np.float32
        assert log_p[np.arange(4), sequences[:, step]] == pytest.approx([one[step] for one in scored], abs=1e-5)
        log_p, state = model.read(sequences[:, step : step + 1], state)
    start = model.start(4)[1]
    for cut in (1, 2, 5, 8):  # at once, or in two pieces
        _, half = model.read(sequences[:, :cut], start)
        kept = half.copy()
        again, end = model.read(sequences[:, cut:], half)
        assert np.array_equal(again, log_p)
        assert np.array_equal(end, state)
        assert np.array_equal(half, kept)


def test_select_reorders_and_repeats():
    model = fit(random_text(1, 50))
    _, state = model.read(np.array([[3], [4], [5]]), model.start(3)[1])
    rows = np.array([2, 0, 2])
    chosen, _ = model.read(np.array([[6], [6], [6]]), model.select(state, rows))
    whole, _ = model.read(np.array([[6], [6], [6]]), state)
    assert np.array_equal(chosen, whole[rows])


def test_by_hand():
    """Two lines, "a b" and "a c", bigrams: counts too few for discounts, so 0.5, 1 and 1.5 are taken off.

    Distinct tokens before each: a 1 (the start), b 1, c 1, <EOS> 2 (b and c), of 5. Taken off 3 x 0.5 + 1 = 2.5, so
    half of the mass is uniform, 0.1 a row: a, b, c 0.5/5 + 0.1 = 0.2, <EOS> 1/5 + 0.1 = 0.3, <UNK> 0.1. The start is
    followed by a, a: (2 - 1)/2 + 0.5 x 0.2 = 0.6. After a come b and c: (1 - 0.5)/2 + 0.5 x 0.2 = 0.35. After b comes
    the end: (1 - 0.5)/1 + 0.5 x 0.3 = 0.65.
    """
    a, b, c = 2, 3, 4
    model = fit([[a, b, EOS], [a, c, EOS]], order=2, size=5)
    log_p, start = model.start(1)
    assert np.exp(log_p[0]) == pytest.approx([0.05, 0.15, 0.6, 0.1, 0.1])
    after_a, _ = model.read(np.array([[a]]), start)
    assert np.exp(after_a[0]) == pytest.approx([0.05, 0.15, 0.1, 0.35, 0.35])
    after_unk, _ = model.read(np.array([[UNK]]), start)
    assert np.exp(after_unk[0]) == pytest.approx([0.1, 0.3, 0.2, 0.2, 0.2])
    (found,) = model.score([np.array([a, b, EOS])])
    assert np.exp(found) == pytest.approx([0.6, 0.35, 0.65], abs=1e-12)


def test_a_running_text_by_hand():
    """The same two lines as one text, trigrams: (<EOS>, a) counts 2, once for b before it and once as the opening.

    p(a | <EOS>) = (2 - 1)/2 + 0.5 x 0.2 = 0.6 and p(a | b, <EOS>) = (1 - 0.5)/1 + 0.5 x 0.6 = 0.8; as units of their
    own, nothing follows <EOS> but as the start, and p(a | <EOS>) = 0.6 is all there is.
    """
    a, b, c = 2, 3, 4
    for stream, expected in ((True, 0.8), (False, 0.6)):
        model = fit([[a, b, EOS], [a, c, EOS]], size=5, stream=stream)
        first, state = model.start(1)
        assert math.exp(first[0, a]) == pytest.approx(0.6)
        after_end, _ = model.read(np.array([[a, b, EOS]]), state)
        assert math.exp(after_end[0, a]) == pytest.approx(expected)


def test_discounts_as_kenlm_prints_them():
    """Counts of counts of 1.9 million words of English, and the discounts lmplz printed for the same text."""
    for n, expected in (
        ([219986, 50336, 22695, 12940], [0.686046, 1.07205, 1.43535]),
        ([1339126, 85141, 22796, 10033], [0.887186, 1.28738, 1.43812]),
    ):
        counts = np.repeat(np.arange(1, 5), n)
        assert discounts(counts)[1:] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("adjusted", [[1, 1, 2, 3], [*[1] * 10, 2, *[3] * 6, 4]])
def test_discounts_fall_back(adjusted):
    """No count of 4; a discount of 2's below 0."""
    assert discounts(np.array(adjusted)).tolist() == [0, 0.5, 1.0, 1.5]


def kenlm_text(seed, count):
    numbers = random.Random(seed)
    text = []
    for _ in range(count):
        line = []
        for _ in range(numbers.randrange(1, 9)):
            base = line[-1] if line and numbers.random() < 0.6 else 0
            line.append((base + int(numbers.random() ** 3 * 20)) % 40)
        text.append([*(word + 2 for word in line), EOS])
    return text


@pytest.mark.parametrize(
    ("prune", "perplexity", "lines"),
    [
        ([], 15.571008851397139, [-4.3231277, -7.6278515, -3.8158317]),
        ([0, 0, 1], 15.30610233318506, [-4.3777814, -7.8120522, -3.9909732]),
    ],
)
def test_equals_kenlm(prune, perplexity, lines):
    """``lmplz -o 3 [--prune 0 0 1]`` on 400 lines, ``query`` on 50: perplexity, log10 p of the first three lines."""
    train, test = kenlm_text(7, 400), kenlm_text(8, 50)
    scored = fit(train, prune=prune, size=42).score(ids(test))  # 40 words, <UNK>, <EOS>, as many as KenLM counts
    assert [one.sum() / math.log(10) for one in scored[:3]] == pytest.approx(lines, abs=1e-5)
    assert math.exp(-np.concatenate(scored).mean()) == pytest.approx(perplexity, rel=1e-6)


def test_unknown_words_and_contexts_have_mass():
    model = fit(random_text(3, 80, 7), size=9)  # rows 7 and 8 are in no line
    (found,) = model.score([np.array([UNK, 7, 8, 3, UNK, EOS])])
    assert np.isfinite(found).all()
    assert model.start(1)[0][0, 7] == model.start(1)[0][0, UNK]


@pytest.mark.parametrize("order", [1, 2, 8])
@pytest.mark.parametrize("text", [[[EOS]], [[2, EOS]], [[2, 3, 4, 4, 5, EOS]]])
@pytest.mark.parametrize("stream", [True, False])
def test_texts_shorter_than_the_order(order, text, stream):
    model = fit(text, order=order, size=6, stream=stream)
    log_p, state = model.start(2)
    for token in (*text[0], 3, 3):
        assert np.exp(log_p.astype(float)).sum(axis=1) == pytest.approx([1, 1], abs=1e-6)
        log_p, state = model.read(np.array([[token], [token]]), state)
    (found,) = model.score(ids(text))
    assert np.isfinite(found).all()
    assert math.exp(found.mean()) > 1 / 6  # better than knowing nothing


def test_hello_is_learned():
    h, e, l, o = 2, 3, 4, 5  # noqa: E741
    model = fit([[h, e, l, l, o, EOS]], order=4, size=6)
    log_p, state = model.start(1)
    said = []
    while not said or said[-1] != EOS:
        said.append(int(log_p[0].argmax()))
        log_p, state = model.read(np.array([said[-1:]]), state)
    assert said == [h, e, l, l, o, EOS]


def test_vocabulary_of_one():
    model = NGramModel.fit(NGramConfig(), Tokens(*packed([[0], [0]])), Sizes(words=1))
    assert model.score([np.array([0, 0])])[0].tolist() == [0.0, 0.0]


def test_a_pruned_word_keeps_its_uniform_share():
    model = fit([[2, 2, 3, EOS], [2, 4, EOS]], order=1, prune=[1], size=6)
    p = np.exp(model.start(1)[0][0])
    assert p[3] == p[4] == p[5] == p[UNK]
    assert p[2] > p[EOS] > p[3]


def test_no_text():
    with pytest.raises(UserError, match="empty") as caught:
        fit([])
    assert caught.value.code == 65
    assert fit([[2, EOS]]).score([]) == []
    assert [len(one) for one in fit([[2, EOS]]).score(ids([[], [2], []]))] == [0, 1, 0]


def test_ids_outside_the_vocabulary():
    with pytest.raises(ValueError, match="8 rows"):
        fit([[8, EOS]])


def test_progress_is_told():
    reports = []
    NGramModel.fit(
        NGramConfig(order=3), Tokens(*packed([[2, EOS]])), SIZES, lambda done, total: reports.append((done, total))
    )
    assert reports == [(1, 3), (2, 3), (3, 3)]


def test_long_texts_are_scored_in_blocks(monkeypatch):
    model = fit(random_text(4, 90), order=4)
    text = random_text(5, 30)
    expected = model.score(ids(text))
    for size in (1, 2, 7):
        monkeypatch.setattr(ngram, "_BLOCK", size)
        for one, two in zip(model.score(ids(text)), expected, strict=True):
            assert np.array_equal(one, two)


def test_arrays_on_disk(tmp_path):
    values, offsets = packed(random_text(6, 40))
    values.tofile(tmp_path / "v")
    offsets.tofile(tmp_path / "o")
    config = NGramConfig(order=3)
    on_disk = (DiskArray(tmp_path / "v", values.dtype), DiskArray(tmp_path / "o", offsets.dtype))
    models = [NGramModel.fit(config, Tokens(*one), SIZES).arrays() for one in (on_disk, (values, offsets))]
    assert all(np.array_equal(models[0][name], models[1][name]) for name in models[1])


@pytest.mark.parametrize("order", [1, 2, 8])
def test_saved_and_loaded(tmp_path, order):
    model = fit(random_text(9, 50), order=order)
    save_file(model.arrays(), tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    loaded = NGramModel.from_arrays(NGramConfig(order=order), arrays, SIZES)
    text = ids(random_text(10, 20, of=2))
    assert all(map(np.array_equal, model.score(text), loaded.score(text)))
    assert np.array_equal(model.start(3)[0], loaded.start(3)[0])


def changed(name, change):
    return lambda arrays: {**arrays, name: change(arrays[name].copy())}


def put(place, value):
    def change(array):
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda arrays: {name: array for name, array in arrays.items() if name != "2.keys"}, "'2.keys' is missing"),
        (lambda arrays: {**arrays, "4.keys": arrays["3.keys"]}, "'4.keys' does not belong to it"),
        (changed("1.log_p", lambda array: array[:-1]), "'1.log_p' is float64[7], not float64[8]"),
        (changed("2.keys", lambda array: array[:-1]), "'2.keys' is int64["),
        (changed("2.backoff", lambda array: np.append(array, 0.0)), "'2.backoff' is float64["),
        (changed("2.keys", lambda array: array[::-1]), "'2.keys' is not sorted"),
        (changed("2.keys", put(0, -1)), "'2.keys' is not sorted"),
        (changed("2.keys", put(-1, 64)), "'2.keys' is not sorted, or is not within 0 and 63"),
        (changed("3.keys", put(-1, 2**62)), "'3.keys' is not sorted, or is not within 0 and"),
        (changed("3.keys", put(1, 0)), "'3.keys' is not sorted"),
        (changed("3.keys", lambda array: array.astype(np.uint64)), "'3.keys' is uint64"),
        (changed("3.log_p", lambda array: array.astype(np.float32)), "'3.log_p' is float32"),
        (changed("3.log_p", lambda array: array[None]), "'3.log_p' is float64[1, "),
        (changed("3.log_p", put(0, 0.1)), "'3.log_p' has values that cannot be"),
        (changed("1.backoff", put(0, np.nan)), "'1.backoff' has values that"),
        (changed("1.log_p", put(0, -np.inf)), "'1.log_p' has values that"),
    ],
)
def test_foreign_arrays_are_refused(damage, says):
    arrays = damage(fit(random_text(11, 50)).arrays())
    with pytest.raises(UserError) as caught:
        NGramModel.from_arrays(NGramConfig(order=3), arrays, SIZES, "m.safetensors")
    assert caught.value.code == 65
    assert str(caught.value).startswith("m.safetensors: no n-gram model: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("prune", [[1, 0], [-1], [0, 0, 0, 1]])
def test_thresholds_that_make_no_sense(prune):
    with pytest.raises(ValidationError, match="prune"):
        NGramConfig(order=3, prune=prune)


def test_needs_no_torch():
    code = "import seqcli.models.counts.ngram, sys; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
