"""Encoder-decoders on every engine: they say of sources side by side what the network says of each alone."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import DECODERS, ENGINES, TRANSLATORS, made
from tiny_numbers import pair_recipe

from seqcli.data.batch import Side
from seqcli.decode.generate import GenerateOptions
from seqcli.engines import onnx_engine as onnx_engines
from seqcli.engines.onnx_engine import OnnxEncoderDecoder, onnx_engine
from seqcli.engines.onnx_write import graphs_of, quantize
from seqcli.engines.torch_engine import torch_engine
from seqcli.errors import UserError
from seqcli.pipeline.export import difference
from seqcli.recipe import registry

ROWS = np.arange(9)
NAMES = [re.sub(r"[^\w=]+", "-", " ".join(one).replace("model.", "")) for one in TRANSLATORS]


class Translator(NamedTuple):
    """A network, its engines by name, and sources of unequal lengths with their targets."""

    task: Any
    network: Any
    engines: dict[str, Any]
    data: Any
    source: Side
    targets: list[np.ndarray]


@pytest.fixture(scope="module")
def translators(tmp_path_factory):
    """What makes the translator of a row of the table, once."""
    found: dict[int, Translator] = {}

    def translator(number):
        if number not in found:
            task, network, columns = made(pair_recipe(tmp_path_factory.mktemp("pairs"), *TRANSLATORS[number]))
            for graph in graphs_of(network):
                onnx.checker.check_model(graph, full_check=True)
            data = task.data(columns)
            batch = data.batch(ROWS)
            assert len(set(batch.source.lengths_B.tolist())) > 3
            lengths = batch.target.lengths_B.tolist()
            targets = [ids[:length] for ids, length in zip(batch.target.arrays["ids_BT"], lengths, strict=True)]
            engines = {name: engine_of(task, network) for name, engine_of in ENGINES.items()}
            found[number] = Translator(task, network, engines, data, batch.source, targets)
        return found[number]

    return translator


each = pytest.mark.parametrize("number", range(len(TRANSLATORS)), ids=NAMES)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def alone(source, row):
    """One source, without padding."""
    length = int(source.lengths_B[row])
    return Side({"words_BT": source.arrays["words_BT"][row : row + 1, :length]}, source.lengths_B[row : row + 1])


def test_every_kind_of_decoder_is_in_the_table():
    assert {re.findall(r"kind: ([\w-]+)", one)[0] for one in DECODERS} == set(registry.kinds("decoder"))


@each
def test_forced_scores(translators, number, monkeypatch):
    one = translators(number)
    network = one.engines["torch"]
    expected = [network.stepper(alone(one.source, row)).score([one.targets[row]])[0] for row in ROWS]
    assert np.ptp(np.concatenate(expected)) > 0.1, "a network that says nothing"
    for engine in one.engines.values():
        for logits in (2**22, 1, len(ROWS) * 3 * words_of(one)):  # all at once, token by token, three by three
            monkeypatch.setattr(onnx_engines, "LOGITS", logits)
            found = engine.stepper(one.source).score(one.targets)
            assert [len(scores) for scores in found] == [len(target) for target in one.targets]
            close(np.concatenate(found), np.concatenate(expected))


def words_of(one):
    return len(one.task.target.words)


@each
@pytest.mark.parametrize(
    "options", [GenerateOptions(), GenerateOptions(beam=4, best=3, no_repeat=2, min_length=2)], ids=["greedy", "beam"]
)
def test_what_it_writes(translators, number, options):
    one = translators(number)
    looks = "attention: none" not in " ".join(TRANSLATORS[number])
    how = {"eos": one.task.target.eos, "limits": (one.source.lengths_B + 2).tolist(), "attention": True}
    expected = [best for some in one.engines["torch"].generate(one.source, options, **how) for best in some]
    found = [best for some in one.engines["onnx"].generate(one.source, options, **how) for best in some]
    assert [best.ids for best in found] == [best.ids for best in expected]
    close([best.log_prob for best in found], [best.log_prob for best in expected])
    for place, (best, other) in enumerate(zip(found, expected, strict=True)):
        length = one.source.lengths_B[place // options.best]
        assert (best.attention_TS is not None) == (other.attention_TS is not None) == looks
        if looks:
            close(best.attention_TS, other.attention_TS)
            close(best.attention_TS.sum(1), 1)
            assert not best.attention_TS[:, length:].any()


@each
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_reading_and_selecting(translators, number, data):
    """Tokens in any portions, rows in any order and more than once; a state stays as it was."""
    one = translators(number)
    steppers = [engine.stepper(one.source) for engine in one.engines.values()]
    words, count = words_of(one), len(ROWS)
    found = [stepper.start(count) for stepper in steppers]
    before = [state for _, state in found]
    for _ in range(data.draw(st.integers(1, 4))):
        rows = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=12)))
        count, length = len(rows), data.draw(st.integers(1, 3))
        seed = data.draw(st.integers(0, 99))
        ids_BT = np.random.default_rng(seed).integers(0, words, (count, length))
        found = [
            stepper.read(ids_BT, stepper.select(state, rows))
            for stepper, (_, state) in zip(steppers, found, strict=True)
        ]
        (expected, wanted), (log_probs, state) = found
        close(log_probs, expected)
        close(np.exp(log_probs).sum(1), 1)
        seen, others = (stepper.attention(one) for stepper, one in zip(steppers, (wanted, state), strict=True))
        if length == 1 and seen is not None:
            close(others, seen)
    again = [
        stepper.read(np.full((len(ROWS), 1), 2), state)[0] for stepper, state in zip(steppers, before, strict=True)
    ]
    close(again[1], again[0])


# -- what an export is checked by


def test_the_check_sees_a_difference_but_none_in_the_padding(translators):
    one = translators(0)
    engines = one.engines["torch"], one.engines["onnx"]
    assert difference(one.task, *engines, one.data) < 1e-5
    bias = one.network.head.output.bias
    bias.detach()[3] += 5
    try:
        assert difference(one.task, *engines, one.data) > 0.1
    finally:
        bias.detach()[3] -= 5


@pytest.mark.parametrize(
    ("decoder", "most"),
    [
        ("kind: lstm, attention: none", 0.4),
        ("kind: lstm, attention: general, input_feeding: true", 0.4),
        ("kind: lstm, attention: additive, layers: 2", 0.4),
        ("kind: gru, attention: additive", 0.9),  # its own weights stay as they are
        ("kind: transformer, layers: 1, feedforward: 256", 0.4),
    ],
)
def test_eight_bits_are_close(tmp_path, cache, decoder, most):
    changes = ("model.embedder.dim=128", "model.encoder={kind: lstm, dim: 64, layers: 2}")
    task, _, columns = made(pair_recipe(tmp_path, *changes, f"model.decoder={{{decoder}, dim: 128}}"))
    torch.manual_seed(1)
    network, data = task.network().eval(), task.data(columns)
    exact = graphs_of(network)
    rounded = [quantize(graph) for graph in exact]
    assert sum(graph.ByteSize() for graph in rounded) < most * sum(graph.ByteSize() for graph in exact)
    reads, writes = (graph.SerializeToString() for graph in rounded)
    engine = onnx_engine(task, reads, decoder=writes)
    assert 0 < difference(task, torch_engine(task, network), engine, data) < 0.1


# -- graphs that do not belong to the model


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """``(task, the graphs of its network by what they are)``."""
    task, network, _ = made(pair_recipe(tmp_path_factory.mktemp("graphs")))
    reads, writes = graphs_of(network, "a" * 64)
    return task, {"reads": reads, "writes": writes}


def changed(graph, **entries):
    """A graph with other metadata."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    for entry in copy.metadata_props:
        entry.value = entries.get(entry.key, entry.value)
    return copy


