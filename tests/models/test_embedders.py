"""Embedders: character nets against plain torch, word dropout counted, and frames where there is no text."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.decode import chain
from seqcli.models.characters import CharacterCNN, CharacterLSTM
from seqcli.models.dropout import chance
from seqcli.models.embedders import TokenEmbedder
from seqcli.models.frames import FrameEmbedder
from seqcli.models.labeller import Labeller
from seqcli.models.network import Memory
from seqcli.recipe.embedders import AffixesConfig, CharacterCNNConfig, CharacterLSTMConfig, FramesConfig, TokensConfig
from seqcli.recipe.encoders import BagConfig, GRUConfig, LSTMConfig, TransformerConfig, WindowConfig
from seqcli.recipe.heads import CRFConfig, SoftmaxConfig
from seqcli.recipe.models import NetworkConfig

WORDS = [[3], [1, 2], [4, 4, 5], [6, 1, 2, 3, 4, 5, 6]]


def character_batch(extra=0):
    """Row 0 is padding; then words of 1, 2, 3 and 7 characters."""
    rows = torch.zeros(5, 7 + extra, dtype=torch.int64)
    for row, word in enumerate(WORDS, 1):
        rows[row, : len(word)] = torch.tensor(word)
    return rows


def convolved(module, word):
    """The vector of one word by ``nn.Conv1d`` and a maximum over the word's own positions."""
    parts = []
    for width, filters in zip(module.widths, module.filters, strict=True):
        convolution = nn.Conv1d(module.embedding.embedding_dim, filters.out_features, width)
        with torch.no_grad():
            convolution.weight.copy_(filters.weight.view(-1, width, module.embedding.embedding_dim).transpose(1, 2))
            convolution.bias.copy_(filters.bias)
        padded = torch.tensor([0] * ((width - 1) // 2) + word + [0] * (width // 2))
        parts.append(convolution(module.embedding(padded).t().unsqueeze(0))[0].amax(-1))
    return torch.cat(parts)


@pytest.mark.parametrize("widths", [[3], [2], [4], [1], [2, 3, 4]])
def test_character_cnn_equals_a_convolution(widths):
    torch.manual_seed(0)
    module = CharacterCNN(CharacterCNNConfig(dim=5, filters=4, widths=widths, dropout=0.5), 7).eval()
    assert not module.embedding.weight[0].any()
    assert module.output_dim == 4 * len(widths)
    for filters in module.filters:
        nn.init.normal_(filters.bias)
    found = module(character_batch())
    assert not found[0].any()
    expected = torch.stack([convolved(module, word) for word in WORDS])
    torch.testing.assert_close(found[1:], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(module(character_batch(extra=4)), found, rtol=0, atol=1e-6)


def test_character_cnn_gradient_equals_a_convolution():
    torch.manual_seed(1)
    module = CharacterCNN(CharacterCNNConfig(dim=5, filters=4, widths=[3]), 7)
    module(character_batch()).square().sum().backward()
    found = module.embedding.weight.grad[1:].clone()
    module.zero_grad()
    weight = module.filters[0].weight.view(4, 3, 5).transpose(1, 2)
    for word in WORDS:
        padded = module.embedding.weight[torch.tensor([0, *word, 0])]
        scores = nn.functional.conv1d(padded.t().unsqueeze(0), weight, module.filters[0].bias)
        scores[0].amax(-1).square().sum().backward(retain_graph=True)
    torch.testing.assert_close(found, module.embedding.weight.grad[1:], rtol=0, atol=1e-5)


def test_character_lstm_equals_packing():
    torch.manual_seed(2)
    module = CharacterLSTM(CharacterLSTMConfig(dim=5, hidden=3, dropout=0.5), 7).eval()
    both = nn.LSTM(5, 3, batch_first=True, bidirectional=True)
    both.load_state_dict(
        {
            **module.forward_lstm.state_dict(),
            **{f"{name}_reverse": value for name, value in module.backward_lstm.state_dict().items()},
        }
    )
    characters = character_batch()[1:]
    lengths = (characters != 0).sum(1)
    packed = pack_padded_sequence(module.embedding(characters), lengths, batch_first=True, enforce_sorted=False)
    _, (last, _) = both(packed)
    expected = torch.cat([last[0], last[1]], dim=-1)
    found = module(character_batch(extra=3))
    assert not found[0].any()
    torch.testing.assert_close(found[1:], expected, rtol=0, atol=1e-6)


def token_inputs():
    """Two sequences over three different tokens, every spelling feature there."""
    return {
        "index_BT": torch.tensor([[1, 2, 3], [3, 0, 0]]),
        "words_U": torch.tensor([0, 1, 4, 2]),
        "characters_UC": character_batch()[:4],
        "affixes_UA": torch.tensor([[0, 0], [1, 2], [2, 1], [1, 1]]),
    }, torch.tensor([3, 1])


@pytest.mark.parametrize("characters", [CharacterCNNConfig(dim=5, filters=4), CharacterLSTMConfig(dim=5, hidden=3)])
def test_parts_stand_side_by_side(characters):
    torch.manual_seed(3)
    config = TokensConfig(dim=8, characters=characters, affixes=AffixesConfig(dim=3), dropout=0.5)
    embedder = TokenEmbedder(config, InputSizes(words=5, characters=7, affixes=(3, 3), word_counts=(0, 0, 5, 3, 1)))
    for parameter in embedder.parameters():
        nn.init.normal_(parameter)  # the padding rows too: what is zero then is made so
    inputs, lengths = token_inputs()
    embedder.eval()
    x_BTD = embedder(inputs, lengths)
    assert x_BTD.shape == (2, 3, embedder.output_dim) == (2, 3, 8 + embedder.characters.output_dim + 6)
    assert not x_BTD[1, 1:].any()
    assert not embedder.embed_types(inputs)[0].any()
    assert torch.equal(x_BTD[0, 2], x_BTD[1, 0])
    spelled = embedder.characters(inputs["characters_UC"])[2]
    affixes = [table.weight[row] for table, row in zip(embedder.affixes, [2, 1], strict=True)]
    torch.testing.assert_close(x_BTD[0, 1], torch.cat([embedder.words.weight[4], spelled, *affixes]))


def test_spelling_alone_is_enough():
    config = TokensConfig(dim=0, characters=CharacterCNNConfig(dim=5, filters=4))
    embedder = TokenEmbedder(config, InputSizes(words=5, characters=7, word_counts=(0,) * 5))
    assert embedder.words is None
    assert embedder(*token_inputs()).shape == (2, 3, 4)


def test_rare_words_are_forgotten_as_often_as_the_recipe_says():
    """A word seen n times is read as <UNK> with chance 0.5 / n; one never seen (pretrained) and padding never."""
    torch.manual_seed(4)
    sizes = InputSizes(words=6, word_counts=(0, 0, 1, 2, 10, 0))
    embedder = TokenEmbedder(TokensConfig(dim=1, word_dropout=0.5), sizes)
    with torch.no_grad():
        embedder.words.weight.copy_(torch.arange(6.0).unsqueeze(1))
    words = torch.arange(6).repeat(20_000)
    seen = embedder.embed_types({"words_U": words}).view(20_000, 6)
    share = (seen == 1).float().mean(0).tolist()
    assert share == pytest.approx([0.0, 1.0, 0.5, 0.25, 0.05, 0.0], abs=0.012)
    assert torch.equal(embedder.eval().embed_types({"words_U": words}).view(20_000, 6)[7], torch.arange(6.0))


FRAME_ENCODERS = [
    LSTMConfig(dim=4),
    GRUConfig(dim=4, bidirectional=False),
    BagConfig(dim=4),
    WindowConfig(dim=4),
    TransformerConfig(dim=4, heads=2, feedforward=8),
]


@pytest.mark.parametrize("encoder", FRAME_ENCODERS, ids=lambda config: config.kind)
@pytest.mark.parametrize("head", [CRFConfig(), SoftmaxConfig()], ids=lambda config: config.kind)
def test_frames_go_through_the_same_trunk(encoder, head):
    """No token and no word anywhere; a sequence of one frame is a sequence."""
    torch.manual_seed(5)
    config = NetworkConfig(embedder=FramesConfig(dim=6, dropout=0.2), encoder=encoder, head=head)
    model = Labeller(config, InputSizes(frame_dim=3), LabelSpace(3))
    frames, lengths = torch.randn(3, 5, 3).numpy(), np.array([5, 1, 3])
    labels = torch.randint(0, 3, (3, 5)).numpy()
    source = Side({"frames_BTD": frames}, lengths)
    loss = model.loss(Batch(source, Side({"ids_BT": labels}, lengths), np.arange(3)), Memory())
    loss.sum.backward()
    assert loss.targets == 9
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    model.eval()

    def chances(source):
        with torch.inference_mode():
            outputs = {name: value.numpy() for name, value in model(source).items()}
        if head.kind == "softmax":
            return np.exp(chain.log_softmax(outputs["logits_BTK"]))
        steps = (outputs[name] for name in ("transitions_KK", "start_K", "end_K"))
        return chain.posteriors(outputs["logits_BTK"], *steps, source.lengths_B)

    whole = chances(source)
    for row, size in enumerate(lengths.tolist()):
        alone = chances(Side({"frames_BTD": frames[row : row + 1, :size]}, lengths[row : row + 1]))[0]
        np.testing.assert_allclose(whole[row, :size], alone, rtol=0, atol=1e-5)
        np.testing.assert_allclose(alone.sum(-1), 1, rtol=1e-5)


def test_frame_embedder_is_a_projection_with_zero_padding():
    torch.manual_seed(6)
    embedder = FrameEmbedder(FramesConfig(dim=6), InputSizes(frame_dim=3))
    frames = torch.randn(2, 4, 3)
    found = embedder({"frames_BTD": frames}, torch.tensor([4, 1]))
    torch.testing.assert_close(found[0], embedder.projection(frames[0]))
    torch.testing.assert_close(found[1, :1], embedder.projection(frames[1, :1]))
    assert not found[1, 1:].any()


def test_token_dropout_blanks_whole_tokens_in_training_alone():
    sizes = InputSizes(words=5, word_counts=(0, 0, 3, 3, 3))
    embedder = TokenEmbedder(TokensConfig(dim=4, token_dropout=0.5), sizes)
    inputs = {"index_BT": torch.ones(1, 4000, dtype=torch.long), "words_U": torch.tensor([0, 3])}
    lengths_B = torch.tensor([4000])
    plain = embedder.eval()(inputs, lengths_B)
    x_BTD = embedder.train()(inputs, lengths_B)
    blank_T = (x_BTD[0] == 0).all(-1)
    assert 1800 < int(blank_T.sum()) < 2200
    torch.testing.assert_close(x_BTD[0, ~blank_T], 2 * plain[0, ~blank_T])


def test_words_position_by_position_are_forgotten_as_often_as_the_recipe_says():
    """A word seen n times with chance share / n; a word never seen, never."""
    sizes = InputSizes(words=5, word_counts=(0, 4, 1, 2, 0), unknown=0, padded=False)
    embedder = TokenEmbedder(TokensConfig(dim=3, word_dropout=0.5), sizes)
    ids_BT = torch.arange(5).repeat(4000, 1)
    lengths_B = torch.full((4000,), 5)
    with chance(torch.Generator().manual_seed(1)):
        read = embedder.train()({"words_BT": ids_BT}, lengths_B)
    unknown = embedder.words.weight[0]
    shares = [float((read[:, word] == unknown).all(-1).float().mean()) for word in range(5)]
    assert shares == pytest.approx([1, 0.125, 0.5, 0.25, 0], abs=0.03)
    assert torch.equal(embedder.eval()({"words_BT": ids_BT[:1]}, lengths_B[:1])[0], embedder.words.weight)


@pytest.mark.parametrize("tied", [False, True])
def test_a_table_of_tied_words_reads_values_of_size_one(tied):
    torch.manual_seed(1)
    embedder = TokenEmbedder(TokensConfig(dim=64), InputSizes(words=500, unknown=0, padded=False), tied=tied)
    read = embedder({"words_BT": torch.arange(500)[None]}, torch.tensor([500]))
    assert float(read.detach().std()) == pytest.approx(1, abs=0.02)
    assert float(embedder.words.weight.detach().std()) == pytest.approx(1 / 8 if tied else 1, rel=0.02)
