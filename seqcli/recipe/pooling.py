"""Pooling sections: from a vector for each position to one for the sequence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqcli.recipe.base import Component


class _PoolingConfig(Component):
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the values dropped in training")


class LastConfig(_PoolingConfig):
    """The last state: of a bidirectional encoder the forward one at the end beside the backward one at the start."""

    kind: Literal["last"] = "last"


class MeanConfig(_PoolingConfig):
    """The mean over the positions."""

    kind: Literal["mean"] = "mean"


class MaxConfig(_PoolingConfig):
    """The largest value of each dimension over the positions."""

    kind: Literal["max"] = "max"


class AttentionConfig(Component):
    """A mean whose weights are learned: softmax of u tanh(W h) over the positions (Yang et al. 2016)."""

    kind: Literal["attention"] = "attention"
    dim: int = Field(100, ge=1, description="size of the vector that the weights are computed from")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the values dropped in training")
