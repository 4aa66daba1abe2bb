"""Head sections: from a position's vector to its label."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seqcli.recipe.base import Component, Dropout


class SoftmaxConfig(Component):
    """Each label for itself: softmax and cross-entropy."""

    kind: Literal["softmax"] = "softmax"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread evenly over the labels")
    bias: bool = Field(True, description="add a bias to each label's score")
    tied: bool = Field(
        False, description="language models: the output weights are the word vectors (Press and Wolf 2017)"
    )


class CRFConfig(Component):
    """Linear-chain conditional random field (Lafferty et al. 2001), steps illegal under the tag scheme ruled out."""

    kind: Literal["crf"] = "crf"
    constrained: bool = Field(True, description="rule out tag steps that the scheme forbids, in training and decoding")


class SigmoidConfig(Component):
    """Each label for itself, yes or no: for examples that may have several labels (target.separator)."""

    kind: Literal["sigmoid"] = "sigmoid"
    threshold: float = Field(0.5, gt=0, lt=1, description="a label is given when its probability is above this")


class AdaptiveConfig(Component):
    """Softmax in clusters of rarer and rarer words, each smaller than the one before it (Grave et al. 2017)."""

    kind: Literal["adaptive"] = "adaptive"
    cutoffs: list[int] = Field(
        [2000], min_length=1, description="rows of the vocabulary where a cluster ends, most frequent words first"
    )
    shrink: float = Field(4.0, gt=1, description="each cluster's vectors are this many times smaller than the last's")

    @model_validator(mode="after")
    def _cutoffs_rise(self) -> AdaptiveConfig:
        if self.cutoffs != sorted(set(self.cutoffs)) or self.cutoffs[0] < 1:
            raise ValueError("cutoffs must rise from one to the next, the first at least 1")
        return self


class CTCConfig(Component):
    """Text for frames, unaligned: a unit or a blank at each position, summed over all alignments (Graves et al. 2006)."""

    kind: Literal["ctc"] = "ctc"


class ForecastConfig(Component):
    """A head that predicts values of series."""

    loss: Literal["mse", "mae", "huber"] = Field(
        "mse",
        description="squared error, absolute error, or squared up to 1 and absolute beyond (Huber 1964), of standardised "
        "values; with quantiles (task.quantiles) always the pinball loss",
    )
    future: int = Field(
        32,
        ge=0,
        description="size of the hidden layer by which known values and the calendar of a step to come change what is "
        "predicted for it, where there are any; 0: by a weight each",
    )
    dropout: Dropout = 0.0


class DirectConfig(ForecastConfig):
    """Sequence to vector: all steps at once."""

    kind: Literal["direct"] = "direct"
    reads: Literal["last", "all"] = Field(
        "last",
        description="the last position, or all of them side by side; without an encoder that is a linear forecast "
        "(Zeng et al. 2023)",
    )
    own: bool = Field(False, description="channels: apart: weights of its own for each column")


class ShiftedConfig(ForecastConfig):
    """Sequence to sequence: each position predicts the steps after it, and all of them count in training."""

    kind: Literal["shifted"] = "shifted"


class SegmentsConfig(ForecastConfig):
    """The recurrent encoder goes on from its last state to all segments to come, side by side (SegRNN, Lin et al. 2023)."""

    kind: Literal["segments"] = "segments"


class StepwiseConfig(ForecastConfig):
    """One step after the other, each made of the one before: the decoder of an encoder-decoder (Sutskever et al. 2014)."""

    kind: Literal["stepwise"] = "stepwise"
    teacher_forcing: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the windows of a training batch whose decoder reads the true values, not what it predicted "
        "(Bengio et al. 2015)",
    )


class FillConfig(Component):
    """A value for each step of each column, as its distance from a simple guess."""

    kind: Literal["fill"] = "fill"
    guess: Literal["line", "none"] = Field(
        "line",
        description="line: what is learned is added to the line between the values around a gap, so that an untrained "
        "network interpolates; none: to nothing",
    )
    loss: Literal["mae", "mse"] = Field(
        "mae", description="absolute or squared error of the standardised values that are hidden"
    )
