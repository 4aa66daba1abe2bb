"""Each layer as ONNX nodes says what torch says, whatever the lengths; and nothing of torch is there at run time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import made
from tiny import environment
from tiny_corpus import tiny_recipe
from tiny_text import text_recipe
from torch import nn

from seqcli.data.batch import InputSizes, LabelSpace, Side
from seqcli.engines import onnx_engine, onnx_export
from seqcli.engines.onnx_engine import OnnxEngine, OnnxStepper
from seqcli.engines.onnx_write import graph_of, quantize
from seqcli.engines.torch_engine import TorchEngine, TorchStepper
from seqcli.models.classifier import new_classifier
from seqcli.models.labeller import Labeller
from seqcli.models.language import LanguageModel
from seqcli.pipeline.export import difference
from seqcli.recipe import registry
from seqcli.recipe.embedders import (
    AffixesConfig,
    CharacterCNNConfig,
    CharacterLSTMConfig,
    FrameCNNConfig,
    FramesConfig,
    TokensConfig,
)
from seqcli.recipe.encoders import BagConfig
from seqcli.recipe.heads import AdaptiveConfig, CRFConfig, SigmoidConfig, SoftmaxConfig
from seqcli.recipe.models import NetworkConfig

AFFIXES = (4, 6)
SIZES = InputSizes(words=11, characters=9, frame_dim=3)
EMBEDDERS = {
    "words": TokensConfig(dim=5),
    "cnn": TokensConfig(dim=5, characters=CharacterCNNConfig(dim=4, filters=3, widths=[1, 2, 3, 4])),
    "lstm": TokensConfig(dim=0, characters=CharacterLSTMConfig(dim=4, hidden=3)),
    "all": TokensConfig(dim=5, characters=CharacterCNNConfig(dim=4, filters=3), affixes=AffixesConfig(dim=2)),
    "affixes": TokensConfig(dim=3, affixes=AffixesConfig(dim=2)),
    "frames": FramesConfig(dim=4),
    "strided": FramesConfig(dim=4, kernel=3, stride=2, activation="relu"),
    "gaps": FramesConfig(dim=4, kernel=4, stride=3),
    "skipping": FramesConfig(dim=4, kernel=1, stride=2),
    "pictures": FrameCNNConfig(height=1, width=3, dim=4, filters=[5, 3]),
    "some pictures": FrameCNNConfig(height=3, width=1, dim=4, filters=[5], kernel=5, stride=3),
}
ENCODERS = [
    ("rnn", {}),
    ("rnn", {"activation": "relu", "layers": 2}),
    ("rnn", {"activation": "linear", "orthogonal": True, "layers": 2}),
    ("rnn", {"activation": "linear", "inputs": False}),
    ("rnn", {"activation": "tanh", "inputs": False, "bidirectional": False}),
    ("lstm", {}),
    ("lstm", {"bidirectional": False, "layers": 2}),
    ("lstm", {"peepholes": True, "layers": 2}),
    ("lstm", {"layers": 3, "residual": True, "layer_norm": True}),
    ("gru", {"layers": 2}),
    ("gru", {"bidirectional": False, "residual": True}),
    ("transformer", {"dim": 8, "heads": 2, "feedforward": 12}),
    ("transformer", {"dim": 9, "heads": 1, "layers": 1, "feedforward": 12}),
    ("transformer", {"dim": 8, "heads": 2, "feedforward": 12, "positions": "rotary"}),
    ("transformer", {"dim": 8, "heads": 4, "feedforward": 12, "positions": "learned", "max_positions": 4}),
    ("window", {"left": 0, "right": 3}),
    ("window", {"left": 2, "right": 1}),
    ("window", {"left": 0, "right": 0}),
    ("cnn", {"widths": [1, 2, 3, 9], "filters": 3}),
    ("bag", {}),
]
GAPS = (EMBEDDERS["gaps"], EMBEDDERS["some pictures"])
"""Those whose frames have gaps."""
POOLINGS = ["last", "mean", "max", "attention"]
LABELS = 4


def sizes_for(embedder):
    if isinstance(embedder, FramesConfig | FrameCNNConfig):
        random = np.random.default_rng(2)
        mean, deviation = random.normal(size=SIZES.frame_dim), random.uniform(0.5, 1.5, SIZES.frame_dim)
        scaling = mean.astype(np.float32), deviation.astype(np.float32)
        return replace(SIZES, frame_gaps=embedder in GAPS, scaling=scaling)
    return replace(SIZES, affixes=AFFIXES) if embedder.affixes is not None else SIZES


def encoder_config(kind, options):
    size = {"cnn": {}, "transformer": {}}.get(kind, {"dim": 5})
    return registry.config_class("encoder", kind)(**{**size, **options})


def large(network, seed=1):
    """Weights so large that a mistake shows; rows of padding stay zero."""
    torch.manual_seed(seed)
    for name, weight in network.named_parameters():
        if "original" not in name:  # an orthogonal matrix is what it is
            nn.init.normal_(weight, std=0.5)
    for module in network.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx == 0:
            nn.init.zeros_(module.weight[0].detach())
    return network.eval()


def batch_of(embedder, lengths, seed=3):
    """A batch whose padding holds something."""
    random = np.random.default_rng(seed)
    batch, longest = len(lengths), max(1, *lengths)
    if isinstance(embedder, FramesConfig | FrameCNNConfig):
        frames = random.normal(size=(batch, longest, SIZES.frame_dim)).astype(np.float32)
        if embedder in GAPS:
            frames[random.random(frames.shape) < 0.3] = np.nan
        return Side({"frames_BTD": frames}, np.array(lengths))
    types = 8
    arrays = {"words_U": np.r_[0, random.integers(1, SIZES.words, types)]}
    arrays["index_BT"] = random.integers(0, types + 1, (batch, longest))
    if embedder.characters is not None:
        characters = random.integers(1, SIZES.characters, (types + 1, 6))
        sizes = np.r_[0, random.integers(1, 7, types)]
        arrays["characters_UC"] = np.where(np.arange(6) < sizes[:, None], characters, 0)
    if embedder.affixes is not None:
        arrays["affixes_UA"] = np.stack([random.integers(0, rows, types + 1) for rows in AFFIXES], axis=1)
    return Side(arrays, np.array(lengths))


BATCHES = [[7, 1, 4, 2], [1], [5], [3, 3], [12, 9]]


def compare_labeller(config):
    network = large(Labeller(config, sizes_for(config.embedder), LabelSpace(LABELS)))
    model = graph_of(network)
    onnx.checker.check_model(model, full_check=True)
    engine = OnnxEngine(model.SerializeToString())
    for lengths in BATCHES:
        source = batch_of(config.embedder, lengths)
        outputs = engine.outputs(Side({**source.arrays, "more": np.zeros(2)}, source.lengths_B))
        expected = TorchEngine(network).outputs(source)["logits_BTK"]
        sizes_B = network.embedder.positions(torch.from_numpy(source.lengths_B))
        assert outputs["logits_BTK"].shape == expected.shape
        for found, wanted, size in zip(outputs["logits_BTK"], expected, sizes_B.tolist(), strict=True):
            np.testing.assert_allclose(found[:size], wanted[:size], rtol=1e-5, atol=2e-5)
    return network, outputs


@pytest.mark.parametrize("name", EMBEDDERS)
def test_embedders(name):
    compare_labeller(NetworkConfig(embedder=EMBEDDERS[name], encoder=BagConfig(dim=4), head=SoftmaxConfig()))


@pytest.mark.parametrize(("kind", "options"), ENCODERS)
def test_encoders(kind, options):
    compare_labeller(
        NetworkConfig(embedder=EMBEDDERS["words"], encoder=encoder_config(kind, options), head=SoftmaxConfig())
    )


def test_batches_side_by_side():
    config = NetworkConfig(embedder=EMBEDDERS["all"], encoder=encoder_config("lstm", {}), head=SoftmaxConfig())
    network = large(Labeller(config, sizes_for(config.embedder), LabelSpace(LABELS)))
    engine = OnnxEngine(graph_of(network).SerializeToString())
    batches = [batch_of(config.embedder, [1 + seed % 9, 3], seed) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        for found, batch in zip(pool.map(engine.outputs, batches), batches, strict=True):
            np.testing.assert_array_equal(found["logits_BTK"], engine.outputs(batch)["logits_BTK"])


def test_a_chains_scores_come_with_its_emissions():
    head = CRFConfig()
    network, outputs = compare_labeller(NetworkConfig(embedder=EMBEDDERS["all"], encoder=BagConfig(dim=4), head=head))
    network.head.forbidden_KK[1, 2] = network.head.forbidden_start_K[2] = network.head.forbidden_end_K[0] = True
    outputs = OnnxEngine(graph_of(network).SerializeToString()).outputs(batch_of(EMBEDDERS["all"], [3]))
    for name, score in zip(("transitions_KK", "start_K", "end_K"), network.head.scores(), strict=True):
        np.testing.assert_array_equal(outputs[name], score.detach().numpy())
        assert outputs[name].dtype == np.float32


def compare_classifier(config):
    network = large(new_classifier(config, sizes_for(config.embedder), LabelSpace(LABELS), None))
    model = graph_of(network)
    onnx.checker.check_model(model, full_check=True)
    engine = OnnxEngine(model.SerializeToString())
    for lengths in [*BATCHES, [4, 0, 2], [0], [0, 0]]:
        source = batch_of(config.embedder, lengths)
        found = engine.outputs(source)["log_probs_BK"]
        expected = TorchEngine(network).outputs(source)["log_probs_BK"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(
    ("embedder", "kind", "options"),
    [
        ("words", "lstm", {}),
        ("strided", "gru", {"bidirectional": False}),
        ("gaps", "transformer", {"dim": 8, "heads": 2, "feedforward": 12}),
        ("cnn", "cnn", {"widths": [2, 3], "filters": 3}),
    ],
)
@pytest.mark.parametrize("head", [SoftmaxConfig(), SigmoidConfig()], ids=lambda head: head.kind)
def test_classifiers(embedder, kind, options, pooling, head):
    compare_classifier(
        NetworkConfig(
            embedder=EMBEDDERS[embedder],
            encoder=encoder_config(kind, options),
            pooling=registry.config_class("pooling", pooling)(),
            head=head,
        )
    )


@pytest.mark.parametrize("head", [SoftmaxConfig(), SigmoidConfig()], ids=lambda head: head.kind)
def test_an_ensembles_probabilities_are_averaged(head):
    compare_classifier(
        NetworkConfig(
            embedder=EMBEDDERS["all"],
            encoder=encoder_config("lstm", {}),
            pooling=registry.config_class("pooling", "max")(),
            head=head,
            members=3,
        )
    )


def operators(model):
    """How often each kind of node is there, inner graphs included."""
    graphs = [model.graph]
    graphs += [
        field.g for node in model.graph.node for field in node.attribute if field.type == onnx.AttributeProto.GRAPH
    ]
    return Counter(node.op_type for graph in graphs for node in graph.node)


# -- language models

VOCABULARY = 11
LANGUAGE_MODELS = {
    "rnn": ("rnn", {}, {}),
    "rnn-relu": ("rnn", {"activation": "relu", "layers": 2}, {"tied": True}),
    "rnn-linear": ("rnn", {"activation": "linear", "orthogonal": True}, {}),
    "rnn-alone": ("rnn", {"activation": "tanh", "inputs": False}, {}),
    "lstm": ("lstm", {"layers": 2}, {"tied": True}),
    "lstm-wide": ("lstm", {"dim": 7}, {"tied": True}),
    "lstm-peepholes": ("lstm", {"peepholes": True, "layers": 2, "residual": True}, {}),
    "lstm-deep": ("lstm", {"layers": 3, "residual": True, "layer_norm": True}, {}),
    "lstm-residual": ("lstm", {"layers": 3, "residual": True, "layer_norm": True}, {}),
    "gru": ("gru", {"layers": 2, "layer_norm": True}, {}),
    "adaptive": ("gru", {}, {"cutoffs": [2, 6], "shrink": 2.0}),
    "window": ("window", {"left": 3, "right": 0}, {}),
    "window-of-one": ("window", {"left": 0, "right": 0}, {}),
    "sinusoidal": ("transformer", {"dim": 8, "heads": 2, "feedforward": 12}, {"tied": True}),
    "rotary": ("transformer", {"dim": 8, "heads": 2, "feedforward": 12, "positions": "rotary"}, {}),
    "learned": (
        "transformer",
        {"dim": 8, "heads": 2, "feedforward": 12, "positions": "learned", "max_positions": 6},
        {},
    ),
}
each_model = pytest.mark.parametrize("name", LANGUAGE_MODELS)


TABLES = {"lstm", "lstm-deep", "lstm-wide"}
"""LSTMs whose words' part of the gates is a table; "lstm-residual" is the same as "lstm-deep" without."""


