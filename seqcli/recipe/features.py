"""Features sections: what becomes of a media file (a photograph, a recording, a clip) before a field reads it.

``version`` of a kind counts up whenever it gives other numbers for the same file: it is part of what cached columns and
trained models are known by.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from seqcli.recipe.base import Component

Media = Literal["image", "audio", "video"]


class FeaturesConfig(Component):
    """How a media file becomes an array [T, channels].

    Attributes:
        media: what it reads.
        version: counts up whenever it gives other numbers.
    """

    media: ClassVar[Media]
    version: ClassVar[int] = 1


class SpectrumConfig(FeaturesConfig):
    """What the two spectra of sound share."""

    media: ClassVar[Media] = "audio"
    rate: int = Field(
        16000, ge=1000, le=192_000, description="samples a second; a recording of another rate is resampled to it"
    )
    window: float = Field(25.0, ge=1, le=1000, description="length of a frame, in milliseconds")
    hop: float = Field(10.0, ge=1, le=1000, description="from one frame to the next, in milliseconds")
    low: float = Field(20.0, ge=0, description="lowest frequency, in Hz")
    high: float | None = Field(None, gt=0, description="highest frequency, in Hz; null for half the rate")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.high or self.rate / 2) > self.rate / 2:
            raise ValueError(f"high: a rate of {self.rate} holds frequencies up to {self.rate / 2:g} Hz")
        if self.low >= (self.high or self.rate / 2):
            raise ValueError(f"low: {self.low:g} Hz is not below the highest frequency")
        return self


class LogMelConfig(SpectrumConfig):
    """Logarithm of the energy in bands of the mel scale, a frame every 10 ms (as Kaldi's fbank computes it)."""

    kind: Literal["log-mel"] = "log-mel"
    bins: int = Field(80, ge=4, le=512, description="bands of the mel scale: channels of a frame")


class MFCCConfig(SpectrumConfig):
    """Mel-frequency cepstra, a frame every 10 ms (as Kaldi's mfcc computes them; Davis and Mermelstein 1980)."""

    kind: Literal["mfcc"] = "mfcc"
    cepstra: int = Field(13, ge=2, le=512, description="coefficients, the 0th included: channels of a frame")
    bins: int = Field(23, ge=4, le=512, description="bands of the mel scale that they are computed from")

    @model_validator(mode="after")
    def _has_bins(self) -> Self:
        if self.cepstra > self.bins:
            raise ValueError(f"cepstra: {self.cepstra} of {self.bins} bins; there are at most as many")
        return self


class VideoConfig(FeaturesConfig):
    """What the kinds that read a clip share."""

    media: ClassVar[Media] = "video"
    fps: float = Field(8.0, gt=0, le=240, description="frames a second that are taken of the clip")


class GreyFramesConfig(VideoConfig):
    """Small grey pictures, a frame's pixels (0 to 1, row by row) its channels."""

    kind: Literal["grey-frames"] = "grey-frames"
    height: int = Field(24, ge=1, le=1024, description="rows of pixels")
    width: int = Field(32, ge=1, le=1024, description="pixels of a row")


class EncodedFramesConfig(VideoConfig):
    """Each frame of a clip through EfficientNet-Lite0: the mean of its last map, 1,280 channels."""

    kind: Literal["efficientnet-lite0-frames"] = "efficientnet-lite0-frames"


class EfficientNetLite0Config(FeaturesConfig):
    """The last map of EfficientNet-Lite0 (Tan and Le 2019), 7 x 7 places of 1,280 channels; a vector is their mean."""

    media: ClassVar[Media] = "image"
    kind: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    projection: str | None = Field(
        None,
        min_length=1,
        description="a .npz of numpy arrays mean [1280], basis [1280, N] and, if need be, scale [N], by which a place x becomes "
        "(x - mean) basis / scale: N values in place of 1,280, as of principal components; null: the 1,280",
    )
