"""A linear chain in numpy: its best path, its probabilities. Shapes: B sequences, T positions, K labels.

Everywhere ``emissions_BTK`` scores each label at each position, ``transitions_KK`` stepping from the row's label to the
column's, ``start_K`` and ``end_K`` the ends; -inf forbids. Lengths are at least 1; what stands past them is not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def viterbi(emissions_BTK: Scores, transitions_KK: Scores, start_K: Scores, end_K: Scores, lengths_B: Ids) -> Ids:
    """Label ids [B, T] of the best-scoring path of each sequence (Viterbi 1967); 0 past a sequence's length.

    No pointers are kept: on the way back the step into one label is taken again, which costs K times less.
    """
    batch, length, _ = emissions_BTK.shape
    emissions_TKB = np.ascontiguousarray(emissions_BTK.transpose(1, 2, 0))  # loops then run along the sequences
    score_TKB = np.empty_like(emissions_TKB)
    score_TKB[0] = emissions_TKB[0] + start_K[:, None]
    into_KKB = np.empty((*transitions_KK.shape, batch), emissions_TKB.dtype)
    inside_TB = np.arange(length)[:, None] < lengths_B
    for step in range(1, length):
        np.add(score_TKB[step - 1][:, None], transitions_KK[:, :, None], out=into_KKB)
        best_KB = into_KKB.max(axis=0) + emissions_TKB[step]
        score_TKB[step] = np.where(inside_TB[step], best_KB, score_TKB[step - 1])
    label_B = (score_TKB[-1] + end_K[:, None]).argmax(axis=0)
    path_TB = np.zeros((length, batch), np.int64)
    for step in range(length - 1, 0, -1):
        path_TB[step] = label_B
        previous_B = (score_TKB[step - 1] + transitions_KK[:, label_B]).argmax(axis=0)
        label_B = np.where(inside_TB[step], previous_B, label_B)
    path_TB[0] = label_B
    return np.where(inside_TB, path_TB, 0).T


def posteriors(emissions_BTK: Scores, transitions_KK: Scores, start_K: Scores, end_K: Scores, lengths_B: Ids) -> Floats:
    """Probability of each label at each position [B, T, K]; zero past a length."""
    chain = _Chain(emissions_BTK, transitions_KK, start_K, end_K, lengths_B)
    result_TBK = np.empty_like(chain.forward_TBK)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta_BK = chain.last_K / chain.ended_B1
    for step in range(len(result_TBK) - 1, -1, -1):
        inside_B1 = chain.inside_TB1[step]
        result_TBK[step] = chain.forward_TBK[step] * beta_BK * inside_B1
        if step:
            seen_BK = chain.evidence_TBK[step] * beta_BK / chain.scale_TB1[step]
            beta_BK = np.where(inside_B1, seen_BK @ chain.step_KK.T, beta_BK)
    return result_TBK.swapaxes(0, 1)


def log_partition(
    emissions_BTK: Scores, transitions_KK: Scores, start_K: Scores, end_K: Scores, lengths_B: Ids
) -> Floats:
    """log Z of each sequence [B] (Lafferty et al. 2001)."""
    return _Chain(emissions_BTK, transitions_KK, start_K, end_K, lengths_B).log_z_B


def path_score(
    emissions_BTK: Scores, transitions_KK: Scores, start_K: Scores, end_K: Scores, labels_BT: Ids, lengths_B: Ids
) -> Scores:
    """Score [B] of the given label paths: starts, emissions, steps and ends summed."""
    rows_B = np.arange(len(lengths_B))
    inside_BT = np.arange(labels_BT.shape[1]) < lengths_B[:, None]
    emitted_BT = np.take_along_axis(emissions_BTK, labels_BT[:, :, None], axis=2)[:, :, 0]
    steps_BT = transitions_KK[labels_BT[:, :-1], labels_BT[:, 1:]]
    # where, not a product: a step in the padding may be a forbidden one, and -inf times 0 is NaN
    inner_B = np.where(inside_BT, emitted_BT, 0).sum(axis=1) + np.where(inside_BT[:, 1:], steps_BT, 0).sum(axis=1)
    total_B: Scores = inner_B + start_K[labels_BT[:, 0]] + end_K[labels_BT[rows_B, lengths_B - 1]]
    return total_B


class _Chain:
    """The forward recursion on probabilities in float64, rescaled at each step, as small matrix products.

    Scores so far apart that no path has a probability left give NaN.
    """

    def __init__(
        self, emissions_BTK: Scores, transitions_KK: Scores, start_K: Scores, end_K: Scores, lengths_B: Ids
    ) -> None:
        emissions_TBK = emissions_BTK.swapaxes(0, 1).astype(np.float64)
        length = len(emissions_TBK)
        self.inside_TB1 = (np.arange(length)[:, None] < lengths_B)[:, :, None]
        peak_TB1 = emissions_TBK.max(axis=-1, keepdims=True)
        self.evidence_TBK = np.exp(emissions_TBK - peak_TB1)
        start, shift, end = (float(scores.max()) for scores in (start_K, transitions_KK, end_K))
        self.step_KK = np.exp(transitions_KK.astype(np.float64) - shift)
        self.last_K = np.exp(end_K.astype(np.float64) - end)
        self.forward_TBK = np.empty_like(emissions_TBK)
        self.scale_TB1 = np.ones_like(peak_TB1)
        alpha_BK = self.evidence_TBK[0] * np.exp(start_K.astype(np.float64) - start)
        with np.errstate(divide="ignore", invalid="ignore"):
            for step in range(length):
                if step:
                    moved_BK = (alpha_BK @ self.step_KK) * self.evidence_TBK[step]
                    alpha_BK = np.where(self.inside_TB1[step], moved_BK, alpha_BK)
                self.scale_TB1[step] = alpha_BK.sum(axis=-1, keepdims=True)
                alpha_BK = alpha_BK / self.scale_TB1[step]
                self.forward_TBK[step] = alpha_BK
            self.ended_B1 = (alpha_BK * self.last_K).sum(axis=-1, keepdims=True)
            ended_B = np.log(self.ended_B1[:, 0]) + start + shift * (lengths_B - 1) + end
            scales_TB1 = np.where(self.inside_TB1, np.log(self.scale_TB1) + peak_TB1, 0)
        self.log_z_B: Floats = scales_TB1.sum(axis=(0, 2)) + ended_B


def log_softmax(scores: Scores) -> Floats:
    """ln of the shares along the last axis."""
    shifted = np.asarray(scores, np.float64) - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
