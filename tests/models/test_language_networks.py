"""Encoders of language models as streams, and the whole model: causal, cut anywhere, with copied weights."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqcli.data.batch import Batch, InputSizes, Side
from seqcli.models.dropout import chance
from seqcli.models.language import LanguageModel
from seqcli.models.network import Memory
from seqcli.models.transformer import TransformerEncoder, rotate
from seqcli.models.weights import check_shapes, load_weights, save_weights
from seqcli.recipe import registry
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.encoders import TransformerConfig
from seqcli.recipe.heads import AdaptiveConfig, SoftmaxConfig
from seqcli.recipe.models import NetworkConfig

ONE_WAY = {"bidirectional": False, "dim": 6}
ENCODERS = {
    "rnn": ("rnn", ONE_WAY),
    "rnn-relu": ("rnn", {**ONE_WAY, "activation": "relu"}),
    "rnn-linear": ("rnn", {**ONE_WAY, "activation": "linear", "orthogonal": True}),
    "lstm": ("lstm", ONE_WAY),
    "lstm-peepholes": ("lstm", {**ONE_WAY, "peepholes": True}),
    "lstm-deep": ("lstm", {**ONE_WAY, "layers": 3, "residual": True, "layer_norm": True}),
    "lstm-deep-peepholes": ("lstm", {**ONE_WAY, "layers": 2, "peepholes": True, "residual": True}),
    "gru": ("gru", ONE_WAY),
    "gru-deep": ("gru", {**ONE_WAY, "layers": 2, "layer_norm": True}),
    "window": ("window", {"left": 3, "right": 0, "dim": 6}),
    "window-of-one": ("window", {"left": 0, "right": 0, "dim": 6}),
    "sinusoidal": ("transformer", {"dim": 8, "heads": 2, "layers": 2, "feedforward": 16}),
    "rotary": ("transformer", {"dim": 8, "heads": 2, "layers": 2, "feedforward": 16, "positions": "rotary"}),
    "learned": (
        "transformer",
        {"dim": 8, "heads": 2, "layers": 2, "feedforward": 16, "positions": "learned", "max_positions": 64},
    ),
}
each_encoder = pytest.mark.parametrize("name", ENCODERS)
VOCABULARY = 11


def config_of(name):
    kind, options = ENCODERS[name]
    return registry.config_class("encoder", kind)(**options)


def encoder_of(name, input_dim=5, seed=1):
    torch.manual_seed(seed)
    config = config_of(name)
    encoder = registry.implementation("encoder", config.kind)(config, input_dim).eval()
    for weight in encoder.parameters():
        nn.init.normal_(weight, std=0.4)  # biases and norms too
    return encoder


def model_of(name, head=None, *, dim=5, seed=1, carries=True, **embedder):
    torch.manual_seed(seed)
    config = NetworkConfig(
        embedder=TokensConfig(dim=dim, **embedder), encoder=config_of(name), head=head or SoftmaxConfig()
    )
    sizes = InputSizes(words=VOCABULARY, word_counts=(3, 5, *range(9, 0, -1)), unknown=0, padded=False)
    return LanguageModel(config, sizes, carries=carries)


def batch_of(ids, targets, *, fresh=True):
    lengths = np.full(len(ids), ids.size(1))
    source, target = Side({"words_BT": ids.numpy()}, lengths), Side({"ids_BT": targets.numpy()}, lengths)
    return Batch(source, target, np.arange(len(ids)), fresh)


def in_pieces(encoder, x_BTD, cuts):
    states, parts = [], []
    edges = sorted({0, x_BTD.size(1), *(cut for cut in cuts if cut < x_BTD.size(1))})
    for start, end in pairwise(edges):
        hidden, states = encoder.stream(x_BTD[:, start:end], states)
        parts.append(hidden)
    return torch.cat(parts, dim=1), states


@each_encoder
@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 24), cuts=st.lists(st.integers(1, 24), max_size=6), seed=st.integers(0, 99))
def test_a_stream_in_pieces_is_the_stream_in_one_go(name, length, cuts, seed):
    encoder = encoder_of(name, seed=seed % 3)
    torch.manual_seed(seed)
    x_BTD = torch.randn(3, length, 5)
    with torch.no_grad():
        whole, after = encoder.stream(x_BTD, [])
        found, states = in_pieces(encoder, x_BTD, cuts)
    assert whole.shape == (3, length, encoder.output_dim)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)
    assert len(states) == len(after)
    for one, other in zip(states, after, strict=True):
        assert one.size(0) == 3, "states have the sequences in front"
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@each_encoder
def test_states_given_stay_as_they_were(name):
    """Several continuations start from one state."""
    encoder = encoder_of(name)
    with torch.no_grad():
        _, states = encoder.stream(torch.randn(2, 4, 5), [])
        before = [state.clone() for state in states]
        encoder.stream(torch.randn(2, 3, 5), states)
    for one, other in zip(states, before, strict=True):
        assert torch.equal(one, other)


@each_encoder
@pytest.mark.parametrize("later", range(1, 7))
def test_no_position_sees_a_later_one(name, later):
    model = model_of(name).eval()
    ids = torch.randint(0, VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(4))
    changed = ids.clone()
    changed[:, later:] = (changed[:, later:] + 3) % VOCABULARY
    with torch.no_grad():
        before, after = model.read(ids, [])[0], model.read(changed, [])[0]
    assert torch.equal(before[:, :later], after[:, :later]), "an earlier output moved"
    assert not torch.allclose(before[:, later], after[:, later]), "the position itself is read"


@pytest.mark.parametrize("name", ["rnn", "lstm", "lstm-deep", "gru", "gru-deep"])
def test_a_stream_from_nothing_is_the_encoder_over_whole_sequences(name):
    encoder = encoder_of(name)
    x_BTD = torch.randn(3, 9, 5)
    torch.testing.assert_close(encoder.stream(x_BTD, [])[0], encoder(x_BTD, torch.tensor([9, 9, 9])))


# -- truncated backpropagation


@each_encoder
def test_windows_whose_state_is_not_cut_give_the_gradients_of_one_long_unroll(name):
    model = model_of(name).double().eval()
    parameters = list(model.parameters())
    random = torch.Generator().manual_seed(6)
    ids, targets = (torch.randint(0, VOCABULARY, (2, 12), generator=random) for _ in range(2))

    def gradients(width, detach=False):
        states, loss = [], torch.zeros((), dtype=torch.float64)
        for at in range(0, 12, width):
            hidden, states = model.read(ids[:, at : at + width], states)
            loss = loss + model.head.next_loss(hidden.flatten(0, 1), targets[:, at : at + width].flatten())
            states = [state.detach() for state in states] if detach else states
        return float(loss.detach()), torch.autograd.grad(loss, parameters, allow_unused=True)

    loss, expected = gradients(12)
    other, found = gradients(4)
    assert other == pytest.approx(loss, rel=1e-5)  # positions are told in single precision
    for one, wanted in zip(found, expected, strict=True):
        if wanted is not None:
            torch.testing.assert_close(one, wanted, rtol=1e-4, atol=1e-5)
    if name != "window-of-one":
        _, cut = gradients(4, detach=True)
        for mine, theirs in zip(carried(model, ids, targets, 4), cut, strict=True):
            torch.testing.assert_close(mine, theirs)
        assert any(
            not torch.allclose(one, wanted, rtol=1e-3)
            for one, wanted in zip(cut, expected, strict=True)
            if wanted is not None
        ), "a state that is cut loses part of the gradient"


def carried(model, ids, targets, width):
    """Gradients of the loss over windows one after the other, as a training takes them."""
    memory, total = Memory(), 0.0
    for at in range(0, ids.size(1), width):
        part = slice(at, at + width)
        loss, count, memory = model.loss(batch_of(ids[:, part], targets[:, part], fresh=not at), memory)
        assert count == targets[:, part].numel()
        assert not any(state.requires_grad for state in memory.states)
        total = total + loss
    return torch.autograd.grad(total, list(model.parameters()), allow_unused=True)


def test_a_batch_that_begins_anew_forgets_what_was_before():
    model, other = model_of("lstm").eval(), model_of("lstm", carries=False).eval()
    ids, targets = torch.randint(0, VOCABULARY, (2, 4)), torch.randint(0, VOCABULARY, (2, 4))
    loss, _, memory = model.loss(batch_of(ids, targets), Memory())
    assert len(memory.states) == 2
    again = model.loss(batch_of(ids, targets), memory)
    assert torch.equal(again.sum, loss)
    assert not torch.equal(model.loss(batch_of(ids, targets, fresh=False), memory).sum, loss)
    assert other.loss(batch_of(ids, targets), Memory()).memory.states == []


def test_a_recurrence_without_input_runs_on_by_itself():
    """h_t = U^t h_0 whatever is read, also over the edges of windows; U stays orthogonal."""
    torch.manual_seed(3)
    config = registry.config_class("encoder", "rnn")(
        dim=4, bidirectional=False, activation="linear", inputs=False, orthogonal=True
    )
    encoder = registry.implementation("encoder", "rnn")(config, 5).eval()
    with torch.no_grad():
        found, _ = in_pieces(encoder, torch.randn(2, 7, 5), [3, 4])
        (layer,) = encoder.ahead
        turn, state = layer.recurrent.weight, layer.start
        torch.testing.assert_close(turn @ turn.t(), torch.eye(4))
        for position in range(7):
            state = turn @ state
            torch.testing.assert_close(found[:, position], state.expand(2, 4))


# -- the Transformer


def test_the_causal_transformer_equals_torch():
    encoder = encoder_of("sinusoidal")
    x_BTD = torch.randn(3, 10, 5)
    layers = []
    for block in encoder.blocks:
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True).eval()
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": block.queries_keys_values.weight,
                "self_attn.in_proj_bias": block.queries_keys_values.bias,
                "self_attn.out_proj.weight": block.attention_output.weight,
                "self_attn.out_proj.bias": block.attention_output.bias,
                "linear1.weight": block.feedforward[0].weight,
                "linear1.bias": block.feedforward[0].bias,
                "linear2.weight": block.feedforward[2].weight,
                "linear2.bias": block.feedforward[2].bias,
                "norm1.weight": block.attention_norm.weight,
                "norm1.bias": block.attention_norm.bias,
                "norm2.weight": block.feedforward_norm.weight,
                "norm2.bias": block.feedforward_norm.bias,
            }
        )
        layers.append(layer)
    mask = nn.Transformer.generate_square_subsequent_mask(10)
    expected = encoder._placed(encoder.project(x_BTD), 0)
    for layer in layers:
        expected = layer(expected, src_mask=mask, is_causal=True)
    torch.testing.assert_close(encoder.stream(x_BTD, [])[0], encoder.norm(expected), rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 500), distance=st.integers(0, 500), shift=st.integers(0, 2000))
def test_rotary_scores_depend_on_the_distance_only(first, distance, shift):
    torch.manual_seed(2)
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)

    def score(key_at, query_at):
        return float((rotate(query, query_at) * rotate(key, key_at)).sum())

    assert score(first + shift, first + shift + distance) == pytest.approx(score(first, first + distance), abs=2e-3)


def test_rotary_by_hand():
    """A pair of values is turned by position x 10000^(-pair / pairs)."""
    x = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 4)
    turned = rotate(x, 3).flatten().tolist()
    assert turned == pytest.approx([math.cos(3), math.sin(3), -math.sin(0.03), math.cos(0.03)])
    assert rotate(x, 0).flatten().tolist() == [1, 0, 0, 1]


def test_rotary_sees_order_without_a_vector_of_positions():
    encoder = encoder_of("rotary")
    x_BTD = torch.randn(1, 3, 5)
    swapped = x_BTD[:, [1, 0, 2]]
    assert not torch.allclose(encoder.stream(x_BTD, [])[0][:, 2], encoder.stream(swapped, [])[0][:, 2], atol=1e-4)


def test_learned_positions():
    config = TransformerConfig(dim=8, heads=2, layers=1, feedforward=8, positions="learned", max_positions=4, dropout=0)
    encoder = TransformerEncoder(config, 8)
    zeros = torch.zeros(1, 7, 8)
    placed = encoder._placed(zeros, 0)[0]
    assert torch.equal(placed[:4], encoder.learned.weight)
    assert torch.equal(placed[4:], encoder.learned.weight[3].expand(3, 8)), "past the last: the last"
    assert torch.equal(encoder._placed(zeros[:, :2], 2)[0], encoder.learned.weight[2:4])


# -- the whole model


@pytest.mark.parametrize("name", ["lstm", "rotary", "window"])
def test_tied_weights_are_one_tensor_saved_and_loaded(name, tmp_path):
    """The state (6 or 8 values) is brought to the size of a word's vector (5)."""
    model = model_of(name, SoftmaxConfig(tied=True))
    assert model.head.output.weight is model.embedder.words.weight
    assert isinstance(model.project, nn.Linear)
    plain = model_of(name)
    grown = sum(weight.numel() for weight in model.parameters())
    bare = sum(weight.numel() for weight in plain.parameters())
    state = config_of(name).dim
    assert grown == bare - VOCABULARY * state + (state * 5 + 5)

    path = tmp_path / "model.safetensors"
    save_weights(path, model.state_dict())
    other = model_of(name, SoftmaxConfig(tied=True), seed=9)
    weights = load_weights(path)
    check_shapes(other.state_dict(), weights)
    other.load_state_dict(weights)
    assert other.head.output.weight is other.embedder.words.weight
    ids = torch.randint(0, VOCABULARY, (2, 6))
    source = batch_of(ids, ids).source
    assert torch.equal(model.eval()(source)["log_probs_BTV"], other.eval()(source)["log_probs_BTV"])


