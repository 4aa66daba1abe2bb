"""The task ``word-vectors``: what it learns, that a seed gives the same vectors, and what it refuses."""

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
from tiny import environment, trained_run

from seqcli.data.example import Example
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.word_vectors import model_vectors
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store
from seqcli.tasks import word_vectors
from seqcli.tasks.base import new_task
from seqcli.text.word_vectors import WORD_TABLE, WordVectors

pytest.importorskip("gensim", reason="gensim is not installed")

RECIPE = """\
name: vec
task: {kind: word-vectors}
data: {train: text.txt, format: lines}
source: {kind: text, tokenizer: {kind: words}, vocabulary: {min_count: 2, lowercase: true}}
model: {kind: cbow, dim: 12, window: 2, subsample: 0, lr: 0.05}
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
    columns = open_columns(recipe, task, ("train",))
    task.fit(columns["train"])
    data = task.data(columns["train"])
    return task, data, task.fit_counts(data, told)


@pytest.mark.parametrize("kind", ["skip-gram", "cbow"])
def test_words_in_like_company_come_together(text, kind):
    task, _, weights = fit(f"model.kind={kind}")
    assert list(weights) == [WORD_TABLE]
    words = task.source.words
    table = weights[WORD_TABLE]
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
    first = fit()[2][WORD_TABLE]
    assert (fit()[2][WORD_TABLE] == first).all()
    assert not np.allclose(fit("training.seed=2")[2][WORD_TABLE], first)


def test_the_hash_of_strings_does_not_matter(text):
    """This process has another PYTHONHASHSEED than the one it starts, and gets the same vectors."""
    script = (
        "import hashlib, test_word_vectors_task as t\n"
        "print(hashlib.sha256(t.fit('training.epochs=2')[2][t.WORD_TABLE]).hexdigest())"
    )
    here = Path(__file__).parent
    env = environment(PYTHONHASHSEED="4711")
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], str(here), str(here.parent)])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    mine = fit("training.epochs=2")[2][WORD_TABLE]
    assert done.stdout.strip() == hashlib.sha256(mine).hexdigest()


def test_a_run_has_the_vectors_that_were_learned(text):
    _, data, weights = fit("training.epochs=1")
    run = trained_run(load_recipe("vec.yaml", ["training.epochs=1"]).recipe, text)
    model = Model.load(run)
    vectors = model_vectors(run, Store(text / "runs"))
    assert tuple(vectors.words) == model.task.source.words.tokens[2:]
    assert (vectors.matrix == weights[WORD_TABLE][2:]).all()
    assert model.task.describe(model.task.data(data.columns), [0])[0].startswith("the ")
    assert "dev" not in run.report()
    with pytest.raises(UserError, match="vec@1 is a model for word-vectors, which predicts nothing"):
        model.predict_block(["the cat"])


@pytest.mark.parametrize(
    "wrong", [lambda table: {WORD_TABLE: table[1:]}, lambda table: {"other": table}, lambda table: {}]
)
def test_arrays_that_are_no_such_table(text, wrong):
    task, _, weights = fit("training.epochs=1")
    with pytest.raises(UserError, match=r"x: no table of \d+ x 12 vectors, which this recipe needs") as caught:
        task.counts_engine(wrong(weights[WORD_TABLE]), "x")
    assert caught.value.code == ExitCode.DATA


def test_progress_goes_up_to_all_words_of_all_epochs(text, monkeypatch):
    monkeypatch.setattr(word_vectors, "WORDS_AT_ONCE", 500)
    seen = []
    _, data, _ = fit("training.epochs=3", told=lambda done, total: seen.append((done, total)))
    total = 3 * data.known
    assert data.known == 400 * 5
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
    whole = [word for sentences, _ in data.blocks() for sentence in sentences for word in sentence]
    monkeypatch.setattr(word_vectors, "WORDS_AT_ONCE", 100)
    monkeypatch.setattr(word_vectors, "LONGEST_SENTENCE", 3)
    blocks = list(data.blocks())
    assert [word for sentences, _ in blocks for sentence in sentences for word in sentence] == whole
    assert len(whole) == data.known == sum(size for _, size in blocks)
    assert max(len(sentence) for sentences, _ in blocks for sentence in sentences) == 3


def test_lines_and_tokens_become_pieces(text):
    task = pickle.loads(pickle.dumps(new_task(load_recipe("vec.yaml", ["data.max_length=3"]).recipe)))
    read = task.read
    assert list(read(Example("Angela didn't pay."))) == [{"source": ["Angela", "did", "n't"]}, {"source": ["pay", "."]}]
    assert list(read(Example(["a b", "c"]))) == [{"source": ["a b", "c"]}]
    assert list(read(Example("  "))) == []
    with pytest.raises(UserError, match=r"x:3: this recipe reads text, and here is none") as caught:
        list(read(Example(np.zeros((2, 2)), at="x:3")))
    assert caught.value.code == ExitCode.DATA


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model={embedder: {kind: tokens}}"], "model.kind: network makes no word vectors. model: {kind: skip-gram,"),
        (["model={kind: ngram}"], "model.kind: ngram makes no word vectors"),
        (["source={kind: frames}"], "source: the task word-vectors does not read frames. It reads text."),
        (["target={kind: tags}"], "target: the task word-vectors has no target of kind tags. Leave it out."),
        (["training.patience=3"], "training: patience has no effect in the task word-vectors. It uses training.seed"),
        (["training.optimizer={kind: sgd}"], "training: optimizer has no effect"),
        (["task.kind=embedding"], "'task.kind: embedding' is now word-vectors"),
    ],
)
def test_what_the_trainer_does_not_do_is_refused(text, overrides, message):
    with pytest.raises(UserErrors) as caught:
        load_recipe("vec.yaml", overrides)
    assert message in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


def test_without_gensim_it_says_what_to_install(text, monkeypatch):
    monkeypatch.setattr(word_vectors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs gensim, which is not installed. Install it: pip install 'seqcli\[emb"):
        fit()


def test_a_text_with_too_few_words(text):
    (text / "text.txt").write_text("word word word\nonce\n")
    with pytest.raises(UserError, match=r"text.txt: fewer than two different words") as caught:
        fit()
    assert caught.value.code == ExitCode.DATA
