"""The layer table: formulas made of a layer's sizes say as many weights as its tensors have, in every network."""

import pytest
import torch
from networks import NAMES, NETWORKS, made
from tiny_corpus import tiny_recipe
from torch.utils.flop_counter import FlopCounterMode

from seqcli.inspect.layers import evaluated, layers
from seqcli.pipeline.inside import open_network
from seqcli.recipe.folder import find_recipe, recipe_names
from seqcli.recipe.load import load_recipe


def assert_formulas_hold(network):
    """Each formula is worked out against the tensors, and each tensor stands in one layer once."""
    table = layers(network)
    tensors = dict(network.named_parameters(remove_duplicate=False))
    counted = set()
    for layer in table:
        own = set()
        for weight in layer.weights:
            size = sum(tensors[name].numel() for name in weight.tensors)
            assert evaluated(weight.formula) == size, weight
            assert weight.parameters == (0 if weight.shared else size)
            own |= {id(tensors[name]) for name in weight.tensors} if not weight.shared else set()
        assert not own & counted, layer.name
        counted |= own
        assert (evaluated(layer.formula) if layer.formula else 0) == layer.parameters
        assert layer.bytes == 4 * layer.parameters
        assert layer.flops >= 0
    assert counted == {id(weight) for weight in network.parameters()}
    assert sum(layer.parameters for layer in table) == sum(weight.numel() for weight in network.parameters())
    return table


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=NAMES)
def test_formulas_of_every_kind_of_layer(tmp_path, number):
    recipe_of, overrides = NETWORKS[number]
    _, network, _ = made(recipe_of(tmp_path, *overrides))
    assert_formulas_hold(network)


EMBEDDED = {"mini-ner", "order-matters", "hello", "pattern", "reverse"}
CHEAP = {"names-nationality", "airline-passengers", "monthly-sunspots", "daily-min-temperatures", "basic-motions"}
CHEAP |= {"japanese-vowels", "trec", "wnut17", "yesno", "names", "ud-english-ewt"}


def recipes():
    for name in recipe_names():
        file = find_recipe(name)
        recipe = load_recipe(str(file)).recipe
        if recipe.model.kind not in ("network", "encoder-decoder"):
            continue
        if recipe.data.corpus in EMBEDDED:
            yield pytest.param(str(file), id=name)
        elif recipe.data.corpus in CHEAP:
            yield pytest.param(str(file), id=name, marks=pytest.mark.mirror)


@pytest.mark.parametrize("file", list(recipes()))
def test_formulas_of_the_recipes(file):
    assert_formulas_hold(open_network(file).network)


def test_the_formula_of_a_bidirectional_lstm(tmp_path):
    _, network, _ = made(tiny_recipe(tmp_path, "model.encoder={kind: lstm, dim: 200}", "model.head={kind: softmax}"))
    rows = {layer.name: layer for layer in layers(network)}
    width = network.embedder.output_dim
    forward = rows["encoder.ahead.0"]
    assert forward.formula == f"4*({width}*200 + 200*200 + 200 + 200)"
    assert forward.parameters == 4 * (width * 200 + 200 * 200 + 200 + 200)
    assert forward.flops == 2 * 4 * (width * 200 + 200 * 200)
    assert (forward.shape_in, forward.shape_out, forward.per) == (str(width), "200", "token")
    assert [weight.name for weight in forward.weights] == ["U1", "V1", "b1"]
    assert [weight.name for weight in rows["encoder.back.0"].weights] == ["U1'", "V1'", "b1'"]
    assert [weight.name for weight in rows["head.output"].weights] == ["W", "c"]
    assert rows["embedder.characters.filters.0"].per == "character"


@pytest.mark.parametrize(
    "encoder",
    [
        "{kind: rnn-scratch, dim: 5, layers: 2}",
        "{kind: lstm-scratch, dim: 5}",
        "{kind: gru-scratch, dim: 6}",
        "{kind: window, dim: 5}",
        "{kind: cnn, filters: 4}",
    ],
)
def test_flops_are_those_that_torch_counts(tmp_path, encoder):
    """For a sentence of 7 tokens, 7 times those for a token."""
    _, network, _ = made(tiny_recipe(tmp_path, f"model.encoder={encoder}", "model.head={kind: softmax}"))
    table = [layer for layer in layers(network) if layer.name.startswith(("encoder", "head"))]
    x_BTD = torch.randn(1, 7, network.embedder.output_dim)
    with FlopCounterMode(display=False) as counter:
        network.head.output(network.encoder(x_BTD, torch.tensor([7])))
    assert counter.get_total_flops() == 7 * sum(layer.flops for layer in table)


def test_shared_weights_are_counted_once(tmp_path):
    import tiny_text

    _, network, _ = made(tiny_text.text_recipe(tmp_path, "model.head={kind: softmax, tied: true}"))
    rows = {layer.name: layer for layer in layers(network)}
    words, size = network.words.weight.shape
    assert rows["embedder.words"].formula == f"{words}*{size}"
    assert rows["head.output"].formula == str(words)
    assert rows["head.output"].weights[0].shared == "embedder.words"
    assert rows["head.output"].flops == 2 * words * size  # run nevertheless


def test_a_picture_costs_what_its_filters_see(tmp_path):
    """3 filters of 3 x 3 over a picture of 1 x 2 halved to 1 x 1, then 6 values of 3."""
    import tiny_classes

    one = "{kind: frame-cnn, height: 1, width: 2, dim: 6, filters: [3]}"
    _, network, _ = made(tiny_classes.frame_recipe(tmp_path, f"model.embedder={one}"))
    rows = {layer.name: layer for layer in layers(network)}
    assert rows["embedder.layers.0"].formula == "1*3*3*3 + 3"
    assert rows["embedder.layers.0"].flops == 2 * 27
    assert rows["embedder.dense"].flops == 2 * 3 * 6
    assert rows["head.output"].per == "sequence"


@pytest.mark.parametrize(("formula", "value"), [("7", 7), ("2*3", 6), ("4*(2*3 + 5)", 44), ("3 + 2*(1*1 + 4) + 5", 18)])
def test_formulas_are_worked_out(formula, value):
    assert evaluated(formula) == value
