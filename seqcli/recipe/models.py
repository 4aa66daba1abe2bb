"""Model sections: a network of parts, or a model that is counted or fitted in one go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqcli.recipe.base import Component, Slot

_Penalty = Annotated[
    float, Field(gt=0, description="weight of the L2 penalty on the weights, beside the loss summed over the examples")
]


class GradientsConfig(Component):
    """A model of layers, trained by gradients."""

    embedder: Annotated[Component, Slot("embedder")] | None = Field(
        None, description="source -> a vector for each position"
    )
    encoder: Annotated[Component, Slot("encoder")] | None = Field(
        None, description="vectors -> vectors that know their neighbours"
    )
    head: Annotated[Component, Slot("head")] | None = Field(None, description="vectors -> labels, or the next token")

    def parts(self) -> tuple[str, ...]:
        """The kinds there are, in the order of the data's way."""
        slots = (dict(self).get(name) for name in ("embedder", "encoder", "pooling", "decoder", "head"))
        return tuple(part.kind for part in slots if part is not None)


class NetworkConfig(GradientsConfig):
    """A network: embedder, encoder, pooling (classification) and head, trained by gradients."""

    kind: Literal["network"] = "network"
    pooling: Annotated[Component, Slot("pooling")] | None = Field(
        None, description="a vector for each position -> one for the sequence (classification)"
    )
    members: int = Field(
        1,
        ge=1,
        description="networks trained side by side from different starts, which answer together "
        "(Lakshminarayanan et al. 2017); classification, tagging",
    )
    beside: list[Annotated[Component, Slot("beside")]] = Field(
        [],
        description="models fitted in one go (bag-of-words; of a language model ngram), whose probabilities are "
        "mixed with the network's once it is trained, in shares that make the loss on dev least",
    )


class EncoderDecoderConfig(GradientsConfig):
    """An encoder that reads the source, a decoder that writes the target token by token (Sutskever et al. 2014)."""

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    decoder: Annotated[Component, Slot("decoder")] | None = Field(
        None, description="what was made of the source, and the target tokens so far -> a vector for the next one"
    )
    tied: Literal["none", "target-output", "source-target", "all"] = Field(
        "target-output",
        description="tables that are one and the same: the vectors of target tokens and the output weights (Press and "
        "Wolf 2017), those of source and target tokens (which then share a vocabulary), or all three",
    )


class CountsConfig(Component):
    """A model that is counted or fitted in one go; it reads a sequence of any length whole."""


class BagOfWordsConfig(CountsConfig):
    """Which n-grams occur, and a linear classifier over them: no order beyond the n-gram (Wang and Manning 2012)."""

    kind: Literal["bag-of-words"] = "bag-of-words"
    ngrams: int = Field(2, ge=1, le=5, description="words in the longest n-gram")
    weighting: Literal["binary", "counts", "tfidf"] = Field(
        "binary", description="value of an n-gram: 1, its count, or that times its inverse document frequency"
    )
    naive_bayes: bool = Field(
        False, description="times the log ratio of its frequency in a label and in all others (Wang and Manning 2012)"
    )
    normalize: bool = Field(
        False,
        description="divide the values of an example by their Euclidean norm (before naive_bayes); it wants a "
        "regularization about ten times as weak",
    )
    buckets: int | None = Field(
        None, ge=1, description="n-grams of two and more words share so many hashed rows; null gives each its own row"
    )
    min_count: int = Field(1, ge=1, description="fewest training examples that have an n-gram for it to get a row")
    regularization: _Penalty = 1.0


class MeanPoolConfig(CountsConfig):
    """The mean of a sequence's scaled frames and a linear classifier over it: no order at all."""

    kind: Literal["mean-pool"] = "mean-pool"
    regularization: _Penalty = 1.0


class MajorityConfig(CountsConfig):
    """The label that is most frequent in training, whatever comes."""

    kind: Literal["majority"] = "majority"


