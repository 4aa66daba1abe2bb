"""Networks that read no text, looked at with an example of their data."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_images
import tiny_speech
from test_gates_by_step import opened

from seqcli.errors import UserError
from seqcli.inspect.attention import attention
from seqcli.inspect.gates import gates
from seqcli.inspect.gradient import gradient
from seqcli.pipeline.subject import sample, subject

JOINT = (
    "model={kind: encoder-decoder, embedder: {kind: convolution, dim: 8, filters: 8, kernel: 3, layers: 1, subsampling: 2}, "
    "encoder: {kind: lstm, dim: 8}, decoder: {kind: lstm, dim: 8}, head: {kind: softmax}}",
)


def looked(one, number):
    what = subject(one, number)
    layers = gates(one.network, what.source, what.target, what.positions, what.read)
    weights = attention(one.network, what.source, what.target, what.positions, what.read, what.written)
    return what, {layer.layer: layer for layer in layers}, weights


def test_a_caption_is_written_from_one_vector(tmp_path, cache):
    one = opened(tiny_images.image_recipe(tmp_path))
    what, layers, weights = looked(one, "2")
    assert what.positions == ["1"]
    assert set(layers) == {"decoder layer 1"}
    assert layers["decoder layer 1"].positions[-len(what.read) :] == what.read
    found = gradient(one.network, sample(one, None, 2)[0], None)
    assert all(part.difference <= 1e-6 for part in found.through_time)
    for layer in weights:
        np.testing.assert_allclose(layer.weights.sum(-1), 1, atol=1e-6)


def test_speech_with_a_decoder(tmp_path, cache):
    """The decoder reads the text of the data; positions are those that the convolution leaves."""
    one = opened(tiny_speech.speech_recipe(tmp_path, *JOINT))
    what, layers, weights = looked(one, "1")
    encoded = -(-len(what.positions) // 2)
    assert layers["encoder layer 1"].positions == [str(number + 1) for number in range(encoded)]
    steps = what.target.arrays["words_BT"].shape[1]
    assert len(layers["decoder layer 1"].positions) == steps
    assert weights[0].weights.shape == (1, steps, encoded)
    found = gradient(one.network, sample(one, None, 2)[0], None)
    assert all(part.difference <= 1e-6 for part in found.through_time)
    assert [layer.nearest for layer in found.layers] == [1, 1, 0]


def test_numbers_count_from_one(tmp_path, cache):
    one = opened(tiny_images.image_recipe(tmp_path))
    with pytest.raises(UserError, match="there is no number 0"):
        subject(one, "0")
    assert subject(one, None).positions == subject(one, "1").positions
