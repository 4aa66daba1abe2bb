"""Each layer as ONNX nodes says what torch says, whatever the lengths; and nothing of torch is there at run time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import environment
from torch import nn

from seqcli.engines.language import NetworkEngine
from seqcli.engines.onnx_engine import OnnxEngine, OnnxStepper
from seqcli.engines.onnx_export import export_classifier, export_labeller, export_language_model
from seqcli.engines.onnx_write import check, check_language_model, quantize
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.embedders import InputSizes
from seqcli.models.ensemble import EnsembleClassifier
from seqcli.models.heads import LabelSpace
from seqcli.models.language import LanguageModel
from seqcli.models.sequence import SequenceModel
from seqcli.recipe import registry
from seqcli.recipe.embedders import AffixesConfig, CharacterCNNConfig, CharacterLSTMConfig, FramesConfig, TokensConfig
from seqcli.recipe.encoders import BagConfig
from seqcli.recipe.heads import AdaptiveConfig, CRFConfig, SigmoidConfig, SoftmaxConfig
from seqcli.recipe.schema import ModelConfig

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
    "gaps": FramesConfig(dim=4, kernel=4, stride=3, missing="mask"),
    "skipping": FramesConfig(dim=4, kernel=1, stride=2),
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
POOLINGS = ["last", "mean", "max", "attention"]
LABELS = 4


def sizes_for(embedder):
    has_affixes = isinstance(embedder, TokensConfig) and embedder.affixes is not None
    return replace(SIZES, affixes=AFFIXES) if has_affixes else SIZES


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
    for module in network.modules():
        if type(module).__name__ == "FrameEmbedder":
            module.scale_by(torch.randn(SIZES.frame_dim), torch.rand(SIZES.frame_dim) + 0.5)
    return network.eval()


def batch_of(embedder, lengths, seed=3):
    """``(arrays, lengths)`` of a batch whose padding holds something."""
    random = np.random.default_rng(seed)
    batch, longest = len(lengths), max(1, *lengths)
    if isinstance(embedder, FramesConfig):
        frames = random.normal(size=(batch, longest, SIZES.frame_dim)).astype(np.float32)
        if embedder.missing == "mask":
            frames[random.random(frames.shape) < 0.3] = np.nan
        return {"frames_BTD": frames}, np.array(lengths)
    types = 8
    arrays = {"words_U": np.r_[0, random.integers(1, SIZES.words, types)]}
    arrays["index_BT"] = random.integers(0, types + 1, (batch, longest))
    if embedder.characters is not None:
        characters = random.integers(1, SIZES.characters, (types + 1, 6))
        sizes = np.r_[0, random.integers(1, 7, types)]
        arrays["characters_UC"] = np.where(np.arange(6) < sizes[:, None], characters, 0)
    if embedder.affixes is not None:
        arrays["affixes_UA"] = np.stack([random.integers(0, rows, types + 1) for rows in AFFIXES], axis=1)
    return arrays, np.array(lengths)


def tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


BATCHES = [[7, 1, 4, 2], [1], [5], [3, 3], [12, 9]]


def compare_labeller(config):
    network = large(SequenceModel(config, sizes_for(config.embedder), LabelSpace(LABELS)))
    model = export_labeller(network.embedder, network.encoder, network.head)
    onnx.checker.check_model(model, full_check=True)
    engine = OnnxEngine(model.SerializeToString())
    for lengths in BATCHES:
        arrays, lengths_B = batch_of(config.embedder, lengths)
        outputs = engine.outputs({**arrays, "more": np.zeros(2)}, lengths_B)
        with torch.inference_mode():
            x_BTD = network.embedder(tensors(arrays), torch.from_numpy(lengths_B))
            sizes_B = network.embedder.positions(torch.from_numpy(lengths_B))
            expected = network.head.output(network.encoder(x_BTD, sizes_B)).numpy()
        assert outputs["logits_BTK"].shape == expected.shape
        for found, wanted, size in zip(outputs["logits_BTK"], expected, sizes_B.tolist(), strict=True):
            np.testing.assert_allclose(found[:size], wanted[:size], rtol=1e-5, atol=2e-5)
    return network, outputs


@pytest.mark.parametrize("name", EMBEDDERS)
def test_embedders(name):
    compare_labeller(ModelConfig(embedder=EMBEDDERS[name], encoder=BagConfig(dim=4), head=SoftmaxConfig()))


@pytest.mark.parametrize(("kind", "options"), ENCODERS)
def test_encoders(kind, options):
    compare_labeller(
        ModelConfig(embedder=EMBEDDERS["words"], encoder=encoder_config(kind, options), head=SoftmaxConfig())
    )


def test_a_chains_scores_come_with_its_emissions():
    head = CRFConfig()
    network, outputs = compare_labeller(ModelConfig(embedder=EMBEDDERS["all"], encoder=BagConfig(dim=4), head=head))
    network.head.forbidden_KK[1, 2] = network.head.forbidden_start_K[2] = network.head.forbidden_end_K[0] = True
    model = export_labeller(network.embedder, network.encoder, network.head)
    outputs = OnnxEngine(model.SerializeToString()).outputs(*batch_of(EMBEDDERS["all"], [3]))
    for name, score in zip(("transitions_KK", "start_K", "end_K"), network.head.scores(), strict=True):
        np.testing.assert_array_equal(outputs[name], score.detach().numpy())
        assert outputs[name].dtype == np.float32


def compare_classifier(config):
    network = large(
        (EnsembleClassifier if config.members > 1 else SequenceClassifier)(config, sizes_for(config.embedder), LABELS)
    )
    model = export_classifier(network.networks())
    onnx.checker.check_model(model, full_check=True)
    engine = OnnxEngine(model.SerializeToString())
    for lengths in [*BATCHES, [4, 0, 2], [0], [0, 0]]:
        arrays, lengths_B = batch_of(config.embedder, lengths)
        found = engine.outputs(arrays, lengths_B)["log_probs_BK"]
        with torch.inference_mode():
            vectors = network(tensors(arrays), torch.from_numpy(lengths_B))
            expected = network.head.sequence_log_probs(vectors).numpy()
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
        ModelConfig(
            embedder=EMBEDDERS[embedder],
            encoder=encoder_config(kind, options),
            pooling=registry.config_class("pooling", pooling)(),
            head=head,
        )
    )


@pytest.mark.parametrize("head", [SoftmaxConfig(), SigmoidConfig()], ids=lambda head: head.kind)
def test_an_ensembles_probabilities_are_averaged(head):
    compare_classifier(
        ModelConfig(
            embedder=EMBEDDERS["all"],
            encoder=encoder_config("lstm", {}),
            pooling=registry.config_class("pooling", "max")(),
            head=head,
            members=3,
        )
    )


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


@cache
def language_pair(name):
    """``(torch's stepper, ONNX's)`` of one network; a transformer's context is 6 tokens."""
    kind, options, head = LANGUAGE_MODELS[name]
    if kind in ("rnn", "lstm", "gru"):
        options = {"bidirectional": False, **options}
    config = ModelConfig(
        embedder=TokensConfig(dim=5),
        encoder=encoder_config(kind, options),
        head=AdaptiveConfig(**head) if "cutoffs" in head else SoftmaxConfig(**head),
    )
    network = large(LanguageModel(config, [5] * VOCABULARY))
    model = export_language_model(network)
    onnx.checker.check_model(model, full_check=True)
    context = 6 if kind == "transformer" else None
    task = SimpleNamespace(eos=1, context=context, vocabulary=range(VOCABULARY))
    engine = OnnxEngine(model.SerializeToString())
    return NetworkEngine(task, network, torch.device("cpu")), OnnxStepper(engine, 1, context)


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


