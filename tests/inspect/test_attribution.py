"""What carried a decision: by finite differences, and for models of counts by sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_classes import SEVERAL, SIGMOID, TEXTS, baseline, frame_recipe, motions, prepared, text_recipe
from torch import nn

from seqcli.data.batch import Side
from seqcli.engines.onnx_engine import OnnxEngine
from seqcli.engines.torch_engine import torch_engine
from seqcli.inspect.attribution import attribution
from seqcli.pipeline.explain import explain
from seqcli.pipeline.model import Model

ENCODERS = [
    "{kind: lstm, dim: 6}",
    "{kind: transformer, dim: 8, heads: 2, feedforward: 8}",
    "{kind: cnn, filters: 4}",
    "{kind: bag, dim: 8}",
]


@pytest.fixture
def made(tmp_path, cache):
    """Makes ``(task, network)`` in float64, the last weights so large that the labels differ."""

    def make(recipe_of, *overrides, **data):
        task, _ = prepared(recipe_of(tmp_path, *overrides, **data))
        network = task.network().eval().double()
        with torch.no_grad():
            for layer in network.modules():
                if isinstance(layer, nn.Linear) and layer.out_features == len(task.target.labels):
                    layer.weight.mul_(6.0)
        return task, network

    return make


def members(network, several):
    return network.networks() if several > 1 else [network]


LABELS = pytest.mark.parametrize("label", [0, 2])


def logit(pooled, networks, label, exclusive):
    """A label's logit, less the mean of all where they exclude each other."""
    with torch.inference_mode():
        logits = [one.head.output(vector)[0] for one, vector in zip(networks, pooled, strict=True)]
        logits_K = torch.stack(logits).mean(0)
    return logits_K[label].item() - (logits_K.mean().item() if exclusive else 0)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("count", [1, 3])
@LABELS
def test_gradient_times_input_of_each_word(made, encoder, several, count, label):
    """Every vector a little longer, one position at a time."""
    task, network = made(
        text_recipe,
        f"model.encoder={encoder}",
        "model.pooling={kind: mean}",
        f"model.members={count}",
        *(("target.separator=','", SIGMOID) if several else ()),
        train=SEVERAL if several else TEXTS,
    )
    source = task.source.side([["rain", "not", "new", "charming", "not"]])
    shares = attribution(network, source, label, exclusive=not several)
    assert shares.shape == (5,)
    networks, step = members(network, count), 1e-5
    inputs, lengths_B = network.tensors(source)
    for place in range(5):
        moved = []
        for factor in (1 + step, 1 - step):
            pooled = []
            for one in networks:
                with torch.inference_mode():
                    x_BTD = one.embedder(inputs, lengths_B)
                    x_BTD[0, place] *= factor
                    pooled.append(one.pool(x_BTD, lengths_B))
            moved.append(logit(pooled, networks, label, not several))
        assert shares[place] == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-4)


@LABELS
def test_frames_have_a_share_each_whatever_the_stride(made, label):
    _, network = made(
        frame_recipe,
        "model.embedder={kind: frames, dim: 6, kernel: 3, stride: 2}",
        "source.missing=mask",
        "model.pooling={kind: mean}",
        train=motions(missing=True),
    )
    frames = motions(1, 7)[0][0].astype(np.float64)
    frames[2, 1] = np.nan
    length = np.array([len(frames)])
    shares = attribution(network, Side({"frames_BTD": frames[None]}, length), label, exclusive=True)
    assert shares.shape == (len(frames),)

    def of(frames):
        with torch.inference_mode():
            inputs, lengths_B = network.tensors(Side({"frames_BTD": frames[None]}, length))
            return logit([network.pool(network.embedder(inputs, lengths_B), lengths_B)], [network], label, True)

    mean = network.embedder.mean_D.numpy()
    for place in range(len(frames)):
        moved = []
        for sign in (1, -1):
            other = frames.copy()
            other[place] += sign * 1e-4 * (frames[place] - mean)
            moved.append(of(other))
        assert shares[place] == pytest.approx((moved[0] - moved[1]) / 2e-4, abs=1e-3)


def test_it_leaves_no_trace(made):
    """No gradient stays behind, and nothing at all has no shares; what is predicted is what is explained."""
    task, network = made(text_recipe)
    model = Model("tiny@1", task, torch_engine(task, network.float()))
    for text in ("new film", "newer", "film not film", ""):
        before = next(model.predict([text]))
        explained = explain(model, text)
        assert explained.positions == text.split()
        assert len(explained.shares) == len(explained.positions)
        np.testing.assert_allclose(explained.classified.probs_K, before.probs_K, atol=1e-6)
        np.testing.assert_array_equal(next(model.predict([text])).probs_K, before.probs_K)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_explaining_leaves_the_engine_as_it_is(classifiers):
    """What is predicted before, while and after is of the graph in the run; the shares are of its network."""
    model = Model.load("tiny", runs="runs")
    engine = model.engine
    assert isinstance(engine, OnnxEngine)
    for text in ("a charming film", "boring", ""):
        expected = next(model.predict([text]))
        explained = explain(model, text)
        np.testing.assert_array_equal(explained.classified.probs_K, expected.probs_K)
        label = int(expected.probs_K.argmax())
        side = model.task.source.side([model.task.source.read(text, "")])
        np.testing.assert_array_equal(explained.shares, attribution(model.network, side, label, exclusive=True))
    assert model.engine is engine
    with_torch = Model.load("tiny", runs="runs", engine="torch")
    assert with_torch.network is with_torch.engine.network


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
def test_shares_of_a_model_of_counts_add_up(tmp_path, cache, recipe_of, kind, data):
    """The shares of all positions, and what it says of nothing at all, are the logits up to one number for all."""
    task, columns = prepared(recipe_of(tmp_path, baseline(kind), "training={seed: 1}", **data))
    train = task.data(columns["train"])
    model = task.counts_engine(task.fit_counts(train, lambda done, total: None)).model
    for row in range(len(columns["train"])):
        side = train.source.side(np.array([row]))
        values, length = side.arrays["values"], int(side.lengths_B[0])
        nothing = model.log_probs(values[:0], np.array([0, 0]))[0]
        shares_TK = model.contributions(values)
        assert shares_TK.shape == (length, len(task.target.labels))
        logits_K = shares_TK.sum(0) + nothing
        found_K = logits_K - np.logaddexp.reduce(logits_K)
        np.testing.assert_allclose(found_K, model.log_probs(values, np.array([0, length]))[0], atol=1e-4)
