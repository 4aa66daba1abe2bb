"""A linear chain by brute force: every path is listed, so nothing can hide in a recursion."""

from __future__ import annotations

from itertools import pairwise, product

import torch

from seqcli.models.heads import FORBIDDEN


def random_chain(seed, *, batch=3, length=5, labels=4, scale=2.0, forbidden=0.0):
    """``(emissions, transitions, start, end, lengths)`` in float64; ``forbidden`` is the share of steps ruled out.

    The step from a label to itself, and label 0 at both ends, stay allowed, so that each length has a path.
    """
    random = torch.Generator().manual_seed(seed)
    emissions = scale * torch.randn(batch, length, labels, generator=random, dtype=torch.float64)
    transitions = scale * torch.randn(labels, labels, generator=random, dtype=torch.float64)
    start = scale * torch.randn(labels, generator=random, dtype=torch.float64)
    end = scale * torch.randn(labels, generator=random, dtype=torch.float64)
    out = torch.rand(labels, labels, generator=random) < forbidden
    out.fill_diagonal_(False)
    transitions[out] = FORBIDDEN
    for ends in (start, end):
        out = torch.rand(labels, generator=random) < forbidden
        out[0] = False
        ends[out] = FORBIDDEN
    lengths = torch.randint(1, length + 1, (batch,), generator=random)
    lengths[0] = length
    return emissions, transitions, start, end, lengths


def scored_paths(emissions_TK, transitions, start, end):
    """``(path, score)`` of every path through one sequence."""
    length, labels = emissions_TK.shape
    for path in product(range(labels), repeat=length):
        score = start[path[0]] + end[path[-1]] + sum(emissions_TK[step, label] for step, label in enumerate(path))
        yield path, score + sum(transitions[before, after] for before, after in pairwise(path))


def brute_force(emissions_TK, transitions, start, end):
    """``(log Z, posteriors [T, K], best path, its score)`` of one sequence."""
    paths, scores = zip(*scored_paths(emissions_TK, transitions, start, end), strict=True)
    scores = torch.stack(scores)
    log_z = scores.logsumexp(0)
    posteriors = torch.zeros_like(emissions_TK)
    for path, chance in zip(paths, (scores - log_z).exp(), strict=True):
        for step, label in enumerate(path):
            posteriors[step, label] += chance
    best = int(scores.argmax())
    return log_z, posteriors, list(paths[best]), scores[best]


def reference_log_z(emissions, transitions, start, end, lengths):
    """log Z of each sequence by log-sum-exps, which autograd can follow."""
    results = []
    for row, length in enumerate(lengths.tolist()):
        score = start + emissions[row, 0]
        for step in range(1, length):
            score = (score.unsqueeze(1) + transitions).logsumexp(0) + emissions[row, step]
        results.append((score + end).logsumexp(0))
    return torch.stack(results)
