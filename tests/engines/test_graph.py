"""The unrolled graph of every kind of network: its letters are those of the layer table, its arrows those of its layers."""

import pytest
from networks import NAMES, NETWORKS, made
from tiny_classes import text_recipe
from tiny_corpus import tiny_recipe
from tiny_numbers import pair_recipe

from seqcli.inspect.graph import STEPS, unrolled
from seqcli.inspect.layers import layers
from seqcli.models.decoders import RecurrentDecoder
from seqcli.models.recurrent import RecurrentEncoder

TOKENS = ("a", "b", "c", "d")


def between(graph, kind):
    return [(edge.start, edge.end, edge.weight) for edge in graph.edges if edge.kind == kind]


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=NAMES)
def test_every_network_can_be_drawn(tmp_path, number):
    recipe_of, overrides = NETWORKS[number]
    _, network, _ = made(recipe_of(tmp_path, *overrides))
    graph = unrolled(network, TOKENS)
    keys = [node.key for node in graph.nodes]
    assert len(set(keys)) == len(keys)
    assert len({(node.x, node.y) for node in graph.nodes}) == len(keys), "one node over another"
    assert {edge.start for edge in graph.edges} | {edge.end for edge in graph.edges} == set(keys)
    assert {node.key for node in graph.nodes if node.kind == "output"} & {edge.end for edge in graph.edges}
    assert graph.equations[-1].startswith(("y", "p"))
    one = network.networks()[0] if hasattr(network, "networks") else network
    table = {layer.name: layer for layer in layers(one)}
    drawn = {edge.weight for edge in graph.edges}
    for name, part in (
        ("encoder.ahead", one.encoder),
        ("encoder.back", one.encoder),
        ("decoder.layers", getattr(one, "decoder", None)),
    ):
        if isinstance(part, RecurrentEncoder | RecurrentDecoder):
            letters = {
                w.name for layer in table if layer.startswith(name) for w in table[layer].weights if w.name[0] in "UV"
            }
            assert letters <= drawn


def test_a_bidirectional_layer(tmp_path):
    _, network, _ = made(
        tiny_recipe(tmp_path, "model.encoder={kind: rnn-scratch, dim: 5}", "model.head={kind: softmax}")
    )
    graph = unrolled(network, TOKENS)
    assert between(graph, "ahead") == [(f"h1.{t}", f"h1.{t + 1}", "V1") for t in range(3)]
    assert sorted(between(graph, "back")) == [(f"h1'.{t + 1}", f"h1'.{t}", "V1'") for t in range(3)]
    up = between(graph, "up")
    assert [edge for edge in up if edge[0] == "e2"] == [("e2", "h1.2", "U1"), ("e2", "h1'.2", "U1'")]
    assert [edge for edge in up if edge[1] == "y2"] == [("h1.2", "y2", "W"), ("h1'.2", "y2", "W")]
    assert graph.equations[1:] == [
        "h1_t = tanh(U1 e_t + V1 h1_{t-1} + b1)",
        "h1'_t = tanh(U1' e_t + V1' h1'_{t+1} + b1')",
        "y_t = softmax(W [h1; h1']_t + c)",
    ]


def test_the_exercise_without_bias(tmp_path):
    overrides = (
        "model.embedder={kind: one-hot}",
        "model.encoder={kind: rnn, sizes: [6, 4], bias: false, bidirectional: false}",
        "model.head={kind: softmax, bias: false}",
    )
    _, network, _ = made(tiny_recipe(tmp_path, *overrides))
    assert unrolled(network, TOKENS).equations[1:] == [
        "h1_t = tanh(U1 x_t + V1 h1_{t-1})",
        "h2_t = tanh(U2 h1_t + V2 h2_{t-1})",
        "y_t = softmax(W h2_t)",
    ]


def test_the_last_state_of_each_way_decides(tmp_path):
    _, network, _ = made(text_recipe(tmp_path, "model.encoder={kind: lstm, dim: 5}", "model.pooling={kind: last}"))
    graph = unrolled(network, TOKENS)
    assert {edge[0] for edge in between(graph, "up") if edge[1] == "p"} == {"h1.3", "h1'.0"}
    assert "p = [h1_T; h1'_1]" in graph.equations


def test_a_language_model_sees_no_later_position(tmp_path):
    import tiny_text

    overrides = next(one for one in tiny_text.ENCODERS.values() if "transformer" in one)
    _, network, _ = made(tiny_text.text_recipe(tmp_path, overrides))
    graph = unrolled(network, TOKENS)
    place = {node.key: node.x for node in graph.nodes}
    assert all(place[edge.start] <= place[edge.end] for edge in graph.edges)
    assert len(between(graph, "look")) == 6 * len(network.encoder.blocks)


def test_a_decoder_looks_at_every_position(tmp_path):
    recipe = pair_recipe(
        tmp_path, "model.encoder={kind: gru, dim: 4}", "model.decoder={kind: gru, dim: 8, attention: dot}"
    )
    _, network, _ = made(recipe)
    graph = unrolled(network, TOKENS)
    assert len(between(graph, "look")) == STEPS * len(TOKENS) * 2
    assert [edge[0] for edge in between(graph, "begin")] == ["h1.3", "h1'.0"]
    without = pair_recipe(
        tmp_path, "model.encoder={kind: gru, dim: 4}", "model.decoder={kind: gru, dim: 8, attention: none}"
    )
    assert not between(unrolled(made(without)[1], TOKENS), "look")
