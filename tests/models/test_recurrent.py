"""Recurrent encoders against torch's packed ones with copied weights, and the cells that torch lacks, step by step."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqcli.models.cells import PeepholeLSTM, build_layer
from seqcli.models.masks import real_positions, reverse_sequences
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.recipe.encoders import GRUConfig, LSTMConfig, RNNConfig

CONFIGS = {
    "rnn-tanh": RNNConfig(dim=5),
    "rnn-relu": RNNConfig(dim=5, activation="relu"),
    "lstm": LSTMConfig(dim=5),
    "gru": GRUConfig(dim=5),
}
TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def padded(seed, batch=6, length=9, dim=4):
    torch.manual_seed(seed)
    lengths = torch.randint(1, length + 1, (batch,))
    lengths[0], lengths[-1] = length, 1
    return torch.randn(batch, length, dim), lengths


def packed_reference(config, encoder, layer, x_BTD, lengths):
    """One layer by torch alone: packed, both directions in one module, with the encoder's weights."""
    options = {"nonlinearity": config.activation} if config.kind == "rnn" else {}
    own = TORCH[config.kind](x_BTD.size(2), config.dim, batch_first=True, bidirectional=config.bidirectional, **options)
    weights = dict(encoder.ahead[layer].named_parameters())
    if config.bidirectional:
        weights |= {f"{name}_reverse": weight for name, weight in encoder.back[layer].named_parameters()}
    own.load_state_dict(weights)
    packed = pack_padded_sequence(x_BTD, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(own(packed)[0], batch_first=True, total_length=x_BTD.size(1))[0]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
def test_equal_to_packing(name, bidirectional):
    config = CONFIGS[name].model_copy(update={"bidirectional": bidirectional, "layers": 2, "dropout": 0.5})
    encoder = RecurrentEncoder(config, 4).eval()
    for weight in encoder.parameters():
        nn.init.normal_(weight, std=0.5)  # biases too
    x_BTD, lengths = padded(1)
    expected = x_BTD
    for layer in range(2):
        expected = packed_reference(config, encoder, layer, expected, lengths)
    found = encoder(x_BTD, lengths)
    real = real_positions(lengths, 9).unsqueeze(-1)
    assert found.shape == (6, 9, encoder.output_dim)
    torch.testing.assert_close(found * real, expected * real, rtol=0, atol=1e-5)


def test_gradients_equal_packing():
    config = LSTMConfig(dim=5)
    encoder = RecurrentEncoder(config, 4)
    x_BTD, lengths = padded(2)
    real = real_positions(lengths, 9).unsqueeze(-1)
    mine, theirs = x_BTD.clone().requires_grad_(), x_BTD.clone().requires_grad_()
    (encoder(mine, lengths) * real).square().sum().backward()
    packed_reference(config, encoder, 0, theirs, lengths).square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=0, atol=1e-5)
    assert not mine.grad[~real.squeeze(-1)].any()


@pytest.mark.parametrize("layer_norm", [True, False])
def test_residual_and_layer_norm(layer_norm):
    """Dropout, then the input added where the sizes agree, then the norm."""
    config = GRUConfig(dim=3, layers=2, residual=True, layer_norm=layer_norm)
    encoder = RecurrentEncoder(config, 4).eval()
    x_BTD, lengths = padded(3)
    first = packed_reference(config, encoder, 0, x_BTD, lengths)  # 4 -> 6 values: nothing to add
    first = encoder.norms[0](first) if layer_norm else first
    second = packed_reference(config, encoder, 1, first, lengths) + first
    second = encoder.norms[1](second) if layer_norm else second
    real = real_positions(lengths, 9).unsqueeze(-1)
    torch.testing.assert_close(encoder(x_BTD, lengths) * real, second * real, rtol=0, atol=1e-5)


def test_peepholes_step_by_step():
    """Gers et al. 2002: the input and forget gates see the old cell, the output gate sees the new one."""
    torch.manual_seed(4)
    layer, size = PeepholeLSTM(3, 2), 2
    x = torch.randn(4, 1, 3)
    w, b, u, (p_i, p_f, p_o) = layer.inputs.weight, layer.inputs.bias, layer.recurrent.weight, layer.peephole
    h = c = torch.zeros(size)
    expected = []
    for x_t in x[:, 0]:
        gate = [
            w[k * size : (k + 1) * size] @ x_t + b[k * size : (k + 1) * size] + u[k * size : (k + 1) * size] @ h
            for k in range(4)
        ]
        i, f = torch.sigmoid(gate[0] + p_i * c), torch.sigmoid(gate[1] + p_f * c)
        c = f * c + i * torch.tanh(gate[2])
        h = torch.sigmoid(gate[3] + p_o * c) * torch.tanh(c)
        expected.append(h)
    hidden, state = layer(x)
    assert torch.equal(state[0][0], hidden[-1])
    torch.testing.assert_close(hidden[:, 0], torch.stack(expected), rtol=0, atol=1e-6)


def test_peepholes_of_zero_are_an_lstm():
    torch.manual_seed(5)
    layer, lstm = PeepholeLSTM(3, 4), nn.LSTM(3, 4)
    nn.init.zeros_(layer.peephole)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(layer.inputs.weight)
        lstm.weight_hh_l0.copy_(layer.recurrent.weight)
        lstm.bias_ih_l0.copy_(layer.inputs.bias)
        lstm.bias_hh_l0.zero_()
    x = torch.randn(6, 2, 3)
    torch.testing.assert_close(layer(x)[0], lstm(x)[0], rtol=0, atol=1e-6)
    encoder = RecurrentEncoder(LSTMConfig(dim=4, peepholes=True), 3)
    assert isinstance(encoder.ahead[0], PeepholeLSTM)
    assert isinstance(encoder.back[0], PeepholeLSTM)


def test_initialisation():
    lstm = build_layer(LSTMConfig(dim=4), 3)
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0).tolist() == [0] * 4 + [1] * 4 + [0] * 8
    peephole = build_layer(LSTMConfig(dim=4, peepholes=True), 3)
    assert peephole.inputs.bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8
    identity = build_layer(RNNConfig(dim=4, activation="relu"), 3)
    assert torch.equal(identity.weight_hh_l0, torch.eye(4))
    assert not (identity.bias_ih_l0 + identity.bias_hh_l0).any()
    for layer in (lstm, build_layer(GRUConfig(dim=4), 3), build_layer(RNNConfig(dim=4), 3)):
        for gate in layer.weight_hh_l0.split(4):
            torch.testing.assert_close(gate @ gate.t(), torch.eye(4), rtol=0, atol=1e-5)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 3))
def test_reversing_turns_each_sequence_and_leaves_the_padding(lengths, extra):
    length = max(lengths) + extra
    x_BTD = torch.arange(len(lengths) * length * 2.0).view(len(lengths), length, 2)
    turned = reverse_sequences(x_BTD, torch.tensor(lengths))
    for row, size in enumerate(lengths):
        assert torch.equal(turned[row, :size], x_BTD[row, :size].flip(0))
        assert torch.equal(turned[row, size:], x_BTD[row, size:])
    assert torch.equal(reverse_sequences(turned, torch.tensor(lengths)), x_BTD)
