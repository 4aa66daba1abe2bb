"""Decoders and encoder-decoders: against torch.nn and formulas by hand, in one go = token by token = alone."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqcli.data.batch import IGNORE, Batch, InputSizes, Side
from seqcli.models.decoders import Attention, DecoderBlock, RecurrentDecoder, penalty
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.network import Memory
from seqcli.models.weights import load_weights, save_weights
from seqcli.recipe import registry
from seqcli.recipe.decoders import LSTMDecoderConfig, TransformerDecoderConfig
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.encoders import CNNConfig, GRUConfig, LSTMConfig, TransformerConfig
from seqcli.recipe.heads import SoftmaxConfig
from seqcli.recipe.models import EncoderDecoderConfig

SOURCE_DIM = 8
RECURRENT = {
    f"{kind}-{attention}{'-fed' * feeds}": (
        kind,
        {"dim": 8, "layers": layers, "attention": attention, "input_feeding": feeds},
    )
    for kind, layers in (("rnn", 1), ("lstm", 2), ("gru", 3))
    for attention in ("none", "dot", "general", "additive")
    for feeds in (False, True)
    if not (feeds and attention == "none")
}
TRANSFORMER = {"dim": 8, "heads": 2, "layers": 2, "feedforward": 12}
DECODERS = {**RECURRENT, "transformer": ("transformer", TRANSFORMER)}
each_decoder = pytest.mark.parametrize("name", DECODERS)
LENGTHS = torch.tensor([4, 1, 3])
SIZES = InputSizes(words=13, unknown=0, padded=False)
TARGET_SIZES = InputSizes(words=11, unknown=0, padded=False)


def decoder_of(name, *, bidirectional=False, **changes):
    kind, options = DECODERS[name]
    torch.manual_seed(1)
    config = registry.config_class("decoder", kind)(**options, **changes)
    decoder = registry.implementation("decoder", kind)(config, SOURCE_DIM, bidirectional=bidirectional).eval()
    for weight in decoder.parameters():
        nn.init.normal_(weight, std=0.5)  # biases and norms too
    return decoder


def encoded(seed=2, length=4):
    torch.manual_seed(seed)
    return torch.randn(3, length, SOURCE_DIM)


def targets(length, seed=3):
    torch.manual_seed(seed)
    return torch.randn(3, length, 8)


def decoded(decoder, x_BTD, encoded_BSD, lengths_B=LENGTHS, cuts=()):
    """Vectors of all positions, read in pieces that end at ``cuts``; and where each piece looked."""
    source, states = decoder.start(encoded_BSD, lengths_B)
    parts, looks = [], []
    for start, end in pairwise([0, *cuts, x_BTD.size(1)]):
        hidden_BTD, states, weights = decoder.stream(x_BTD[:, start:end], source, states)
        parts.append(hidden_BTD)
        looks.append(weights)
    return torch.cat(parts, 1), looks


# -- what holds of every decoder


@each_decoder
@torch.no_grad()
@settings(max_examples=8, deadline=None)
@given(length=st.integers(1, 9), cuts=st.sets(st.integers(1, 8)))
def test_in_pieces_is_in_one_go(name, length, cuts):
    decoder, x_BTD = decoder_of(name), targets(length)
    whole, _ = decoded(decoder, x_BTD, encoded())
    assert whole.shape == (3, length, decoder.output_dim)
    found, _ = decoded(decoder, x_BTD, encoded(), cuts=sorted(cut for cut in cuts if cut < length))
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


@each_decoder
@torch.no_grad()
def test_a_sequence_alone_is_the_same_and_padding_is_not_read(name):
    decoder, x_BTD, encoded_BSD = decoder_of(name), targets(5), encoded()
    whole, _ = decoded(decoder, x_BTD, encoded_BSD)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = decoded(decoder, x_BTD[row : row + 1], encoded_BSD[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], whole[row], rtol=1e-4, atol=1e-5)


@each_decoder
@torch.no_grad()
def test_no_position_sees_a_later_one(name):
    decoder, x_BTD = decoder_of(name), targets(6)
    before, _ = decoded(decoder, x_BTD, encoded())
    x_BTD[:, 4] = targets(1, seed=8)[:, 0]
    after, _ = decoded(decoder, x_BTD, encoded())
    torch.testing.assert_close(after[:, :4], before[:, :4])
    for position in (4, 5):
        assert (after[:, position] - before[:, position]).abs().max() > 1e-3


@each_decoder
@torch.no_grad()
def test_what_is_read_depends_on_the_source(name):
    decoder, x_BTD = decoder_of(name), targets(3)
    before, _ = decoded(decoder, x_BTD, encoded())
    after, _ = decoded(decoder, x_BTD, encoded(seed=9))
    assert (after - before).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize("name", [name for name in DECODERS if "none" not in name])
@torch.no_grad()
def test_attention_sums_to_one_and_ignores_padding(name):
    _, looks = decoded(decoder_of(name), targets(4), encoded(), cuts=(1, 2, 3))
    for weights_B1S in looks:
        assert weights_B1S.shape == (3, 1, 4)
        torch.testing.assert_close(weights_B1S.sum(-1), torch.ones(3, 1))
        for row, length in enumerate(LENGTHS.tolist()):
            assert not weights_B1S[row, :, length:].any()
            assert weights_B1S[row, :, :length].all()


@pytest.mark.parametrize("name", [name for name in DECODERS if "none" in name])
@torch.no_grad()
def test_without_attention_there_is_nothing_to_look_at(name):
    """The source is what the encoder's last state says: forwards at the last position, backwards at the first."""
    x_BTD, encoded_BSD = targets(4), encoded()
    before, looks = decoded(decoder_of(name, bidirectional=True), x_BTD, encoded_BSD)
    assert looks == [None]
    encoded_BSD[0, 1:3] += 1  # of four positions those in the middle
    encoded_BSD[2, 3] += 1  # padding
    encoded_BSD[0, 0, :4] += 1  # the first position forwards, the last one backwards
    encoded_BSD[0, 3, 4:] += 1
    after, _ = decoded(decoder_of(name, bidirectional=True), x_BTD, encoded_BSD)
    torch.testing.assert_close(after, before)
    encoded_BSD[2, 2, 0] += 1
    after, _ = decoded(decoder_of(name, bidirectional=True), x_BTD, encoded_BSD)
    torch.testing.assert_close(after[:2], before[:2])
    assert (after[2] - before[2]).abs().max() > 1e-3


