"""Attention: the weights against the layers' own products, what padding and the future get, and where a decoder looks."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_classes
import tiny_corpus
import tiny_pairs
import tiny_text
import torch
from test_gates_by_step import opened

from seqcli.engines.torch_engine import torch_engine
from seqcli.inspect.attention import _Kernel, attends, attention, weights
from seqcli.pipeline.subject import subject

TRANSFORMER = "model.encoder={kind: transformer, dim: 8, heads: 2, layers: 2, feedforward: 8}"


def looked(one, text):
    what = subject(one, text)
    return attention(one.network, what.source, what.target, what.positions, what.read, what.written)


def check(found):
    for layer in found:
        assert layer.weights.shape[1:] == (len(layer.rows), len(layer.columns))
        np.testing.assert_allclose(layer.weights.sum(-1), 1, atol=1e-6)
        assert (layer.weights >= 0).all()
        assert layer.difference <= 1e-5


def test_two_positions_by_hand():
    """q k / sqrt(E) is 1 and 0 for the first query, so its weights are e / (e + 1) and 1 / (e + 1)."""
    q = torch.tensor([[[[2.0, 0, 0, 0], [0, 2, 0, 0]]]])
    k = torch.tensor([[[[1.0, 0, 0, 0], [0, 0, 1, 0]]]])
    (first, second) = weights(q, k)[0, 0].tolist()
    e = np.e
    assert first == pytest.approx([e / (e + 1), 1 / (e + 1)])
    assert second == pytest.approx([0.5, 0.5])
    assert weights(q, k, is_causal=True)[0, 0].tolist()[0] == [1, 0]
    assert weights(q, k, attn_mask=torch.tensor([False, True]))[0, 0].tolist() == [[0, 1], [0, 1]]
    assert weights(q, k, attn_mask=torch.tensor([0.0, -torch.inf]))[0, 0].tolist() == [[1, 0], [1, 0]]


def test_a_language_model_sees_no_later_token(tmp_path, cache):
    for kind in ("sinusoidal", "rotary", "learned"):
        one = opened(tiny_text.text_recipe(tmp_path, tiny_text.ENCODERS[kind]))
        text = " ".join(tiny_text.WORDS[:3])
        found = looked(one, text)
        check(found)
        assert [layer.layer for layer in found] == ["encoder layer 1", "encoder layer 2"]
        for layer in found:
            assert layer.rows == layer.columns == ["<EOS>", *tiny_text.WORDS[:3]]
            assert layer.weights.shape[0] == 2
            assert not np.triu(layer.weights, 1).any()


def test_taggers_and_classifiers_see_all_and_no_padding(tmp_path, cache):
    for recipe in (
        tiny_corpus.tiny_recipe(tmp_path / "tags", TRANSFORMER),
        tiny_classes.text_recipe(tmp_path, TRANSFORMER),
    ):
        one = opened(recipe)
        found = looked(one, "a film it is")
        check(found)
        assert (found[0].weights > 0).all()
        sources = one.task.source
        kernel = _Kernel()
        side = sources.side([["a", "film", "it", "is"], ["a", "film", "it", "is", "so", "so", "so"]])
        with torch.no_grad(), kernel:
            one.network(side)
        for (padded_BHTS, _), layer in zip(kernel.calls, found, strict=True):
            np.testing.assert_allclose(padded_BHTS[0, :, :4, :4].numpy(), layer.weights, atol=1e-5)
            assert not padded_BHTS[0, :, :, 4:].any()


@pytest.mark.parametrize("model", ["lstm-attention", "gru-fed"])
def test_a_recurrent_decoder_looks_where_its_translation_does(tmp_path, cache, model):
    one = opened(tiny_pairs.pair_recipe(tmp_path, *tiny_pairs.MODELS[model], "task.beam=1"))
    (layer,) = looked(one, "see red cats")
    check([layer])
    assert layer.columns == ["see", "red", "cats", "<EOS>"]
    side = one.task.source.side([["see", "red", "cats"]])
    engine = torch_engine(one.task, one.network)
    (generated,) = one.task.generate(engine, side, [["see", "red", "cats"]], one.task.options, attention=True)
    best = generated.hypotheses[0]
    expected = best.attention_TS[: len(best.tokens)]
    assert layer.rows == [*best.tokens, "<EOS>"]
    np.testing.assert_allclose(layer.weights[0, : len(best.tokens)], expected, atol=1e-5)


def test_a_transformer_that_translates(tmp_path, cache):
    """Of the last block the mean of the heads is what the decoder says of itself, token by token."""
    one = opened(tiny_pairs.pair_recipe(tmp_path, *tiny_pairs.TRANSFORMER, "task.beam=1"))
    found = looked(one, "see red cats")
    check(found)
    assert [layer.layer for layer in found] == [
        "encoder layer 1",
        "decoder layer 1 to the target",
        "decoder layer 1 to the source",
    ]
    _, own, source = found
    assert not np.triu(own.weights, 1).any()
    assert own.rows == own.columns
    engine = torch_engine(one.task, one.network)
    side = one.task.source.side([["see", "red", "cats"]])
    (generated,) = one.task.generate(engine, side, [["see", "red", "cats"]], one.task.options, attention=True)
    best = generated.hypotheses[0]
    tokens = len(best.tokens)
    np.testing.assert_allclose(source.weights.mean(0)[:tokens], best.attention_TS[:tokens], atol=1e-5)


def test_a_target_of_nothing_looks_too(tmp_path, cache):
    """A decoder block that reads a single token has no fused kernel to listen to."""
    one = opened(tiny_pairs.pair_recipe(tmp_path, *tiny_pairs.TRANSFORMER))
    with torch.no_grad():
        one.network.head.output.bias[one.task.eos] = 1000
    assert subject(one, "red").written == ["<EOS>"]
    found = looked(one, "red")
    check(found)
    assert found[-1].rows == ["<EOS>"]


def test_attentive_pooling_is_a_row(tmp_path, cache):
    one = opened(tiny_classes.text_recipe(tmp_path, "model.pooling={kind: attention, dim: 4}"))
    (layer,) = looked(one, "a charming film")
    check([layer])
    assert (layer.layer, layer.rows, layer.columns) == ("pooling", ["(sequence)"], ["a", "charming", "film"])
    what = subject(one, "a charming film")
    with torch.no_grad():
        inputs, lengths_B = one.network.tensors(what.source)
        hidden_BTD = one.network.encoder(one.network.embedder(inputs, lengths_B), lengths_B)
        pooled = one.network.pooling(hidden_BTD, lengths_B)
    np.testing.assert_allclose(layer.weights[0] @ hidden_BTD[0].numpy(), pooled.numpy(), atol=1e-6)


def test_who_attends(tmp_path, cache):
    assert not attends(opened(tiny_corpus.tiny_recipe(tmp_path)).network)
    assert not attends(opened(tiny_pairs.pair_recipe(tmp_path, *tiny_pairs.MODELS["lstm"])).network)
    assert attends(opened(tiny_pairs.pair_recipe(tmp_path)).network)
