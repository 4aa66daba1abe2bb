"""Language models on every engine: step by step, in batches and over long texts it says what one reading says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ENGINES, made
from tiny_text import ENCODERS, text_recipe

from seqcli.engines import stepper, torch_engine
from seqcli.models.network import Memory
from seqcli.models.weights import load_weights, save_weights
from seqcli.pipeline.evaluate import evaluate
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.train import train
from seqcli.store.runs import Store
from seqcli.tasks.base import new_task

BPTT = 6
"""The context of a transformer here, in tokens."""


def steppers_of(folder, *overrides, unit="stream", bptt=BPTT):
    """A network's steppers by the name of their engine."""
    task, network, _ = made(text_recipe(folder, *overrides, f"task.unit={unit}", f"task.bptt={bptt}"))
    return {name: engine_of(task, network).stepper() for name, engine_of in ENGINES.items()}


@pytest.fixture(scope="module")
def steppers(tmp_path_factory):
    """Of every encoder on every engine; a transformer's context is 6 tokens."""
    return {
        (engine, name): found
        for name, override in ENCODERS.items()
        for engine, found in steppers_of(tmp_path_factory.mktemp(name), override).items()
    }


each_encoder = pytest.mark.parametrize(
    "name", [(engine, name) for engine in ENGINES for name in ENCODERS], ids="-".join
)


def ids_of(length, seed=1):
    """Tokens of the tiny texts: <UNK>, <EOS> and ten words."""
    return np.random.default_rng(seed).integers(0, 12, length)


each_engine = pytest.mark.parametrize("engine", ENGINES)


def step_by_step(engine, ids):
    log_probs, state = engine.start(1)
    found = []
    for token in ids:
        found.append(float(log_probs[0, token]))
        log_probs, state = engine.read(np.array([[token]]), state)
    return found


@each_encoder
@pytest.mark.parametrize("length", [1, 5, 6, 7, 9, 10, 40])
def test_score_is_what_reading_token_by_token_says(steppers, name, length):
    """Also far over a transformer's context of 6."""
    engine = steppers[name]
    ids = ids_of(length)
    (found,) = engine.score([ids])
    assert found.dtype == np.float64
    assert found == pytest.approx(step_by_step(engine, ids), abs=2e-4)


@each_encoder
@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_how_a_text_is_cut_into_reads_changes_nothing(steppers, name, cuts, seed):
    engine = steppers[name]
    ids = ids_of(sum(cuts), seed)
    expected, _ = engine.read(ids[None], engine.start(1)[1])
    state, at = engine.start(1)[1], 0
    for cut in cuts:
        log_probs, state = engine.read(ids[None, at : at + cut], state)
        at += cut
    np.testing.assert_allclose(log_probs, expected, atol=2e-4)
    assert float(np.exp(log_probs).sum()) == pytest.approx(1, abs=1e-5)


@each_encoder
def test_many_sequences_together_are_each_alone(steppers, name, monkeypatch):
    engine = steppers[name]
    lengths = [3, 0, 17, 1, 6, 30, 12, 7, 2]
    sequences = [ids_of(length, seed) for seed, length in enumerate(lengths)]
    alone = [engine.score([one])[0] for one in sequences]
    for positions, logits in ((4096, 2**22), (20, 2**22), (7, 1)):  # many batches, long ones in pieces
        monkeypatch.setattr(stepper, "POSITIONS", positions)
        monkeypatch.setattr(engine, "positions", positions)
        monkeypatch.setattr(torch_engine, "LOGITS", logits)
        together = engine.score(sequences)
        assert [len(one) for one in together] == lengths
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-4)
    assert engine.score([]) == []


@each_encoder
def test_select_takes_rows_in_any_order_and_more_than_once(steppers, name):
    engine = steppers[name]
    ids = np.stack([ids_of(8, seed) for seed in range(3)])
    next_ids = np.array([[2], [3], [2], [1]])
    rows = np.array([2, 0, 2, 1])
    _, state = engine.read(ids, engine.start(3)[1])
    found, _ = engine.read(next_ids, engine.select(state, rows))
    expected, _ = engine.read(next_ids, engine.read(ids[rows], engine.start(4)[1])[1])
    np.testing.assert_allclose(found, expected, atol=2e-4)


@each_encoder
def test_a_state_stays_as_it_was(steppers, name):
    """A prompt is read once; several continuations start from it."""
    engine = steppers[name]
    for length in (3, 6, 20):
        _, state = engine.read(ids_of(length)[None], engine.start(1)[1])
        first, _ = engine.read(np.array([[2]]), state)
        engine.read(np.array([[3, 4, 5, 6, 7]]), state)
        again, _ = engine.read(np.array([[2]]), state)
        np.testing.assert_array_equal(first, again)


@each_engine
def test_a_context_of_one_token(tmp_path, cache, engine):
    found = steppers_of(tmp_path, ENCODERS["rotary"], bptt=1)[engine]
    ids = ids_of(5)
    assert found.score([ids])[0] == pytest.approx(step_by_step(found, ids), abs=1e-5)


@each_engine
def test_the_context_of_sentences_is_the_longest_one(tmp_path, cache, engine):
    found = steppers_of(tmp_path, ENCODERS["learned"], "data.max_length=9", unit="sentences")[engine]
    assert found.context == 9
    ids = ids_of(30)
    assert found.score([ids])[0] == pytest.approx(step_by_step(found, ids), abs=2e-4)