def language_sizes(words):
    return InputSizes(words=words, word_counts=(5,) * words, unknown=0, padded=False)


@cache
def language_pair(name):
    """``(torch's stepper, ONNX's)`` of one network; a transformer's context is 6 tokens."""
    kind, options, head = LANGUAGE_MODELS[name]
    if kind in ("rnn", "lstm", "gru"):
        options = {"bidirectional": False, **options}
    config = NetworkConfig(
        embedder=TokensConfig(dim=5),
        encoder=encoder_config(kind, options),
        head=AdaptiveConfig(**head) if "cutoffs" in head else SoftmaxConfig(**head),
    )
    network = large(LanguageModel(config, language_sizes(VOCABULARY)))
    with mock.patch.object(onnx_export, "LARGE_STATE", 0 if name in TABLES else 256):
        model = graph_of(network)
    onnx.checker.check_model(model, full_check=True)
    assert ("Scan" in operators(model)) == (name in TABLES)
    context = 6 if kind == "transformer" else None
    engine = OnnxEngine(model.SerializeToString(), 1, context)
    return TorchEngine(network, 1, context).stepper(), engine.stepper()


def ids_of(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, VOCABULARY, shape)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


@each_model
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=4), batch=st.integers(1, 3))
def test_read_piece_by_piece(name, cuts, batch):
    """The states carried over, beyond a transformer's context too."""
    network, stepper = language_pair(name)
    expected, before = network.start(batch)
    found, state = stepper.start(batch)
    for number, cut in enumerate(cuts):
        close(found, expected)
        ids_BT = ids_of(batch, cut, seed=number)
        expected, before = network.read(ids_BT, before)
        found, state = stepper.read(ids_BT, state)
    close(found, expected)
    assert len(state.states) == len(before.states)
    for one, other in zip(state.states, before.states, strict=True):
        close(one, other.numpy())


