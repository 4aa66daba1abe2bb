"""Units of a character model that follow a rule one can see (Karpathy, Johnson and Fei-Fei 2015, section 4.2).

A unit's activation is tanh(s) of an LSTM, else h. A rule gives each character of a text a number; how well a unit
follows it is Pearson's correlation r = cov(unit, rule) / (std(unit) std(rule)). The unit is chosen on the first half of
the text and r is measured on the second, so that the best of hundreds of units is not best by luck.
Shapes: N characters, H units, R rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.inspect.steps import Trace, traced
from seqcli.models.language import LanguageModel

NEWLINE = "\n"
CHUNK = 512
"""Characters that are read at once, the state carried on."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Neuron:
    """The unit that follows a rule best.

    Attributes:
        chosen: r on the half of the text that it was chosen on; ``held_out``: on the other half.
        activations, wanted: of the unit and of the rule at each character [N].
    """

    rule: str
    layer: str
    unit: int
    chosen: float
    held_out: float
    activations: Values
    wanted: Values


def _in_quotes(text: str) -> list[float]:
    """Inside a pair of double quotes, straight or curly; a blank line ends what nobody closed."""
    inside, found = False, list[float]()
    for place, letter in enumerate(text):
        opens = letter == "“" or (letter == '"' and not inside)
        closes = letter == "”" or (letter == '"' and inside)
        found.append(float(inside or opens))
        inside = (inside or opens) and not closes and text[place : place + 2] != "\n\n"
    return found


def _in_brackets(text: str) -> list[float]:
    """How many brackets ( [ { are open."""
    depth, found = 0, list[float]()
    for letter in text:
        depth += letter in "([{"
        found.append(float(depth))
        depth = max(0, depth - (letter in ")]}"))
    return found


def _in_line(text: str) -> list[float]:
    """Characters since the line began."""
    place, found = 0, list[float]()
    for letter in text:
        found.append(float(place))
        place = 0 if letter == NEWLINE else place + 1
    return found


def _in_word(text: str) -> list[float]:
    """Characters since the word began; 0 outside of one."""
    place, found = 0, list[float]()
    for letter in text:
        place = place + 1 if letter.isalnum() or (letter in "'’" and place) else 0
        found.append(float(place))
    return found


RULES: dict[str, Callable[[str], list[float]]] = {
    "inside quotes": _in_quotes,
    "inside brackets": _in_brackets,
    "position in the line": _in_line,
    "position in the word": _in_word,
    "a capital letter": lambda text: [float(letter.isupper()) for letter in text],
    "between words": lambda text: [float(letter.isspace()) for letter in text],
}


def neurons(network: LanguageModel, ids: NDArray[np.int64], text: Sequence[str]) -> tuple[list[Neuron], list[str]]:
    """The best unit for each rule, and the rules that the text gives no occasion for in both of its halves.

    Args:
        ids: of the characters [N]; ``text``: those characters, a line break where a line ends.
    """
    traces = activations(network, ids)
    half, shown = len(ids) // 2, "".join(one if len(one) == 1 else "\ufffd" for one in text)
    found, without = [], []
    for rule, of_text in RULES.items():
        wanted_N = np.array(of_text(shown))
        if not all(wanted_N[part].std() for part in (slice(half), slice(half, None))):
            without.append(rule)
            continue
        best: Neuron | None = None
        for layer, values_NH in traces.items():
            chosen_H = correlations(values_NH[:half], wanted_N[:half])
            unit = int(np.abs(chosen_H).argmax())
            if best is None or abs(chosen_H[unit]) > abs(best.chosen):
                held_out = float(correlations(values_NH[half:, [unit]], wanted_N[half:])[0])
                best = Neuron(rule, layer, unit, float(chosen_H[unit]), held_out, values_NH[:, unit], wanted_N)
        if best is not None:
            found.append(best)
    return found, without


def activations(network: LanguageModel, ids: NDArray[np.int64]) -> dict[str, Values]:
    """What every unit of every recurrent layer is at each character [N, H], by layer."""
    states: list[torch.Tensor] = []
    parts: dict[str, list[Values]] = {}
    for start in range(0, len(ids), CHUNK):
        with torch.no_grad(), traced(network.eval()) as traces:
            _, states = network.read(torch.from_numpy(ids[None, start : start + CHUNK]), states)
        for trace in traces:
            parts.setdefault(trace.name, []).append(_activation(trace))
    return {name: np.concatenate(some) for name, some in parts.items()}


def _activation(trace: Trace) -> Values:
    values_TH = torch.stack([one[0] for one in trace.memories]).double()
    return np.asarray((values_TH.tanh() if trace.cell.wide > 1 else values_TH).numpy())


def correlations(values_NH: Values, wanted_N: Values) -> Values:
    """Pearson's r of each unit with a rule [H]; 0 for a unit, or a rule, that never changes."""
    values = values_NH - values_NH.mean(0)
    wanted = wanted_N - wanted_N.mean()
    scale_H = np.sqrt((values**2).sum(0) * (wanted**2).sum())
    return np.asarray(np.divide(wanted @ values, scale_H, out=np.zeros(values.shape[1]), where=scale_H > 1e-12))
