"""Source and target sections: what the two sides of an example are, and how each becomes numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from seqcli.recipe.base import Component, Config, Slot
from seqcli.recipe.features import FeaturesConfig
from seqcli.recipe.tokenizers import WhitespaceConfig

Scheme = Literal["io", "iob1", "bio", "bioes", "bilou"]


class VocabularyConfig(Config):
    """Which words of the training data get a row of their own; all others share <UNK>."""

    max_size: int | None = Field(
        None, ge=1, description="at most this many words, the most frequent first (specials not counted)"
    )
    min_count: int = Field(1, ge=1, description="fewest occurrences in the training data")
    lowercase: bool = Field(False, description="look words up in lower case (characters and affixes keep their case)")


class TextFieldConfig(Component):
    """Text: a tokenizer cuts it into tokens, a vocabulary gives them rows."""

    kind: Literal["text"] = "text"
    tokenizer: Annotated[Component, Slot("tokenizer")] = Field(
        WhitespaceConfig.model_construct(), description="cuts raw text into tokens; data that comes in tokens skips it"
    )
    vocabulary: VocabularyConfig = Field(VocabularyConfig.model_construct(), description="the words the model knows")


class TextTargetConfig(TextFieldConfig):
    """Text that is written token by token."""

    share: Literal["source"] | None = Field(
        None,
        description="source: one tokenizer and one vocabulary for both sides, those of the source, learned of both; "
        "null: its own",
    )


class DeriveConfig(Config):
    """Channels made of those that the data holds."""

    point: int = Field(1, ge=1, description="channels that make a point: 3 where a joint is x, y, z")
    origin: int | None = Field(
        None, ge=0, description="the point, counted from 0, from whose place in the first frame all points are told"
    )
    pairs: list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]] = Field(
        [], description="points [a, b] of which the difference a - b is added, such as the bones of a skeleton"
    )
    differences: int = Field(
        0,
        ge=0,
        le=2,
        description="changes from each frame to the next that are added: 1 those of all values, 2 the changes of these too",
    )


_Features = Annotated[FeaturesConfig, Slot("features")] | None


class NumbersConfig(Component):
    """A source of real numbers, which data may hold or be made of media files, scaled or not."""

    features: _Features = Field(
        None,
        description="what is made of a media file that the data names, or that is to be predicted, such as {kind: "
        "log-mel}; null: the data holds numbers",
    )
    scaling: Literal["standard", "common", "none"] = Field(
        "standard",
        description="standard: each channel less its mean, divided by its standard deviation, both of the "
        "training data; common: one mean and one deviation for all channels (and one for their changes), as of pictures",
    )


class FrameFieldConfig(NumbersConfig):
    """Frames of real numbers: sensors, audio, video; as many values in each."""

    kind: Literal["frames"] = "frames"
    derive: DeriveConfig | None = Field(None, description="channels made of those that the data holds; null: none")
    missing: Literal["refuse", "mask"] = Field(
        "refuse",
        description="missing values (NaN): an error, or zeros with a second channel that says where they are (by "
        "mean-pool left out of the mean)",
    )


class ImageFieldConfig(NumbersConfig):
    """A source that is an image."""

    @field_validator("features")
    @classmethod
    def _of_an_image(cls, features: FeaturesConfig | None) -> FeaturesConfig | None:
        if features is not None and features.media != "image":
            raise ValueError(f"{features.kind} is made of {features.media}, not of an image")
        return features


class VectorFieldConfig(ImageFieldConfig):
    """One vector of real numbers: what an image encoder made of a whole picture."""

    kind: Literal["vector"] = "vector"


class GridFieldConfig(ImageFieldConfig):
    """Vectors of the places of a picture, row by row: what attention looks at."""

    kind: Literal["grid"] = "grid"


class SeriesFieldConfig(Component):
    """Values in the order of time, a column each."""

    kind: Literal["series"] = "series"
    columns: list[str] | None = Field(
        None,
        min_length=1,
        description="columns that are read; null: all that hold numbers. Those predicted are read too",
    )
    known: list[str] = Field(
        [],
        description="columns whose future is known, such as a planned price: they are read at the steps predicted too",
    )
    calendar: list[Literal["minute", "hour", "weekday", "day", "month", "year-day"]] = Field(
        [], description="parts of the time that are read as a sine and a cosine each, at the steps predicted too"
    )
    scaling: Literal["series", "common", "none"] = Field(
        "series",
        description="values less a mean, divided by a standard deviation, both of the training part of each column: of "
        "each series, or one for all series",
    )
    transform: Literal["none", "log", "difference", "log-difference"] = Field(
        "none",
        description="what a network reads in place of the values: their logarithms, the change from step to step, or that "
        "of the logarithms; undone in what is predicted",
    )
    missing: Literal["refuse", "last", "mask"] = Field(
        "refuse",
        description="missing values of what is read: an error; the last value before; or the network is told where they are",
    )


class SeriesTargetConfig(Component):
    """Columns of series that are predicted or filled; how they are read is said of the source."""

    kind: Literal["series"] = "series"
    columns: list[str] | None = Field(
        None, min_length=1, description="columns that are predicted (imputation: filled); null: all that are read"
    )


class TagFieldConfig(Component):
    """A tag for each token of the source."""

    kind: Literal["tags"] = "tags"
    scheme: Scheme | Literal["auto"] | None = Field(
        None,
        description="tag scheme of the data when tags mark spans (scores are then span F1), auto to recognise it in "
        "the training data; null when each tag stands alone (scores are then accuracy)",
    )
    model_scheme: Scheme | None = Field(
        None,
        description="scheme the model learns in; the data is converted to it and predictions back (default: scheme)",
    )
    labels: Literal["all", "binary"] = Field(
        "all", description="binary: every span becomes one and the same label, entity or not"
    )
    merge: dict[str, str] = Field(
        {},
        description="tags that count as another one, such as {PROPN: NOUN}; of spans their labels, where O makes them none",
    )


class LabelFieldConfig(Component):
    """A label for the whole sequence, or several."""

    kind: Literal["labels"] = "labels"
    separator: str | None = Field(
        None,
        min_length=1,
        description="what stands between the labels of an example that may have several (or none), "
        "such as ','; null where each has exactly one",
    )
    ordinal: bool = Field(
        False,
        description="the labels are grades on a scale, in the order of their numbers: mean absolute error and "
        "quadratic kappa stand beside accuracy",
    )
