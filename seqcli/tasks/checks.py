"""What a task asks of the other sections of its recipe, said before any data is read."""

from __future__ import annotations

from collections.abc import Collection

from seqcli.errors import usage_error
from seqcli.recipe.schema import Recipe, TrainingConfig

NO_NETWORKS = {
    "ngram": "language-model",
    "bag-of-words": "classification",
    "mean-pool": "classification",
    "majority": "classification",
}
"""Encoders that are whole models by themselves, and the task of each."""


def require_parts(recipe: Recipe, *parts: str) -> None:
    """Refuse a recipe whose model section lacks one of the parts that its task needs.

    Raises:
        UserError: a part is missing (2).
    """
    if recipe.task.kind != "classification":
        if recipe.model.members > 1:
            raise usage_error(f"model.members: the task {recipe.task.kind} trains one network", hint="Set members: 1.")
        if recipe.model.pooling is not None:
            raise usage_error(f"model.pooling: the task {recipe.task.kind} has none", hint="Leave it out.")
    for part in parts:
        if getattr(recipe.model, part) is None:
            raise usage_error(
                f"model.{part} is missing; the task {recipe.task.kind} needs it",
                hint=f"'seqcli components' lists the kinds of {part}.",
            )


def require_network(recipe: Recipe) -> None:
    """Refuse an encoder that is a whole model for another task.

    Raises:
        UserError: the encoder is no network (2).
    """
    kind = recipe.model.encoder.kind if recipe.model.encoder is not None else ""
    if other := NO_NETWORKS.get(kind):
        raise usage_error(
            f"model.encoder: {kind} cannot do the task {recipe.task.kind}",
            hint=f"It is for the task {other}; take lstm, for one.",
        )


def idle_options(recipe: Recipe, used: Collection[str]) -> list[str]:
    """Options of the training section that say something and are not among those a fitted model uses."""
    return [
        name
        for name, field in TrainingConfig.model_fields.items()
        if name not in used and getattr(recipe.training, name) != field.default
    ]


def require_text(recipe: Recipe) -> None:
    """Refuse a recipe without a text section.

    Raises:
        UserError: there is none (2).
    """
    if recipe.text is None:
        raise usage_error(
            f"the task {recipe.task.kind} needs a 'text' section", hint="text: {tokenizer: {kind: words}} is one."
        )
