"""Logistic regression with an L2 penalty: one linear layer, brought to its optimum, without torch.

Truncated Newton (Lin, Weng and Keerthi 2008; Nocedal and Wright 2006, algorithm 7.1): each step solves H p = -g with
a few conjugate gradients, preconditioned by a diagonal, and then looks for a length along p. The logits are linear in
the weights, so the logits along p come out of the conjugate gradients and the search costs no pass over the data.

Letters: E examples, D features, K classes, C columns of weights (K, or 1 for two classes).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Told = Callable[[int, int], None]

_STEPS = 100
_CONJUGATE = 250
_TOLERANCE = 1e-6
"""Length of the gradient at the end, as a share of that at the start: weights then hold to 1e-3, mostly far better."""


@dataclass(frozen=True)
class Linear:
    """Weights and bias; the logits of an example x are ``x @ weights + bias``.

    Attributes:
        weights: [D, C]; one column for two classes: the logit of class 1, where class 0 has 0.
        bias: [C].
    """

    weights: Floats
    bias: Floats


def fit_linear(
    features: Any,
    labels: NDArray[Any],
    *,
    classes: int,
    regularization: float,
    several: bool = False,
    weights: NDArray[Any] | None = None,
    scale: NDArray[Any] | None = None,
    told: Told | None = None,
) -> Linear:
    """Weights W and bias b with the least ``sum of weighted losses + regularization / 2 * |W|^2``.

    That is the optimum of scikit-learn's ``LogisticRegression(C=1 / regularization)``; the bias is not penalised.

    Args:
        features: [E, D], a scipy sparse CSR matrix or an array; calculated with in float64.
        labels: [E] the class of each example, 0 to K-1; or with ``several`` bool [E, K].
        classes: K.
        regularization: strength of the penalty, above 0.
        several: an example has any number of labels, each decided on its own (sigmoid instead of softmax).
        weights: [E] how much each example counts, none below 0; 1 for each by default.
        scale: [D, C] or [D, 1], factors of the features that may differ by column: the penalty is on W, and the
            weights that come back are ``scale * W``.
        told: is told (parts done, parts) after each step.
    """
    if several:
        loss: _Loss = _Sigmoid(np.asarray(labels, np.float64).reshape(-1, classes))
    elif classes == 2:
        loss = _Sigmoid(np.asarray(labels, np.float64)[:, None])
    else:
        loss = _Softmax(np.asarray(labels, np.int64), classes)
    counted = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    problem = _Problem(features, None if scale is None else np.asarray(scale, np.float64), regularization)
    best = _minimise(problem, loss, counted[:, None], told)
    weights_DC = best[:-1] if problem.scale is None else problem.scale * best[:-1]
    return Linear(weights_DC, best[-1])


class _Sigmoid:
    """One column a decision: loss ln(1 + e^a) - y a."""

    def __init__(self, truth_EC: Floats) -> None:
        self.truth_EC = truth_EC
        self.columns = truth_EC.shape[1]

    def value(self, logits_EC: Floats) -> Floats:
        """The loss of each example, [E, 1]."""
        losses: Floats = (np.logaddexp(0.0, logits_EC) - self.truth_EC * logits_EC).sum(1, keepdims=True)
        return losses

    def slope(self, logits_EC: Floats) -> tuple[Floats, Floats]:
        """``(gradient by the logits, what curve needs)``."""
        p_EC = sigmoid(logits_EC)
        return p_EC - self.truth_EC, p_EC * (1 - p_EC)

    @staticmethod
    def curve(state_EC: Floats, along_EC: Floats) -> Floats:
        """The second derivative by the logits times a direction."""
        return state_EC * along_EC

    @staticmethod
    def bend(state_EC: Floats) -> Floats:
        """The diagonal of the second derivative by the logits."""
        return state_EC


class _Softmax:
    """One class an example: loss ln(sum of e^a) - a of the true class."""

    def __init__(self, labels_E: NDArray[np.int64], classes: int) -> None:
        self.rows, self.labels_E, self.columns = np.arange(len(labels_E)), labels_E, classes

    def value(self, logits_EC: Floats) -> Floats:
        """The loss of each example, [E, 1]."""
        top_E1 = logits_EC.max(1, keepdims=True)
        sums_E1 = np.exp(logits_EC - top_E1).sum(1, keepdims=True)
        losses: Floats = np.log(sums_E1) + top_E1 - logits_EC[self.rows, self.labels_E][:, None]
        return losses

    def slope(self, logits_EC: Floats) -> tuple[Floats, Floats]:
        """``(gradient by the logits, what curve needs)``."""
        p_EC = np.exp(logits_EC - logits_EC.max(1, keepdims=True))
        p_EC /= p_EC.sum(1, keepdims=True)
        gradient_EC = p_EC.copy()
        gradient_EC[self.rows, self.labels_E] -= 1
        return gradient_EC, p_EC

    @staticmethod
    def curve(state_EC: Floats, along_EC: Floats) -> Floats:
        """The second derivative by the logits times a direction."""
        product_EC = state_EC * along_EC
        product_EC -= state_EC * product_EC.sum(1, keepdims=True)
        return product_EC

    @staticmethod
    def bend(state_EC: Floats) -> Floats:
        """The diagonal of the second derivative by the logits."""
        return state_EC * (1 - state_EC)


_Loss = _Sigmoid | _Softmax


class _Problem:
    """Products with the features, the bias as the last row of the unknowns [D + 1, C]."""

    def __init__(self, features: Any, scale: Floats | None, regularization: float) -> None:
        self.features_ED = features.astype(np.float64, copy=False)
        self.features_DE = self.features_ED.T
        if hasattr(features, "tocsr"):  # row by row again: a product that adds up is faster than one that scatters
            self.features_DE = self.features_DE.tocsr()
            self.squares_DE = self.features_DE.multiply(self.features_DE).tocsr()
        else:
            self.squares_DE = self.features_DE**2
        self.scale = scale
        self.regularization = regularization
        self.size = self.features_ED.shape[1]

    def logits(self, unknowns: Floats) -> Floats:
        weights_DC = unknowns[:-1] if self.scale is None else self.scale * unknowns[:-1]
        if weights_DC.shape[1] == 1:  # scipy multiplies a vector faster than a matrix of one column
            product_EC = (self.features_ED @ weights_DC[:, 0])[:, None]
        else:
            product_EC = self.features_ED @ weights_DC
        return np.asarray(product_EC) + unknowns[-1]

    def back(self, slopes_EC: Floats) -> Floats:
        """The transposed product: what the logits' slopes say of the unknowns."""
        found = np.empty((self.size + 1, slopes_EC.shape[1]))
        if slopes_EC.shape[1] == 1:
            found[:-1, 0] = self.features_DE @ slopes_EC[:, 0]
        else:
            found[:-1] = self.features_DE @ slopes_EC
        if self.scale is not None:
            found[:-1] *= self.scale
        found[-1] = slopes_EC.sum(0)
        return found

    def penalty(self, unknowns: Floats) -> Floats:
        """Its gradient."""
        found = self.regularization * unknowns
        found[-1] = 0
        return found

    def diagonal(self, curvature_EC: Floats) -> Floats:
        """The diagonal of the second derivative, [D + 1, C], where the logits have this curvature."""
        found = np.empty((self.size + 1, curvature_EC.shape[1]))
        found[:-1] = self.squares_DE @ curvature_EC
        if self.scale is not None:
            found[:-1] *= self.scale**2
        found[:-1] += self.regularization
        found[-1] = np.maximum(curvature_EC.sum(0), 1e-12)
        return found