def test_several_threads_say_the_same():
    _, stepper = language_pair("lstm")
    sequences = [ids_of(1 + length % 40, seed=length) for length in range(300)]
    several = OnnxStepper(stepper.engine, 1, None, threads=3)
    for one, other in zip(several.score(sequences), stepper.score(sequences), strict=True):
        np.testing.assert_array_equal(one, other)


# -- eight bits


def operators(model):
    """How often each kind of node is there, inner graphs included."""
    graphs = [model.graph]
    graphs += [
        field.g for node in model.graph.node for field in node.attribute if field.type == onnx.AttributeProto.GRAPH
    ]
    return Counter(node.op_type for graph in graphs for node in graph.node)


def test_eight_bits_reach_every_large_weight():
    encoder = encoder_config("lstm", {"dim": 64, "layers": 2})
    config = ModelConfig(embedder=TokensConfig(dim=64), encoder=encoder, head=CRFConfig())
    network = SequenceModel(config, SIZES, LabelSpace(LABELS)).eval()
    model = quantize(export_labeller(network.embedder, network.encoder, network.head))
    count = operators(model)
    assert (count["DynamicQuantizeLSTM"], count["LSTM"]) == (1, 0), "the second layer, both directions in one"
    assert (count["MatMulInteger"], count["MatMul"]) == (4, 1), "each direction's two weights; the last is small"
    engine = OnnxEngine(model.SerializeToString())
    batches = [batch_of(config.embedder, lengths) for lengths in BATCHES]
    assert 0 < check(engine, network, batches) < 0.01
    assert engine.constants["transitions_KK"].shape == (LABELS, LABELS)


