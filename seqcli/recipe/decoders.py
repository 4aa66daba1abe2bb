"""Decoder sections: how the next token of the target comes of the source and of the tokens before it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seqcli.recipe.base import Component, Dropout


class _RecurrentDecoderConfig(Component):
    dim: int = Field(256, ge=1, description="size of the state, and of a target token's vector")
    layers: int = Field(1, ge=1, le=1000, description="number of layers, one over the other")
    attention: Literal["none", "dot", "general", "additive"] = Field(
        "general",
        description="how a state is compared with the encoder's: not at all (the source is then its last state alone), "
        "s h, s W h (Luong et al. 2015) or v tanh(W s + U h) (Bahdanau et al. 2015)",
    )
    begin: Literal["last", "mean", "input"] = Field(
        "last",
        description="where the first states come from: the encoder's last position, the mean of its positions (Xu et "
        "al. 2015), or that mean read like a token before the first (Vinyals et al. 2015)",
    )
    input_feeding: bool = Field(
        False, description="also read what attention gave for the token before (Luong et al. 2015, section 3.3)"
    )
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _feeds_attention(self) -> _RecurrentDecoderConfig:
        if self.input_feeding and self.attention == "none":
            raise ValueError("input_feeding needs an attention")
        return self


class RNNDecoderConfig(_RecurrentDecoderConfig):
    """Elman network."""

    kind: Literal["rnn"] = "rnn"


class LSTMDecoderConfig(_RecurrentDecoderConfig):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    kind: Literal["lstm"] = "lstm"


class GRUDecoderConfig(_RecurrentDecoderConfig):
    """Gated recurrent unit (Cho et al. 2014)."""

    kind: Literal["gru"] = "gru"


class TransformerDecoderConfig(Component):
    """Attention to the tokens before and to the source (Vaswani et al. 2017), normalisation before each block."""

    kind: Literal["transformer"] = "transformer"
    dim: int = Field(256, ge=1, description="size of a position's vector, and of a target token's")
    heads: int = Field(4, ge=1, description="attention heads; dim is a multiple of it")
    layers: int = Field(4, ge=1, le=1000, description="number of blocks")
    feedforward: int = Field(1024, ge=1, description="hidden size of each block's feed-forward network")
    activation: Literal["gelu", "relu"] = Field("relu", description="of the feed-forward networks")
    dropout: Dropout = 0.1

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerDecoderConfig:
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) is not a multiple of heads ({self.heads})")
        return self
