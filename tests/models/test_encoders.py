"""What holds for every encoder: padding, order and company never change a sequence. And each simple one by hand."""

import math

import pytest
import torch
from torch import nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.masks import real_positions
from seqcli.models.transformer import Block, TransformerEncoder, sinusoids
from seqcli.recipe import registry
from seqcli.recipe.encoders import BagConfig, TransformerConfig, WindowConfig

OPTIONS = {
    "rnn": [{"activation": "tanh"}, {"activation": "relu", "bidirectional": False}],
    "lstm": [{"layers": 2}, {"peepholes": True}, {"layer_norm": True, "residual": True, "layers": 2}],
    "gru": [{"layers": 2}],
    "rnn-scratch": [{"layers": 2}],
    "lstm-scratch": [{"form": form} for form in ("selective", "standard", "peephole")],
    "gru-scratch": [{"sizes": [3, 5], "bidirectional": False}],
    "transformer": [{"dim": 8, "heads": 2, "feedforward": 16}],
    "window": [{"left": 0, "right": 3}, {"left": 2, "right": 2}],
    "bag": [{}],
    "cnn": [{"widths": [1, 2, 3, 4], "filters": 3}, {"widths": [9], "filters": 3}],
}
CASES = [(kind, options) for kind in registry.kinds("encoder") for options in OPTIONS[kind]]


def build(kind, options, input_dim=4):
    torch.manual_seed(0)
    size = {} if kind == "cnn" else {"dim": 6}
    config = registry.config_class("encoder", kind)(**{**size, **options, "dropout": 0.3})
    encoder = registry.implementation("encoder", kind)(config, input_dim)
    for name, weight in encoder.named_parameters():
        if "bias" in name:
            nn.init.normal_(weight, std=0.5)  # a bias would show if it leaked from the padding
    return encoder.eval()


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_padding_order_and_company_change_nothing(kind, options):
    encoder = build(kind, options)
    torch.manual_seed(1)
    lengths = torch.tensor([7, 1, 4, 2])
    x_BTD = torch.randn(4, 7, 4)
    x_BTD[~real_positions(lengths, 7)] = 1e3  # whatever stands in the padding
    whole = encoder(x_BTD, lengths)
    assert whole.shape == (4, 7, encoder.output_dim)
    for row, size in enumerate(lengths.tolist()):
        alone = encoder(x_BTD[row : row + 1, :size], lengths[row : row + 1])
        torch.testing.assert_close(whole[row, :size], alone[0], rtol=0, atol=1e-5)
    order = torch.tensor([2, 0, 3, 1])
    wide = torch.cat([x_BTD[order], torch.full((4, 5, 4), -7.0)], dim=1)
    again = encoder(wide, lengths[order])
    for place, row in enumerate(order.tolist()):
        size = int(lengths[row])
        torch.testing.assert_close(again[place, :size], whole[row, :size], rtol=0, atol=1e-5)


def test_window_by_hand():
    encoder = build("window", {"left": 1, "right": 2})
    x_TD = torch.randn(3, 4)
    zero = torch.zeros(4)
    rows = [torch.cat(part) for part in ([zero, *x_TD], [*x_TD, zero], [*x_TD[1:], zero, zero])]
    expected = torch.relu(encoder.dense(torch.stack(rows)))
    assert encoder.dense.in_features == 16
    torch.testing.assert_close(encoder(x_TD.unsqueeze(0), torch.tensor([3]))[0], expected, rtol=0, atol=1e-6)
    assert WindowConfig().left == WindowConfig().right == 2


@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
def test_cnn_equals_torch(width):
    """An odd filter is torch's with padding 'same'; an even one looks one position further to the right."""
    encoder = build("cnn", {"widths": [width], "filters": 5})
    conv = nn.Conv1d(4, 5, width)
    with torch.no_grad():
        conv.weight.copy_(encoder.filters[0].weight.view(5, width, 4).transpose(1, 2))
        conv.bias.copy_(encoder.filters[0].bias)
    x_BTD = torch.randn(2, 6, 4)
    left = (width - 1) // 2
    padded = nn.functional.pad(x_BTD.transpose(1, 2), (left, width - 1 - left))
    expected = torch.relu(conv(padded)).transpose(1, 2)
    torch.testing.assert_close(encoder(x_BTD, torch.tensor([6, 6])), expected, rtol=0, atol=1e-5)