class MostFrequentTagConfig(CountsConfig):
    """The tag that a word has most often in training, whatever stands beside it (tagging)."""

    kind: Literal["most-frequent-tag"] = "most-frequent-tag"


class RandomCaptionConfig(CountsConfig):
    """Any caption of the training data, whatever the image (captioning)."""

    kind: Literal["random-caption"] = "random-caption"


class NearestCaptionConfig(CountsConfig):
    """The first caption of the training image whose vector is nearest (captioning)."""

    kind: Literal["nearest-caption"] = "nearest-caption"


class ConsensusCaptionConfig(CountsConfig):
    """The caption of the nearest training images that is most like their other captions (Devlin et al. 2015)."""

    kind: Literal["consensus-caption"] = "consensus-caption"
    neighbours: int = Field(25, ge=1, description="training images whose captions are candidates")
    agreeing: int = Field(
        125, ge=1, description="candidates, those most like it, that a caption is compared with; the rest is ignored"
    )


class NGramConfig(CountsConfig):
    """Counts instead of a network: interpolated modified Kneser-Ney (Chen and Goodman 1998)."""

    kind: Literal["ngram"] = "ngram"
    order: int = Field(4, ge=1, le=8, description="tokens in the longest n-gram: the last one and those before it")
    prune: list[int] = Field(
        [],
        description="for orders 1, 2, ...: n-grams seen this often or less are left out; the last value holds for "
        "all higher orders; must not fall; none by default",
    )

    @model_validator(mode="after")
    def _prune_rises(self) -> NGramConfig:
        if len(self.prune) > self.order:
            raise ValueError(f"prune has {len(self.prune)} values, order is {self.order}")
        if self.prune != sorted(self.prune) or min(self.prune, default=0) < 0:
            raise ValueError("prune must not fall from one order to the next, nor begin below 0")
        return self


class LastValueConfig(CountsConfig):
    """The last value before, again and again: of a forecast, and in a gap."""

    kind: Literal["last-value"] = "last-value"


class SeasonalNaiveConfig(CountsConfig):
    """The value a season before (forecasting)."""

    kind: Literal["seasonal-naive"] = "seasonal-naive"


class DriftConfig(CountsConfig):
    """The line through the first and the last value of a series, carried on (forecasting)."""

    kind: Literal["drift"] = "drift"


class LinearForecastConfig(CountsConfig):
    """Least squares from the values of a window to the next ones, the same weights for each column (forecasting)."""

    kind: Literal["linear"] = "linear"


class ETSConfig(CountsConfig):
    """Exponential smoothing of level, trend and season, fitted by statsforecast (Hyndman et al. 2008; forecasting)."""

    kind: Literal["ets"] = "ets"


class ThetaConfig(CountsConfig):
    """The theta method, fitted by statsforecast (Fiorucci et al. 2016; forecasting)."""

    kind: Literal["theta"] = "theta"


class InterpolationConfig(CountsConfig):
    """The line between the values on both sides of a gap (imputation)."""

    kind: Literal["interpolation"] = "interpolation"


class MedianConfig(CountsConfig):
    """The median of a column's training values, whatever stands beside the gap (imputation)."""

    kind: Literal["median"] = "median"


class _Word2VecConfig(Component):
    dim: int = Field(100, ge=1, description="size of a word's vector")
    window: int = Field(5, ge=1, description="neighbours at most so far away, in words")
    negative: int = Field(5, ge=1, description="words drawn as wrong answers for each right one")
    subsample: float = Field(
        1e-3, ge=0, description="words more frequent than this share are skipped at times; 0 for never"
    )
    lr: float = Field(0.025, gt=0, description="learning rate at the start; it falls to nearly nothing")


class SkipGramConfig(_Word2VecConfig):
    """Word vectors: a word predicts its neighbours, with negative sampling (Mikolov et al. 2013)."""

    kind: Literal["skip-gram"] = "skip-gram"


class CBOWConfig(_Word2VecConfig):
    """Word vectors: the neighbours predict the word, with negative sampling (Mikolov et al. 2013)."""

    kind: Literal["cbow"] = "cbow"
