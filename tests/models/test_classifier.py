"""A sequence in a batch, alone, or among others: its vector and its gradients are its own, whatever the parts are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.network import Memory
from seqcli.recipe import registry
from seqcli.recipe.load import recipe_from_text

ENCODERS = {
    "rnn": "{kind: rnn, dim: 4, activation: relu}",
    "lstm": "{kind: lstm, dim: 4, layers: 2, residual: true}",
    "gru": "{kind: gru, dim: 4, bidirectional: false}",
    "rnn-scratch": "{kind: rnn-scratch, sizes: [4, 3]}",
    "lstm-scratch": "{kind: lstm-scratch, dim: 4, form: selective}",
    "gru-scratch": "{kind: gru-scratch, dim: 4, bidirectional: false}",
    "transformer": "{kind: transformer, dim: 8, heads: 2, feedforward: 8, layers: 2}",
    "window": "{kind: window, dim: 5, left: 1, right: 2}",
    "bag": "{kind: bag, dim: 5}",
    "cnn": "{kind: cnn, widths: [2, 3], filters: 3}",
}
CASES = [(encoder, pooling) for encoder in ENCODERS for pooling in registry.kinds("pooling")]
FRAMES = "{kind: frames, dim: 6, kernel: 3, stride: 2, activation: relu}"
PICTURES = "{kind: frame-cnn, height: 1, width: 2, dim: 6, filters: [4, 3], stride: 2}"


def test_every_network_is_here():
    assert set(ENCODERS) == set(registry.kinds("encoder"))


SIZES = InputSizes(words=9, word_counts=(0,) * 9, frame_dim=2, frame_gaps=True)


def classifier(encoder, pooling, embedder="{kind: tokens, dim: 6}", sizes=SIZES):
    text = "source: {kind: text, tokenizer: {kind: words}}" if "tokens" in embedder else "source: {kind: frames}"
    recipe = recipe_from_text(
        f"name: a\ntask: {{kind: classification}}\ndata: {{train: a}}\n{text}\nmodel:\n"
        f"  embedder: {embedder}\n  encoder: {ENCODERS[encoder]}\n"
        f"  pooling: {{kind: {pooling}}}\n  head: {{kind: softmax}}"
    ).recipe
    torch.manual_seed(0)
    model = SequenceClassifier(recipe.model, sizes, LabelSpace(3))
    for name, weight in model.named_parameters():
        if "bias" in name:
            nn.init.normal_(weight, std=0.5)  # a bias would show if it leaked from the padding
    return model.eval()


def text_batch(sequences):
    """Sequences of words 2 to 8 as the inputs of an embedder whose types are all words."""
    index = np.zeros((len(sequences), max([1, *map(len, sequences)])), np.int64)
    for row, sequence in enumerate(sequences):
        index[row, : len(sequence)] = sequence
    return Side({"index_BT": index, "words_U": np.arange(9)}, lengths_of(sequences))


def lengths_of(sequences):
    return np.array([len(sequence) for sequence in sequences])


def frame_batch(sequences):
    """The same numbers as frames of two channels, every fourth value missing; NaN in the padding."""
    frames = np.full((len(sequences), max([1, *map(len, sequences)]), 2), 50.0, np.float32)
    for row, sequence in enumerate(sequences):
        values = np.array([[value, -(value**2) / 7] for value in sequence], np.float32).reshape(-1, 2)
        values[np.array([value % 4 == 0 for value in sequence], bool), 1] = np.nan
        frames[row, : len(sequence)] = values
    return Side({"frames_BTD": frames}, lengths_of(sequences))


SEQUENCES = st.lists(st.lists(st.integers(2, 8), max_size=9), min_size=1, max_size=5)
few = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def pooled(model, batch, sequences):
    """The vectors that the head is given."""
    inputs, lengths_B = model.tensors(batch(sequences))
    with torch.inference_mode():
        return model.pool(model.embedder(inputs, lengths_B), lengths_B)


@pytest.mark.parametrize(("encoder", "pooling"), CASES)
def test_company_and_order_change_nothing(encoder, pooling):
    made = [(classifier(encoder, pooling), text_batch)]
    if pooling in ("max", "last"):
        made += ((classifier(encoder, pooling, one), frame_batch) for one in (FRAMES, PICTURES))

    @few
    @given(sequences=SEQUENCES, longer=st.integers(0, 12), random=st.randoms(use_true_random=False))
    def check(sequences, longer, random):
        for model, batch in made:
            alone = torch.cat([pooled(model, batch, [sequence]) for sequence in sequences])
            order = random.sample(range(len(sequences)), len(sequences))
            among = pooled(model, batch, [*(sequences[row] for row in order), [3] * longer])[:-1]
            torch.testing.assert_close(among, alone[order], rtol=0, atol=1e-5)
            for row, sequence in enumerate(sequences):
                assert sequence or not alone[row].any()

    check()


@pytest.mark.parametrize(("encoder", "pooling"), CASES)
@pytest.mark.parametrize("embedder", ["{kind: tokens, dim: 6}", FRAMES, PICTURES])
def test_empty_sequences_have_finite_gradients(encoder, pooling, embedder):
    model = classifier(encoder, pooling, embedder).train()
    batch = text_batch if "tokens" in embedder else frame_batch
    for sequences in ([[], [3, 4, 5], []], [[]]):
        model.zero_grad()
        labels_B = np.array([0, 1, 2][: len(sequences)])
        target = Side({"ids_B": labels_B}, np.ones(len(labels_B), np.int64))
        loss = model.loss(Batch(batch(sequences), target, labels_B), Memory())
        assert loss.targets == len(sequences)
        loss.sum.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        assert all(gradient.isfinite().all() for gradient in gradients.values())
        assert gradients["head.output.bias"].any()
    inner = [gradient for name, gradient in gradients.items() if not name.startswith("head.")]
    assert not any(gradient.any() for gradient in inner)  # of the batch of nothing but an empty one


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (4, 2), (5, 3), (2, 4)])
@pytest.mark.parametrize("masked", [False, True])
def test_frame_embedder_equals_torch(kernel, stride, masked):
    scaling = np.array([1.0, -2.0], np.float32), np.array([0.5, 4.0], np.float32)
    sizes = replace(SIZES, frame_gaps=masked, scaling=scaling)
    embedder = classifier(
        "bag", "mean", f"{{kind: frames, dim: 5, kernel: {kernel}, stride: {stride}}}", sizes
    ).embedder
    channels = 4 if masked else 2
    conv = nn.Conv1d(channels, 5, kernel, stride)
    with torch.no_grad():
        conv.weight.copy_(embedder.projection.weight.view(5, kernel, channels).transpose(1, 2))
        conv.bias.copy_(embedder.projection.bias)
    torch.manual_seed(3)
    for length in (1, 2, 3, 7, 8):
        frames = torch.randn(1, length, 2) * 3
        if masked:
            frames[0, length // 2, 0] = float("nan")
        scaled = (frames - torch.tensor([1.0, -2.0])) / torch.tensor([0.5, 4.0])
        if masked:
            scaled = torch.cat([scaled.nan_to_num(0.0), frames.isnan().float()], dim=-1)
        left = (kernel - 1) // 2
        expected = conv(nn.functional.pad(scaled.transpose(1, 2), (left, kernel - 1 - left))).transpose(1, 2)
        found = embedder({"frames_BTD": frames}, torch.tensor([length]))
        assert found.size(1) == embedder.positions(torch.tensor([length])).item() == -(-length // stride)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