def test_cnn_widths_stand_side_by_side():
    encoder = build("cnn", {"widths": [3, 2], "filters": 5})
    assert encoder.output_dim == 10
    x_BTD = torch.randn(1, 4, 4)
    found = encoder(x_BTD, torch.tensor([4]))
    for place, width in enumerate((3, 2)):
        one = build("cnn", {"widths": [width], "filters": 5})
        one.filters[0].load_state_dict(encoder.filters[place].state_dict())
        torch.testing.assert_close(found[..., 5 * place : 5 * place + 5], one(x_BTD, torch.tensor([4])))


def test_bag_knows_no_order():
    encoder = build("bag", {})
    x_TD = torch.randn(5, 4)
    found = encoder(x_TD.unsqueeze(0), torch.tensor([5]))[0]
    turned = encoder(x_TD.flip(0).unsqueeze(0), torch.tensor([5]))[0]
    torch.testing.assert_close(turned.flip(0), found, rtol=0, atol=1e-6)
    expected = torch.relu(encoder.dense(torch.cat([x_TD[0], x_TD.mean(0)])))
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-6)
    assert BagConfig().kind == "bag"


def copied(block, dim=8, heads=2, feedforward=16):
    """torch's own layer with a block's weights."""
    layer = nn.TransformerEncoderLayer(
        dim, heads, feedforward, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    own = block.state_dict()
    names = {
        "self_attn.in_proj_": "queries_keys_values.",
        "self_attn.out_proj.": "attention_output.",
        "norm1.": "attention_norm.",
        "norm2.": "feedforward_norm.",
        "linear1.": "feedforward.0.",
        "linear2.": "feedforward.2.",
    }
    layer.load_state_dict(
        {theirs + part: own[mine + part] for theirs, mine in names.items() for part in ("weight", "bias")}
    )
    return layer


def test_block_equals_torch():
    torch.manual_seed(2)
    block = Block(TransformerConfig(dim=8, heads=2, feedforward=16, dropout=0.1)).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.4)
    layer = copied(block).train()  # in training torch leaves its fused path, and there is no dropout here
    x_BTD, lengths = torch.randn(3, 6, 8), torch.tensor([6, 2, 4])
    real = real_positions(lengths, 6)
    found = block(x_BTD, real[:, None, None, :])
    expected = layer(x_BTD, src_key_padding_mask=~real)
    torch.testing.assert_close(found[real], expected[real], rtol=0, atol=1e-5)


def test_transformer_encoder_is_projection_positions_blocks_norm():
    torch.manual_seed(3)
    encoder = TransformerEncoder(TransformerConfig(dim=8, heads=2, feedforward=16, layers=2, dropout=0.2), 4).eval()
    x_BTD, lengths = torch.randn(2, 5, 4), torch.tensor([5, 3])
    real = real_positions(lengths, 5)
    hidden = encoder.project(x_BTD) + sinusoids(5, 8)
    for block in encoder.blocks:
        hidden = copied(block).train()(hidden, src_key_padding_mask=~real)
    torch.testing.assert_close(encoder(x_BTD, lengths)[real], encoder.norm(hidden)[real], rtol=0, atol=1e-5)


def test_sinusoids():
    found = sinusoids(3, 4)
    assert found[0].tolist() == [0, 1, 0, 1]
    assert found[1].tolist() == pytest.approx([0.841471, 0.540302, 0.0099998, 0.99995], abs=1e-5)
    assert found[2].tolist() == pytest.approx([0.909297, -0.416147, 0.0199987, 0.9998], abs=1e-5)
    long = sinusoids(5000, 6)
    assert long[4999, 2].item() == pytest.approx(math.sin(4999 / 10000 ** (2 / 6)), abs=1e-3)
    assert sinusoids(2, 5).shape == (2, 5)
    assert torch.equal(sinusoids(40, 6), sinusoids(50, 6)[:40])


@pytest.mark.parametrize("locked", [True, False])
def test_dropout_keeps_the_mean(locked):
    torch.manual_seed(4)
    dropout = SequenceDropout(0.4, locked=locked)
    found = dropout(torch.ones(400, 5, 50))
    assert found.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert (found == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)
    assert found.mean().item() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(found[:, :1].expand_as(found), found) is locked  # the same values at every position, or not
    assert not torch.equal(found[0], found[1])
    x = torch.randn(2, 3, 4)
    assert dropout.eval()(x) is x
    assert SequenceDropout(0.0)(x) is x
