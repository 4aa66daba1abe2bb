"""A model predicts for each item alone what it predicts for many at once, in their order, whatever it remembers."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tiny_classes
import tiny_corpus
from networks import ENGINES, made

from seqcli.decode import chain
from seqcli.errors import ExitCode, UserError
from seqcli.fields import text
from seqcli.pipeline import model as pipeline
from seqcli.pipeline.model import Model

WORDS = [words.split() for words, _ in tiny_corpus.SENTENCES]
each_engine = pytest.mark.parametrize("engine", ENGINES)
each_head = pytest.mark.parametrize("head", ["crf", "softmax"])
CLASSIFIERS = {
    "lstm": ("model.encoder={kind: lstm, dim: 6}",),
    "transformer": ("model.encoder={kind: transformer, dim: 8, heads: 2, feedforward: 8}",),
    "cnn": ("model.encoder={kind: cnn, filters: 4}",),
    "members": ("model.encoder={kind: bag, dim: 8}", "model.members=2"),
}


@pytest.fixture
def model(tmp_path, cache):
    """Makes a model by the name of its engine."""

    def make(engine, recipe_of, *overrides, **data):
        task, network, _ = made(recipe_of(tmp_path / "data", *overrides, **data))
        return Model("tiny@1", task, ENGINES[engine](task, network))

    return make


def random_sentences(number, words, seed=0):
    random = np.random.default_rng(seed)
    known = sorted({word for one in words for word in one})
    return [
        [
            known[random.integers(len(known))] if random.random() < 0.6 else f"new{random.integers(80)}"
            for _ in range(random.integers(0, 9))
        ]
        for _ in range(number)
    ]


def in_the_same_words(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one.tokens, one.tags) == (other.tokens, other.tags)
        np.testing.assert_allclose(one.chances_T, other.chances_T, atol=1e-5)


def the_same_chances(found, expected):
    assert [one.length for one in found] == [one.length for one in expected]
    np.testing.assert_allclose(
        np.stack([one.probs_K for one in found]), np.stack([one.probs_K for one in expected]), atol=1e-5
    )


@each_engine
@each_head
def test_sentences_one_by_one_in_blocks_and_with_any_memory(model, monkeypatch, engine, head):
    tagger = model(engine, tiny_corpus.tiny_recipe, f"model.head={{kind: {head}}}")
    sentences = random_sentences(120, WORDS)
    expected = [next(tagger.predict([sentence], scores=True)) for sentence in sentences]
    assert [one.tokens for one in expected] == sentences
    assert len({tag for one in expected for tag in one.tags}) > 2
    in_the_same_words(tagger.predict(sentences, scores=True), expected)
    monkeypatch.setattr(text, "MAX_REMEMBERED", 20)
    monkeypatch.setattr(tagger.engine, "positions", 30)
    monkeypatch.setattr(pipeline, "_ITEMS", 17)
    in_the_same_words(tagger.predict(iter(sentences), scores=True), expected)


@each_engine
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_texts_one_by_one_in_any_order_and_with_any_memory(model, monkeypatch, engine, name):
    classifier = model(engine, tiny_classes.text_recipe, *CLASSIFIERS[name])
    texts = random_sentences(60, [words.split() for words, _ in tiny_classes.TEXTS])
    expected = [next(classifier.predict([one])) for one in texts]
    assert np.ptp([one.probs_K for one in expected], axis=0).max() > 0.1
    np.testing.assert_allclose([one.probs_K.sum() for one in expected], 1, atol=1e-5)
    monkeypatch.setattr(text, "MAX_REMEMBERED", 20)
    monkeypatch.setattr(classifier.engine, "positions", 30)
    order = np.random.default_rng(1).permutation(60)
    for start in range(0, 60, 7):
        rows = order[start : start + 7].tolist()
        the_same_chances(classifier.predict_block([texts[row] for row in rows]), [expected[row] for row in rows])


@each_engine
def test_frames_one_by_one_and_of_other_channels(model, engine):
    classifier = model(
        engine,
        tiny_classes.frame_recipe,
        "model.embedder={kind: frames, dim: 6, kernel: 3, stride: 2}",
        "source.missing=mask",
        train=tiny_classes.motions(missing=True),
    )
    sequences = [frames for frames, _ in tiny_classes.motions(20, 5, missing=True)] + [np.zeros((0, 2), np.float32)]
    expected = [next(classifier.predict([frames])) for frames in sequences]
    the_same_chances(classifier.predict_block(sequences[::-1]), expected[::-1])
    with pytest.raises(UserError) as caught:
        classifier.predict_block([np.zeros((3, 5), np.float32)])
    assert (str(caught.value), caught.value.code) == (
        "frames of 5 channels, but the model was trained on 2",
        ExitCode.DATA,
    )
    for other in ("text", np.zeros(3, np.float32)):
        with pytest.raises(UserError, match="this recipe reads frames, and here are none") as caught:
            classifier.predict_block([other])
        assert caught.value.code == ExitCode.DATA


def test_several_threads_say_the_same_in_the_same_order(model, monkeypatch):
    """Batches side by side, where the engine takes them so."""
    tagger = model("onnx", tiny_corpus.tiny_recipe)
    sentences = random_sentences(300, WORDS)
    expected = [next(tagger.predict([sentence], scores=True)) for sentence in sentences]
    monkeypatch.setattr(tagger.engine, "positions", 40)
    monkeypatch.setattr(pipeline, "cores", lambda: 3)
    outputs, threads = tagger.engine.outputs, set()
    together = threading.Barrier(3)

    def noted(source):
        if threading.current_thread() not in threads:
            threads.add(threading.current_thread())
            together.wait(30)
        return outputs(source)

    monkeypatch.setattr(tagger.engine, "outputs", noted)
    in_the_same_words(tagger.predict_block(sentences, scores=True), expected)
    assert len(threads) == 3
    assert threading.main_thread() not in threads


@each_engine
def test_what_is_empty_keeps_its_place(model, engine):
    tagger = model(engine, tiny_corpus.tiny_recipe)
    found = list(tagger.predict([[], WORDS[0], [], WORDS[1], []], scores=True))
    in_the_same_words(found[1::2], [next(tagger.predict([words], scores=True)) for words in WORDS[:2]])
    for one in found[::2]:
        assert (one.tokens, one.tags, len(one.chances_T)) == ([], [], 0)
    assert [one.tags for one in tagger.predict([[], []])] == [[], []]
    assert [one.tags for one in tagger.predict([""], scores=True)] == [[]]
    assert list(tagger.predict([])) == []
    assert tagger.predict_block([]) == []


@each_engine
def test_an_empty_text_has_a_label_of_its_own(model, engine):
    classifier = model(engine, tiny_classes.text_recipe)
    one, two, three = classifier.predict_block(["", "a charming film", ""])
    the_same_chances([one, one], [three, next(classifier.predict([""]))])
    assert (one.length, two.length) == (0, 3)
    assert abs(one.probs_K - two.probs_K).max() > 1e-3


@each_engine
def test_a_sentence_over_the_limit_goes_in_pieces(model, engine):
    """Each tag is that of its piece, none is lost."""
    tagger = model(engine, tiny_corpus.tiny_recipe, "data.max_length=4")
    sentence = [word for words in WORDS for word in words][:19]
    pieces = [sentence[start : start + 4] for start in range(0, 19, 4)]
    before, found, after = tagger.predict([WORDS[0], sentence, WORDS[1]], scores=True)
    parts = list(tagger.predict(pieces, scores=True))
    assert (found.tokens, found.tags) == (sentence, [tag for part in parts for tag in part.tags])
    np.testing.assert_allclose(found.chances_T, np.concatenate([part.chances_T for part in parts]), atol=1e-5)
    assert (before.tokens, after.tokens) == (WORDS[0], WORDS[1])


@each_engine
def test_of_a_text_over_the_limit_the_first_tokens_count(model, engine):
    classifier = model(engine, tiny_classes.text_recipe, "data.max_length=3")
    long, short = classifier.predict_block(["a charming film that is dull and long", "a charming film"])
    assert (long.length, short.length) == (8, 3)
    np.testing.assert_allclose(long.probs_K, short.probs_K, atol=1e-6)


@each_engine
@each_head
def test_scores_are_the_probabilities_of_the_tags(model, engine, head):
    tagger = model(engine, tiny_corpus.tiny_recipe, f"model.head={{kind: {head}}}", "target.model_scheme=bio")
    task = tagger.task
    outputs = tagger.engine.outputs(task.source.side([WORDS[3]]))
    if head == "crf":
        steps = (outputs[name] for name in ("transitions_KK", "start_K", "end_K"))
        chances_TK = chain.posteriors(outputs["logits_BTK"], *steps, np.array([4]))[0]
    else:
        chances_TK = np.exp(chain.log_softmax(outputs["logits_BTK"]))[0]
    np.testing.assert_allclose(chances_TK.sum(-1), 1, rtol=1e-5)
    (found,) = tagger.predict([WORDS[3]], scores=True)
    expected = [chances_TK[place, task.target.labels.index(tag)] for place, tag in enumerate(found.tags)]
    np.testing.assert_allclose(found.chances_T, expected, atol=1e-5)


@each_engine
def test_odd_tokens(model, engine):
    """Nothing a line may hold stops a model: no character, one never seen, ten thousand of them."""
    tagger = model(engine, tiny_corpus.tiny_recipe)
    odd = [[""], ["\0", "\u2028", "<PAD>", "<UNK>"], ["x" * 10_000], ["日本語", "🙂"]]
    assert [len(one.tags) for one in tagger.predict(odd)] == [1, 4, 1, 2]
