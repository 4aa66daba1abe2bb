"""Embedder sections: how a source becomes a sequence of vectors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqcli.recipe.base import Component, Config, Dropout, Slot


class CharacterCNNConfig(Component):
    """Character convolution with max pooling over the word (Ma and Hovy 2016)."""

    kind: Literal["cnn"] = "cnn"
    dim: int = Field(30, ge=1, description="size of a character's vector")
    filters: int = Field(30, ge=1, description="number of filters for each width: the output is filters x widths")
    widths: list[int] = Field([3], min_length=1, description="characters a filter sees")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of a character vector's values dropped in training")


class CharacterLSTMConfig(Component):
    """Last states of a forward and a backward LSTM over the word's characters (Lample et al. 2016)."""

    kind: Literal["lstm"] = "lstm"
    dim: int = Field(25, ge=1, description="size of a character's vector")
    hidden: int = Field(25, ge=1, description="state size in each direction: the output is twice that")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of a character vector's values dropped in training")


class AffixesConfig(Config):
    """Vectors for the beginnings, the ends and the shape of a word (Xx-d and the like)."""

    prefixes: list[int] = Field([2, 3], description="lengths of prefixes, in characters")
    suffixes: list[int] = Field([2, 3], description="lengths of suffixes, in characters")
    shape: bool = Field(True, description="add the word's shape: case and digits of its characters, runs shortened")
    dim: int = Field(25, ge=1, description="size of each of these vectors")
    min_count: int = Field(2, ge=1, description="fewest distinct training words that show an affix for it to get a row")


class VectorsConfig(Config):
    """Word vectors to start from: a word2vec, GloVe or fastText text file (.gz is read too)."""

    file: str = Field(description="path of the text file: a word and its values a line")
    freeze: bool = Field(False, description="keep the vectors as they are")
    extend: bool = Field(False, description="also give a row to the words that only the file has")


class TokensConfig(Component):
    """Word vectors, and vectors made of the word's spelling beside them."""

    kind: Literal["tokens"] = "tokens"
    dim: int = Field(100, ge=0, description="size of a word's vector; 0 leaves words to their spelling")
    characters: Annotated[Component, Slot("characters")] | None = Field(
        None, description="a vector made of the characters"
    )
    affixes: AffixesConfig | None = Field(None, description="vectors of prefixes, suffixes and shape")
    vectors: VectorsConfig | None = Field(None, description="pretrained word vectors to start from")
    dropout: Dropout = 0.0
    word_dropout: float = Field(
        0.0,
        ge=0,
        le=1,
        description="chance in training that a word seen once is read as <UNK> "
        "(a word seen n times: this divided by n)",
    )
    token_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the tokens that are left blank in training (Iyyer et al. 2015)"
    )


class OneHotConfig(Component):
    """A word as a vector of zeros with a single one, at its row of the vocabulary: nothing is learned."""

    kind: Literal["one-hot"] = "one-hot"


class VaryConfig(Config):
    """How sequences are varied in training, anew in every epoch, so that few recordings teach more."""

    warp: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="largest share left out at either end, the rest being stretched over all frames, and how unevenly",
    )
    turn: float = Field(
        0.0, ge=0, le=180, description="largest turn about the second axis (upright), in degrees; of points x, y, z"
    )
    tilt: float = Field(0.0, ge=0, le=180, description="largest turn about each of the two other axes, in degrees")
    scale: float = Field(0.0, ge=0, le=1, description="standard deviation of the logarithm of a factor of all values")
    shift: int = Field(0, ge=0, description="farthest that pictures are moved, up or down and left or right, in pixels")
    noise: float = Field(
        0.0, ge=0, description="noise added to every value, in standard deviations of its channel in the training data"
    )


class VectorConfig(Component):
    """A vector of real numbers projected: a sequence of one position."""

    kind: Literal["vector"] = "vector"
    dim: int = Field(256, ge=1, description="size of the projected vector")
    activation: Literal["none", "relu"] = Field("none", description="what follows the projection")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="share of the values read that are dropped in training")
    dropout: Dropout = 0.0


class FramesConfig(Component):
    """Frames of real numbers projected (by a convolution over time if the kernel is long)."""

    kind: Literal["frames"] = "frames"
    dim: int = Field(64, ge=1, description="size of a projected frame")
    kernel: int = Field(1, ge=1, description="frames that the projection sees at once")
    stride: int = Field(1, ge=1, description="frames from one projected frame to the next: of T frames T/stride remain")
    activation: Literal["none", "relu"] = Field("none", description="what follows the projection")
    vary: VaryConfig | None = Field(None, description="how sequences are varied in training; null: not at all")
    dropout: Dropout = 0.0


