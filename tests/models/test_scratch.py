"""Cells from scratch: equal to torch's own and to ours with copied weights, by hand, and a backward pass by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqcli.models.cells import PeepholeLSTM, build_layer, run_layer
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.models.scratch import ScratchGRU, ScratchLSTM, ScratchRNN, backpropagation_through_time
from seqcli.recipe.encoders import GRUScratchConfig, LSTMScratchConfig, RNNConfig, RNNScratchConfig

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**31))


def copied(theirs, ours):
    """Torch's weights in ours; of its two biases the second is added where a GRU's candidate does not need it apart."""
    with torch.no_grad():
        for weight in theirs.parameters():
            nn.init.normal_(weight, std=0.7)
        ours.U.copy_(theirs.weight_ih_l0)
        ours.V.copy_(theirs.weight_hh_l0)
        ours.b.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
        if isinstance(ours, ScratchGRU):
            size = ours.dim
            ours.b[2 * size :] = theirs.bias_ih_l0[2 * size :]
            ours.c.copy_(theirs.bias_hh_l0[2 * size :])


@settings(deadline=None, max_examples=40)
@given(SIZES, st.sampled_from([(nn.RNN, ScratchRNN), (nn.LSTM, ScratchLSTM), (nn.GRU, ScratchGRU)]), st.booleans())
def test_equal_to_torch_with_copied_weights(sizes, kinds, goes_on):
    batch, steps, width, size, seed = sizes
    torch.manual_seed(seed)
    theirs, ours = (kind(width, size).double() for kind in kinds)
    copied(theirs, ours)
    x_TBD = torch.randn(steps, batch, width, dtype=torch.float64)
    state = tuple(torch.randn(batch, size, dtype=torch.float64) for _ in range(ours.states)) if goes_on else ()
    own = tuple(one.unsqueeze(0) for one in state)
    expected, after = theirs(x_TBD, None if not own else own if len(own) == 2 else own[0])
    found, ended = ours(x_TBD, *state)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    for mine, torchs in zip(ended, after if isinstance(after, tuple) else (after,), strict=True):
        torch.testing.assert_close(mine, torchs[0], rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(SIZES)
def test_peepholes_are_those_of_our_peephole_lstm(sizes):
    batch, steps, width, size, seed = sizes
    torch.manual_seed(seed)
    theirs, ours = PeepholeLSTM(width, size).double(), ScratchLSTM(width, size, "peephole").double()
    with torch.no_grad():
        for mine, weight in (
            (ours.U, theirs.inputs.weight),
            (ours.V, theirs.recurrent.weight),
            (ours.b, theirs.inputs.bias),
            (ours.p, theirs.peephole),
        ):
            mine.copy_(nn.init.normal_(weight, std=0.7))
    x_TBD = torch.randn(steps, batch, width, dtype=torch.float64)
    torch.testing.assert_close(ours(x_TBD)[0], theirs(x_TBD)[0], rtol=0, atol=1e-6)


def sigma(value):
    return 1 / (1 + math.exp(-value))


def test_the_selective_form_by_hand():
    cell = ScratchLSTM(1, 1, "selective")
    U, V, b = [0.5, -1.0, 2.0, 1.5], [0.3, 0.7, -0.4, 0.2], [0.1, 0.2, -0.3, 0.4]
    with torch.no_grad():
        cell.U.copy_(torch.tensor(U).unsqueeze(1))
        cell.V.copy_(torch.tensor(V).unsqueeze(1))
        cell.b.copy_(torch.tensor(b))
    h = s = 0.0
    expected = []
    for x in (1.0, -2.0, 0.5):
        i, f, c, o = (sigma(u * x + v * h + a) for u, v, a in zip(U, V, b, strict=True))
        s = f * s + i * c
        h = o * sigma(s)
        expected.append(h)
    found, (hidden, memory) = cell(torch.tensor([1.0, -2.0, 0.5]).view(3, 1, 1))
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert (hidden.item(), memory.item()) == pytest.approx((h, s), abs=1e-6)
    assert 0 < s < 3  # all that is written is positive: this memory only grows, and is only forgotten


@settings(deadline=None, max_examples=40)
@given(SIZES)
def test_the_backward_pass_by_hand_is_that_of_autograd(sizes):
    batch, steps, width, size, seed = sizes
    torch.manual_seed(seed)
    cell = ScratchRNN(width, size).double()
    for weight in cell.parameters():
        nn.init.normal_(weight)
    x_TBD = torch.randn(steps, batch, width, dtype=torch.float64, requires_grad=True)
    h0_BH = torch.randn(batch, size, dtype=torch.float64, requires_grad=True)
    hidden_TBH, _ = cell(x_TBD, h0_BH)
    loss_TBH = torch.randn_like(hidden_TBH)
    loss = (loss_TBH * hidden_TBH).sum()
    expected = torch.autograd.grad(loss, [cell.U, cell.V, cell.b, x_TBD, h0_BH])
    with torch.no_grad():
        found = backpropagation_through_time(x_TBD, h0_BH, hidden_TBH, loss_TBH, cell.U, cell.V)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


CONFIGS = [
    RNNScratchConfig(dim=5),
    *(LSTMScratchConfig(dim=5, form=form, forget_bias=0.5) for form in ("selective", "standard", "peephole")),
    GRUScratchConfig(dim=5),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda one: f"{one.kind}-{getattr(one, 'form', '')}")
def test_reading_on_is_reading_at_once(config):
    torch.manual_seed(1)
    layer = build_layer(config, 3)
    x_TBD = torch.randn(6, 2, 3)
    whole, end = run_layer(layer, x_TBD, [])
    first, state = run_layer(layer, x_TBD[:2], [])
    second, after = run_layer(layer, x_TBD[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(after, end)
    if config.kind == "lstm-scratch":
        assert layer.b[5:10].tolist() == [0.5] * 5


def test_layers_of_their_own_sizes():
    torch.manual_seed(2)
    encoder = RecurrentEncoder(RNNConfig(sizes=[6, 3], bidirectional=False, bias=False), 4)
    assert {name: tuple(weight.shape) for name, weight in encoder.named_parameters()} == {
        "ahead.0.weight_ih_l0": (6, 4),
        "ahead.0.weight_hh_l0": (6, 6),
        "ahead.1.weight_ih_l0": (3, 6),
        "ahead.1.weight_hh_l0": (3, 3),
    }
    x_BTD = torch.randn(1, 5, 4)
    weights = dict(encoder.named_parameters())
    hidden = x_BTD[0]
    for layer in range(2):
        h, states = torch.zeros(weights[f"ahead.{layer}.weight_hh_l0"].size(0)), []
        for x in hidden:
            h = torch.tanh(weights[f"ahead.{layer}.weight_ih_l0"] @ x + weights[f"ahead.{layer}.weight_hh_l0"] @ h)
            states.append(h)
        hidden = torch.stack(states)
    assert encoder.output_dim == 3
    torch.testing.assert_close(encoder(x_BTD, torch.tensor([5]))[0], hidden)


def test_sizes_both_ways():
    encoder = RecurrentEncoder(GRUScratchConfig(sizes=[6, 3]), 4)
    assert [tuple(one.U.shape) for one in encoder.back] == [(18, 4), (9, 12)]
    assert encoder(torch.randn(2, 5, 4), torch.tensor([5, 2])).shape == (2, 5, 6)
