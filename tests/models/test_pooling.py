"""Pooling by hand and against torch on unpadded sequences."""

import pytest
import torch
from torch import nn

from seqcli.models.recurrent import RecurrentEncoder
from seqcli.recipe import registry
from seqcli.recipe.encoders import LSTMConfig

LENGTHS = [5, 1, 3]


def pooling(kind, dim=4, *, bidirectional=False, **options):
    torch.manual_seed(0)
    config = registry.config_class("pooling", kind)(**options)
    return registry.implementation("pooling", kind)(config, dim, bidirectional=bidirectional).eval()


def padded(sequences, value=float("nan")):
    """Sequences [T, D] as a batch whose padding holds something that would be seen."""
    batch = torch.full((len(sequences), max(map(len, sequences)) + 2, sequences[0].size(1)), value)
    for row, sequence in enumerate(sequences):
        batch[row, : len(sequence)] = sequence
    return batch, torch.tensor([len(sequence) for sequence in sequences])


@pytest.fixture
def sequences():
    torch.manual_seed(1)
    return [torch.randn(length, 4) for length in LENGTHS]


def test_by_hand():
    hidden = torch.tensor([[[1.0, 2, 3, 4], [5, -6, 7, -8], [9, 9, 9, 9]]])
    lengths = torch.tensor([2])
    assert pooling("last")(hidden, lengths).tolist() == [[5, -6, 7, -8]]
    assert pooling("last", bidirectional=True)(hidden, lengths).tolist() == [[5, -6, 3, 4]]
    assert pooling("mean")(hidden, lengths).tolist() == [[3, -2, 5, -2]]
    assert pooling("max")(hidden, lengths).tolist() == [[5, 2, 7, 4]]
    assert pooling("max")(-hidden, lengths).tolist() == [[-1, 6, -3, 8]]
    one = pooling("attention")
    assert one(hidden[:, :1], torch.tensor([1])).tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("last", lambda x_TD: x_TD[-1]), ("mean", lambda x_TD: x_TD.mean(0)), ("max", lambda x_TD: x_TD.max(0).values)],
)
def test_against_torch_on_each_sequence(sequences, kind, expected):
    found = pooling(kind)(*padded(sequences))
    torch.testing.assert_close(found, torch.stack([expected(x_TD) for x_TD in sequences]), rtol=0, atol=1e-6)


def test_attention_is_a_weighted_mean(sequences):
    module = pooling("attention")
    found = module(*padded(sequences))
    for x_TD, row in zip(sequences, found, strict=True):
        weights_T = torch.softmax(module.score(torch.tanh(module.hidden(x_TD)))[:, 0], dim=0)
        torch.testing.assert_close(row, weights_T @ x_TD, rtol=0, atol=1e-6)
    assert module.hidden.out_features == 100


def test_last_of_a_bidirectional_lstm_is_torchs_last_state(sequences):
    torch.manual_seed(2)
    encoder = RecurrentEncoder(LSTMConfig(dim=3), 4).eval()
    plain = nn.LSTM(4, 3, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for name, value in [*encoder.ahead[0].named_parameters()]:
            getattr(plain, name).copy_(value)
        for name, value in [*encoder.back[0].named_parameters()]:
            getattr(plain, f"{name}_reverse").copy_(value)
    batch, lengths = padded(sequences, 7.0)
    found = pooling("last", 6, bidirectional=True)(encoder(batch, lengths), lengths)
    for x_TD, row in zip(sequences, found, strict=True):
        last_2H = plain(x_TD.unsqueeze(0))[1][0][:, 0]
        torch.testing.assert_close(row, last_2H.flatten(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", registry.kinds("pooling"))
def test_what_stands_in_the_padding_never_reaches_the_gradient(sequences, kind):
    module = pooling(kind)
    batch, lengths = padded(sequences)
    batch.requires_grad_()
    module(batch, lengths).square().sum().backward()
    assert batch.grad is not None
    for row, length in enumerate(LENGTHS):
        assert batch.grad[row, :length].isfinite().all()
        assert (batch.grad[row, length:] == 0).all()


@pytest.mark.parametrize("kind", registry.kinds("pooling"))
def test_dropout_in_training_alone(sequences, kind):
    module = pooling(kind, dropout=0.5)
    batch, lengths = padded(sequences, 0.0)
    whole = module(batch, lengths)
    dropped = module.train()(batch, lengths)
    assert ((dropped == 0) | torch.isclose(dropped, 2 * whole)).all()
    assert (dropped == 0).any()
    assert (dropped != 0).any()
