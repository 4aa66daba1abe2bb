"""What cannot stand together in a recipe, and why: said before any data is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seqcli.recipe.schema import Recipe


@dataclass(frozen=True)
class Rule:
    """One combination of options that has no meaning.

    Attributes:
        where: dotted path of the option to change, such as ``target.labels``.
        broken: whether a recipe breaks the rule.
        message: why it is refused; made of the recipe where the words depend on it.
        hint: what to write instead.
    """

    where: str
    broken: Callable[[Recipe], object]
    message: str | Callable[[Recipe], str]
    hint: str | Callable[[Recipe], str] | None = None
