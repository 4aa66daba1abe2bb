"""An ensemble is its members: probabilities or scores averaged, losses too, each with weights of its own."""

import numpy as np
import pytest
import torch

from seqcli.data.batch import Batch, InputSizes, LabelSpace, Side
from seqcli.models.classifier import EnsembleClassifier, new_classifier
from seqcli.models.labeller import EnsembleLabeller, new_labeller
from seqcli.models.network import Memory
from seqcli.recipe.load import recipe_from_text

RECIPE = """
name: tiny
task: {{kind: classification}}
data: {{corpus: none}}
source: {source}
model:
  embedder: {embedder}
  encoder: {{kind: lstm, dim: 5}}
  pooling: {{kind: last}}
  head: {{kind: softmax}}
  members: 3
"""

TAGGER = """
name: tiny
task: {kind: tagging}
data: {corpus: none}
source: {kind: text, tokenizer: {kind: whitespace}}
model:
  embedder: {kind: tokens, dim: 6}
  encoder: {kind: lstm, dim: 5}
  head: {kind: crf}
  members: 2
"""


def made(frames=False):
    torch.manual_seed(1)
    source = "{kind: frames}" if frames else "{kind: text, tokenizer: {kind: whitespace}}"
    embedder = "{kind: frames, dim: 4, kernel: 3, stride: 2}" if frames else "{kind: tokens, dim: 6}"
    config = recipe_from_text(RECIPE.format(source=source, embedder=embedder)).recipe.model
    model = new_classifier(config, InputSizes(words=9, frame_dim=2), LabelSpace(4), None)
    assert isinstance(model, EnsembleClassifier)
    return model.eval()


def source_of(frames):
    lengths_B = np.array([5, 0, 2])
    if frames:
        return Side({"frames_BTD": np.random.default_rng(1).normal(size=(3, 5, 2)).astype(np.float32)}, lengths_B)
    index_BT = np.array([[1, 2, 3, 1, 4], [0] * 5, [4, 2, 0, 0, 0]])
    return Side({"index_BT": index_BT, "words_U": np.array([0, 5, 2, 7, 8])}, lengths_B)


@pytest.mark.parametrize("frames", [False, True])
def test_probabilities_and_losses_are_the_means_of_the_members(frames):
    model, source = made(frames), source_of(frames)
    members = [member(source)["log_probs_BK"].exp() for member in model.networks()]
    assert len(members) == 3
    assert not torch.allclose(members[0], members[1])
    torch.testing.assert_close(model(source)["log_probs_BK"].exp(), torch.stack(members).mean(0))
    batch = Batch(source, Side({"ids_B": np.array([0, 3, 1])}, np.ones(3, np.int64)), np.arange(3))
    loss = model.loss(batch, Memory())
    alone = [member.loss(batch, Memory()).sum for member in model.networks()]
    assert loss.targets == 3
    torch.testing.assert_close(loss.sum, torch.stack(alone).mean())


def test_labels_are_scored_by_the_mean_of_the_members():
    torch.manual_seed(1)
    config = recipe_from_text(TAGGER).recipe.model
    model = new_labeller(config, InputSizes(words=9), LabelSpace(4)).eval()
    assert isinstance(model, EnsembleLabeller)
    source = source_of(False)
    each = [member(source) for member in model.networks()]
    for name, value in model(source).items():
        torch.testing.assert_close(value, (each[0][name] + each[1][name]) / 2)
    assert {*each[0]} == {"logits_BTK", "transitions_KK", "start_K", "end_K"}
    lengths_B = np.array([5, 1, 2])
    batch = Batch(Side(source.arrays, lengths_B), Side({"ids_BT": np.ones((3, 5), np.int64)}, lengths_B), np.arange(3))
    alone = [member.loss(batch, Memory()) for member in model.networks()]
    loss = model.loss(batch, Memory())
    torch.testing.assert_close(loss.sum, (alone[0].sum + alone[1].sum) / 2)
    assert loss.targets == alone[0].targets == 8


def test_each_weight_is_kept_once_and_loads_again():
    model, other = made(), made()
    names = list(model.state_dict())
    assert len(names) == len(set(names)) == 3 * len(model.networks()[0].state_dict())
    assert all(name.startswith("members.") for name in names)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    other.load_state_dict(model.state_dict())
    source = source_of(False)
    assert torch.equal(model(source)["log_probs_BK"], other(source)["log_probs_BK"])