def _minimise(problem: _Problem, loss: _Loss, counted_E1: Floats, told: Told | None) -> Floats:
    unknowns = np.zeros((problem.size + 1, loss.columns))
    logits_EC = np.zeros((len(counted_E1), loss.columns))
    first = parts_done = 0.0
    for step in range(_STEPS):
        slopes_EC, state_EC = loss.slope(logits_EC)
        gradient = problem.back(counted_E1 * slopes_EC) + problem.penalty(unknowns)
        length = _length(gradient)
        first = first if step else length
        if length <= _TOLERANCE * first:
            break
        if told is not None:  # the gradient shrinks by orders of magnitude, so they are what is counted
            parts_done = max(parts_done, math.log(length / first) / math.log(_TOLERANCE))
            told(int(100 * parts_done), 100)
        enough = min(0.1, length / first) * length
        direction, along_EC = _newton_direction(problem, loss, state_EC, counted_E1, gradient, enough)
        stride = _stride(problem, loss, counted_E1, (unknowns, logits_EC), (direction, along_EC), gradient)
        if stride == 0:
            break  # no better place at this precision
        unknowns += stride * direction
        logits_EC += stride * along_EC
    if told is not None:
        told(100, 100)
    return unknowns


def _newton_direction(
    problem: _Problem, loss: _Loss, state_EC: Floats, counted_E1: Floats, gradient: Floats, enough: float
) -> tuple[Floats, Floats]:
    """The p with |H p + gradient| <= enough, and the logits along it."""
    diagonal = problem.diagonal(counted_E1 * loss.bend(state_EC))
    direction, along_EC = np.zeros_like(gradient), np.zeros_like(state_EC)
    rest = -gradient
    scaled = rest / diagonal
    search, measure = scaled.copy(), _dot(rest, scaled)
    for _ in range(_CONJUGATE):
        ahead_EC = problem.logits(search)
        product = problem.back(counted_E1 * loss.curve(state_EC, ahead_EC)) + problem.penalty(search)
        bend = _dot(search, product)
        if bend <= 0:  # flat at this precision
            break
        size = measure / bend
        direction += size * search
        along_EC += size * ahead_EC
        rest -= size * product
        if _length(rest) <= enough:
            break
        scaled = rest / diagonal
        before, measure = measure, _dot(rest, scaled)
        search *= measure / before
        search += scaled
    return direction, along_EC


