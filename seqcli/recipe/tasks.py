"""Task sections: what a recipe learns to do."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seqcli.recipe.base import Component

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TaskConfig(Component):
    """What the program knows of a task before it loads it.

    Attributes:
        target_kind: kind of the target section where a recipe has none; None for a task without a target.
        predicts: its models say something of each input, so `predict` runs them.
    """

    target_kind: ClassVar[str | None] = None
    predicts: ClassVar[bool] = False


class TaggingConfig(TaskConfig):
    """One tag for each token: parts of speech, named entities."""

    target_kind: ClassVar[str | None] = "tags"
    predicts: ClassVar[bool] = True
    kind: Literal["tagging"] = "tagging"


class LanguageModelConfig(TaskConfig):
    """The next token given those before it: words, characters, notes."""

    kind: Literal["language-model"] = "language-model"
    unit: Literal["sentences", "stream"] = Field(
        "sentences",
        description="sentences: each example is read from a fresh state and ends in <EOS>; "
        "stream: the lines are one running text, <EOS> stands for the line break and the state runs on",
    )
    bptt: int = Field(
        64,
        ge=1,
        description="tokens a gradient goes back in a stream (Williams and Peng 1990); the context of a "
        "transformer and the longest window it is trained on",
    )
    floor: int | None = Field(
        4,
        ge=1,
        le=8,
        description="order of the n-gram model (interpolated Kneser-Ney) that the report compares with; null for none",
    )


class ClassificationConfig(TaskConfig):
    """One label for a whole sequence: sentiment, the language of a name, an activity; or several labels."""

    target_kind: ClassVar[str | None] = "labels"
    predicts: ClassVar[bool] = True
    kind: Literal["classification"] = "classification"
    class_weights: Literal["balanced"] | dict[str, Weight] | None = Field(
        None,
        description="what an example of a label counts in the loss, such as {good: 1, bad: 2} (a label not named "
        "1), as if it stood there so often; balanced: each label counts the same in all",
    )
    baselines: list[Literal["majority", "bag-of-words", "mean-pool"]] | None = Field(
        None,
        description="models the report compares with, trained in seconds on the same data; null for majority and "
        "bag-of-words over text, majority and mean-pool over frames",
    )


class WordVectorsConfig(TaskConfig):
    """Word vectors from the company words keep: neighbours and analogies."""

    kind: Literal["word-vectors"] = "word-vectors"


class WritingConfig(TaskConfig):
    """What is written token by token."""

    target_kind: ClassVar[str | None] = "text"
    beam: int = Field(5, ge=1, description="hypotheses that the search follows; 1 takes the likeliest token each time")
    dev_beam: int = Field(1, ge=1, description="the same while training measures the dev split")
    length_penalty: float = Field(
        1.0, ge=0, description="ln p of a hypothesis is divided by its length to this power; 0 favours the short"
    )


class TranslationConfig(WritingConfig):
    """A text for a text, of another length: translation, spelling to sound."""

    kind: Literal["translation"] = "translation"
    min_tokens: int = Field(
        1, ge=0, description="fewest tokens of a side of a training pair; a shorter one is left out"
    )
    max_ratio: float | None = Field(
        None,
        gt=1,
        description="longest side of a training pair, in tokens, divided by the other; a pair beyond it is left out",
    )
    max_length: float = Field(
        2.0, gt=0, description="longest target, in tokens a token of the source (and 10 tokens more)"
    )


class CaptioningConfig(WritingConfig):
    """A sentence for an image."""

    kind: Literal["captioning"] = "captioning"
    max_length: int = Field(30, ge=1, description="longest caption that is written, in tokens")
    baselines: list[Literal["random-caption", "nearest-caption", "consensus-caption"]] | None = Field(
        None, description="models the report compares with, made of the same data; null for all three"
    )


class TranscriptionConfig(TaskConfig):
    """Text for speech, unaligned: recordings or their frames -> characters, pieces or words."""

    target_kind: ClassVar[str | None] = "text"
    predicts: ClassVar[bool] = True
    kind: Literal["transcription"] = "transcription"
    beam: int = Field(1, ge=1, description="texts that the search over prefixes follows; 1 takes the likeliest path")
    speeds: list[Annotated[float, Field(ge=0.5, le=2)]] = Field(
        [1.0],
        min_length=1,
        description="copies of each training example, so many times as fast, such as [0.9, 1.0, 1.1] (Ko et al. 2015); "
        "frames are stretched, so the pitch stays",
    )


class ForecastingConfig(TaskConfig):
    """The next values of series: one step or many, one column or several."""

    target_kind: ClassVar[str | None] = "series"
    predicts: ClassVar[bool] = True
    kind: Literal["forecasting"] = "forecasting"
    steps: int = Field(1, ge=1, description="steps that are predicted at once")
    horizon: int | None = Field(
        None,
        ge=1,
        description="steps that are forecast and measured; those beyond steps are made of the forecast before them, one "
        "after the other; null: steps",
    )
    look_back: int = Field(24, ge=1, description="steps before them that a network reads")
    season: int | None = Field(
        None,
        ge=1,
        description="steps after which a series repeats itself, such as 12 of months: for the seasonal naive forecast and for MASE; null: "
        "what the frequency suggests (months 12, hours 24, days 7, else 1)",
    )
    stride: int = Field(
        1, ge=1, description="steps from one forecast to the next where a split is measured (rolling origin)"
    )
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [],
        description="shares of the outcomes that lie below what is predicted, such as [0.1, 0.5, 0.9]; none: the values alone",
    )
    baselines: list[Literal["last-value", "seasonal-naive", "drift", "linear", "ets", "theta"]] | None = Field(
        None,
        description="models the report compares with; null: last-value, seasonal-naive, drift and linear, and where statsforecast is "
        "installed and the forecasts are few ets and theta",
    )


class ImputationConfig(TaskConfig):
    """The gaps of series filled: values that were never measured, or were lost."""

    target_kind: ClassVar[str | None] = "series"
    kind: Literal["imputation"] = "imputation"
    steps: int = Field(48, ge=2, description="steps that a network reads at once, a window")
    hide: float = Field(
        0.1, gt=0, lt=1, description="share of the values there are that is hidden to learn, and to measure"
    )
    pattern: Literal["points", "blocks"] = Field(
        "points", description="what is hidden: single values, or all columns of stretches of time"
    )
    block: int = Field(6, ge=1, description="steps of a hidden stretch")
    vary: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the training windows in which values are hidden in other ways than those measured: up to five "
        "times as many, or as many in stretches of up to a third of the window, so that a model knows gaps of any kind",
    )
    rounds: int = Field(
        1,
        ge=1,
        description="how often a split is measured, each time with other values hidden: 10 hide each value once where "
        "hide is 0.1, so that the score of a short series depends less on chance",
    )
    baselines: list[Literal["last-value", "interpolation", "median"]] | None = Field(
        None, description="models the report compares with; null: all three"
    )
