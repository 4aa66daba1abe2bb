"""What a sweep searches: settings of a recipe with several values (``key=a|b|c``) or a range (``key=LOW..HIGH``)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from seqcli.errors import UserError, UserErrors, usage_error
from seqcli.recipe.base import walk
from seqcli.recipe.dump import format_value
from seqcli.recipe.folder import find_recipe, read_recipe_text
from seqcli.recipe.load import recipe_from_text
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tree import plain_scalar

LOG_RATIO = 100
"""A range whose ends are so many times apart is drawn from by the logarithm."""

_RANGE = re.compile(r"\s*([-+.\deE]+?)\s*\.\.\s*([-+.\deE]+)(?:\s+(log|linear))?\s*")

Values = dict[str, Any]
"""A value for each searched key: a choice as it is written, or a number of a range."""


@dataclass(frozen=True)
class Choices:
    """A setting that takes one of several values, each as it is written."""

    key: str
    values: tuple[str, ...]

    def tried(self) -> tuple[str, ...]:
        """What is put into the recipe before anything is trained."""
        return self.values

    def every(self) -> Sequence[Any] | None:
        """Every value there is; None where there is no end of them."""
        return self.values

    def __str__(self) -> str:
        return " | ".join(self.values)


@dataclass(frozen=True)
class Range:
    """A setting that takes a number from ``low`` to ``high``, both included: whole numbers where both are."""

    key: str
    low: float
    high: float
    log: bool
    written: tuple[str, str]

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def tried(self) -> tuple[str, ...]:
        return self.written

    def every(self) -> Sequence[Any] | None:
        return range(int(self.low), int(self.high) + 1) if self.is_whole else None

    def __str__(self) -> str:
        return f"{self.low:g} .. {self.high:g}{', logarithmic' if self.log else ''}"


Searched = Choices | Range


@dataclass(frozen=True)
class Space:
    """A recipe and the settings that are searched.

    Attributes:
        path: the recipe's file; ``text``: what it held when the sweep began, whatever becomes of it.
        settings: every ``--set`` in its order: as it was given where its value is fixed.
    """

    path: Path
    text: str
    settings: tuple[str | Searched, ...]

    @cached_property
    def base(self) -> Recipe:
        """The recipe with the fixed settings alone."""
        return self.recipe({})

    @property
    def searched(self) -> list[Searched]:
        return [one for one in self.settings if not isinstance(one, str)]

    @property
    def combinations(self) -> int | None:
        """How many there are; None where there is no end of them."""
        every = [one.every() for one in self.searched]
        return None if None in every else math.prod(len(values) for values in every if values is not None)

    def grid(self) -> Iterator[Values]:
        """Every combination, the last key changing fastest."""
        keys = [one.key for one in self.searched]
        for values in product(*(one.every() or () for one in self.searched)):
            yield dict(zip(keys, values, strict=True))

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe with these values of some searched keys.

        Raises:
            UserErrors: they cannot stand in it, or not together (2).
        """
        overrides = []
        for one in self.settings:
            if isinstance(one, str):
                overrides.append(one)
            elif one.key in values:
                value = values[one.key]
                overrides.append(f"{one.key}={value if isinstance(value, str) else format_value(value)}")
        return recipe_from_text(self.text, name=str(self.path), overrides=overrides, path=self.path).recipe


def read_space(recipe: str, settings: Sequence[str]) -> Space:
    """The search space of a recipe, by name or path, and its ``--set``; each value is one that the recipe takes.

    Raises:
        UserErrors: keys and values that the recipe does not take (2).
        UserError: nothing is searched, a key is searched twice, a range that is none (2).
    """
    path = find_recipe(recipe)
    text = read_recipe_text(path)
    read = tuple(_read(one) for one in settings)
    space = Space(path, text, read)
    _ = space.base  # what is wrong with it is told first
    keys = [one.key for one in space.searched]
    if not keys:
        raise usage_error(
            "nothing is searched",
            hint="Say what, such as --set 'model.encoder.dim=100|200' or --set 'training.optimizer.lr=1e-4..1e-2'.",
        )
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise usage_error(f"--set {twice}: searched twice", hint="Give all its values at once: a|b|c.")
    errors: dict[str, UserError] = {}  # by message: what is wrong with a key would be told of each of its values
    typed = tuple(one if isinstance(one, str) else _tried(space, one, errors) for one in read)
    if errors:
        raise UserErrors([*errors.values()])
    return replace(space, settings=typed)


def _tried(space: Space, one: Searched, errors: dict[str, UserError]) -> Searched:
    """``one`` with its numbers as the recipe takes them; what the recipe does not take goes to ``errors``."""
    recipes: list[Recipe] = []
    for text in one.tried():
        try:
            recipe = space.recipe({one.key: text})
        except UserError as error:
            for each in error.errors if isinstance(error, UserErrors) else [error]:
                errors.setdefault(each.message, each)
            continue
        if isinstance(one, Choices) and recipe in recipes:
            message = f"--set {one.key}: {text} is there twice"
            errors[message] = usage_error(message, hint="Every choice is another value.")
        recipes.append(recipe)
    if isinstance(one, Range) and recipes:
        values = {".".join(path): value for path, value in walk(recipes[0])}
        if isinstance(values.get(one.key), float):  # 0..1 of a setting that takes any number
            return replace(one, low=float(one.low), high=float(one.high))
    return one


def _read(setting: str) -> str | Searched:
    """What one ``--set`` asks for: a `Searched`, or the text as it is where its value is fixed."""
    key, _, text = setting.partition("=")
    key = ".".join(part.strip() for part in key.split("."))
    if found := _RANGE.fullmatch(text):
        low, high = (plain_scalar(end) for end in found.groups()[:2])
        if isinstance(low, int | float) and isinstance(high, int | float):
            return _range(setting, key, low, high, found)
    choices = _split(text)
    return Choices(key, choices) if len(choices) > 1 else setting


def _range(setting: str, key: str, low: float, high: float, found: re.Match[str]) -> Range:
    if not low < high:
        raise usage_error(f"--set {setting}: a range goes up", hint="Write LOW..HIGH.")
    log = found[3] == "log" or (found[3] is None and low > 0 and high / low >= LOG_RATIO)
    if log and low <= 0:
        raise usage_error(f"--set {setting}: there is no logarithm of {found[1]}", hint="Begin above 0.")
    if type(low) is not type(high):
        low, high = float(low), float(high)
    return Range(key, low, high, log, (found[1], found[2]))


def _split(text: str) -> tuple[str, ...]:
    """The choices between ``|``; one in quotes or brackets stands for itself."""
    parts, depth, quote, before = [""], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and before in ("", "|", "[", "{", ",", ":"):
            quote = letter
        elif letter == "|" and not depth:
            parts.append("")
            before = letter
            continue
        else:
            depth += (letter in "[{") - (letter in "]}")
        parts[-1] += letter
        before = letter if letter.strip() else before
    return tuple(part.strip() for part in parts)
