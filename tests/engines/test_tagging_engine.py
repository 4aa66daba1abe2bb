"""The tagging engine: the tags of the training path, whatever it remembers, and probabilities that are ones."""

import numpy as np
import pytest
import torch
from tiny_corpus import SENTENCES, tiny_recipe

from seqcli.engines import tagging, token_table
from seqcli.engines.tagging import TaggingEngine
from seqcli.pipeline.prepare import open_splits
from seqcli.tasks.build import new_task

CPU = torch.device("cpu")
WORDS = [words.split() for words, _ in SENTENCES]


@pytest.fixture
def made(tmp_path, cache):
    """Makes ``(task, model)``, the weights large so that the tags differ."""

    def make(*overrides):
        recipe = tiny_recipe(tmp_path, *overrides)
        task = new_task(recipe)
        task.fit(open_splits(recipe, task, ("train",))["train"])
        torch.manual_seed(3)
        model = task.build_model().eval()
        with torch.no_grad():
            for parameter in model.head.parameters():
                parameter.mul_(4.0)
        return task, model

    return make


def random_sentences(number, seed=0):
    random = np.random.default_rng(seed)
    known = sorted({word for words in WORDS for word in words})
    return [
        [
            known[random.integers(len(known))] if random.random() < 0.6 else f"new{random.integers(80)}"
            for _ in range(random.integers(0, 9))
        ]
        for _ in range(number)
    ]


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_memory_that_starts_anew_changes_nothing(made, monkeypatch, head):
    task, model = made(f"model.head={{kind: {head}}}")
    sentences = random_sentences(120)
    expected = TaggingEngine(task, model, CPU).tag(sentences, scores=True)
    assert len({tag for tags, _ in expected for tag in tags}) > 2
    monkeypatch.setattr(token_table, "MAX_REMEMBERED", 20)
    monkeypatch.setattr(tagging, "POSITIONS", 30)
    engine = TaggingEngine(task, model, CPU)
    for start in range(0, 120, 10):
        for (tags, scores), (right, chances) in zip(
            engine.tag(sentences[start : start + 10], scores=True), expected[start : start + 10], strict=True
        ):
            assert tags == right
            assert scores == pytest.approx(chances, abs=1e-5)
        assert len(engine._table._rows) <= 20 + 30


def test_a_growing_memory_keeps_what_it_knows(made):
    task, model = made()
    engine = TaggingEngine(task, model, CPU)
    first = engine.tag(WORDS)
    engine.tag([[f"new{number}" for number in range(900)], [f"newer{number}" for number in range(900)]])
    assert len(engine._table._vectors) >= 1800
    assert engine.tag(WORDS) == first


def test_blank_sentences_keep_their_place(made):
    task, model = made()
    engine = TaggingEngine(task, model, CPU)
    found = engine.tag([[], WORDS[0], [], WORDS[1], []], scores=True)
    assert [tags for tags, _ in found] == [[], engine.tag([WORDS[0]])[0][0], [], engine.tag([WORDS[1]])[0][0], []]
    assert [scores for _, scores in found][::2] == [[], [], []]
    assert engine.tag([[], []]) == [([], None), ([], None)]
    assert engine.tag([]) == []


def test_longer_than_the_limit(made):
    """A sentence over max_length goes in pieces; each tag is that of its piece, none is lost."""
    task, model = made("data.max_length=4")
    engine = TaggingEngine(task, model, CPU)
    sentence = [word for words in WORDS for word in words][:19]
    ((tags, scores),) = engine.tag([sentence], scores=True)
    pieces = [sentence[start : start + 4] for start in range(0, 19, 4)]
    assert tags == [tag for found, _ in engine.tag(pieces) for tag in found]
    assert len(tags) == len(scores) == 19


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_scores_are_the_probabilities_of_the_tags(made, head):
    task, model = made(f"model.head={{kind: {head}}}", "target.model_scheme=bio")
    index = torch.tensor([[0, 1, 2, 3]]) + 1
    arrays = token_table.type_tensors(task.encoder.types(WORDS[3]), np.arange(4))
    lengths = torch.tensor([4])
    with torch.inference_mode():
        posteriors = model.head.posteriors(model({**arrays, "index_BT": index}, lengths), lengths)[0]
    torch.testing.assert_close(posteriors.sum(-1), torch.ones(4))
    assert (posteriors >= 0).all()
    ((tags, scores),) = TaggingEngine(task, model, CPU).tag([WORDS[3]], scores=True)
    expected = [posteriors[place, task.labels.index(tag)].item() for place, tag in enumerate(tags)]
    assert scores == pytest.approx(expected, abs=1e-5)


def test_odd_tokens(made):
    """Nothing a line may hold stops the engine: no character, one that was never seen, ten thousand of them."""
    task, model = made()
    odd = [[""], ["\0", "\u2028", "<PAD>", "<UNK>"], ["x" * 10_000], ["日本語", "🙂"]]
    found = TaggingEngine(task, model, CPU).tag(odd)
    assert [len(tags) for tags, _ in found] == [1, 4, 1, 2]
