"""Encoder sections: how each position learns of its neighbours."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from seqcli.recipe.base import Component, Dropout


class EncoderConfig(Component):
    """``causal``: a position need not see those after it, so a language model can be made of it."""

    causal: ClassVar[bool] = False


class _StackConfig(EncoderConfig):
    causal: ClassVar[bool] = True
    dim: int = Field(200, ge=1, description="state size in each direction (a bidirectional output is twice that)")
    layers: int = Field(1, ge=1, le=1000, description="number of layers, one over the other")
    sizes: list[Annotated[int, Field(ge=1)]] | None = Field(
        None, min_length=1, max_length=1000, description="state size of each layer, in place of dim and layers"
    )
    bidirectional: bool = Field(True, description="also read from the end to the start")
    residual: bool = Field(False, description="add a layer's input to its output where the sizes agree")
    layer_norm: bool = Field(False, description="normalise each layer's output (Ba et al. 2016)")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the values dropped on each layer's output in training"
    )
    locked_dropout: bool = Field(
        True, description="drop the same values at every position of a sequence (Gal and Ghahramani 2016)"
    )


class RNNConfig(_StackConfig):
    """Elman network: h_t = f(U x_t + V h_{t-1} + b)."""

    kind: Literal["rnn"] = "rnn"
    activation: Literal["tanh", "relu", "linear"] = Field(
        "tanh", description="f; relu starts from the identity (Le et al. 2015), linear has no f at all"
    )
    bias: bool = Field(True, description="false: without b")
    inputs: bool = Field(
        True, description="false: no input, h = f(V h) from a learned start, a recurrence that runs on by itself"
    )
    orthogonal: bool = Field(
        False,
        description="keep V orthogonal, so that a state neither grows nor fades (Lezcano-Casado and "
        "Martinez-Rubio 2019)",
    )


class LSTMConfig(_StackConfig):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), forget bias 1 (Jozefowicz et al. 2015)."""

    kind: Literal["lstm"] = "lstm"
    forget_bias: float = Field(
        1.0, description="bias of the forget gate at the start; 0 for a state that is carried on, which else grows"
    )
    peepholes: bool = Field(False, description="let the gates see the cell state (Gers et al. 2002)")


class GRUConfig(_StackConfig):
    """Gated recurrent unit (Cho et al. 2014)."""

    kind: Literal["gru"] = "gru"


class RNNScratchConfig(_StackConfig):
    """A plain recurrent network written out to be read: h_t = tanh(U x_t + V h_{t-1} + b)."""

    kind: Literal["rnn-scratch"] = "rnn-scratch"


class LSTMScratchConfig(_StackConfig):
    """Long short-term memory written out to be read, in three forms."""

    kind: Literal["lstm-scratch"] = "lstm-scratch"
    form: Literal["selective", "standard", "peephole"] = Field(
        "standard",
        description="selective: candidate and output by sigmoid, h = o * sigmoid(s), as in lectures on selective write, "
        "read and forget; standard: by tanh; peephole: the gates see the memory too (Gers et al. 2002)",
    )
    forget_bias: float = Field(1.0, description="bias of the forget gate at the start")


class GRUScratchConfig(_StackConfig):
    """Gated recurrent unit (Cho et al. 2014) written out to be read."""

    kind: Literal["gru-scratch"] = "gru-scratch"


class TransformerConfig(EncoderConfig):
    """Self-attention (Vaswani et al. 2017), normalisation before each block."""

    causal: ClassVar[bool] = True
    kind: Literal["transformer"] = "transformer"
    dim: int = Field(128, ge=1, description="size of a position's vector")
    heads: int = Field(4, ge=1, description="attention heads; dim is a multiple of it")
    layers: int = Field(2, ge=1, le=1000, description="number of blocks")
    feedforward: int = Field(512, ge=1, description="hidden size of each block's feed-forward network")
    activation: Literal["gelu", "relu"] = Field("gelu", description="of the feed-forward networks")
    dropout: Dropout = 0.1
    positions: Literal["sinusoidal", "rotary", "learned"] = Field(
        "sinusoidal",
        description="how a position is told: sinusoids or learned vectors added to the input, or queries "
        "and keys turned by it (Su et al. 2021)",
    )
    max_positions: int = Field(1024, ge=1, description="rows of the table of learned positions")

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerConfig:
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) is not a multiple of heads ({self.heads})")
        return self


class WindowConfig(EncoderConfig):
    """Fixed window: neighbours' vectors side by side, then a dense layer (Collobert et al. 2011)."""

    causal: ClassVar[bool] = True
    kind: Literal["window"] = "window"
    dim: int = Field(200, ge=1, description="size of the dense layer")
    left: int = Field(2, ge=0, description="neighbours seen to the left")
    right: int = Field(2, ge=0, description="neighbours seen to the right")
    dropout: Dropout = 0.0


class BagConfig(EncoderConfig):
    """No order: each position sees itself and the mean of its sequence."""

    kind: Literal["bag"] = "bag"
    dim: int = Field(200, ge=1, description="size of the dense layer over the two")
    dropout: Dropout = 0.0


class CNNConfig(EncoderConfig):
    """Convolutions of several widths side by side, ReLU (Kim 2014); pooled by max they are its sentence model."""

    kind: Literal["cnn"] = "cnn"
    widths: list[Annotated[int, Field(ge=1)]] = Field([3, 4, 5], min_length=1, description="positions a filter sees")
    filters: int = Field(100, ge=1, description="filters of each width: the output is filters x widths")
    dropout: Dropout = 0.0
