"""The recipe as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from seqcli.recipe.base import Component, Config, Slot
from seqcli.recipe.data import DataConfig
from seqcli.recipe.optimization import AdamWConfig, ConstantConfig
from seqcli.recipe.text import TextConfig


class ModelConfig(Config):
    """The network: embedder, encoder, pooling and head; of some models there is the encoder or embedder alone."""

    embedder: Annotated[Component, Slot("embedder")] | None = Field(
        None, description="source -> a vector for each position"
    )
    encoder: Annotated[Component, Slot("encoder")] | None = Field(
        None, description="vectors -> vectors that know their neighbours"
    )
    pooling: Annotated[Component, Slot("pooling")] | None = Field(
        None, description="a vector for each position -> one for the sequence (classification)"
    )
    head: Annotated[Component, Slot("head")] | None = Field(None, description="vectors -> labels, or the next token")
    members: int = Field(
        1,
        ge=1,
        description="networks trained side by side from different starts, their probabilities averaged "
        "(Lakshminarayanan et al. 2017); classification",
    )

    def parts(self) -> tuple[str, ...]:
        """The kinds there are, in the order of the data's way."""
        return tuple(part.kind for part in (self.embedder, self.encoder, self.pooling, self.head) if part is not None)


class BatchConfig(Config):
    """How much goes into one batch: as many sequences of like length as the budget takes, padding counted."""

    tokens: int = Field(2048, ge=1, description="positions a batch, padding included")
    sequences: int | None = Field(None, ge=1, description="at most this many sequences a batch")


class TrainingConfig(Config):
    """How the model is trained."""

    seed: int = Field(1, ge=0, description="seed of initialisation, dropout and order")
    epochs: int = Field(30, ge=1, description="most passes over the training data")
    max_steps: int | None = Field(None, ge=1, description="most optimizer steps")
    max_minutes: float | None = Field(None, gt=0, description="stop after the evaluation that passes this many minutes")
    batch: BatchConfig = Field(BatchConfig.model_construct(), description="size of a batch")
    accumulate: int = Field(1, ge=1, description="batches summed into one optimizer step")
    optimizer: Annotated[Component, Slot("optimizer")] = Field(
        AdamWConfig.model_construct(), description="the update rule"
    )
    schedule: Annotated[Component, Slot("schedule")] = Field(
        ConstantConfig.model_construct(), description="the learning rate over time"
    )
    clip_norm: float | None = Field(
        5.0, gt=0, description="longest gradient (Euclidean norm) let through; null for no limit"
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of a running mean of the weights, which is then what is measured and kept"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="fp32, or bf16 autocast; auto takes bf16 on a GPU that has it and fp32 on a CPU"
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="optimizer steps between evaluations (default: an epoch)"
    )
    patience: int | None = Field(None, ge=1, description="stop after this many evaluations without a better score")
    select_by: str | None = Field(None, description="dev score the best step is chosen by (default: the task's own)")
    keep_checkpoints: int = Field(2, ge=1, description="newest checkpoints kept while training, beside the best")


_TOKENS_EMBEDDER: dict[str, Any] = {
    "properties": {
        "model": {
            "required": ["embedder"],
            "properties": {"embedder": {"type": "object", "properties": {"kind": {"const": "tokens"}}}},
        }
    }
}


class Recipe(Config):
    """Everything that decides a training: data, text, model, training."""

    # What _text_for_tokens checks, said in JSON Schema.
    model_config = ConfigDict(
        json_schema_extra={
            "if": _TOKENS_EMBEDDER,
            "then": {"required": ["text"], "properties": {"text": {"type": "object"}}},
        }
    )

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="name of the runs it makes")
    description: str = Field("", description="what the recipe is for, in one line")
    task: Annotated[Component, Slot("task")] = Field(description="what is learned")
    data: DataConfig = Field(description="the examples")
    text: TextConfig | None = Field(None, description="tokenizer and vocabulary, where the source is text")
    model: ModelConfig = Field(description="the network")
    training: TrainingConfig = Field(TrainingConfig.model_construct(), description="how it is trained")

    @model_validator(mode="after")
    def _text_for_tokens(self) -> Recipe:
        if self.model.embedder is not None and self.model.embedder.kind == "tokens" and self.text is None:
            raise ValueError("the embedder 'tokens' needs a 'text' section")
        return self
