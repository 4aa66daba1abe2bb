"""The files that a recipe names: in its own file they are relative to that file's folder, in a `Recipe` to where we are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from seqcli.recipe.base import Config
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tree import Node, nearest

Section = TypeVar("Section", bound=Config)

_PLACES = (
    ("data", "train"),
    ("data", "dev"),
    ("data", "test"),
    ("data", "images"),
    ("data", "captions"),
    ("source", "features", "projection"),
    ("source", "tokenizer", "model"),
    ("target", "tokenizer", "model"),
    ("model", "embedder", "vectors", "file"),
)


def file_nodes(root: Node) -> list[Node]:
    """The scalars of a recipe's own file that name a file, as they are written there."""
    found: list[Node] = []
    for place in _PLACES:
        node, is_there = nearest(root, place)
        if is_there:
            found += node.value if isinstance(node.value, list) else [node]
    return [node for node in found if node.origin == "file" and isinstance(node.value, str)]


def folder_of(recipe: Path) -> Path:
    """The folder that the paths of a recipe's file start from; one that comes through a pipe lies in none, so: here."""
    through_pipe = recipe.parts[:2] in (("/", "dev"), ("/", "proc"))
    return Path() if through_pipe else recipe.parent


def seen_from_here(path: str, folder: Path) -> str:
    """A path that is relative to ``folder``, relative to the working folder."""
    if is_fixed(path) or folder == Path():
        return path
    return os.path.normpath(folder / path)


def seen_from(path: str, folder: Path) -> str:
    """The other way round; a path that does not depend on where we are stays as it is."""
    if is_fixed(path):
        return path
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return os.path.abspath(path)


def is_fixed(path: str) -> bool:
    return path == "-" or path.startswith("~") or os.path.isabs(path)


def move_paths(recipe: Recipe, move: Callable[[str], str]) -> Recipe:
    """The recipe with every path in it replaced."""
    for place in _PLACES:
        recipe = _moved(recipe, place, move)
    return recipe


def _moved(section: Section, place: Sequence[str], move: Callable[[str], str]) -> Section:
    name, *rest = place
    value = getattr(section, name) if name in type(section).model_fields else None
    if value is None:
        return section
    if rest:
        new = _moved(value, rest, move)
    else:
        new = [move(path) for path in value] if isinstance(value, list) else move(value)
    return section.model_copy(update={name: new})
