"""The gradient through time: against autograd, against Jacobians multiplied by hand, and for every kind of network."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_classes
import tiny_corpus
import tiny_forecasts
import tiny_gaps
import tiny_pairs
import tiny_speech
import tiny_text
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gates_by_step import LAYERS, opened
from torch import nn

from seqcli.data.batch import IGNORE, Batch, InputSizes, Side
from seqcli.inspect.gradient import (
    by_distance,
    gradient,
    has_losses,
    losses_of,
    matrices,
    norm_of,
    precise,
    some,
    through_time,
)
from seqcli.models.language import LanguageModel
from seqcli.models.network import Memory
from seqcli.pipeline.subject import sample, subject
from seqcli.pipeline.untrained import untrained
from seqcli.recipe.models import NetworkConfig

WORDS = 7


def language_model(cell, dim, layers, seed):
    """An untrained model of a few words in float64, its recurrent weights as large as chance has it."""
    torch.manual_seed(seed)
    config = NetworkConfig.model_validate(
        {
            "kind": "network",
            "embedder": {"kind": "tokens", "dim": 3},
            "encoder": {"kind": cell, "dim": dim, "layers": layers, "bidirectional": False},
            "head": {"kind": "softmax"},
        }
    )
    network = LanguageModel(config, InputSizes(words=WORDS, padded=False)).double().eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return network


def running(ids):
    ids = np.array([ids], np.int64)
    length = np.array([ids.shape[1] - 1])
    return Batch(Side({"words_BT": ids[:, :-1]}, length), Side({"ids_BT": ids[:, 1:]}, length), np.zeros(1, np.int64))


TEXTS = st.lists(st.integers(0, WORDS - 1), min_size=3, max_size=9)


@settings(max_examples=30, deadline=None)
@given(ids=TEXTS, dim=st.integers(1, 4), seed=st.integers(0, 1000))
def test_parts_of_a_plain_rnn_are_products_of_jacobians(ids, dim, seed):
    """dL_t/ds_t, then ds_j/ds_{j-1} = diag(1 - s_j^2) U from step to step, then d+s_k/dU: all by hand."""
    network, batch = language_model("rnn", dim, 1, seed), running(ids)
    (found,) = through_time(network, batch)
    layer = network.encoder.ahead[0]
    recurrent = layer.weight_hh_l0.detach()
    x_TBD = network.embedder({"words_BT": torch.from_numpy(batch.source.arrays["words_BT"])}, None).transpose(0, 1)
    states = layer(x_TBD)[0][:, 0].detach()
    last = states[-1].clone().requires_grad_()
    loss = -network.head.log_probs(last.unsqueeze(0))[0, ids[-1]]
    (by_state,) = torch.autograd.grad(loss, last)
    before = torch.cat([torch.zeros(1, dim, dtype=torch.float64), states[:-1]])
    parts = []
    for step in reversed(range(len(states))):
        slope = 1 - states[step] ** 2
        parts.append(torch.outer(by_state * slope, before[step]))
        by_state = by_state @ (slope.unsqueeze(1) * recurrent)
    assert found.distances == list(range(len(states)))
    assert found.norms == pytest.approx([part.norm().item() for part in parts], rel=1e-4, abs=1e-6)
    total = torch.stack(parts).sum(0)
    assert found.total == pytest.approx(total.norm().item(), rel=1e-4, abs=1e-6)
    assert found.difference <= 1e-6
    if found.total > 1e-6:
        assert sum(found.shares) == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(
    ids=TEXTS,
    cell=st.sampled_from(["rnn", "lstm", "gru"]),
    dim=st.integers(1, 4),
    layers=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_parts_add_up_to_autograds_gradient(ids, cell, dim, layers, seed):
    """The sum of the listed parts, not only what the view says of it."""
    network, batch = language_model(cell, dim, layers, seed), running(ids)
    found = through_time(network, batch)
    assert [one.layer for one in found] == [f"encoder layer {number + 1}" for number in range(layers)]
    weights = [layer.weight_hh_l0 for layer in network.encoder.ahead]
    loss = losses_of(network, batch).steps[-1]
    for one, expected in zip(found, torch.autograd.grad(loss, weights), strict=True):
        assert one.difference <= 1e-6
        assert one.total == pytest.approx(expected.norm().item(), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    cell=st.sampled_from(["rnn", "lstm", "gru"]),
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(1, 5), min_size=2, max_size=3),
)
def test_norms_by_distance_are_means_over_all_pairs(cell, seed, lengths):
    """Each sequence on its own, each loss on its own, with the state as a leaf in the middle."""
    network = language_model(cell, 3, 1, seed)
    chance = np.random.default_rng(seed)
    words = chance.integers(0, WORDS, (len(lengths), max(lengths)))
    targets = chance.integers(0, WORDS, words.shape)
    targets[np.arange(max(lengths)) >= np.array(lengths)[:, None]] = IGNORE
    batch = Batch(
        Side({"words_BT": words}, np.array(lengths)),
        Side({"ids_BT": targets}, np.array(lengths)),
        np.arange(len(lengths)),
    )
    (found,), losses = by_distance(network, batch)
    assert losses == sum(lengths)
    expected = {}
    layer = network.encoder.ahead[0]
    for row, length in enumerate(lengths):
        vectors_TD = network.words(torch.from_numpy(words[row, :length])) * network.embedder.scale
        for k in range(length):
            with torch.no_grad():
                hidden, state = layer(vectors_TD[: k + 1])
            state = tuple(one.clone() for one in state) if cell == "lstm" else (state.clone(),)
            leaf = state[-1].requires_grad_()
            given_state, first_hidden = state, state[0]
            if cell == "lstm":  # h_k is o tanh(s_k), and a gradient by s_k goes through it
                out = (hidden[-1] / torch.tanh(leaf[0].detach())).detach()
                first_hidden = (out * torch.tanh(leaf[0])).unsqueeze(0)
                given_state = (first_hidden, leaf)
            later = vectors_TD[k + 1 :]
            after = (
                layer(later, given_state if cell == "lstm" else given_state[0])[0]
                if len(later)
                else later.new_zeros(0, 3)
            )
            seen_TH = torch.cat([first_hidden, after])
            for t in range(k, length):
                loss = -network.head.log_probs(seen_TH[t - k].unsqueeze(0))[0, targets[row, t]]
                (by_state,) = torch.autograd.grad(loss, leaf, retain_graph=True)
                expected.setdefault(t - k, []).append(by_state.norm().item())
    assert found.pairs.tolist() == [len(expected[distance]) for distance in range(max(lengths))]
    np.testing.assert_allclose(
        found.norms, [np.mean(expected[distance]) for distance in range(max(lengths))], rtol=1e-4, atol=1e-7
    )


def batches(one, most=2):
    return sample(one, None, most)[0]


@pytest.mark.parametrize("encoder", LAYERS)
def test_every_kind_of_layer_adds_up_both_ways(tmp_path, cache, encoder):
    one = opened(tiny_corpus.tiny_recipe(tmp_path, f"model.encoder={encoder}"))
    found = gradient(one.network, batches(one), 5.0)
    assert all(part.difference <= 1e-6 for part in found.through_time)
    assert all(part.total > 0 for part in found.through_time)
    assert [layer.layer for layer in found.layers] == [part.layer for part in found.through_time]


@pytest.mark.parametrize("model", ["lstm", "lstm-attention", "gru-fed"])
def test_an_encoder_is_as_far_away_as_its_text_is_long(tmp_path, cache, model):
    """From the state before the last token of a source to the first token of the target it is two steps."""
    one = opened(tiny_pairs.pair_recipe(tmp_path, *tiny_pairs.MODELS[model]))
    found = gradient(one.network, [subject(one, "see red cats").batch()], None)
    layers = {layer.layer: layer for layer in found.layers}
    assert layers["encoder layer 1"].nearest == 1
    assert layers["decoder layer 1"].nearest == 0
    written = len(subject(one, "see red cats").written)
    assert len(layers["encoder layer 1"].pairs) == 4 + written
    assert layers["encoder layer 1"].pairs[1] == 1
    assert all(part.difference <= 1e-6 for part in found.through_time)


@pytest.mark.parametrize(
    "name", ["rnn", "deep-lstm", "gru-apart", "shifted-rnn", "segrnn", "seq2seq", "seq2seq-attention", "seq2seq-apart"]
)
@pytest.mark.parametrize("sizes", ["plain", "features-gaps-quantiles"])
def test_forecasters(name, sizes):
    sizes = tiny_forecasts.SIZES[sizes]
    network = tiny_forecasts.forecaster(tiny_forecasts.MODELS[name], sizes)
    found = gradient(network, [tiny_forecasts.batch(sizes)], 5.0)
    assert all(part.difference <= 1e-6 for part in found.through_time)
    assert all((layer.norms[layer.pairs > 0] >= 0).all() for layer in found.layers)
    assert max(len(layer.norms) for layer in found.layers) > 2
    assert all(np.isfinite(norm) for norm in found.batches)


def test_imputers_and_frames(tmp_path, cache):
    for recipe in (tiny_gaps.short_recipe(tmp_path / "gaps"), tiny_classes.frame_recipe(tmp_path)):
        one = opened(recipe)
        found = gradient(one.network, batches(one), 5.0)
        assert all(part.difference <= 1e-6 for part in found.through_time)
        assert len(found.batches) <= 2


def test_the_end_of_a_text_is_where_a_classifier_decides(tmp_path, cache):
    """Read by its last state alone, a state's distance is the number of tokens after it, and every member counts."""
    one = opened(tiny_classes.text_recipe(tmp_path, "model.pooling={kind: last}", "model.members=2"))
    found = gradient(one.network, [subject(one, "not a charming film").batch()], None)
    for layer in found.layers:
        assert layer.pairs.tolist() == [1, 1, 1, 1]
        assert (layer.norms > 0).all()


