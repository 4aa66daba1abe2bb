"""A copy of a recipe as a start for another: its own name, a description of its own, paths that lead to the same files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from seqcli.recipe.dump import format_value
from seqcli.recipe.folder import read_recipe_text
from seqcli.recipe.paths import file_nodes, folder_of, is_fixed, seen_from, seen_from_here
from seqcli.recipe.tree import Document, Node, parse


@dataclass(frozen=True)
class Copy:
    text: str
    name: str


def copied(path: Path, target: Path, name: str | None) -> Copy:
    """The recipe in ``path`` as it is to lie in ``target``; comments and layout stay.

    ``name`` None takes that of the file, so that models of the copy do not come before those of the original; where
    that is the original's or cannot be a name, ``-copy`` is put behind the original's. A file that is no recipe, or
    one that is broken, is copied as it is.
    """
    text = read_recipe_text(path)
    root, errors = parse(Document(str(path), text))
    values = root.value if root is not None and isinstance(root.value, dict) and not errors else {}
    old = values.get("name")
    if old is None or not isinstance(old.value, str):
        return Copy(text, name or target.stem)
    new = name or file_name(target)
    if name is None and new in ("", old.value):
        new = f"{old.value}-copy"
    changes = {old.index: (old, new)}
    if (described := values.get("description")) is not None and isinstance(described.value, str):
        changes[described.index] = (described, f"a copy of {old.value}")
    for node in file_nodes(root) if root is not None else ():
        if not is_fixed(node.value):
            here = os.path.join(".", seen_from_here(node.value, folder_of(path)))
            moved = seen_from(here, target.parent)
            if moved != os.path.normpath(node.value):
                changes[node.index] = (node, moved)
    for index in sorted(changes, reverse=True):
        node, value = changes[index]
        if written := _written(text, node):
            text = text[:index] + format_value(value) + text[index + len(written) :]
    return Copy(text, new)


def file_name(file: Path) -> str:
    """What a recipe is called after its file, and what stands for a name there at all; empty where nothing does."""
    return re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("._-")[:100]


def _written(text: str, node: Node) -> str:
    """The characters of a scalar on one line as it stands in the text, quotes included; empty for one on several."""
    pattern = re.escape(node.written or "") if not node.quoted else r"""'(?:[^'\n]|'')*'|"(?:[^"\\\n]|\\.)*\""""
    found = re.compile(pattern).match(text, node.index)
    return "" if found is None else found[0]
