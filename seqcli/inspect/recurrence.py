"""A linear recurrence step by step: what a state remembers of its start and of each input. No torch.

    s_{t+1} = W s_t + U x_t,    y_t = V s_t
    s_t = W^t s_0 + sum over k < t of W^{t-1-k} U x_k

so s_0 has become W^t s_0, and the input x_k has become W^{t-1-k} U x_k. How a part goes on is said by the eigenvalues l
of W, for along an eigenvector W^t is l^t: it explodes where |l| > 1 and fades where |l| < 1; where |l| = 1 it is kept
(l = 1), flips its sign at each step (l = -1) or rotates by the angle of l.
Shapes: T steps, N values of the state, M of an input, P of an output, K inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqcli.errors import usage_error

Values = NDArray[np.float64]
Verdict = Literal["explode", "fade", "keep", "flip", "rotate"]

NEAR = 1e-6
"""How far from 1 a modulus, and from each other two eigenvalues, may be by rounding alone."""


@dataclass(frozen=True)
class Eigenvalue:
    """One eigenvalue of W. ``angle``: by which a step turns, in degrees, 0 to 180.

    ``defective``: there are fewer eigenvectors than times that it occurs, so that W^t grows like a power of t beside l^t.
    """

    value: complex
    modulus: float
    angle: float
    verdict: Verdict
    defective: bool


@dataclass(frozen=True)
class Recurrence:
    """A recurrence that has run for T steps.

    Attributes:
        states_TN, outputs_TP: s_0 to s_T, y_0 to y_T (T + 1 rows); no outputs without V.
        inputs_KM: x_0 to x_{K-1}; zeros from there on.
        start_TN: W^t s_0.
        parts_KTN: W^{t-1-k} U x_k, zeros up to t = k.
        start_left_T, left_KT: the length of these parts as a share of their length at first: |W^t s_0| / |s_0| and
            |W^{t-1-k} U x_k| / |U x_k|; NaN where there is nothing yet, or never was.
        eigenvalues: the largest modulus first.
        verdict: of the largest; where several have the same modulus of 1, rotate comes before flip, flip before keep.
        period: the smallest number p of steps, up to 1,000, of which W^p is the identity.
    """

    states_TN: Values
    outputs_TP: Values | None
    inputs_KM: Values
    start_TN: Values
    parts_KTN: Values
    start_left_T: Values
    left_KT: Values
    eigenvalues: tuple[Eigenvalue, ...]
    verdict: Verdict
    period: int | None


def recurrence(
    W: ArrayLike,
    steps: int,
    s0: ArrayLike | None = None,
    V: ArrayLike | None = None,
    U: ArrayLike | None = None,
    x: ArrayLike | None = None,
) -> Recurrence:
    """Run s_{t+1} = W s_t + U x_t for ``steps`` steps.

    Args:
        W: [N, N].
        s0: [N]; None: zeros.
        V: [P, N]; None: no output.
        U: [N, M]; None: the identity.
        x: a row for each step, [K, M]; a single row is a value a step where U has one column.

    Raises:
        UserError: sizes that do not fit, nothing to remember, a state too large for a number (2).
    """
    recurrent_NN = np.atleast_2d(np.asarray(W, np.float64))
    size = recurrent_NN.shape[0]
    if recurrent_NN.shape[1] != size:
        raise usage_error(f"--W is {_size(recurrent_NN)}: a state becomes a state, so W must be square")
    if s0 is None and x is None:
        raise usage_error("nothing to remember: neither --s0 nor --x is given")
    start_N = np.zeros(size) if s0 is None else np.asarray(s0, np.float64).ravel()
    if len(start_N) != size:
        raise usage_error(f"--s0 has {len(start_N)} values, --W is {_size(recurrent_NN)}: W s_0 needs {size}")
    output_PN = None if V is None else np.atleast_2d(np.asarray(V, np.float64))
    if output_PN is not None and output_PN.shape[1] != size:
        raise usage_error(f"--V is {_size(output_PN)}, --W is {_size(recurrent_NN)}: V s_t needs {size} columns of V")
    input_NM = np.eye(size) if U is None else np.atleast_2d(np.asarray(U, np.float64))
    if len(input_NM) != size:
        raise usage_error(
            f"--U is {_size(input_NM)}, --W is {_size(recurrent_NN)}: W s_t + U x_t needs {size} rows of U"
        )
    inputs_KM = np.zeros((0, input_NM.shape[1])) if x is None else np.atleast_2d(np.asarray(x, np.float64))
    if len(inputs_KM) == 1 and input_NM.shape[1] == 1:
        inputs_KM = inputs_KM.T
    if inputs_KM.shape[1] != input_NM.shape[1]:
        told = "--U is left out, so x_t is added to the state" if U is None else f"--U is {_size(input_NM)}"
        raise usage_error(
            f"--x has rows of {inputs_KM.shape[1]}, {told}: U x_t needs rows of {input_NM.shape[1]}",
            hint="A row for each step: --x '1 0; 0 1'.",
        )
    inputs_KM = inputs_KM[:steps]
    with np.errstate(over="ignore", invalid="ignore"):
        states_TN = _run(recurrent_NN, start_N, inputs_KM @ input_NM.T, steps)
        start_TN = _run(recurrent_NN, start_N, np.zeros((0, size)), steps)
        parts_KTN = np.zeros((len(inputs_KM), steps + 1, size))
        for k, x_M in enumerate(inputs_KM):
            parts_KTN[k, k + 1 :] = _run(recurrent_NN, input_NM @ x_M, np.zeros((0, size)), steps - k - 1)
        outputs_TP = None if output_PN is None else states_TN @ output_PN.T
    for t, s_N in enumerate(states_TN):
        if not np.isfinite(s_N).all() or not (outputs_TP is None or np.isfinite(outputs_TP[t]).all()):
            raise usage_error(
                f"--steps {steps}: at t = {t} the state is larger than a number can be (1.8e308)",
                hint="Take fewer steps.",
            )
    eigenvalues = _eigenvalues(recurrent_NN)
    return Recurrence(
        states_TN,
        outputs_TP,
        inputs_KM,
        start_TN,
        parts_KTN,
        _left(start_TN, 0),
        np.array([_left(part_TN, k + 1) for k, part_TN in enumerate(parts_KTN)]).reshape(-1, steps + 1),
        eigenvalues,
        _verdict_of_all(eigenvalues),
        _period(recurrent_NN) if abs(eigenvalues[0].modulus - 1) < NEAR else None,
    )


def verdict(value: complex, *, defective: bool = False) -> Verdict:
    """What becomes of a part of the state along the eigenvector of this value."""
    if abs(value) > 1 + NEAR or (defective and abs(value) > 1 - NEAR):
        return "explode"
    if abs(value) < 1 - NEAR:
        return "fade"
    if abs(value - 1) <= 2 * NEAR:
        return "keep"
    return "flip" if abs(value + 1) <= 2 * NEAR else "rotate"


def _verdict_of_all(eigenvalues: tuple[Eigenvalue, ...]) -> Verdict:
    largest = {one.verdict for one in eigenvalues if one.modulus > eigenvalues[0].modulus - NEAR}
    order: tuple[Verdict, ...] = ("explode", "rotate", "flip", "keep", "fade")
    return next(one for one in order if one in largest)


def _period(recurrent_NN: Values) -> int | None:
    power_NN = identity_NN = np.eye(len(recurrent_NN))
    for steps in range(1, 1001):
        power_NN = power_NN @ recurrent_NN
        if np.abs(power_NN - identity_NN).max() < NEAR:
            return steps
    return None


def _run(recurrent_NN: Values, start_N: Values, added_KN: Values, steps: int) -> Values:
    states = [start_N]
    for t in range(steps):
        s_N = recurrent_NN @ states[-1]
        states.append(s_N + added_KN[t] if t < len(added_KN) else s_N)
    return np.stack(states)


def _left(part_TN: Values, since: int) -> Values:
    """Lengths as shares of the length at ``since``; NaN before, and where that is 0."""
    lengths_T = np.array([math.hypot(*row) for row in part_TN])
    lengths_T[:since] = math.nan
    first = lengths_T[since] if since < len(lengths_T) else 0.0
    return lengths_T / first if first else np.full_like(lengths_T, math.nan)


def _eigenvalues(recurrent_NN: Values) -> tuple[Eigenvalue, ...]:
    values_N = np.linalg.eigvals(recurrent_NN).astype(complex)
    scale = max(1.0, float(np.abs(values_N).max()))
    found = []
    for value in sorted(values_N, key=lambda one: (-round(abs(one), 9), -one.real, -one.imag)):
        times = int((np.abs(values_N - value) < 1e-5 * scale).sum())
        rank = np.linalg.matrix_rank(recurrent_NN - value * np.eye(len(recurrent_NN)), tol=1e-5 * scale)
        defective = times > len(recurrent_NN) - int(rank)
        angle = abs(math.degrees(math.atan2(value.imag, value.real)))
        found.append(Eigenvalue(complex(value), abs(value), angle, verdict(value, defective=defective), defective))
    return tuple(found)


def _size(matrix: Values) -> str:
    return f"{matrix.shape[0]} x {matrix.shape[1]}"
