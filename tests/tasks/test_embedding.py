"""The task ``embedding``: what it learns, that a seed gives the same vectors, and what it refuses."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import environment

from seqcli.data.example import Example
from seqcli.errors import ExitCode, UserError
from seqcli.pipeline.prepare import open_splits
from seqcli.recipe.load import load_recipe
from seqcli.recipe.text import WordsConfig
from seqcli.tasks import embedding
from seqcli.tasks.build import new_task
from seqcli.tasks.sentences import SentenceTokens
from seqcli.text.word_vectors import WordVectors

pytest.importorskip("gensim", reason="gensim is not installed")

RECIPE = """\
name: vec
task: {kind: embedding, window: 2, subsample: 0, lr: 0.05}
data: {train: text.txt, format: lines}
source: {kind: text, tokenizer: {kind: words}, vocabulary: {min_count: 2, lowercase: true}}
model: {embedder: {kind: tokens, dim: 12}}
training: {epochs: 20}
"""
ANIMALS, CARS = ("cat", "dog", "horse", "cow"), ("car", "truck", "bus", "van")


def write(folder: Path) -> None:
    """Sentences in which animals eat and cars drive; 'once' comes once."""
    chance = random.Random(2)
    lines = []
    for _ in range(400):
        name = chance.choice(ANIMALS + CARS)
        does = ("eats some hay", "drinks cold water") if name in ANIMALS else ("needs new tyres", "burns much petrol")
        lines.append(f"The {name} {chance.choice(does)}\n")
    (folder / "text.txt").write_text("".join(lines) + "once\n")
    (folder / "vec.yaml").write_text(RECIPE)


@pytest.fixture
def text(tmp_path, monkeypatch, cache):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(*overrides, told=lambda done, total: None):
    recipe = load_recipe("vec.yaml", list(overrides)).recipe
    task = new_task(recipe)
    splits = open_splits(recipe, task, ("train",))
    task.fit(splits["train"])
    data = {"train": task.data(splits["train"])}
    return task, data, task.fit_weights(data, told)


@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
def test_words_in_like_company_come_together(text, algorithm):
    task, _, weights = fit(f"task.algorithm={algorithm}")
    assert list(weights) == ["embedder.words.weight"]
    words = task.encoder.features.words
    table = weights["embedder.words.weight"].numpy()
    assert table.shape == (len(words), 12)
    assert words.tokens[:3] == ("<PAD>", "<UNK>", "the")
    assert "once" not in words
    assert task.summary() == {"words": len(words) - 2}
    assert not table[0].any()
    assert table[1] == pytest.approx(table[2:].mean(axis=0), abs=1e-6)
    vectors = WordVectors(words.tokens[2:], table[2:])
    for group in (ANIMALS, CARS):
        for name in group:
            assert {word for word, _ in vectors.neighbors(name, 3)} == set(group) - {name}


def test_a_seed_gives_the_same_vectors_and_another_one_others(text, monkeypatch):
    first = fit()[2]["embedder.words.weight"].numpy()
    assert (fit()[2]["embedder.words.weight"].numpy() == first).all()
    assert not np.allclose(fit("training.seed=2")[2]["embedder.words.weight"].numpy(), first)


def test_the_hash_of_strings_does_not_matter(text):
    """This process has another PYTHONHASHSEED than the one it starts, and gets the same vectors."""
    script = (
        "import hashlib, test_embedding as t\n"
        "print(hashlib.sha256(t.fit('training.epochs=2')[2]['embedder.words.weight'].numpy()).hexdigest())"
    )
    here = Path(__file__).parent
    env = environment(PYTHONHASHSEED="4711")
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], str(here), str(here.parent)])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    mine = fit("training.epochs=2")[2]["embedder.words.weight"].numpy()
    assert done.stdout.strip() == hashlib.sha256(mine).hexdigest()


def test_what_is_saved_loads_and_the_model_takes_the_weights(text, tmp_path):
    task, data, weights = fit("training.epochs=1")
    (tmp_path / "saved").mkdir()
    assert task.save(tmp_path / "saved") == ["vocabulary.txt"]
    again = new_task(task.recipe)
    again.load(tmp_path / "saved")
    model = again.model_of(weights)
    assert (model.state_dict()["embedder.words.weight"] == weights["embedder.words.weight"]).all()
    with pytest.raises(UserError, match=r"the weights are .*, but this recipe and vocabulary need"):
        again.model_of({"embedder.words.weight": weights["embedder.words.weight"][1:]})
    assert again.describe(again.data(data["train"].split), [0])[0].startswith("the ")


def test_progress_goes_up_to_all_words_of_all_epochs(text, monkeypatch):
    monkeypatch.setattr(embedding, "WORDS_AT_ONCE", 500)
    seen = []
    _, data, _ = fit("training.epochs=3", told=lambda done, total: seen.append((done, total)))
    total = 3 * data["train"].known
    assert data["train"].known == 400 * 5
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (total, total)
    assert len(seen) >= 12


def test_an_error_in_telling_ends_the_training(text):
    def stop(done: int, total: int) -> None:
        raise UserError("stopped", code=ExitCode.INTERRUPTED)

    with pytest.raises(UserError, match="stopped"):
        fit(told=stop)


def test_blocks_hold_every_known_word_in_order_whatever_their_size(text, monkeypatch):
    _, data, _ = fit("training.epochs=1")
    whole = [word for sentences, _ in data["train"].blocks() for sentence in sentences for word in sentence]
    monkeypatch.setattr(embedding, "WORDS_AT_ONCE", 100)
    monkeypatch.setattr(embedding, "LONGEST_SENTENCE", 3)
    blocks = list(data["train"].blocks())
    assert [word for sentences, _ in blocks for sentence in sentences for word in sentence] == whole
    assert len(whole) == data["train"].known == sum(size for _, size in blocks)
    assert max(len(sentence) for sentences, _ in blocks for sentence in sentences) == 3


def test_lines_and_tokens_become_pieces():
    cut = pickle.loads(pickle.dumps(SentenceTokens(WordsConfig(), None, 3)))
    assert list(cut(Example("Angela didn't pay."))) == [{"token": ["Angela", "did", "n't"]}, {"token": ["pay", "."]}]
    assert list(cut(Example(["a b", "c"]))) == [{"token": ["a b", "c"]}]
    assert list(cut(Example("  "))) == []
    with pytest.raises(UserError, match=r"x:3: word vectors are learned from text") as caught:
        list(cut(Example(np.zeros((2, 2)), at="x:3")))
    assert caught.value.code == ExitCode.DATA


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.embedder={kind: tokens, dim: 0}"], "model.embedder: the task embedding learns the vectors of words"),
        (
            ["model.embedder={kind: tokens, dim: 8, characters: {kind: cnn}}"],
            "model.embedder: the task embedding learns",
        ),
        (["model.embedder={kind: frames, dim: 8}"], "model.embedder: the task embedding learns"),
        (["model.encoder={kind: lstm}"], "model.encoder: the task embedding has none. Leave it out."),
        (["model.head={kind: softmax}"], "model.head: the task embedding has none"),
        (["training.patience=3"], "training.patience has no effect in the task embedding. It uses training.seed"),
        (["training.optimizer={kind: sgd}"], "training.optimizer has no effect"),
        (["model.embedder=null"], "model.embedder is missing; the task embedding needs it"),
    ],
)
def test_what_the_trainer_does_not_do_is_refused(text, overrides, message):
    with pytest.raises(UserError) as caught:
        fit(*overrides)
    assert message in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


def test_without_gensim_it_says_what_to_install(text, monkeypatch):
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs gensim, which is not installed. Install it: pip install 'seqcli\[emb"):
        fit()


def test_a_text_with_too_few_words(text):
    (text / "text.txt").write_text("word word word\nonce\n")
    with pytest.raises(UserError, match=r"text.txt: fewer than two different words") as caught:
        fit()
    assert caught.value.code == ExitCode.DATA