@each_model
def test_select_and_a_state_stays_as_it_was(name):
    network, stepper = language_pair(name)
    rows = np.array([2, 0, 2, 1])
    _, state = stepper.read(ids_of(3, 4), stepper.start(3)[1])
    _, before = network.read(ids_of(3, 4), network.start(3)[1])
    for _ in range(2):
        found, _ = stepper.read(ids_of(4, 1), stepper.select(state, rows))
        close(found, network.read(ids_of(4, 1), network.select(before, rows))[0])
        stepper.read(ids_of(3, 5), state)


@each_model
def test_score(name, monkeypatch):
    network, stepper = language_pair(name)
    sequences = [ids_of(length, seed=length) for length in (3, 0, 17, 1, 6, 30, 12, 7, 2)]
    expected = network.score(sequences)
    for positions in (4096, 20, 3):
        monkeypatch.setattr(stepper, "positions", positions)
        for one, other in zip(stepper.score(sequences), expected, strict=True):
            close(one, other)
            assert one.dtype == np.float64
    assert stepper.score([]) == []


def test_several_threads_say_the_same(monkeypatch):
    _, stepper = language_pair("lstm")
    sequences = [ids_of(1 + length % 40, seed=length) for length in range(300)]
    monkeypatch.setattr(onnx_engine, "cores", lambda: 3)
    several = OnnxStepper(stepper.engine)
    for one, other in zip(several.score(sequences), stepper.score(sequences), strict=True):
        np.testing.assert_array_equal(one, other)


