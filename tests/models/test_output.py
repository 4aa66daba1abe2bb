"""The last layer with its loss, against torch's cross-entropy."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqcli.models import output
from seqcli.models.heads import LabelSpace
from seqcli.models.language import AdaptiveHead
from seqcli.models.output import IGNORE, linear_cross_entropy
from seqcli.recipe.heads import AdaptiveConfig


@pytest.fixture(autouse=True, scope="module")
def _by_parts():
    """Small vocabularies go by parts too, as large ones do."""
    many, output._MANY = output._MANY, 0
    yield
    output._MANY = many


def tensors(positions, rows, dim, *, bias=True, ignored=0, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    hidden = torch.randn(positions, dim, dtype=dtype, requires_grad=True)
    weight = torch.randn(rows, dim, dtype=dtype, requires_grad=True)
    offset = torch.randn(rows, dtype=dtype, requires_grad=True) if bias else None
    targets = torch.randint(0, rows, (positions,))
    targets[torch.randperm(positions)[:ignored]] = IGNORE
    return hidden, weight, offset, targets


def assert_equals_torch(hidden, weight, offset, targets, smoothing=0.0, **tolerance):
    wanted = [one for one in (hidden, weight, offset) if one is not None]
    plain = nn.functional.cross_entropy(
        nn.functional.linear(hidden, weight, offset),
        targets,
        reduction="sum",
        ignore_index=IGNORE,
        label_smoothing=smoothing,
    )
    loss = linear_cross_entropy(hidden, weight, offset, targets, smoothing)
    torch.testing.assert_close(loss, plain, **tolerance)
    scale = 0.37
    found, expected = (torch.autograd.grad(one * scale, wanted) for one in (loss, plain))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerance)
    with torch.no_grad():
        measured = linear_cross_entropy(hidden, weight, offset, targets, smoothing)
    torch.testing.assert_close(measured, plain.detach(), rtol=1e-5, atol=1e-5, check_dtype=False)


@settings(max_examples=40, deadline=None)
@given(
    positions=st.integers(1, 70),
    rows=st.integers(1, 40),
    dim=st.integers(1, 5),
    bias=st.booleans(),
    ignored=st.integers(0, 70),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    seed=st.integers(0, 99),
)
def test_equals_torch(positions, rows, dim, bias, ignored, smoothing, seed):
    values = tensors(positions, rows, dim, bias=bias, ignored=min(ignored, positions), seed=seed)
    assert_equals_torch(*values, smoothing)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("smoothing", [0.1, 0.6])
def test_label_smoothing_is_its_formula(bias, smoothing):
    """The target has 1 - e of the probability, and all rows, its own too, share e (Szegedy et al. 2016, section 7)."""
    hidden, weight, offset, targets = tensors(23, 7, 4, bias=bias, ignored=5)
    log_probs = (hidden @ weight.T + (0 if offset is None else offset)).log_softmax(1)
    direct = torch.zeros((), dtype=torch.float64)
    for row, target in zip(log_probs, targets.tolist(), strict=True):
        if target != IGNORE:
            for number, log_prob in enumerate(row):
                direct = direct - ((1 - smoothing) * (number == target) + smoothing / 7) * log_prob
    loss = linear_cross_entropy(hidden, weight, offset, targets, smoothing)
    torch.testing.assert_close(loss, direct)
    wanted = [one for one in (hidden, weight, offset) if one is not None]
    for one, other in zip(torch.autograd.grad(loss, wanted), torch.autograd.grad(direct, wanted), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(
        lambda *some: linear_cross_entropy(some[0], some[1], some[2] if bias else None, targets, smoothing), wanted
    )


@pytest.mark.parametrize("positions", [15, 16, 17, 32, 33])
@pytest.mark.parametrize("values", [1, 16 * 9, 20 * 9 + 5])
def test_the_edges_of_the_parts(positions, values, monkeypatch):
    """Parts are of 16 positions at least, also where one row of logits is larger than a part."""
    monkeypatch.setattr(output, "_VALUES", values)
    assert_equals_torch(*tensors(positions, 9, 3, ignored=positions // 3))


def test_more_rows_than_a_part_holds():
    assert_equals_torch(*tensors(20, 70_000, 2, ignored=3, dtype=torch.float32), rtol=2e-4, atol=2e-5)
    assert_equals_torch(*tensors(20, 70_000, 2, ignored=3), 0.1)


def test_nothing_counts():
    hidden, weight, offset, targets = tensors(6, 4, 3, ignored=6)
    loss = linear_cross_entropy(hidden, weight, offset, targets)
    assert float(loss.detach()) == 0
    for gradient in torch.autograd.grad(loss, (hidden, weight, offset)):
        assert not gradient.any()


def test_huge_logits_are_no_infinity():
    hidden = torch.tensor([[1e4]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.5]], requires_grad=True)
    assert float(linear_cross_entropy(hidden, weight, None, torch.tensor([1])).detach()) == pytest.approx(2e4)


def test_logits_that_are_no_numbers_are_seen():
    """A NaN must not be hidden: the training stops on it."""
    hidden, weight, offset, targets = tensors(5, 4, 3)
    with torch.no_grad():
        hidden[2, 1] = float("nan")
    assert torch.isnan(linear_cross_entropy(hidden, weight, offset, targets))


@pytest.mark.parametrize("rows", [30, 1500])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_under_bf16_loss_and_gradients_are_the_same_within_its_digits(rows, smoothing):
    hidden, weight, offset, targets = tensors(40, rows, 8, ignored=5, dtype=torch.float32)
    expected = linear_cross_entropy(hidden, weight, offset, targets, smoothing)
    gradients = torch.autograd.grad(expected, (hidden, weight, offset))
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, offset, targets, smoothing)
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=0.02)
    for found, whole in zip(torch.autograd.grad(loss, (hidden, weight, offset)), gradients, strict=True):
        torch.testing.assert_close(found, whole, atol=0.02 * float(whole.abs().max()), rtol=0.05)


@pytest.mark.parametrize(
    ("rows", "cutoffs"), [(60, [10, 30]), (60, [2000]), (60, [10, 2000]), (3, [1]), (2, [1]), (2, [2000])]
)
def test_adaptive_probabilities_sum_to_one_and_are_its_loss(rows, cutoffs):
    torch.manual_seed(3)
    head = AdaptiveHead(AdaptiveConfig(cutoffs=cutoffs, shrink=2.0), 8, LabelSpace(rows)).eval()
    hidden = torch.randn(50, 8)
    targets = torch.randint(0, rows, (50,))
    targets[::7] = IGNORE
    log_probs = head.log_probs(hidden)
    assert log_probs.shape == (50, rows)
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(50))
    counted = targets != IGNORE
    expected = -log_probs[counted].gather(1, targets[counted, None]).sum()
    torch.testing.assert_close(head.next_loss(hidden, targets), expected)


def test_adaptive_with_nothing_that_counts():
    head = AdaptiveHead(AdaptiveConfig(cutoffs=[3]), 8, LabelSpace(9))
    assert float(head.next_loss(torch.randn(4, 8), torch.full((4,), IGNORE)).detach()) == 0
