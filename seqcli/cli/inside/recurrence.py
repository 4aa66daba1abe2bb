"""A linear recurrence as tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.cli import show

if TYPE_CHECKING:
    from seqcli.inspect.recurrence import Eigenvalue, Recurrence

MEANING = {
    "explode": "grows without end",
    "fade": "is forgotten",
    "keep": "stays as it is",
    "flip": "changes its sign at each step",
    "rotate": "turns, and neither grows nor fades",
}
_MOST_INPUTS = 6
"""Inputs that have a column in the table; JSON has them all."""


@dataclass(frozen=True)
class RecurrenceView:
    """Steps, what is left of each memory, eigenvalues."""

    ran: Recurrence
    title = "Recurrence"

    def lines(self) -> list[str]:
        ran = self.ran
        x, y, some = len(ran.inputs_KM) > 0, ran.outputs_TP is not None, ran.start_TN[0].any()
        header = ["t", *(["x_t"] * x), "s_t", *(["y_t"] * y), *(["W^t s_0"] * (x and bool(some)))]
        rows = []
        for t, s_N in enumerate(ran.states_TN):
            row = [str(t), _vector(s_N)]
            if x:
                row.insert(1, _vector(ran.inputs_KM[t]) if t < len(ran.inputs_KM) else "")
                row += [_vector(ran.start_TN[t])] * bool(some)
            if ran.outputs_TP is not None:
                row.insert(2 + x, _vector(ran.outputs_TP[t]))
            rows.append(row)
        lines = [*show.table(rows, header, right=(0,)), "", *self._left(), ""]
        found = [
            (_complex(one.value), f"{one.modulus:.4g}", f"{one.angle:.4g}", one.verdict, _meaning(one))
            for one in ran.eigenvalues
        ]
        lines += show.table(
            found, ("EIGENVALUE", "MODULUS", "DEGREES", "VERDICT", "its part of the state"), right=(1, 2)
        )
        period = f"; W^{ran.period} is the identity" if ran.period else ""
        return [*lines, "", f"W: {ran.verdict}{period}"]

    def _left(self) -> list[str]:
        """How much is left of the first memory and of each input that is one."""
        ran = self.ran
        inputs = [k for k, x_M in enumerate(ran.inputs_KM) if x_M.any()]
        header, columns = ["t"], []
        if ran.start_TN[0].any():
            header.append("s_0")
            columns.append(ran.start_left_T)
        header += [f"x_{k}" for k in inputs[:_MOST_INPUTS]]
        columns += [ran.left_KT[k] for k in inputs[:_MOST_INPUTS]]
        rows = [
            (t, *("" if math.isnan(one[t]) else f"{one[t]:.4g}" for one in columns)) for t in range(len(ran.states_TN))
        ]
        more = len(inputs) - _MOST_INPUTS
        return [
            "What is left of each memory, as a share of its length at first:",
            *show.table(rows, header, right=range(len(header))),
            *([f"({more} more inputs: --json)"] if more > 0 else []),
        ]

    def values(self) -> dict[str, Any]:
        ran = self.ran
        return {
            "verdict": ran.verdict,
            "period": ran.period,
            "eigenvalues": [
                {
                    "real": one.value.real,
                    "imaginary": one.value.imag,
                    "modulus": one.modulus,
                    "degrees": one.angle,
                    "verdict": one.verdict,
                    "defective": one.defective,
                }
                for one in ran.eigenvalues
            ],
            "states": ran.states_TN.tolist(),
            "outputs": None if ran.outputs_TP is None else ran.outputs_TP.tolist(),
            "start": {"parts": ran.start_TN.tolist(), "left": ran.start_left_T.tolist()},
            "inputs": [
                {"t": k, "x": x_M.tolist(), "parts": ran.parts_KTN[k].tolist(), "left": ran.left_KT[k].tolist()}
                for k, x_M in enumerate(ran.inputs_KM)
            ],
        }

    def draw(self) -> Any:
        """The state and the output over time, what is left of each memory, eigenvalues beside the unit circle."""
        from seqcli.cli.pictures import COLOURS, pyplot

        ran = self.ran
        figure = pyplot().figure(figsize=(9, 5), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
        state, left, plane = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))
        steps = range(len(ran.states_TN))
        if ran.states_TN.shape[1] <= len(COLOURS):
            for n, (values_T, colour) in enumerate(zip(ran.states_TN.T, COLOURS, strict=False)):
                state.plot(steps, values_T, ".-", color=colour, label=f"s[{n + 1}]", lw=1)
        else:
            drawn = state.imshow(ran.states_TN.T, aspect="auto", cmap="cividis", interpolation="nearest")
            figure.colorbar(drawn, ax=state, label="s_t")
            state.set_ylabel("value of the state")
        if ran.outputs_TP is not None and ran.states_TN.shape[1] <= len(COLOURS):
            for p, values_T in enumerate(ran.outputs_TP.T):
                name = "y" if ran.outputs_TP.shape[1] == 1 else f"y[{p + 1}]"
                state.plot(steps, values_T, ls=(0, (2 + p, 2)), color="0.4", label=name, lw=2.5, zorder=0)
        if state.lines:
            state.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
        state.set(title="state and output" if ran.outputs_TP is not None else "state", xlabel="t")
        memories = [("s_0", ran.start_left_T)] * bool(ran.start_TN[0].any())
        memories += [(f"x_{k}", ran.left_KT[k]) for k, x_M in enumerate(ran.inputs_KM) if x_M.any()]
        for (name, left_T), colour in zip(memories[: len(COLOURS)], COLOURS, strict=False):
            left.plot(steps, left_T, ".-", color=colour, label=name, lw=1)
        positive = not any((values <= 0).any() for _, values in memories)
        if memories and positive:
            left.set_yscale("log")
            low, high = left.get_ylim()
            left.set_ylim(min(low, 0.5), max(high, 2))
        left.set(title="share left of each memory", xlabel="t")
        left.sharex(state)
        if memories:
            left.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
        plane.add_patch(pyplot().Circle((0, 0), 1, fill=False, color="0.4"))
        plane.axhline(0, color="0.8", lw=0.8, zorder=0)
        plane.axvline(0, color="0.8", lw=0.8, zorder=0)
        for verdict, colour, marker in zip(MEANING, COLOURS[1:], "^vosD", strict=False):
            here = [one.value for one in ran.eigenvalues if one.verdict == verdict]
            if here:
                points = [one.real for one in here], [one.imag for one in here]
                plane.scatter(*points, color=colour, marker=marker, s=50, label=verdict, zorder=3)
        reach = 1.15 * max(1.0, *(one.modulus for one in ran.eigenvalues))
        plane.set(title="eigenvalues of W", xlabel="real part", ylabel="imaginary part", aspect="equal")
        plane.set(xlim=(-reach, reach), ylim=(-reach, reach))
        plane.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False)
        return figure


def _meaning(one: Eigenvalue) -> str:
    if one.defective and one.verdict == "explode" and one.modulus < 1.01:
        return "grows like a power of t: too few eigenvectors"
    turn = ", turning" if 0 < one.angle < 180 else ", changing its sign" if one.angle == 180 else ""
    return MEANING[one.verdict] + (turn if one.verdict in ("explode", "fade") else "")


def _vector(values: Iterable[float]) -> str:
    numbers = list(values)
    small = 1e-12 * max(map(abs, numbers), default=0.0)
    return " ".join(f"{(number if abs(number) > small else 0.0) + 0.0:.5g}" for number in numbers)


def _number(value: float) -> str:
    return f"{value + 0.0:.4g}"


def _complex(value: complex) -> str:
    imaginary = value.imag if abs(value.imag) > 1e-12 * abs(value) else 0.0
    real = value.real if abs(value.real) > 1e-12 * abs(value) else 0.0
    if not imaginary:
        return _number(real)
    return f"{_number(real)} {'-' if imaginary < 0 else '+'} {_number(abs(imaginary))}i"