def _stride(
    problem: _Problem,
    loss: _Loss,
    counted_E1: Floats,
    at: tuple[Floats, Floats],
    ahead: tuple[Floats, Floats],
    gradient: Floats,
) -> float:
    """How far to go: 1, or halves of it until the loss falls as much as the slope promises (Armijo)."""
    (unknowns, logits_EC), (direction, along_EC) = at, ahead
    penalised, along = unknowns[:-1], direction[:-1]
    slope = _dot(gradient, direction)
    here = loss.value(logits_EC)
    for halvings in range(30):
        stride = 0.5**halvings
        # the difference of each example first: the sum over all of them would swallow small ones
        change = _dot(counted_E1, loss.value(logits_EC + stride * along_EC) - here)
        change += problem.regularization * stride * (_dot(penalised, along) + stride / 2 * _dot(along, along))
        if change <= 1e-4 * stride * slope:
            return stride
    return 0.0


def _dot(left: Floats, right: Floats) -> float:
    # not np.vdot: BLAS starts threads for it, which on a busy machine take many times as long as the sum itself
    return float(np.einsum("ij,ij->", left, right))


def _length(vector: Floats) -> float:
    return math.sqrt(_dot(vector, vector))


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + e^-a), without overflow."""
    small = np.exp(-np.abs(logits))
    found: Floats = np.where(logits >= 0, 1.0, small) / (1 + small)
    return found


def log_probs(logits_EC: NDArray[Any], *, several: bool) -> NDArray[np.float32]:
    """ln p of each class [E, K] (one column gives two classes); with ``several`` of each label on its own."""
    logits_EC = np.asarray(logits_EC, np.float64)
    if several:
        return np.asarray(-np.logaddexp(0.0, -logits_EC), np.float32)
    if logits_EC.shape[1] == 1:
        return np.asarray(-np.logaddexp(0.0, np.concatenate([logits_EC, -logits_EC], axis=1)), np.float32)
    shifted_EC = logits_EC - logits_EC.max(1, keepdims=True)
    return np.asarray(shifted_EC - np.log(np.exp(shifted_EC).sum(1, keepdims=True)), np.float32)


def both_columns(logits_EC: NDArray[Any], *, several: bool) -> NDArray[Any]:
    """Logits of every class, [E, K]: of two classes in one column each has half, with opposite signs."""
    if several or logits_EC.shape[1] > 1:
        return logits_EC
    return np.concatenate([-logits_EC / 2, logits_EC / 2], axis=1)
