"""The CRF against all paths listed, against autograd through log-sum-exps, and at the ends of what floats hold."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from chain_reference import brute_force, random_chain, reference_log_z, scored_paths
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.batch import LabelSpace
from seqcli.decode import chain
from seqcli.metrics.schemes import legal_step
from seqcli.models.crf import log_partition, path_score
from seqcli.models.heads import CRFHead, SoftmaxHead
from seqcli.recipe.heads import CRFConfig, SoftmaxConfig

chains = given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 6),
    labels=st.integers(2, 5),
    forbidden=st.sampled_from([0.0, 0.4]),
)
few = settings(max_examples=12, deadline=None, derandomize=True)


def posteriors_of(emissions_BTK, *others):
    """The gradient of log Z."""
    leaf = emissions_BTK.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(log_partition(leaf, *others).sum(), leaf)
    return gradient


@few
@chains
def test_log_z_and_posteriors_are_sums_over_all_paths(seed, length, labels, forbidden):
    if labels**length > 1100:
        length = 4
    *scores, lengths = random_chain(seed, batch=2, length=length, labels=labels, forbidden=forbidden)
    log_z, posteriors = log_partition(*scores, lengths), posteriors_of(*scores, lengths)
    for row, size in enumerate(lengths.tolist()):
        expected, expected_posteriors, _, _ = brute_force(scores[0][row, :size], *scores[1:])
        assert log_z[row] == pytest.approx(float(expected), abs=1e-9)
        torch.testing.assert_close(posteriors[row, :size], expected_posteriors, rtol=0, atol=1e-9)
        assert not posteriors[row, size:].any()


@few
@chains
def test_gradients_equal_autograd_through_log_sum_exps(seed, length, labels, forbidden):
    *scores, lengths = random_chain(seed, length=length, labels=labels, forbidden=forbidden)
    weight = torch.linspace(0.5, -2.0, len(lengths), dtype=torch.float64)  # each sequence's gradient counts on its own
    found, expected = [], []
    for function, gradients in ((log_partition, found), (reference_log_z, expected)):
        leaves = [score.clone().requires_grad_() for score in scores]
        (function(*leaves, lengths) * weight).sum().backward()
        gradients += [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    for gradient, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-9)


def test_gradients_equal_finite_differences():
    *scores, lengths = random_chain(3, batch=2, length=4, labels=3)
    leaves = [score.requires_grad_() for score in scores]
    assert torch.autograd.gradcheck(lambda *leaves: log_partition(*leaves, lengths), leaves, eps=1e-6, atol=1e-7)


@few
@chains
def test_path_score(seed, length, labels, forbidden):
    if labels**length > 260:
        length = 3
    *scores, _ = random_chain(seed, batch=1, length=length, labels=labels, forbidden=forbidden)
    paths = list(scored_paths(scores[0][0], *scores[1:]))
    labels_BT = torch.tensor([path for path, _ in paths])
    lengths = torch.full((len(paths),), length)
    found = path_score(scores[0].expand(len(paths), -1, -1), *scores[1:], labels_BT, lengths)
    torch.testing.assert_close(found, torch.stack([score for _, score in paths]), rtol=0, atol=1e-9)


def test_golden_values():
    """Two labels, two positions, by hand: the paths score 1.5, 3, 0 and 1."""
    emissions = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    transitions = torch.tensor([[0.5, 0.0], [0.0, -1.0]])
    zero, lengths = torch.zeros(2), torch.tensor([2])
    assert log_partition(emissions, transitions, zero, zero, lengths).item() == pytest.approx(3.342350, abs=1e-5)
    found = path_score(emissions, transitions, zero, zero, torch.tensor([[0, 1]]), lengths)
    assert found.tolist() == [3.0]
    posteriors = posteriors_of(emissions, transitions, zero, zero, lengths)
    assert posteriors[0, 0].tolist() == pytest.approx([0.868540, 0.131460], abs=1e-5)


def test_padding_changes_nothing():
    *scores, lengths = random_chain(5, batch=4, length=6, forbidden=0.3)
    labels = torch.randint(0, 4, (4, 6))
    more = torch.full((4, 3, 4), 99.0, dtype=torch.float64)
    wide = torch.cat([scores[0], more], dim=1)
    wide_labels = torch.cat([labels, labels.new_full((4, 3), 2)], dim=1)
    assert torch.equal(log_partition(*scores, lengths), log_partition(wide, *scores[1:], lengths))
    assert torch.equal(path_score(*scores, labels, lengths), path_score(wide, *scores[1:], wide_labels, lengths))
    leaf = wide.requires_grad_()
    log_partition(leaf, *scores[1:], lengths).sum().backward()
    inside = torch.arange(9) < lengths.unsqueeze(1)
    assert not leaf.grad[~inside].any()
    for row, size in enumerate(lengths.tolist()):
        alone = log_partition(scores[0][row : row + 1, :size], *scores[1:], lengths[row : row + 1])
        assert alone.item() == pytest.approx(log_partition(*scores, lengths)[row].item(), abs=1e-12)


@pytest.mark.parametrize(("scale", "length", "forbidden"), [(50.0, 6, 0.0), (50.0, 40, 0.4), (1.0, 2000, 0.3)])
def test_large_scores_and_long_sequences_stay_exact(scale, length, forbidden):
    *scores, lengths = random_chain(7, batch=2, length=length, scale=1.0, forbidden=forbidden)
    scores = [torch.where(score <= -1e4, score, (score * scale).clamp(-50, 50)) for score in scores]
    floats = [score.float().requires_grad_() for score in scores]
    log_z = log_partition(*floats, lengths)
    torch.testing.assert_close(log_z.double(), reference_log_z(*scores, lengths), rtol=1e-6, atol=1e-4)
    log_z.sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in floats)
    inside = torch.arange(length) < lengths.unsqueeze(1)
    torch.testing.assert_close(floats[0].grad.sum(-1), inside.float(), rtol=0, atol=1e-5)
    assert floats[1].grad.sum().item() == pytest.approx(float((lengths - 1).sum()), rel=1e-5)


TAGS = ["O", "B-X", "I-X", "E-X", "S-X"]


def bioes_head(dim=6, constrained=True):
    torch.manual_seed(0)
    space = LabelSpace(
        5,
        np.array([[legal_step(a, b, "bioes") for b in TAGS] for a in TAGS]),
        np.array([legal_step(None, tag, "bioes") for tag in TAGS]),
        np.array([legal_step(tag, None, "bioes") for tag in TAGS]),
    )
    return CRFHead(CRFConfig(constrained=constrained), dim, space)


def decoded(function, head, hidden, lengths):
    """What the chain says of a head's outputs."""
    with torch.no_grad():
        outputs = {name: value.numpy() for name, value in head.outputs(hidden).items()}
    names = ("logits_BTK", "transitions_KK", "start_K", "end_K")
    return function(*(outputs[name] for name in names), lengths.numpy())