# -- eight bits


def test_eight_bits_reach_every_large_weight():
    encoder = encoder_config("lstm", {"dim": 64, "layers": 2})
    config = NetworkConfig(embedder=TokensConfig(dim=64), encoder=encoder, head=CRFConfig())
    network = Labeller(config, SIZES, LabelSpace(LABELS)).eval()
    model = quantize(graph_of(network))
    count = operators(model)
    assert (count["DynamicQuantizeLSTM"], count["LSTM"]) == (1, 0), "the second layer, both directions in one"
    assert (count["MatMulInteger"], count["MatMul"]) == (4, 1), "each direction's two weights; the last is small"
    engine = OnnxEngine(model.SerializeToString())
    worst = 0.0
    for lengths in BATCHES:
        source = batch_of(config.embedder, lengths)
        found, expected = (one.outputs(source)["logits_BTK"] for one in (engine, TorchEngine(network)))
        real_BT = np.arange(max(lengths)) < source.lengths_B[:, None]
        worst = max(worst, np.abs(found - expected)[real_BT].max())
    assert 0 < worst < 0.01
    assert engine.constants["transitions_KK"].shape == (LABELS, LABELS)


@pytest.mark.parametrize(("kind", "products"), [("lstm", 1), ("transformer", 10)])
def test_eight_bits_of_a_language_model(kind, products):
    options = {"dim": 128, "bidirectional": False} if kind == "lstm" else {"dim": 128}
    config = NetworkConfig(embedder=TokensConfig(dim=128), encoder=encoder_config(kind, options), head=SoftmaxConfig())
    network = LanguageModel(config, language_sizes(500)).eval()
    model = quantize(graph_of(network))
    count = operators(model)
    assert count["MatMulInteger"] == products
    assert count["DynamicQuantizeLSTM"] == (kind == "lstm")
    assert count["LSTM"] == count["Gemm"] == 0
    stepper = OnnxEngine(model.SerializeToString(), 1).stepper()
    sequences = [*ids_of(3, 9), *ids_of(1, 2)]
    for found, expected in zip(stepper.score(sequences), TorchStepper(network, 1, None).score(sequences), strict=True):
        assert 0 < np.abs(found - expected).max() < 0.05