@pytest.mark.parametrize(("kind", "products"), [("lstm", 1), ("transformer", 10)])
def test_eight_bits_of_a_language_model(kind, products):
    options = {"dim": 128, "bidirectional": False} if kind == "lstm" else {"dim": 128}
    config = ModelConfig(embedder=TokensConfig(dim=128), encoder=encoder_config(kind, options), head=SoftmaxConfig())
    network = LanguageModel(config, [5] * 500).eval()
    model = quantize(export_language_model(network))
    count = operators(model)
    assert count["MatMulInteger"] == products
    assert count["DynamicQuantizeLSTM"] == (kind == "lstm")
    assert count["LSTM"] == count["Gemm"] == 0
    stepper = OnnxStepper(OnnxEngine(model.SerializeToString()), 1, None)
    assert 0 < check_language_model(stepper, network, [ids_of(3, 9), ids_of(1, 2)]) < 0.05


# -- what an export is checked by


def test_check_sees_a_difference_but_none_in_the_padding():
    config = ModelConfig(embedder=EMBEDDERS["all"], encoder=encoder_config("gru", {}), head=SoftmaxConfig())
    network = large(SequenceModel(config, sizes_for(config.embedder), LabelSpace(LABELS)))
    engine = OnnxEngine(export_labeller(network.embedder, network.encoder, network.head).SerializeToString())
    batches = [batch_of(config.embedder, lengths) for lengths in BATCHES]
    assert check(engine, network, batches) < 1e-5
    with torch.no_grad():
        network.head.output.bias[1] += 0.25
    assert check(engine, network, batches) == pytest.approx(0.25, abs=1e-5)


def test_check_of_a_language_model():
    network, stepper = language_pair("lstm-deep")
    assert check_language_model(stepper, network.model, [ids_of(3, 9), ids_of(1, 2)]) < 1e-5
    other, _ = language_pair("lstm-wide")
    assert check_language_model(stepper, other.model, [ids_of(3, 9)]) > 0.1


def test_prediction_does_without_torch(tmp_path):
    config = ModelConfig(embedder=EMBEDDERS["words"], encoder=encoder_config("lstm", {}), head=CRFConfig())
    network = large(SequenceModel(config, sizes_for(config.embedder), LabelSpace(LABELS)))
    model = export_labeller(network.embedder, network.encoder, network.head)
    (tmp_path / "engine.onnx").write_bytes(model.SerializeToString())
    script = """
import sys
from pathlib import Path
import numpy as np
from seqcli.engines.onnx_engine import OnnxEngine
engine = OnnxEngine(Path(sys.argv[1]))
outputs = engine.outputs({"words_U": np.array([0, 3]), "index_BT": np.array([[1, 1]])}, np.array([2]))
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
