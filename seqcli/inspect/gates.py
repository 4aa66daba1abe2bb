"""Gates and states of recurrent layers while a network reads one sequence; the equations are in `seqcli.inspect.steps`.

Shapes: T steps, H units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.data.batch import Side
from seqcli.inspect.steps import Trace, traced
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.network import Network

CELL, HIDDEN = "cell", "hidden"


@dataclass(frozen=True)
class Gated:
    """One direction of one layer: what each gate and state was at each position.

    Attributes:
        gates: their names; the rest of ``values`` are states, ``cell`` (s) and ``hidden`` (h).
        positions: what was read at each, in the order of the text, whichever way the layer reads it.
        values: by name [T, H].
        difference: the largest one between h as computed here and as torch's layer gives it.
    """

    layer: str
    kind: str
    gates: tuple[str, ...]
    positions: list[str]
    values: Mapping[str, NDArray[np.float64]]
    difference: float


def run(network: Network, source: Side, target: Side | None) -> None:
    """Let a network read a source, and an encoder-decoder write the target that it is given."""
    if not isinstance(network, EncoderDecoder):
        network(source)
        return
    kept, states = network.encode(source)
    if target is not None:
        network.read(network.tensors(target)[0]["words_BT"], kept, states)


def gates(
    network: Network, source: Side, target: Side | None, positions: Sequence[str], written: Sequence[str]
) -> list[Gated]:
    """Gates and states of every recurrent layer over one sequence.

    Args:
        positions: what stands at each position of the source.
        written: what a decoder reads at each of its steps.
    """
    with torch.no_grad(), traced(network.eval()) as traces:
        run(network, source, target)
    return [_gated(trace, written if trace.name.startswith("decoder") else positions) for trace in traces]


def _gated(trace: Trace, names: Sequence[str]) -> Gated:
    steps = range(len(trace.states))
    tensors = {name: [trace.gates[step][name] for step in steps] for name in trace.cell.gates}
    if trace.cell.wide > 1:
        tensors[CELL] = trace.memories
    tensors[HIDDEN] = [state[0] for state in trace.states]
    values = {
        name: np.stack([one[0].double().cpu().numpy() for one in (reversed(ones) if trace.backwards else ones)])
        for name, ones in tensors.items()
    }
    if len(names) + 1 == len(steps):  # a decoder may begin with the source, a forecaster go on into the future
        names = ["(source)", *names] if trace.name.startswith("decoder") else [*names, "(ahead)"]
    return Gated(trace.name, trace.cell.kind, trace.cell.gates, labels(names, len(steps)), values, trace.difference)


def labels(names: Sequence[str], steps: int) -> list[str]:
    """A name for each step, or a number where an embedder joins positions."""
    return list(names) if len(names) == steps else [str(number) for number in range(1, steps + 1)]
