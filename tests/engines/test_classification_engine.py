"""The classification engine: the probabilities of the training path whatever it remembers, and honest attributions."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_classes import CPU, SEVERAL, SIGMOID, TEXTS, baseline, frame_recipe, motions, prepared, text_recipe, trained

from seqcli.engines import classification, token_table
from seqcli.engines.classification import ClassificationEngine
from seqcli.errors import ExitCode, UserError

WORDS = [text.split() for text, _ in TEXTS]
ENCODERS = [
    "{kind: lstm, dim: 6}",
    "{kind: transformer, dim: 8, heads: 2}",
    "{kind: cnn, filters: 4}",
    "{kind: bag, dim: 8}",
]


@pytest.fixture
def made(tmp_path, cache):
    """Makes ``(task, model)`` with weights so large that the labels differ."""

    def make(recipe_of, *overrides, **data):
        task, _ = prepared(recipe_of(tmp_path, *overrides, **data))
        model = task.build_model().eval()
        with torch.no_grad():
            for network in model.networks():
                network.head.output.weight.mul_(6.0)
        return task, model

    return make


def random_texts(number, seed=0):
    random = np.random.default_rng(seed)
    known = sorted({word for words in WORDS for word in words})
    return [
        [
            known[random.integers(len(known))] if random.random() < 0.6 else f"new{random.integers(80)}"
            for _ in range(random.integers(0, 9))
        ]
        for _ in range(number)
    ]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("members", [1, 2])
def test_batched_is_single_in_any_order_and_with_any_memory(made, monkeypatch, encoder, members):
    task, model = made(text_recipe, f"model.encoder={encoder}", f"model.members={members}")
    texts = random_texts(60)
    engine = ClassificationEngine(task, model, CPU)
    expected = np.concatenate([engine.probabilities([text]) for text in texts])
    assert np.ptp(expected, axis=0).max() > 0.1
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-5)
    monkeypatch.setattr(token_table, "MAX_REMEMBERED", 20)
    monkeypatch.setattr(classification, "POSITIONS", 30)
    engine = ClassificationEngine(task, model, CPU)
    order = np.random.default_rng(1).permutation(60)
    for start in range(0, 60, 7):
        rows = order[start : start + 7]
        found = engine.probabilities([texts[row] for row in rows])
        np.testing.assert_allclose(found, expected[rows], rtol=0, atol=1e-5)
    assert len(engine._table._rows) <= 20 + 7 * 9


def test_frames_batched_and_single(made):
    task, model = made(
        frame_recipe,
        "model.embedder={kind: frames, dim: 6, kernel: 3, stride: 2, missing: mask}",
        train=motions(missing=True),
    )
    sequences = [frames for frames, _ in motions(20, 5, missing=True)] + [np.zeros((0, 2), np.float32)]
    engine = ClassificationEngine(task, model, CPU)
    alone = np.concatenate([engine.probabilities([frames]) for frames in sequences])
    np.testing.assert_allclose(engine.probabilities(sequences[::-1])[::-1], alone, rtol=0, atol=1e-5)
    with pytest.raises(UserError) as caught:
        engine.probabilities([np.zeros((3, 5), np.float32)])
    assert (str(caught.value), caught.value.code) == (
        "frames of 5 channels, but the model was trained on 2",
        ExitCode.DATA,
    )


def test_several_threads_say_the_same(made):
    task, model = made(text_recipe)
    texts = random_texts(300)
    expected = ClassificationEngine(task, model, CPU).probabilities(texts)
    torch.set_num_threads(2)
    try:
        engine = ClassificationEngine(task, model, CPU)
        assert engine._pool is not None
        np.testing.assert_allclose(engine.probabilities(texts), expected, rtol=0, atol=1e-5)
    finally:
        torch.set_num_threads(1)


def logit(engine, table, index, lengths, several):
    """The most probable label's logit, less the mean of all where they exclude each other."""
    with torch.inference_mode():
        logits_K = engine.model.head.output(engine.model.pool(table[index], lengths))[0]
    return logits_K.max().item() - (0 if several else logits_K.mean().item())


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("members", [1, 3])
def test_attribution_is_gradient_times_input(made, encoder, several, members):
    """By finite differences: every vector a little longer, one position at a time."""
    more = ("target.separator=','", SIGMOID) if several else ()
    task, model = made(
        text_recipe,
        f"model.encoder={encoder}",
        "model.pooling={kind: mean}",
        f"model.members={members}",
        *more,
        train=SEVERAL if several else TEXTS,
    )
    model.double()
    engine = ClassificationEngine(task, model, CPU)
    for table in (engine._table, engine._vectors):
        table._vectors = table._vectors.double()
    words = ["rain", "not", "new", "charming", "not"]
    probs, shares = engine.attribution(words)
    np.testing.assert_allclose(probs, engine.probabilities([words])[0], atol=1e-6)
    index, table = engine._vectors.numbers([words], np.array([5]))
    lengths, step = torch.tensor([5]), 1e-5
    table = torch.cat([table, torch.zeros(1, table.size(1), dtype=table.dtype)])
    for place in range(5):
        moved = []
        for factor in (1 + step, 1 - step):
            table[-1] = table[index[0, place]] * factor
            other = index.clone()
            other[0, place] = len(table) - 1
            moved.append(logit(engine, table, other, lengths, several))
        assert shares[place] == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-4)