def test_ctc_has_no_loss_at_a_step(tmp_path, cache):
    assert not has_losses(opened(tiny_speech.speech_recipe(tmp_path)).network)
    assert has_losses(opened(tiny_text.text_recipe(tmp_path)).network)


def test_the_norm_of_a_batch_is_that_which_training_clips(tmp_path, cache):
    one = opened(tiny_text.text_recipe(tmp_path))
    (batch, *_) = batches(one)
    network = precise(one.network)
    parameters = [weight for weight in network.parameters() if weight.requires_grad]
    loss, targets, _ = network.loss(batch, Memory())
    gradients = torch.autograd.grad(loss / targets, parameters)
    assert norm_of(network, batch) == pytest.approx(torch.cat([one.flatten() for one in gradients]).norm().item())


def test_singular_values_of_every_block(tmp_path, cache):
    one = opened(tiny_text.text_recipe(tmp_path, "model.encoder={kind: gru, dim: 4, bidirectional: false}"))
    weight = one.network.encoder.ahead[0].weight_hh_l0
    found = matrices(one.network)
    assert [matrix.block for matrix in found] == ["reset", "update", "candidate"]
    with torch.no_grad():
        weight[8:] = torch.tensor([[0.0, 2, 0, 0], [-2, 0, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 0]])
    candidate = matrices(one.network)[-1]
    assert candidate.singular == pytest.approx([2, 2, 0.5, 0], abs=1e-6)
    assert candidate.radius == pytest.approx(2)