# -- what an export is checked by


def test_the_check_sees_a_difference_but_none_in_the_padding(tmp_path, cache):
    task, network, columns = made(
        tiny_recipe(tmp_path, "model.encoder={kind: gru, dim: 5}", "model.head={kind: softmax}")
    )
    data, engine, torch_engine = (
        task.data(columns),
        OnnxEngine(graph_of(network).SerializeToString()),
        TorchEngine(network),
    )
    assert len(set(data.lengths.tolist())) > 2
    assert difference(task, torch_engine, engine, data) < 1e-5
    with torch.no_grad():
        network.head.output.bias[1] += 0.25
    assert difference(task, torch_engine, engine, data) == pytest.approx(0.25, abs=1e-5)


def test_the_check_of_a_language_model(tmp_path, cache):
    task, network, columns = made(text_recipe(tmp_path))
    data, engine = task.data(columns), OnnxEngine(graph_of(network).SerializeToString(), task.source.eos)
    torch_engine = TorchEngine(network, task.source.eos)
    assert difference(task, torch_engine, engine, data) < 1e-5
    with torch.no_grad():
        network.head.output.bias[2] += 5
    assert difference(task, torch_engine, engine, data) > 0.1


def test_prediction_does_without_torch(tmp_path):
    config = NetworkConfig(embedder=EMBEDDERS["words"], encoder=encoder_config("lstm", {}), head=CRFConfig())
    network = large(Labeller(config, sizes_for(config.embedder), LabelSpace(LABELS)))
    model = graph_of(network)
    (tmp_path / "engine.onnx").write_bytes(model.SerializeToString())
    script = """
import sys
from pathlib import Path
import numpy as np
from seqcli.data.batch import Side
from seqcli.engines.onnx_engine import OnnxEngine
engine = OnnxEngine(Path(sys.argv[1]))
outputs = engine.outputs(Side({"words_U": np.array([0, 3]), "index_BT": np.array([[1, 1]])}, np.array([2])))
print(outputs["logits_BTK"].shape, [name for name in ("torch", "onnx") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "engine.onnx")],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("(1, 2, 4) []\n", "")