def test_attribution_of_frames_has_a_share_a_frame(made):
    task, model = made(
        frame_recipe,
        "model.embedder={kind: frames, dim: 6, kernel: 3, stride: 2, missing: mask}",
        "model.pooling={kind: mean}",
        train=motions(missing=True),
    )
    model.double()
    engine = ClassificationEngine(task, model, CPU)
    frames = motions(1, 7)[0][0].astype(np.float64)
    frames[2, 1] = np.nan
    _, shares = engine.attribution(frames)
    assert shares.shape == (len(frames),)

    def of(frames):
        lengths = torch.tensor([len(frames)])
        inputs = {"frames_BTD": torch.from_numpy(frames)[None]}
        with torch.inference_mode():
            logits = model.head.output(model(inputs, lengths))[0]
        return (logits.max() - logits.mean()).item()

    mean = model.embedder.mean_D.numpy()
    for place in range(len(frames)):
        moved = []
        for sign in (1, -1):
            other = frames.copy()
            other[place] += sign * 1e-4 * (frames[place] - mean)
            moved.append(of(other))
        assert shares[place] == pytest.approx((moved[0] - moved[1]) / 2e-4, abs=1e-3)


def test_attribution_keeps_no_history(made):
    """What it remembers of tokens has no graph behind it, whether it grew before, between or after."""
    task, model = made(text_recipe)
    engine = ClassificationEngine(task, model, CPU)
    for number in range(3):
        engine.attribution([f"new{number}", "film"])
        assert not engine._vectors._vectors.requires_grad
        engine.probabilities([[f"other{number * 900 + more}" for more in range(900)]])
        engine.attribution([f"newer{number}"])
    probs, shares = engine.attribution([])
    assert shares.shape == (0,)
    np.testing.assert_allclose(probs, engine.probabilities([[]])[0], atol=1e-6)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("recipe_of", "kind", "data"),
    [
        (text_recipe, "bag-of-words", {}),
        (text_recipe, "bag-of-words", {"train": TEXTS[:8]}),
        (frame_recipe, "mean-pool", {}),
        (frame_recipe, "mean-pool", {"train": [example for example in motions() if example[1] != "flat"]}),
        (frame_recipe, "majority", {}),
    ],
)
def test_shares_of_a_baseline_add_up(tmp_path, cache, recipe_of, kind, data):
    """The shares of all positions, and what it says of nothing at all, are the logits up to one number for all."""
    task, model, splits = trained(recipe_of(tmp_path, baseline(kind), **data))
    values, offsets = task.data(splits["train"]).all_values()
    nothing = model.log_probs(values[:0], np.array([0, 0]))[0]
    for begin, end in pairwise(offsets):
        shares_TK = model.contributions(values[begin:end])
        assert shares_TK.shape == (end - begin, len(task.labels))
        logits_K = shares_TK.sum(0) + nothing
        found_K = logits_K - np.logaddexp.reduce(logits_K)
        np.testing.assert_allclose(
            found_K, model.log_probs(values[begin:end], np.array([0, end - begin]))[0], atol=1e-4
        )
