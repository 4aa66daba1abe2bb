"""What a task asks of the other sections of its recipe, said before any data is read."""

from __future__ import annotations

from collections.abc import Collection

from seqcli.errors import usage_error
from seqcli.recipe.schema import Recipe, TrainingConfig


def require_parts(recipe: Recipe, *parts: str) -> None:
    """Refuse a recipe whose model section lacks one of the parts that its task needs.

    Raises:
        UserError: a part is missing (2).
    """
    if recipe.model.members > 1 and recipe.task.kind != "classification":
        raise usage_error(f"model.members: the task {recipe.task.kind} trains one network", hint="Set members: 1.")
    for part in parts:
        if getattr(recipe.model, part) is None:
            raise usage_error(f"model.{part} is missing; the task {recipe.task.kind} needs it",
                              hint=f"'seqcli components' lists the kinds of {part}.")


def require_network(recipe: Recipe) -> None:
    """Refuse an encoder of counts, which predicts the next token and nothing else.

    Raises:
        UserError: the encoder is no network (2).
    """
    if recipe.model.encoder is not None and recipe.model.encoder.kind == "ngram":
        raise usage_error(f"model.encoder: an n-gram cannot do the task {recipe.task.kind}",
                          hint="It is for the task language-model; take lstm, for one.")


def idle_options(recipe: Recipe, used: Collection[str]) -> list[str]:
    """Options of the training section that say something and are not among those a fitted model uses."""
    return [name for name, field in TrainingConfig.model_fields.items()
            if name not in used and getattr(recipe.training, name) != field.default]


def require_text(recipe: Recipe) -> None:
    """Refuse a recipe without a text section.

    Raises:
        UserError: there is none (2).
    """
    if recipe.text is None:
        raise usage_error(f"the task {recipe.task.kind} needs a 'text' section",
                          hint="text: {tokenizer: {kind: words}} is one.")