# -- recurrent decoders, by hand


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
@torch.no_grad()
def test_attention_is_its_formula(kind):
    torch.manual_seed(4)
    dim = 3
    source_dim = dim if kind == "dot" else 5
    attention = Attention(kind, dim, source_dim)
    state_BTD, encoded_BSD = torch.randn(2, 2, dim), torch.randn(2, 4, source_dim)
    lengths = [4, 2]
    penalty_BS = penalty(torch.tensor(lengths), 4, encoded_BSD)
    found = attention(state_BTD, attention.keys(encoded_BSD), penalty_BS.unsqueeze(1))
    for b, length in enumerate(lengths):
        for t in range(2):
            scores = []
            for s in range(length):
                state, one = state_BTD[b, t], encoded_BSD[b, s]
                if kind == "dot":
                    scores.append(float(state @ one))
                elif kind == "general":
                    scores.append(float(state @ attention.keys.weight @ one))
                else:
                    joint = torch.tanh(attention.queries.weight @ state + attention.keys.weight @ one)
                    scores.append(float(attention.weights.weight[0] @ joint))
            total = sum(map(math.exp, scores))
            expected = [math.exp(score) / total for score in scores] + [0.0] * (4 - length)
            torch.testing.assert_close(found[b, t], torch.tensor(expected))