# -- by hand


def bigram_engine(folder, engine):
    """A window of one word over vectors that are rows of a table: ln p of the next word, by hand."""
    recipe = text_recipe(
        folder,
        "model.encoder={kind: window, left: 0, right: 0, dim: 5}",
        "model.embedder.dim=5",
        train="the cat sat\nthe cat\nthe\n",
    )
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    assert task.source.words.tokens == ("<UNK>", "<EOS>", "the", "cat", "sat")
    model = task.network()
    table = torch.tensor(
        [
            # <UNK> <EOS> the cat sat          after
            [0.20, 0.20, 0.20, 0.20, 0.20],  # <UNK>
            [0.10, 0.10, 0.50, 0.20, 0.10],  # <EOS>, the start
            [0.20, 0.05, 0.00, 0.50, 0.25],  # the
            [0.10, 0.25, 0.05, 0.10, 0.50],  # cat
            [0.05, 0.80, 0.05, 0.05, 0.05],  # sat
        ]
    )
    with torch.no_grad():
        model.embedder.words.weight.copy_(torch.eye(5))
        model.encoder.dense.weight.copy_(torch.eye(5))
        model.encoder.dense.bias.zero_()
        model.head.output.weight.copy_(torch.log(table.clamp(min=1e-30)).t())
        model.head.output.bias.zero_()
    return task, model, ENGINES[engine](task, model), task.data(columns)


@each_engine
def test_a_sentence_is_the_product_of_its_conditionals(tmp_path, cache, engine):
    task, _, found, _ = bigram_engine(tmp_path, engine)
    stepper = found.stepper()
    ids = np.array([*task.source.words.encode(["the", "cat", "sat"]), task.source.eos])
    (log_probs,) = stepper.score([ids])
    assert log_probs == pytest.approx([math.log(p) for p in (0.5, 0.5, 0.5, 0.8)], abs=1e-6)
    assert math.exp(log_probs.sum()) == pytest.approx(0.1)
    assert np.exp(stepper.start(2)[0]) == pytest.approx(np.array([[0.1, 0.1, 0.5, 0.2, 0.1]] * 2), abs=1e-6)


@each_engine
def test_loss_of_a_split_is_the_mean_of_its_tokens(tmp_path, cache, engine):
    """the cat sat, the cat, the: p = .5*.5*.5*.8, .5*.5*.25, .5*.05; 9 tokens, 3 of them <EOS>."""
    task, network, found, data = bigram_engine(tmp_path, engine)
    scorer = task.measure(found, data).scorer
    score = scorer.score()
    assert scorer.scores()["perplexity"] == score.value
    nats = -math.log(0.1 * 0.0625 * 0.025)
    assert score.counts["nats"] == pytest.approx(nats, abs=1e-5)
    assert (
        score.counts["tokens"],
        score.counts["ends"],
        score.counts["words"],
        score.counts["characters"],
        score.counts["sequences"],
    ) == (9, 3, 6, 21, 3)
    assert score.value == pytest.approx(math.exp(nats / 9), rel=1e-5)
    assert score.counts["bits_per_character"] == pytest.approx(nats / math.log(2) / 24, rel=1e-5)
    # training minimises the same number
    loss = network.loss(data.batch(np.arange(3)), Memory())
    assert (float(loss.sum.detach()), loss.targets) == (pytest.approx(nats, abs=1e-5), 9)


@pytest.mark.parametrize("unit", ["sentences", "stream"])
@pytest.mark.parametrize("head", ["{kind: softmax}", "{kind: softmax, tied: true}"])
def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(tmp_path, cache, unit, head):
    """Through the whole pipeline: trained, its weights put to 0, sealed, evaluated."""
    recipe = text_recipe(tmp_path, f"task.unit={unit}", f"model.head={head}", "training.max_steps=1")
    list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    run = Store(tmp_path / "runs").resolve("tiny-lm")
    weights = {name: torch.zeros_like(value) for name, value in load_weights(run.weights_path).items()}
    save_weights(run.weights_path, weights)
    run.seal(["recipe.yaml", "model.safetensors", "report.json", "environment.json", "vocabulary.txt"])
    found = evaluate(run, split="dev", engine="torch")
    assert found.score.value == pytest.approx(12, rel=1e-5)  # 10 words, <UNK>, <EOS>
    assert found.scores["loss"] == pytest.approx(math.log(12), rel=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_what_evaluate_measures_is_what_the_engine_scores(tmp_path, cache, name):
    """One definition: a stream measured in parts, and the same text scored in one go."""
    recipe = text_recipe(tmp_path, ENCODERS[name], "task.unit=stream", f"task.bptt={BPTT}", "training.max_steps=2")
    list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    run = Store(tmp_path / "runs").resolve("tiny-lm")
    for engine in ENGINES:
        found = evaluate(run, split="dev", engine=engine)
        model = Model.load(run, engine=engine)
        ids = model.task.data(model.columns(None, "dev")).ids
        (log_probs,) = model.engine.stepper().score([ids[0 : len(ids)]])
        assert found.score.counts["tokens"] == len(log_probs)
        assert found.score.counts["nats"] == pytest.approx(-log_probs.sum(), rel=1e-5)
