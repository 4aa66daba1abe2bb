"""What a training tells its caller, in order; the caller shows it or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seqcli.recipe.schema import Recipe
from seqcli.training.events import StepEvent


@dataclass(frozen=True)
class Notice:
    """Something the user should know although the work goes on; ``is_warning`` where something may be wrong."""

    text: str
    is_warning: bool = True


@dataclass(frozen=True)
class TableTaken:
    """Words, characters or labels: how many the model that training starts from has too, and how many it alone has."""

    known: int
    new: int
    left_out: int


@dataclass(frozen=True)
class Started:
    """Training begins with what fits of the weights of a trained model.

    ``tensors``: those of the network, of which ``taken`` begin as the model's, whole or in the rows of known entries;
    ``unlike``: the names of those that the model lacks or has in another size.
    """

    model: str
    tensors: int
    taken: int
    tables: dict[str, TableTaken]
    unlike: list[str]


@dataclass(frozen=True)
class Prepared:
    """Data encoded, model built; training begins. ``resumed`` is the step gone on from, 0 for a new training.

    ``unit``: what the positions of a source are. ``parameters`` and ``total_steps`` are 0 where there are no steps.
    """

    recipe: Recipe
    run: str
    folder: str
    splits: dict[str, dict[str, int]]
    unit: str
    summary: dict[str, int]
    parameters: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    total_steps: int = 0
    resumed: int = 0


@dataclass(frozen=True)
class Evaluated:
    """The dev split was measured; ``best`` when it beats every evaluation before.

    ``train_scores``: those of the training split, where they were asked for.
    """

    step: int
    epoch: int
    scores: dict[str, float]
    select_by: str
    best: bool
    train_loss: float
    tokens_per_second: float
    gradient_norm: float
    learning_rate: float
    minutes: float
    train_scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """Everything is on disk; ``report`` is what report.json holds."""

    run: str
    folder: str
    report: dict[str, Any]


Event = Notice | Prepared | Started | StepEvent | Evaluated | Finished