def refusal(task, reads, writes, weights="a" * 64):
    with pytest.raises(UserError) as failed:
        onnx_engine(task, reads.SerializeToString(), weights, decoder=writes and writes.SerializeToString())
    assert failed.value.code == 65
    return failed.value.message


def test_the_graphs_of_the_model_are_taken(graphs):
    task, made_of = graphs
    engine = onnx_engine(
        task, made_of["reads"].SerializeToString(), "a" * 64, decoder=made_of["writes"].SerializeToString()
    )
    assert isinstance(engine, OnnxEncoderDecoder)
    with pytest.raises(UserError, match="without a source"):
        engine.stepper()


@pytest.mark.parametrize("which", ["reads", "writes"])
def test_other_weights(graphs, which):
    task, made_of = graphs
    found = {**made_of, which: changed(made_of[which], weights="b" * 64)}
    assert refusal(task, **found) == (
        f"the graph was made from other weights ({'b' * 12}) than those in the model ({'a' * 12})"
    )


@pytest.mark.parametrize(
    ("which", "sizes", "message"),
    [
        ("reads", '{"words": 7}', "the graph is for 7 words, but the model has 8"),
        ("writes", '{"target words": 9}', "the graph is for 9 target words, but the model has 8"),
        ("writes", "{}", "the graph is for 0 target words, but the model has 8"),
    ],
)
def test_other_sizes(graphs, which, sizes, message):
    task, made_of = graphs
    assert (len(task.source.words), len(task.target.words)) == (8, 8)
    assert refusal(task, **{**made_of, which: changed(made_of[which], sizes=sizes)}) == message


def test_another_graph(graphs):
    task, made_of = graphs
    reads, writes = made_of["reads"], made_of["writes"]
    assert refusal(task, reads, reads).startswith("a graph for something else than translation: it gives kept_0, ")
    assert refusal(task, writes, writes).startswith(
        "a graph for something else than translation: it gives log_probs_NV, "
    )
    assert refusal(task, reads, None) == "there is no graph of the decoder beside this one"
