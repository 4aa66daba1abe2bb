"""The convolution embedder and the CTC head: against plain torch, padding that changes nothing, lengths, SpecAugment."""

import numpy as np
import pytest
import torch
from torch import nn

from seqcli.data.batch import Batch, InputSizes, Side, pad_frames
from seqcli.decode.ctc import forward_score
from seqcli.models.convolution import ConvolutionEmbedder, SpecAugment
from seqcli.models.ctc import Transcriber
from seqcli.models.dropout import chance
from seqcli.models.network import Memory
from seqcli.recipe.embedders import ConvolutionConfig, SpecAugmentConfig
from seqcli.recipe.encoders import LSTMConfig, TransformerConfig
from seqcli.recipe.heads import CTCConfig
from seqcli.recipe.models import NetworkConfig

SIZES = InputSizes(frame_dim=5, scaling=(np.arange(5, dtype=np.float32), np.full(5, 2, np.float32)))
SHAPES = [
    {"over": over, "subsampling": subsampling, "layers": 2, "kernel": kernel}
    for over in ("time", "time-and-channels")
    for subsampling in (1, 2, 4)
    for kernel in (3, 4)
]


def embedder(**options):
    torch.manual_seed(0)
    return ConvolutionEmbedder(ConvolutionConfig(dim=6, filters=4, **options), SIZES).eval()


def frames(length, seed=0):
    return np.random.default_rng(seed).normal(size=(length, 5)).astype(np.float32)


@pytest.mark.parametrize("options", SHAPES)
def test_lengths_after_subsampling_are_exact_and_padding_changes_nothing(options):
    layer = embedder(**options)
    lengths = torch.tensor([1, 2, 3, 7, 8, 9])
    sequences = [frames(length) for length in lengths]
    batch = layer({"frames_BTD": torch.from_numpy(pad_frames(sequences))}, lengths)
    positions = layer.positions(lengths)
    assert positions.tolist() == [-(-length // options["subsampling"]) for length in lengths.tolist()]
    assert batch.size(1) == positions.max()
    for row, sequence in enumerate(sequences):
        alone = layer({"frames_BTD": torch.from_numpy(sequence).unsqueeze(0)}, lengths[row : row + 1])
        assert alone.size(1) == positions[row]
        torch.testing.assert_close(batch[row, : positions[row]], alone[0], rtol=0, atol=1e-5)
        assert not batch[row, positions[row] :].any()


def test_two_strided_convolutions_over_time_by_hand():
    layer = embedder(subsampling=4, layers=2, kernel=5)
    values = torch.from_numpy(frames(13)).unsqueeze(0)
    x = ((values - torch.arange(5)) / 2).transpose(1, 2)
    for one in layer.layers:
        x = torch.relu(nn.functional.conv1d(x, one.weight, one.bias, stride=2, padding=2))
    torch.testing.assert_close(layer({"frames_BTD": values}, torch.tensor([13])), layer.projection(x.transpose(1, 2)))


def test_missing_values_are_zeros_with_a_mark():
    sizes = InputSizes(frame_dim=5, frame_gaps=True)
    layer = ConvolutionEmbedder(ConvolutionConfig(dim=6, filters=4), sizes).eval()
    values = torch.from_numpy(frames(6)).unsqueeze(0)
    values[0, 2, 3] = torch.nan
    assert torch.isfinite(layer({"frames_BTD": values}, torch.tensor([6]))).all()


def test_more_halvings_than_layers_are_refused():
    with pytest.raises(ValueError, match="takes more layers than 1"):
        ConvolutionConfig(subsampling=4, layers=1)


def augmented(config, generator=1, length=50, batch=200):
    layer = SpecAugment(SpecAugmentConfig(**config)).train()
    with chance(torch.Generator().manual_seed(generator)):
        return layer(torch.ones(batch, length, 8), torch.full((batch,), length))


def test_spans_of_time_and_bands_of_channels_are_hidden_and_the_seed_decides_which():
    found = augmented({"time_masks": 1, "time_width": 10, "time_share": 1.0, "channel_masks": 0})
    hidden = (found == 0).all(2)
    widths = hidden.sum(1)
    assert widths.min() == 0
    assert widths.max() == 10
    assert 4 < widths.float().mean() < 6
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(1)
    assert edges.max() <= 2  # one span
    assert (found[~hidden] == 1).all()
    bands = augmented({"time_masks": 0, "channel_masks": 2, "channel_width": 3}) == 0
    assert (bands == bands[:, :1]).all()
    assert 1 < bands[:, 0].sum(1).float().mean() < 4
    assert torch.equal(augmented({}), augmented({}))
    assert not torch.equal(augmented({}), augmented({}, generator=2))


def test_time_share_keeps_short_sequences_and_nothing_is_hidden_at_prediction():
    short = augmented({"time_masks": 1, "time_width": 40, "time_share": 0.1, "channel_masks": 0})
    assert (short == 0).all(2).sum(1).max() == 5
    layer = SpecAugment(SpecAugmentConfig()).eval()
    assert (layer(torch.ones(3, 9, 8), torch.tensor([9, 4, 1])) == 1).all()


LSTM = LSTMConfig(dim=7)


def transcriber(encoder=LSTM):
    torch.manual_seed(1)
    config = NetworkConfig(
        embedder=ConvolutionConfig(dim=6, filters=4, subsampling=2, layers=1), encoder=encoder, head=CTCConfig()
    )
    return Transcriber(config, SIZES, InputSizes(words=5, padded=False), blank=1).eval()


def sides(lengths, texts):
    source = Side({"frames_BTD": pad_frames([frames(one, one) for one in lengths])}, np.array(lengths))
    longest = max(map(len, texts)) + 1
    ids = np.full((len(texts), longest), -100)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)], row[len(text)] = text, 1
    return source, Side({"ids_BT": ids}, np.array([len(text) + 1 for text in texts]))


@pytest.mark.parametrize("encoder", [LSTM, TransformerConfig(dim=8, heads=2, feedforward=8, dropout=0)])
def test_the_loss_is_minus_the_forward_score_of_each_text(encoder):
    network = transcriber(encoder)
    texts = [[2, 3, 4], [3, 3], [4], []]
    source, target = sides([12, 9, 4, 6], texts)
    with torch.no_grad():
        outputs = network(source)
        loss = network.loss(Batch(source, target, np.arange(4)), Memory())
    positions = outputs["positions_B"].long()
    assert positions.tolist() == [6, 5, 2, 3]
    expected = sum(
        forward_score(outputs["log_probs_BSV"][row, : positions[row]].double().numpy(), text, 1)
        for row, text in enumerate(texts)
    )
    assert float(loss.sum) == pytest.approx(-expected, rel=1e-5)
    assert loss.targets == 6


def test_a_text_too_long_for_its_positions_teaches_nothing():
    network = transcriber()
    source, target = sides([3], [[2, 2, 2]])
    loss = network.loss(Batch(source, target, np.arange(1)), Memory())
    gradients = torch.autograd.grad(loss.sum, [*network.parameters()])
    assert float(loss.sum.detach()) == 0
    assert all(torch.isfinite(one).all() and not one.any() for one in gradients)


def test_padding_never_changes_what_is_said():
    network = transcriber()
    source, _ = sides([12, 5], [[2], [2]])
    with torch.no_grad():
        both = network(source)
        alone = network(Side({"frames_BTD": frames(5, 5)[None]}, np.array([5])))
    torch.testing.assert_close(both["log_probs_BSV"][1, :3], alone["log_probs_BSV"][0], rtol=0, atol=1e-6)
    assert not both["log_probs_BSV"][1, 3:].any()
