"""Pooling sections: from a vector for each position to one for the sequence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqcli.recipe.base import Component, Dropout


class LastConfig(Component):
    """The last state: of a bidirectional encoder the forward one at the end beside the backward one at the start."""

    kind: Literal["last"] = "last"
    dropout: Dropout = 0.0


class MeanConfig(Component):
    """The mean over the positions."""

    kind: Literal["mean"] = "mean"
    dropout: Dropout = 0.0


class MaxConfig(Component):
    """The largest value of each dimension over the positions."""

    kind: Literal["max"] = "max"
    dropout: Dropout = 0.0


class AttentionConfig(Component):
    """A mean whose weights are learned: softmax of u tanh(W h) over the positions (Yang et al. 2016)."""

    kind: Literal["attention"] = "attention"
    dim: int = Field(100, ge=1, description="size of the vector that the weights are computed from")
    dropout: Dropout = 0.0