def test_a_constrained_head_takes_no_illegal_step_whatever_the_scores():
    head = bioes_head()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=10.0)
    torch.manual_seed(1)
    hidden, lengths = 3 * torch.randn(50, 7, 6), torch.randint(1, 8, (50,))
    for row, size in zip(decoded(chain.viterbi, head, hidden, lengths).tolist(), lengths.tolist(), strict=True):
        path = [None, *(TAGS[label] for label in row[:size]), None]
        assert all(legal_step(a, b, "bioes") for a, b in pairwise(path))
    posteriors = decoded(chain.posteriors, head, hidden, lengths)
    assert posteriors[:, 0, [2, 3]].max() < 1e-6  # nothing starts inside a span
    free = bioes_head(constrained=False)
    free.load_state_dict(head.state_dict())
    assert (decoded(chain.viterbi, free, hidden, lengths) != decoded(chain.viterbi, head, hidden, lengths)).any()


def test_head_loss_is_a_sum_of_likelihoods():
    head = bioes_head()
    torch.manual_seed(2)
    hidden, lengths = torch.randn(2, 3, 6), torch.tensor([3, 2])
    labels = torch.tensor([[1, 2, 3], [4, 0, 0]])
    loss, targets = head.loss(hidden, labels, lengths)
    assert targets == 5
    expected = 0.0
    for row, size in enumerate(lengths.tolist()):
        scores = [score.double() for score in (head.output(hidden[row, :size]), *head.scores())]
        chances = dict(scored_paths(*scores))
        log_z = torch.stack(list(chances.values())).logsumexp(0)
        expected += (log_z - chances[tuple(labels[row, :size].tolist())]).item()
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_head_ignores_padding(smoothing):
    torch.manual_seed(3)
    head = SoftmaxHead(SoftmaxConfig(label_smoothing=smoothing), 6, LabelSpace(4))
    hidden, lengths = torch.randn(3, 5, 6), torch.tensor([5, 2, 1])
    labels = torch.randint(0, 4, (3, 5))
    loss, targets = head.loss(hidden, labels, lengths)
    parts = [
        torch.nn.functional.cross_entropy(
            head.output(hidden[row, :size]), labels[row, :size], reduction="sum", label_smoothing=smoothing
        )
        for row, size in enumerate([5, 2, 1])
    ]
    assert targets == 8
    assert loss.item() == pytest.approx(sum(part.item() for part in parts), abs=1e-5)
    hidden[1, 2:] = 1e6
    assert head.loss(hidden, labels, lengths)[0].item() == pytest.approx(loss.item(), abs=1e-6)
    torch.testing.assert_close(head.outputs(hidden)["logits_BTK"], head.output(hidden))