def test_a_tied_model_trains_both_ends_of_its_weights():
    model = model_of("lstm", SoftmaxConfig(tied=True), dim=6)
    assert isinstance(model.project, nn.Identity)
    ids, targets = torch.tensor([[2, 3]]), torch.tensor([[3, 4]])
    (gradient,) = torch.autograd.grad(model.loss(batch_of(ids, targets), Memory()).sum, [model.words.weight])
    logits = nn.functional.linear(model.read(ids, [])[0], model.words.weight, model.head.output.bias)
    (expected,) = torch.autograd.grad(
        nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"),
        [model.embedder.words.weight],
    )
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("head", [SoftmaxConfig(), SoftmaxConfig(tied=True), AdaptiveConfig(cutoffs=[4], shrink=2.0)])
def test_the_loss_is_that_of_the_log_probabilities(head):
    model = model_of("lstm", head, dim=6).eval()
    ids, targets = torch.randint(0, VOCABULARY, (3, 5)), torch.randint(0, VOCABULARY, (3, 5))
    targets[1, 3:] = -100
    batch = batch_of(ids, targets)
    log_probs = model(batch.source)["log_probs_BTV"].flatten(0, 1)
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(15))
    counted = targets.flatten() >= 0
    expected = -log_probs[counted].gather(1, targets.flatten()[counted, None]).sum()
    loss = model.loss(batch, Memory())
    torch.testing.assert_close(loss.sum, expected)
    assert loss.targets == 13


def test_chance_comes_from_the_generator_given():
    model = model_of("lstm", dropout=0.5).train()
    ids = torch.randint(0, VOCABULARY, (2, 6))

    def run(seed):
        with chance(torch.Generator().manual_seed(seed)):
            return model.read(ids, [])[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    state = torch.get_rng_state()
    run(3)
    assert torch.equal(torch.get_rng_state(), state), "torch's own source is left alone"
