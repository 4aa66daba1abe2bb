"""Logistic regression with an L2 penalty: one linear layer, brought to its optimum, without torch.

Letters: E examples, D features (F: with one that is always 1, for the bias), K classes, C columns of weights (K, or 1 for two classes).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import Labelled, Progress, Sizes

Floats = NDArray[np.float64]

_TOLERANCE = 1e-7
"""Length of the gradient at the end, as a share of that at the start: weights then hold to 1e-3, mostly far better."""

_STEPS = 300
_FLATTER = 0.1
"""How the loss bends on the way to the optimum, as a share of how it bends at 0: what is fitted bends less."""


class Linear(NamedTuple):
    """The logits of an example x are ``x @ weights_DC + bias_C``."""

    weights_DC: Floats
    bias_C: Floats


def fit_linear(
    features: Any,
    data: Labelled,
    sizes: Sizes,
    *,
    regularization: float,
    scale: NDArray[Any] | None = None,
    progress: Progress | None = None,
) -> Linear:
    """Weights W and bias b with the least ``sum of weighted losses + regularization / 2 * |W|^2``.

    That is the optimum of scikit-learn's ``LogisticRegression(C=1 / regularization)``; the bias is not penalised.

    Args:
        features: [E, D], sparse or not; calculated with in float64.
        data: labels and weights of the examples.
        regularization: strength of the penalty, above 0.
        scale: [D, C] or [D, 1], factors of the features that may differ by column: the penalty is on W, and the
            weights that come back are ``scale * W``.
    """
    from scipy.optimize import minimize

    objective = _Objective(features, data, sizes, regularization, scale)
    unknowns = np.zeros(objective.shape).ravel()
    first = _length(objective.value_and_gradient(unknowns)[1])
    parts = 0

    def value_and_gradient(unknowns: Floats) -> tuple[float, Floats]:
        nonlocal parts
        value, gradient = objective.value_and_gradient(unknowns)
        length = _length(gradient)
        if progress is not None and length:  # it shrinks by orders of magnitude, so they are what is counted
            parts = max(parts, min(100, int(100 * math.log(length / first) / math.log(_TOLERANCE))))
            progress(parts, 100)
        return value, gradient

    # Newton's method with conjugate gradients in a region of trust (Nocedal and Wright 2006, algorithms 4.1 and 7.2).
    # In the unknowns of the objective a gradient is about as long as the way to the optimum, so it gives the radius.
    options = {
        "gtol": _TOLERANCE * first + np.finfo(float).tiny,
        "initial_trust_radius": 0.03 * first + 1,
        "max_trust_radius": 1e9,
        "maxiter": _STEPS,
    }
    best = minimize(
        value_and_gradient, unknowns, jac=True, hessp=objective.curvature, method="trust-ncg", options=options
    )
    if progress is not None:
        progress(100, 100)
    return objective.linear(best.x)


class _Objective:
    """The penalised loss of unknowns u [D + 1, C], in one vector as scipy has them; the last row is the bias.

    Weights and bias are ``stretch * u``, so that the loss bends about equally along every unknown: where values are
    counts, conjugate gradients then need a third of the steps.
    """

    def __init__(
        self, features: Any, data: Labelled, sizes: Sizes, regularization: float, scale: NDArray[Any] | None
    ) -> None:
        from scipy.sparse import csr_array, hstack

        features_ED = csr_array(features, dtype=np.float64)
        examples, size = features_ED.shape
        self.features_EF = hstack([features_ED, csr_array(np.ones((examples, 1)))], format="csr")
        self.features_FE = self.features_EF.T.tocsr()  # row by row again: adding up is faster than scattering
        self.truth_EC = data.truth(sizes)[:, -sizes.columns :]
        self.counted_E1 = data.counted()[:, None]
        self.softmax = sizes.columns > 1 and not sizes.multilabel
        self.shape = size + 1, sizes.columns
        p = 1 / sizes.classes if self.softmax else 0.5
        bend_F1 = _FLATTER * p * (1 - p) * _product(self.features_FE.power(2), self.counted_E1)
        penalty_F1 = np.append(np.full(size, regularization), 0)[:, None]
        scale_FC = np.ones((1, 1)) if scale is None else np.append(scale, np.ones_like(scale[:1]), axis=0)
        unit_FC = 1 / np.sqrt(np.maximum(bend_F1 * scale_FC**2 + penalty_F1, 1e-12))
        self.stretch_FC, self.penalty_FC = scale_FC * unit_FC, penalty_F1 * unit_FC**2
        self._at, self._p_EC = np.zeros(0), self.truth_EC

    def linear(self, unknowns: Floats) -> Linear:
        best_FC = self.stretch_FC * unknowns.reshape(self.shape)
        return Linear(best_FC[:-1], best_FC[-1])

    def value_and_gradient(self, unknowns: Floats) -> tuple[float, Floats]:
        u, logits_EC = unknowns.reshape(self.shape), self._logits(unknowns)
        log_p_EC = self._log_p(logits_EC)
        loss_EC = -self.truth_EC * log_p_EC if self.softmax else (1 - self.truth_EC) * logits_EC - log_p_EC
        loss = float((self.counted_E1 * loss_EC).sum() + 0.5 * (self.penalty_FC * u**2).sum())
        return loss, self._back(np.exp(log_p_EC) - self.truth_EC, u)

    def curvature(self, unknowns: Floats, direction: Floats) -> Floats:
        """The second derivative times a direction."""
        if not np.array_equal(unknowns, self._at):  # asked many times at one place
            self._at, self._p_EC = unknowns, np.exp(self._log_p(self._logits(unknowns)))
        ahead_EC = self._logits(direction)
        if self.softmax:
            slopes_EC = self._p_EC * ahead_EC
            slopes_EC -= self._p_EC * slopes_EC.sum(1, keepdims=True)
        else:
            slopes_EC = self._p_EC * (1 - self._p_EC) * ahead_EC
        return self._back(slopes_EC, direction.reshape(self.shape))

    def _log_p(self, logits_EC: Floats) -> Floats:
        return _log_softmax(logits_EC) if self.softmax else _log_sigmoid(logits_EC)

    def _logits(self, unknowns: Floats) -> Floats:
        return _product(self.features_EF, self.stretch_FC * unknowns.reshape(self.shape))

    def _back(self, slopes_EC: Floats, u: Floats) -> Floats:
        """What the slopes of the logits, and the penalty, say of the unknowns."""
        gradient_FC = _product(self.features_FE, self.counted_E1 * slopes_EC)
        gradient_FC *= self.stretch_FC
        gradient_FC += self.penalty_FC * u
        return gradient_FC.ravel()


def _product(matrix: Any, columns: Floats) -> Floats:
    """scipy multiplies a vector faster than a matrix of one column."""
    product: Floats = (matrix @ columns[:, 0])[:, None] if columns.shape[1] == 1 else matrix @ columns
    return product


def _length(vector: Floats) -> float:
    return math.sqrt(float(vector @ vector))


def _log_sigmoid(logits: Floats) -> Floats:
    return np.asarray(-np.logaddexp(0.0, -logits))


def _log_softmax(logits_EC: Floats) -> Floats:
    shifted_EC = logits_EC - logits_EC.max(1, keepdims=True)
    return np.asarray(shifted_EC - np.log(np.exp(shifted_EC).sum(1, keepdims=True)))


def log_probs(logits_EC: NDArray[Any], sizes: Sizes) -> NDArray[np.float32]:
    """ln p of each class [E, K]; multilabel: of each label on its own."""
    logits_EC = np.asarray(logits_EC, np.float64)
    if sizes.multilabel:
        log_p_EK = _log_sigmoid(logits_EC)
    elif sizes.columns == 1:
        log_p_EK = _log_sigmoid(np.concatenate([-logits_EC, logits_EC], axis=1))
    else:
        log_p_EK = _log_softmax(logits_EC)
    return log_p_EK.astype(np.float32)


def both_classes(logits_EC: NDArray[Any], sizes: Sizes) -> NDArray[Any]:
    """Logits of every class, [E, K]: of two classes in one column each has half, with opposite signs."""
    return logits_EC if sizes.columns == sizes.classes else np.concatenate([-logits_EC / 2, logits_EC / 2], axis=1)
