"""An ensemble is its members: probabilities averaged, losses too, each with weights of its own."""

import numpy as np
import pytest
import torch

from seqcli.models.classifier import SequenceClassifier
from seqcli.models.embedders import InputSizes
from seqcli.models.ensemble import EnsembleClassifier
from seqcli.recipe.load import recipe_from_text

RECIPE = """
name: tiny
task: {{kind: classification}}
data: {{corpus: none}}
{text}
model:
  embedder: {embedder}
  encoder: {{kind: lstm, dim: 5}}
  pooling: {{kind: last}}
  head: {{kind: softmax}}
  members: 3
"""


def made(frames=False):
    torch.manual_seed(1)
    text = "" if frames else "source: {kind: text, tokenizer: {kind: whitespace}}"
    embedder = "{kind: frames, dim: 4, kernel: 3, stride: 2}" if frames else "{kind: tokens, dim: 6}"
    config = recipe_from_text(RECIPE.format(text=text, embedder=embedder)).recipe.model
    return EnsembleClassifier(config, InputSizes(words=9, frame_dim=2), 4).eval()


def batch(frames):
    lengths_B = torch.tensor([5, 0, 2])
    if frames:
        return {"frames_BTD": torch.randn(3, 5, 2)}, lengths_B
    index_BT = torch.tensor([[1, 2, 3, 1, 4], [0] * 5, [4, 2, 0, 0, 0]])
    return {"index_BT": index_BT, "words_U": torch.tensor([0, 5, 2, 7, 8])}, lengths_B


@pytest.mark.parametrize("frames", [False, True])
def test_probabilities_and_losses_are_the_means_of_the_members(frames):
    model = made(frames)
    inputs, lengths_B = batch(frames)
    members = [member.head.sequence_log_probs(member(inputs, lengths_B)).exp() for member in model.networks()]
    assert not torch.allclose(members[0], members[1])
    pooled_MBD = model(inputs, lengths_B)
    torch.testing.assert_close(model.head.sequence_log_probs(pooled_MBD).exp(), torch.stack(members).mean(0))
    labels_B = torch.tensor([0, 3, 1])
    loss, count = model.head.sequence_loss(pooled_MBD, labels_B, None)
    alone = [member.head.sequence_loss(member(inputs, lengths_B), labels_B, None)[0] for member in model.networks()]
    assert count == 3
    torch.testing.assert_close(loss, torch.stack(alone).mean())


@pytest.mark.parametrize("frames", [False, True])
def test_vectors_side_by_side_are_taken_apart_again(frames):
    model = made(frames)
    inputs, lengths_B = batch(frames)
    x_BTD = model.embedder(inputs, lengths_B)
    assert x_BTD.size(-1) == model.embedder.output_dim
    torch.testing.assert_close(model.pool(x_BTD, model.embedder.positions(lengths_B)), model(inputs, lengths_B))


def test_each_weight_is_kept_once_and_loads_again():
    model, other = made(), made()
    names = list(model.state_dict())
    assert len(names) == len(set(names)) == 3 * len(SequenceClassifier.state_dict(model.networks()[0]))
    assert all(name.startswith("members.") for name in names)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    other.load_state_dict(model.state_dict())
    inputs, lengths_B = batch(False)
    np.testing.assert_array_equal(model(inputs, lengths_B).detach(), other(inputs, lengths_B).detach())
