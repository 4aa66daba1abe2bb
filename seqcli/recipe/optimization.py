"""Optimizer and schedule sections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from seqcli.recipe.base import Component

_Decay = Annotated[float, Field(ge=0, lt=1)]


class _AdamBase(Component):
    lr: float = Field(1e-3, gt=0, description="learning rate at its height")
    betas: Annotated[tuple[_Decay, _Decay], Strict(False)] = Field(
        (0.9, 0.999), description="decay of the two running means"
    )
    eps: float = Field(1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(0.0, ge=0, description="weight decay a step, times the learning rate")


class AdamWConfig(_AdamBase):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    weight_decay: float = Field(0.01, ge=0, description="weight decay a step, times the learning rate")


class AdamConfig(_AdamBase):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"] = "adam"


class SGDConfig(Component):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = "sgd"
    lr: float = Field(0.1, gt=0, description="learning rate at its height")
    momentum: float = Field(0.0, ge=0, lt=1, description="share of the last update kept")
    nesterov: bool = Field(False, description="look ahead along the momentum")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty")


class ConstantConfig(Component):
    """The same learning rate throughout, after a linear warm-up if one is asked for."""

    kind: Literal["constant"] = "constant"
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")


class InverseSqrtConfig(Component):
    """Linear warm-up, then falling with the square root of the step (Vaswani et al. 2017)."""

    kind: Literal["inverse-sqrt"] = "inverse-sqrt"
    warmup: int = Field(4000, ge=1, description="steps of linear warm-up")


class _FallingConfig(Component):
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    floor: float = Field(0.0, ge=0, le=1, description="share of the rate left at the end")


class CosineConfig(_FallingConfig):
    """Linear warm-up, then half a cosine down to ``floor`` at the end of training."""

    kind: Literal["cosine"] = "cosine"


class LinearConfig(_FallingConfig):
    """Linear warm-up, then a straight line down to ``floor`` at the end of training."""

    kind: Literal["linear"] = "linear"


class PlateauConfig(Component):
    """Cut the rate when the selection score has not improved for a while."""

    kind: Literal["plateau"] = "plateau"
    factor: float = Field(0.5, gt=0, lt=1, description="the rate is multiplied by this")
    patience: int = Field(2, ge=0, description="evaluations without improvement before a cut")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
