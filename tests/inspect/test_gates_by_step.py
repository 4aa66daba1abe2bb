"""Gates and states: against torch's own layers, against a step worked by hand, and by the network that they are in."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny_classes
import tiny_corpus
import tiny_pairs
import tiny_text
import torch
from torch import nn

from seqcli.inspect.gates import gates
from seqcli.inspect.steps import LSTMCell, layer_name, traced
from seqcli.pipeline.inside import Opened
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.subject import subject
from seqcli.tasks.base import new_task

LAYERS = [
    "{kind: rnn, dim: 5}",
    "{kind: rnn, dim: 5, activation: relu}",
    "{kind: rnn, dim: 5, activation: linear, orthogonal: true, layers: 2}",
    "{kind: rnn, dim: 5, inputs: false}",
    "{kind: lstm, dim: 5}",
    "{kind: lstm, dim: 5, layers: 3, residual: true, layer_norm: true}",
    "{kind: lstm, dim: 5, peepholes: true, forget_bias: 0.5}",
    "{kind: gru, dim: 5, layers: 2, bidirectional: false}",
    "{kind: rnn-scratch, dim: 5}",
    "{kind: lstm-scratch, dim: 5, form: selective, layers: 2}",
    "{kind: lstm-scratch, dim: 5, form: peephole}",
    "{kind: gru-scratch, dim: 5, bidirectional: false}",
]


def opened(recipe):
    """The untrained network of a recipe, its biases made to differ so that none can be forgotten."""
    task = new_task(recipe)
    task.fit(open_columns(recipe, task, ("train",))["train"])
    torch.manual_seed(3)
    network = task.network().eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "bias" in name or "peephole" in name or name.endswith((".b", ".c")):
                weight.normal_()
    return Opened("tiny", task, network, None)


def seen(one, text):
    what = subject(one, text)
    return gates(one.network, what.source, what.target, what.positions, what.read)


@pytest.mark.parametrize("encoder", LAYERS)
def test_states_are_those_of_the_layers_themselves(tmp_path, cache, encoder):
    one = opened(tiny_corpus.tiny_recipe(tmp_path, f"model.encoder={encoder}"))
    found = seen(one, "Angela Merkel visited New York")
    assert found
    assert all(layer.difference <= 1e-6 for layer in found)
    for layer in found:
        assert layer.positions == ["Angela", "Merkel", "visited", "New", "York"]
        assert {values.shape for values in layer.values.values()} == {(5, 5)}
        for name in layer.gates:
            values = layer.values[name]
            assert (values >= (-1 if name == "candidate" else 0)).all()
            assert (values <= 1).all()


@pytest.mark.parametrize("encoder", LAYERS)
def test_what_the_network_says_is_the_same_inside(tmp_path, cache, encoder):
    """A batch with padding, both ways; afterwards the layers are as they were."""
    one = opened(tiny_corpus.tiny_recipe(tmp_path, f"model.encoder={encoder}"))
    side = one.task.source.side([["New", "York"], ["Angela", "visited", "Paris", "in", "1999"]])
    with torch.no_grad():
        before = one.network(side)
        with traced(one.network) as traces:
            inside = one.network(side)
        after = one.network(side)
    torch.testing.assert_close(inside["logits_BTK"], before["logits_BTK"], atol=1e-5, rtol=0)
    torch.testing.assert_close(after["logits_BTK"], before["logits_BTK"], atol=0, rtol=0)
    assert {len(trace.states) for trace in traces} == {5}
    assert not any("forward" in vars(layer) for layer in one.network.modules())


def test_a_step_of_an_lstm_by_hand():
    """One unit, all weights one, no bias: x = 1, h = 0.5, s = 2 makes every sum 1.5."""
    layer = nn.LSTM(1, 1)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.fill_(0.0 if "bias" in name else 1.0)
    cell = LSTMCell(layer)
    with torch.no_grad():
        state, values = cell.step(torch.ones(1, 1), (torch.full((1, 1), 0.5), torch.full((1, 1), 2.0)), cell.recurrent)
    gate = 1 / (1 + math.exp(-1.5))
    memory = gate * 2 + gate * math.tanh(1.5)
    assert {name: value.item() for name, value in values.items()} == pytest.approx(
        {"input": gate, "forget": gate, "output": gate, "candidate": math.tanh(1.5)}
    )
    assert [one.item() for one in state] == pytest.approx([gate * math.tanh(memory), memory])


def test_the_cell_follows_from_the_gates(tmp_path, cache):
    """s_t = f s_{t-1} + i g and h_t = o tanh(s_t), in the direction in which each layer reads."""
    one = opened(tiny_classes.text_recipe(tmp_path))
    for layer in seen(one, "not a charming film"):
        values = {
            name: found[:: -1 if layer.layer.endswith("backwards") else 1] for name, found in layer.values.items()
        }
        before = np.vstack([np.zeros((1, 12)), values["cell"][:-1]])
        expected = values["forget"] * before + values["input"] * values["candidate"]
        np.testing.assert_allclose(values["cell"], expected, atol=1e-6)
        np.testing.assert_allclose(values["hidden"], values["output"] * np.tanh(values["cell"]), atol=1e-6)


def test_a_gru_mixes_by_its_update_gate(tmp_path, cache):
    one = opened(tiny_text.text_recipe(tmp_path, tiny_text.ENCODERS["gru"]))
    text = " ".join(tiny_text.WORDS[:4])
    (layer,) = seen(one, text)
    assert layer.positions == ["<EOS>", *tiny_text.WORDS[:4]]
    before = np.vstack([np.zeros((1, 8)), layer.values["hidden"][:-1]])
    update = layer.values["update"]
    np.testing.assert_allclose(
        layer.values["hidden"], (1 - update) * layer.values["candidate"] + update * before, atol=1e-6
    )


@pytest.mark.parametrize(
    "decoder", ["lstm, dim: 6, layers: 2", "gru, dim: 6, input_feeding: true", "lstm, dim: 6, begin: input"]
)
def test_a_decoder_reads_what_it_wrote_before(tmp_path, cache, decoder):
    one = opened(tiny_pairs.pair_recipe(tmp_path, f"model.decoder={{kind: {decoder}}}"))
    found = {layer.layer: layer for layer in seen(one, "see red cats")}
    assert found["encoder layer 1"].positions == ["see", "red", "cats", "<EOS>"]
    what = subject(one, "see red cats")
    first = ["(source)"] if "begin" in decoder else []
    assert found["decoder layer 1"].positions == [*first, "<EOS>", *what.written[:-1]]
    assert all(layer.difference <= 1e-6 for layer in found.values())


def test_members_are_told_apart(tmp_path, cache):
    one = opened(tiny_classes.text_recipe(tmp_path, "model.members=2"))
    assert [layer.layer for layer in seen(one, "boring")] == [
        "member 1, encoder layer 1",
        "member 1, encoder layer 1 backwards",
        "member 2, encoder layer 1",
        "member 2, encoder layer 1 backwards",
    ]
    assert layer_name("something.else") == "something.else"


def test_words_that_are_spelled_by_an_lstm(tmp_path, cache):
    """The layers that spell words are no layers over positions."""
    spelled = "model.embedder={kind: tokens, dim: 4, characters: {kind: lstm, dim: 4, hidden: 3}}"
    one = opened(tiny_corpus.tiny_recipe(tmp_path, spelled))
    assert [layer.layer for layer in seen(one, "Paris")] == ["encoder layer 1", "encoder layer 1 backwards"]
