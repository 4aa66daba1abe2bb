"""Task sections: what a recipe learns to do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seqcli.recipe.base import Component

Scheme = Literal["io", "iob1", "bio", "bioes", "bilou"]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TaggingConfig(Component):
    """One tag for each token: parts of speech, named entities."""

    kind: Literal["tagging"] = "tagging"
    scheme: Scheme | None = Field(
        None,
        description="tag scheme of the data when tags mark spans (scores are then span F1); "
        "null when each tag stands alone (scores are then accuracy)",
    )
    model_scheme: Scheme | None = Field(
        None,
        description="scheme the model learns in; the data is converted to it and predictions back (default: scheme)",
    )
    labels: Literal["all", "binary"] = Field(
        "all", description="binary: every span becomes one and the same label, entity or not"
    )


class LanguageModelConfig(Component):
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


class ClassificationConfig(Component):
    """One label for a whole sequence: sentiment, the language of a name, an activity; or several labels."""

    kind: Literal["classification"] = "classification"
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


class EmbeddingConfig(Component):
    """Word vectors from the company words keep (Mikolov et al. 2013), with negative sampling."""

    kind: Literal["embedding"] = "embedding"
    algorithm: Literal["skip-gram", "cbow"] = Field(
        "skip-gram", description="skip-gram: a word predicts its neighbours; cbow: the neighbours predict the word"
    )
    window: int = Field(5, ge=1, description="neighbours at most so far away, in words")
    negative: int = Field(5, ge=1, description="words drawn as wrong answers for each right one")
    subsample: float = Field(
        1e-3, ge=0, description="words more frequent than this share are skipped at times; 0 for never"
    )
    lr: float = Field(0.025, gt=0, description="learning rate at the start; it falls to nearly nothing")
