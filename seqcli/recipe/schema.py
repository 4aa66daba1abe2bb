"""The recipe as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seqcli.recipe.base import Component, Config, Slot
from seqcli.recipe.data import DataConfig
from seqcli.recipe.fields import TextFieldConfig
from seqcli.recipe.optimization import AdamWConfig, ConstantConfig
from seqcli.recipe.sections import target_kind
from seqcli.recipe.tasks import TaskConfig


class BatchConfig(Config):
    """How much goes into one batch: as many sequences of like length as the budget takes, padding counted."""

    tokens: int = Field(2048, ge=1, description="positions a batch, padding included")
    sequences: int | None = Field(None, ge=1, description="at most this many sequences a batch")
    per_epoch: int = Field(
        20, ge=0, description="least batches an epoch: on small data the batch is halved until there are so many"
    )


class TrainingConfig(Config):
    """How the model is trained."""

    seed: int = Field(1, ge=0, le=2**63 - 1, description="seed of initialisation, dropout and order")
    epochs: int = Field(30, ge=1, description="most passes over the training data")
    max_steps: int | None = Field(None, ge=1, description="most optimizer steps")
    min_steps: int = Field(
        500,
        ge=0,
        description="least optimizer steps: on small data epochs are added until there are so many, and patience "
        "waits for them; max_steps is stronger",
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="stop, and evaluate, when this many minutes are over; a learning rate that falls towards the end follows the clock where that is ahead of the steps",
    )
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
    average: int | None = Field(
        None,
        ge=2,
        description="evaluated steps whose weights are averaged at the end; the mean is kept where it is no worse on "
        "dev than the best step (Popel and Bojar 2018, section 4.6)",
    )
    average_of: Literal["best", "last"] = Field(
        "best", description="which steps: those with the best scores, or the last"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="fp32, or bf16 autocast; auto takes bf16 on a GPU that has it, and on a CPU with AMX for Transformers of "
        "128 values or more; else fp32",
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="optimizer steps between evaluations (default: an epoch)"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after this many evaluations, and patience_steps steps, without a better score; counted "
        "from when the score first moves",
    )
    patience_steps: int = Field(200, ge=0, description="steps without a better score before patience ends a training")
    select_by: str | None = Field(None, description="dev score the best step is chosen by (default: the task's own)")
    keep_checkpoints: int = Field(2, ge=1, description="newest checkpoints kept while training, beside the best")


class Recipe(Config):
    """Everything that decides a training: task, data, the two sides of an example, model, training."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100, description="name of the runs it makes")
    description: str = Field("", description="what the recipe is for, in one line")
    task: Annotated[TaskConfig, Slot("task")] = Field(description="what is learned")
    data: DataConfig = Field(description="the examples")
    source: Annotated[Component, Slot("source", default="text")] = Field(
        TextFieldConfig.model_construct(), description="what goes in: how it becomes numbers"
    )
    target: Annotated[Component, Slot("target")] | None = Field(
        None, description="what comes out (default: that of the task, null where the task has none)"
    )
    model: Annotated[Component, Slot("model", default="network")] = Field(
        description="the network, or a model of another kind"
    )
    training: TrainingConfig = Field(TrainingConfig.model_construct(), description="how it is trained")

    @model_validator(mode="before")
    @classmethod
    def _target_of_the_task(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("target") is None and (kind := target_kind(values)):
            return {**values, "target": {"kind": kind}}
        return values