def test_it_leaves_no_trace(tmp_path, cache):
    one = opened(tiny_text.text_recipe(tmp_path))
    one.network.requires_grad_(False)
    before = {name: weight.clone() for name, weight in one.network.state_dict().items()}
    gradient(one.network, batches(one), 5.0)
    assert not any(weight.requires_grad for weight in one.network.parameters())
    assert all(weight.dtype == torch.float32 for weight in one.network.parameters())
    for name, weight in one.network.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)


def test_a_sample_keeps_what_its_sequences_share(tmp_path, cache):
    one = opened(tiny_corpus.tiny_recipe(tmp_path, "training.batch={sequences: 8, per_epoch: 0}"))
    (batch, *_) = batches(one)
    few = some(batch, slice(3))
    assert len(few.source.arrays["index_BT"]) == 3
    assert few.source.arrays["words_U"].shape == batch.source.arrays["words_U"].shape


def test_untrained_networks_are_of_the_same_size(tmp_path, cache):
    """ReLU begins with the identity, tanh with an orthogonal matrix or torch's uniform one, an LSTM remembers."""
    deep = "model.encoder={kind: lstm, dim: 6, layers: 2, bidirectional: false, forget_bias: 0, peepholes: true}"
    found = dict(untrained(opened(tiny_text.text_recipe(tmp_path, deep)).task))
    layers = {name: network.encoder.ahead for name, network in found.items()}
    assert [len(one) for one in layers.values()] == [2] * 5
    uniform, orthogonal, identity, lstm, gru = (one[0] for one in layers.values())
    eye = torch.eye(6)
    torch.testing.assert_close(orthogonal.weight_hh_l0 @ orthogonal.weight_hh_l0.T, eye, atol=1e-5, rtol=0)
    torch.testing.assert_close(identity.weight_hh_l0, eye)
    assert identity.nonlinearity == "relu"
    assert uniform.weight_hh_l0.abs().max() <= 6**-0.5
    assert not torch.allclose(uniform.weight_hh_l0 @ uniform.weight_hh_l0.T, eye, atol=0.1)
    assert isinstance(lstm, nn.LSTM)
    assert (lstm.bias_ih_l0[6:12] == 1).all()
    assert isinstance(gru, nn.GRU)


def test_untrained_decoders(tmp_path, cache):
    task = opened(tiny_pairs.pair_recipe(tmp_path)).task
    found = dict(untrained(task))
    assert [type(network.decoder.layers[0]) for network in found.values()] == [nn.RNN, nn.RNN, nn.LSTM, nn.GRU]
