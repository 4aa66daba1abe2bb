"""Where the recipes lie that come with seqcli, and a quick look at them (no pydantic: this is what ``ls`` pays for)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from seqcli.errors import cannot_read, data_error, did_you_mean, usage_error
from seqcli.lines import open_binary

MAX_SIZE = 2**20
"""Most bytes of a recipe file."""

_PACKAGE = Path(__file__).resolve().parent.parent


def recipe_folder() -> Path:
    """The folder of recipes: ``seqcli/recipes`` in an installed package, ``recipes`` next to it in a checkout."""
    inside = _PACKAGE / "recipes"
    return inside if inside.is_dir() else _PACKAGE.parent / "recipes"


def recipe_names() -> list[str]:
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe: a name without slash and suffix is one of ours, everything else is a path.

    Raises:
        UserError: no such recipe, with the nearest name (exit code 2).
    """
    path = Path(name)  # os.path takes names that are too long, which Path.exists does not
    if not (isinstance(name, str) and "/" not in name and "\\" not in name and not path.suffix):
        if not os.path.exists(path) and path.stem in recipe_names():
            raise usage_error(
                "no such file", file=name, hint=f"The recipe that comes with seqcli is called '{path.stem}'."
            )
        return path
    names = recipe_names()
    if name in names:
        return recipe_folder() / f"{name}.yaml"
    if os.path.isfile(path):
        return path
    hint = did_you_mean(name, names) or (f"Known: {', '.join(names)}." if names else None)
    raise usage_error(f"no recipe is called '{name}'", hint=hint)


def read_recipe_text(path: Path) -> str:
    """Text of a recipe file, without BOM and CR.

    Raises:
        UserError: unreadable (74), not UTF-8 (65), or larger than `MAX_SIZE` bytes (2).
    """
    with open_binary(path) as handle:
        try:
            raw = handle.read(MAX_SIZE + 1)
        except (OSError, EOFError) as error:
            raise cannot_read(path, error) from error
    if len(raw) > MAX_SIZE:
        raise usage_error(f"larger than {MAX_SIZE:,} bytes, which no recipe is", file=path)
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        byte = error.start - before.rfind(b"\n")
        raise data_error(
            f"invalid UTF-8 at byte {byte} of the line (0x{raw[error.start]:02x})",
            file=path,
            line=before.count(b"\n") + 1,
            hint="Save the recipe as UTF-8.",
        ) from error


def summaries() -> list[dict[str, Any]]:
    """Name, task, data and description of each recipe that comes with seqcli, taken from the file as it stands."""
    from seqcli.recipe.tree import Document, parse

    rows = []
    for name in recipe_names():
        path = recipe_folder() / f"{name}.yaml"
        root, _ = parse(Document(str(path), read_recipe_text(path)))
        values = root.plain() if root is not None and isinstance(root.value, dict) else {}
        data = values.get("data") or {}
        rows.append(
            {
                "name": name,
                "task": (values.get("task") or {}).get("kind", ""),
                "data": data.get("corpus") or data.get("train") or "",
                "description": values.get("description", ""),
            }
        )
    return rows