@pytest.mark.parametrize("feeds", [False, True])
@torch.no_grad()
def test_a_recurrent_decoder_is_its_equations(feeds):
    """Luong et al. 2015, eq. 5 and section 3.3, written out for one layer with cells of torch."""
    torch.manual_seed(5)
    dim = 4
    config = LSTMDecoderConfig(dim=dim, attention="general", input_feeding=feeds)
    decoder = RecurrentDecoder(config, SOURCE_DIM, bidirectional=False).eval()
    cell = nn.LSTMCell(dim * (2 if feeds else 1), dim)
    for name, weight in cell.named_parameters():
        weight.copy_(decoder.layers[0].get_parameter(f"{name}_l0"))
    encoded_BSD, x_BTD = encoded(), torch.randn(3, 5, dim)
    found, _ = decoded(decoder, x_BTD, encoded_BSD)
    for b, length in enumerate(LENGTHS.tolist()):
        source_SD = encoded_BSD[b, :length]
        hidden, memory = torch.tanh(decoder.begin(source_SD[-1])).chunk(2)
        fed = torch.zeros(dim)
        for t in range(5):
            read = torch.cat([x_BTD[b, t], fed]) if feeds else x_BTD[b, t]
            hidden, memory = (one[0] for one in cell(read[None], (hidden[None], memory[None])))
            weights_S = (source_SD @ decoder.attention.keys.weight.T @ hidden).softmax(0)
            fed = torch.tanh(decoder.combine.weight @ torch.cat([weights_S @ source_SD, hidden]))
            torch.testing.assert_close(found[b, t], fed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@torch.no_grad()
def test_layers_without_attention_are_those_of_torch(kind):
    decoder, x_BTD = decoder_of(f"{kind}-none"), targets(5)
    layers = len(decoder.layers)
    whole = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](8, 8, layers, batch_first=True)
    for number, layer in enumerate(decoder.layers):
        for name, weight in layer.named_parameters():
            whole.get_parameter(name.replace("l0", f"l{number}")).copy_(weight)
    begin_BD = torch.tanh(decoder.begin(encoded()[torch.arange(3), LENGTHS - 1]))
    states = begin_BD.view(3, layers, -1, 8).permute(2, 1, 0, 3).contiguous()
    expected, _ = whole(x_BTD, tuple(states) if kind == "lstm" else states[0])
    found, _ = decoded(decoder, x_BTD, encoded())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


# -- the transformer's block


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@torch.no_grad()
def test_a_block_is_that_of_torch(activation):
    torch.manual_seed(6)
    dim, heads, hidden = 8, 2, 12
    theirs = nn.TransformerDecoderLayer(
        dim, heads, hidden, activation=activation, norm_first=True, batch_first=True, dropout=0.0
    ).eval()
    config = TransformerDecoderConfig(dim=dim, heads=heads, feedforward=hidden, activation=activation, dropout=0.0)
    ours = DecoderBlock(config, dim).eval()
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=0.5)
    own, cross = theirs.self_attn, theirs.multihead_attn
    for mine, other in (
        (ours.attention_norm, theirs.norm1),
        (ours.source_norm, theirs.norm2),
        (ours.feedforward_norm, theirs.norm3),
        (ours.feedforward[0], theirs.linear1),
        (ours.feedforward[2], theirs.linear2),
        (ours.attention_output, own.out_proj),
        (ours.source_output, cross.out_proj),
    ):
        mine.load_state_dict(other.state_dict())
    ours.queries_keys_values.load_state_dict({"weight": own.in_proj_weight, "bias": own.in_proj_bias})
    ours.source_queries.load_state_dict({"weight": cross.in_proj_weight[:dim], "bias": cross.in_proj_bias[:dim]})
    ours.source_keys_values.load_state_dict({"weight": cross.in_proj_weight[dim:], "bias": cross.in_proj_bias[dim:]})
    x_BTD, encoded_BSD = targets(5), encoded()
    padding_BS = torch.arange(4) >= LENGTHS[:, None]
    mask_TT = nn.Transformer.generate_square_subsequent_mask(5)
    expected = theirs(x_BTD, encoded_BSD, tgt_mask=mask_TT, memory_key_padding_mask=padding_BS, tgt_is_causal=True)
    source, penalty_BS = ours.keys_values(encoded_BSD), penalty(LENGTHS, 4, encoded_BSD)
    found, _, weights = ours(x_BTD, source, penalty_BS, [])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert weights is None
    states, parts = [], []
    for x_BD in x_BTD.unbind(1):
        part, states, weights_B1S = ours(x_BD.unsqueeze(1), source, penalty_BS, states)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), expected, rtol=1e-4, atol=1e-5)
    middle_BTD = x_BTD + own(*[theirs.norm1(x_BTD)] * 3, attn_mask=mask_TT, need_weights=False)[0]
    _, looks_BTS = cross(theirs.norm2(middle_BTD), encoded_BSD, encoded_BSD, key_padding_mask=padding_BS)
    torch.testing.assert_close(weights_B1S, looks_BTS[:, -1:], rtol=1e-4, atol=1e-5)


# -- whole networks

ENCODERS = {
    "lstm": LSTMConfig(dim=4),
    "gru": GRUConfig(dim=8, bidirectional=False),
    "cnn": CNNConfig(widths=[1, 2], filters=4),
    "transformer": TransformerConfig(dim=8, heads=2, feedforward=8, layers=1, activation="relu"),
}


