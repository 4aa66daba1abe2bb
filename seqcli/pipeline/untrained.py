"""The same recipe with other recurrent layers, to be compared with before any training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from seqcli.recipe import registry
from seqcli.recipe.base import Component
from seqcli.recipe.models import EncoderDecoderConfig
from seqcli.tasks.base import Task

if TYPE_CHECKING:
    from seqcli.models.network import Network

RECURRENT = ("rnn", "lstm", "gru")

_CELLS: tuple[tuple[str, str, dict[str, Any], bool], ...] = (
    ("RNN tanh, U uniform", "rnn", {"activation": "tanh"}, True),
    ("RNN tanh, U orthogonal", "rnn", {"activation": "tanh"}, False),
    ("RNN ReLU, U identity", "rnn", {"activation": "relu"}, False),
    ("LSTM, forget bias 1", "lstm", {"forget_bias": 1.0}, False),
    ("GRU", "gru", {}, False),
)


def untrained(task: Task[Any]) -> Iterator[tuple[str, Network]]:
    """A plain RNN, a ReLU RNN that begins with the identity (Le, Jaitly and Hinton 2015), an LSTM and a GRU, of as many
    units and layers as the recurrent layers of a fitted task; of the RNN of a decoder there is no ReLU.
    """
    from seqcli.inspect.fresh import new_network

    for name, kind, options, uniform in _CELLS:
        if options.get("activation") == "relu" and isinstance(task.recipe.model, EncoderDecoderConfig):
            continue
        other = copy.copy(task)
        model = task.recipe.model
        changes = {
            slot: _with_cell(slot, section, kind, options)
            for slot in ("encoder", "decoder")
            if (section := dict(model).get(slot)) is not None and hasattr(section, "dim") and _recurs(section)
        }
        other.recipe = task.recipe.model_copy(update={"model": model.model_copy(update=changes)})
        yield name, new_network(other, uniform=uniform)


def _recurs(section: Component) -> bool:
    return section.kind.removesuffix("-scratch") in RECURRENT


def _with_cell(slot: str, section: Component, kind: str, options: dict[str, Any]) -> Component:
    """A section of another kind, alike in all that is not the cell's own."""
    config = registry.config_class(slot, kind)
    own = {"kind", "activation", "inputs", "orthogonal", "forget_bias", "peepholes"}
    shared = {name: value for name, value in dict(section).items() if name in {*config.model_fields} - own}
    return config.model_validate(
        shared | {name: value for name, value in options.items() if name in config.model_fields}
    )
