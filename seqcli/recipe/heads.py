"""Head sections: from a position's vector to its label."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqcli.recipe.base import Component


class SoftmaxConfig(Component):
    """Each label for itself: softmax and cross-entropy."""

    kind: Literal["softmax"] = "softmax"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread evenly over the labels")


class CRFConfig(Component):
    """Linear-chain conditional random field (Lafferty et al. 2001), steps illegal under the tag scheme ruled out."""

    kind: Literal["crf"] = "crf"
    constrained: bool = Field(True, description="rule out tag steps that the scheme forbids, in training and decoding")