def network_of(decoder="lstm-general", encoder="lstm", *, tied="target-output", smoothing=0.0, shared=False):
    torch.manual_seed(7)
    kind, options = DECODERS[decoder]
    config = EncoderDecoderConfig(
        embedder=TokensConfig(dim=8),
        encoder=ENCODERS[encoder],
        decoder=registry.config_class("decoder", kind)(**options),
        head=SoftmaxConfig(label_smoothing=smoothing),
        tied=tied,
    )
    return EncoderDecoder(config, SIZES, SIZES if shared else TARGET_SIZES, shared=shared).eval()


def batch_of(sources, targets, eos=1):
    """Both sides of ids, padded with the end as the fields pad them."""

    def side(rows, before, fill):
        width = max(map(len, rows)) + 1
        whole = np.array([[*row, eos, *[fill] * (width - len(row) - 1)] for row in rows])
        return np.column_stack([np.full(len(rows), eos), whole[:, :-1]]) if before else whole

    lengths = [np.array([len(row) + 1 for row in rows]) for rows in (sources, targets)]
    read = np.maximum(side(targets, True, 0), 0)
    return Batch(
        Side({"words_BT": side(sources, False, 0)}, lengths[0]),
        Side({"words_BT": read, "ids_BT": side(targets, False, IGNORE)}, lengths[1]),
        np.arange(len(sources)),
    )


BATCH = batch_of([[4, 5, 6, 7], [3], [9, 12]], [[2, 3], [4, 5, 10, 6], [7]])


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", ["rnn-none", "lstm-additive-fed", "gru-dot", "transformer"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_that_of_each_token_read_singly(encoder, decoder, smoothing):
    network = network_of(decoder, encoder, smoothing=smoothing)
    with torch.no_grad():
        loss = network.loss(BATCH, Memory())
        total = 0.0
        for row, length in enumerate(BATCH.target.lengths_B.tolist()):
            long = int(BATCH.source.lengths_B[row])
            one = Side({"words_BT": BATCH.source.arrays["words_BT"][row : row + 1, :long]}, np.array([long]))
            kept, states = network.encode(one)
            for position in range(length):
                words = torch.from_numpy(BATCH.target.arrays["words_BT"][row : row + 1, position : position + 1])
                hidden, states, _ = network.read(words, kept, states)
                log_probs_V = network.head.log_probs(hidden[:, 0])[0]
                wanted = int(BATCH.target.arrays["ids_BT"][row, position])
                total -= float((1 - smoothing) * log_probs_V[wanted] + smoothing * log_probs_V.mean())
    assert loss.targets == 3 + 5 + 2
    assert float(loss.sum) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("tied", ["none", "target-output", "source-target", "all"])
def test_tied_tables_are_one(tied, tmp_path):
    shared = tied in ("source-target", "all")
    network = network_of("transformer", tied=tied, shared=shared)
    source, target, output = network.embedder.words.weight, network.words.weight, network.head.output.weight
    assert (source is target) == shared
    assert (target is output) == (tied in ("target-output", "all"))
    assert len({id(one) for one in (source, target, output)}) == {"none": 3, "all": 1}.get(tied, 2)
    assert output.shape == (SIZES.words if shared else TARGET_SIZES.words, 8)
    with torch.no_grad():
        before = network.loss(BATCH, Memory()).sum
    save_weights(tmp_path / "model.safetensors", network.state_dict())
    again = network_of("transformer", tied=tied, shared=shared)
    with torch.no_grad():
        for weight in again.parameters():
            weight.zero_()
    again.load_state_dict(load_weights(tmp_path / "model.safetensors"))
    with torch.no_grad():
        assert torch.equal(again.loss(BATCH, Memory()).sum, before)


@pytest.mark.parametrize("shared", [False, True])
def test_tables_name_whose_rows_they_have(shared):
    network = network_of("transformer", shared=shared)
    sizes = network.state_dict()
    tables = {path: counted.tables for path, counted in network.tables().items() if path in sizes}
    target = ("words",) if shared else ("target words",)
    assert tables == {
        "embedder.words.weight": ("words",),
        "target_embedder.words.weight": target,
        "head.output.weight": target,
        "head.output.bias": target,
    }
    for path, (table,) in tables.items():
        assert len(sizes[path]) == (SIZES if table == "words" else TARGET_SIZES).words