class FrameCNNConfig(Component):
    """A small convolutional network over each frame, a picture: layers of filters, ReLU, each halving it."""

    kind: Literal["frame-cnn"] = "frame-cnn"
    height: int = Field(ge=1, description="rows of a picture, in pixels")
    width: int = Field(
        ge=1, description="columns of a picture; of a frame of more channels each rows x columns are a plane"
    )
    filters: list[Annotated[int, Field(ge=1)]] = Field(
        [16, 32, 64], min_length=1, max_length=8, description="filters of each layer"
    )
    kernel: Literal[1, 3, 5, 7] = Field(3, description="rows and columns that a filter sees")
    dim: int = Field(64, ge=1, description="size of a picture's vector")
    stride: int = Field(
        1, ge=1, description="frames from one that is looked at to the next: of T frames T/stride remain"
    )
    vary: VaryConfig | None = Field(None, description="how sequences are varied in training; null: not at all")
    dropout: Dropout = 0.0


class SpecAugmentConfig(Config):
    """Spans of time and bands of channels hidden in training (Park et al. 2019)."""

    time_masks: int = Field(2, ge=0, description="spans of time hidden in each sequence")
    time_width: int = Field(20, ge=0, description="longest of them, in frames; the width is drawn anew each time")
    time_share: float = Field(0.2, ge=0, le=1, description="longest of them, as a share of the sequence")
    channel_masks: int = Field(2, ge=0, description="bands of channels hidden in each sequence")
    channel_width: int = Field(4, ge=0, description="widest of them, in channels; the width is drawn anew each time")


class ConvolutionConfig(Component):
    """Convolutions over frames (speech), which may join two or four of them into one position."""

    kind: Literal["convolution"] = "convolution"
    dim: int = Field(128, ge=1, description="size of a position's vector")
    over: Literal["time", "time-and-channels"] = Field(
        "time",
        description="time: a filter sees all channels of a frame; time-and-channels: a part of them, as of a picture, "
        "and each layer halves the channels",
    )
    filters: int = Field(128, ge=1, description="filters of each layer")
    kernel: int = Field(5, ge=1, description="frames (and channels) that a filter sees")
    layers: int = Field(2, ge=1, le=8, description="convolutions, one over the other, ReLU behind each")
    subsampling: Literal[1, 2, 4] = Field(
        2, description="frames that become one position: of T frames T/subsampling remain, rounded up"
    )
    vary: VaryConfig | None = Field(None, description="how sequences are varied in training; null: not at all")
    augment: SpecAugmentConfig | None = Field(None, description="what is hidden in training: SpecAugment")
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _layers_halve(self) -> ConvolutionConfig:
        if self.subsampling > 2**self.layers:
            raise ValueError(f"subsampling {self.subsampling} takes more layers than {self.layers}: each halves once")
        return self


class SeriesConfig(Component):
    """A window of series: levelled, cut into segments, projected."""

    kind: Literal["series"] = "series"
    normalize: Literal["none", "last", "mean", "standard"] = Field(
        "none",
        description="what is taken off each column of a window, and given back to what is predicted: nothing, its last "
        "value (Zeng et al. 2023), its mean, or its mean with its deviation divided out (Kim et al. 2022)",
    )
    affine: bool = Field(
        False, description="after that a factor and an addend for each column, learned and undone too (Kim et al. 2022)"
    )
    channels: Literal["together", "apart"] = Field(
        "together",
        description="together: a position holds all columns; apart: each column that is predicted is a series of its "
        "own, read by the same weights (Nie et al. 2023)",
    )
    decompose: int | None = Field(
        None,
        ge=3,
        description="in place of the values their mean over so many steps (odd), and what is left (Wu et al. 2021); null: the values",
    )
    segment: int = Field(1, ge=1, description="steps that become one position")
    stride: int | None = Field(
        None, ge=1, description="steps from one position to the next; null: as many as a segment has"
    )
    dim: int | None = Field(None, ge=1, description="size of a projected segment; null: its values as they are")
    activation: Literal["none", "relu"] = Field("none", description="what follows the projection")
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _steps_fit(self) -> SeriesConfig:
        if self.decompose is not None and self.decompose % 2 == 0:
            raise ValueError(f"decompose ({self.decompose}) must be odd: as many steps before as after")
        if self.stride is not None and self.stride > self.segment:
            raise ValueError(f"stride ({self.stride}) leaves out steps between segments of {self.segment}")
        if self.dim is None and self.activation != "none":
            raise ValueError("activation follows a projection: it needs a dim")
        return self


class GapsConfig(Component):
    """What stands around each step of series with gaps (the last value, the next one, how far they are), projected."""

    kind: Literal["gaps"] = "gaps"
    normalize: Literal["none", "mean", "standard"] = Field(
        "none",
        description="what is taken off each column of a window, and given back to what is filled: nothing, the mean of "
        "what is there, or that with its deviation divided out (Kim et al. 2022)",
    )
    dim: int = Field(128, ge=1, description="size of a step's vector")
    dropout: Dropout = 0.0
