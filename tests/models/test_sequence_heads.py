"""Heads over one vector a sequence: weights are repeated examples, and torch's own losses say the same."""

import pytest
import torch
from torch import nn

from seqcli.data.batch import LabelSpace
from seqcli.models.heads import SigmoidHead, SoftmaxHead
from seqcli.recipe.heads import SigmoidConfig, SoftmaxConfig

LABELS = torch.tensor([0, 2, 1, 1, 0])


@pytest.fixture
def pooled():
    torch.manual_seed(1)
    return torch.randn(5, 4)


def softmax(smoothing=0.0):
    torch.manual_seed(0)
    return SoftmaxHead(SoftmaxConfig(label_smoothing=smoothing), 4, LabelSpace(3))


def gradients(head, loss):
    return torch.autograd.grad(loss, list(head.parameters()))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_weights_equal_repeated_examples(pooled, smoothing):
    head = softmax(smoothing)
    times = torch.tensor([3, 1, 2])
    loss, targets = head.sequence_loss(pooled, LABELS, times.float())
    again = times[LABELS]
    repeated, number = head.sequence_loss(pooled.repeat_interleave(again, 0), LABELS.repeat_interleave(again), None)
    assert targets == number == 3 + 2 + 1 + 1 + 3
    torch.testing.assert_close(loss, repeated)
    for one, other in zip(gradients(head, loss / targets), gradients(head, repeated / number), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_without_weights_it_is_torchs_cross_entropy(pooled, smoothing):
    head = softmax(smoothing)
    loss, targets = head.sequence_loss(pooled, LABELS, None)
    expected = nn.CrossEntropyLoss(label_smoothing=smoothing)(head.output(pooled), LABELS)
    assert targets == 5
    torch.testing.assert_close(loss / targets, expected)
    torch.testing.assert_close(head.log_probs(pooled), head.output(pooled).log_softmax(-1))


def test_sigmoid_equals_torch(pooled):
    torch.manual_seed(0)
    head = SigmoidHead(SigmoidConfig(), 4, LabelSpace(3))
    truth = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]])
    loss, targets = head.sequence_loss(pooled, truth, None)
    assert targets == 5
    torch.testing.assert_close(loss, nn.BCEWithLogitsLoss(reduction="sum")(head.output(pooled), truth))
    weights = torch.tensor([2.0, 0.5, 3.0])
    loss, targets = head.sequence_loss(pooled, truth, weights)
    assert targets == 5
    expected = nn.BCEWithLogitsLoss(reduction="sum", pos_weight=weights)(head.output(pooled), truth)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(head.log_probs(pooled).exp(), torch.sigmoid(head.output(pooled)))
