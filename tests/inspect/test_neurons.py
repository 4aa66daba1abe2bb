"""Units that follow a rule: the rules on a line of text, correlations against numpy, a unit that was made to follow one."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_text
import torch
from test_gates_by_step import opened

from seqcli.inspect.neurons import CHUNK, RULES, activations, correlations, neurons
from seqcli.inspect.steps import traced

CHARACTERS = "source.tokenizer={kind: characters}"


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("inside quotes", 'a "bc" d', [0, 0, 1, 1, 1, 1, 0, 0]),
        ("inside quotes", "“a” b", [1, 1, 1, 0, 0]),
        ("inside quotes", '"a\n\nb', [1, 1, 1, 0, 0]),
        ("inside brackets", "a(b[c])d", [0, 1, 1, 2, 2, 2, 1, 0]),
        ("inside brackets", ")(", [0, 1]),
        ("position in the line", "ab\nc\n", [0, 1, 2, 0, 1]),
        ("position in the word", "ab it's", [1, 2, 0, 1, 2, 3, 4]),
        ("a capital letter", "aB", [0, 1]),
        ("between words", "a b\n", [0, 1, 0, 1]),
    ],
)
def test_rules(rule, text, expected):
    assert RULES[rule](text) == expected


def test_correlations_are_pearsons():
    chance = np.random.default_rng(1)
    values, wanted = chance.normal(size=(50, 3)), chance.normal(size=50)
    values[:, 2] = 7
    expected = [np.corrcoef(values[:, unit], wanted)[0, 1] for unit in range(2)]
    np.testing.assert_allclose(correlations(values, wanted), [*expected, 0], atol=1e-12)


@pytest.fixture
def model(tmp_path, cache):
    return opened(tiny_text.text_recipe(tmp_path, CHARACTERS, tiny_text.ENCODERS["rnn"], train="Ab aB\nBA b a\n" * 20))


def test_a_unit_that_was_made_to_tell_capitals(model):
    """Unit 5 reads nothing but whether the letter is a capital one, and has no memory."""
    network, layer = model.network, model.network.encoder.ahead[0]
    with torch.no_grad():
        for name in ("weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(layer, name).zero_()
        network.words.weight[:, 0] = 0.0
        network.words.weight[model.task.source.ids(["A", "B"]), 0] = -2.0
        layer.weight_ih_l0[5].zero_()
        layer.weight_ih_l0[5, 0] = 1.0
    text = "Ab aB\nBA b a\nab A B\nAAb\n"
    letters = ["\n" if letter == "\n" else letter.replace(" ", "▁") for letter in text]
    found, without = neurons(network, model.task.source.ids(letters), list(text))
    capital = next(one for one in found if one.rule == "a capital letter")
    assert (capital.layer, capital.unit) == ("encoder layer 1", 5)
    assert capital.chosen == pytest.approx(-1)
    assert capital.held_out == pytest.approx(-1)
    assert without == ["inside quotes", "inside brackets"]


def test_the_state_goes_on_from_part_to_part(model):
    """A text of several parts has the activations of one run over all of it."""
    letters = list("Ab▁aB▁" * (CHUNK // 4))
    ids = model.task.source.ids(letters)
    (values,) = activations(model.network, ids).values()
    assert values.shape == (len(letters), 8)
    with torch.no_grad(), traced(model.network) as (trace,):
        model.network.read(torch.from_numpy(ids[None]), [])
    np.testing.assert_allclose(values, torch.stack(trace.memories)[:, 0].numpy(), atol=1e-6)
