"""A quick yes for a recipe that is right, without pydantic (which costs more CPU than all the rest of the program).

The schema is turned once into JSON Schema, which is kept in the cache folder together with a hash of the sources it
was made from: change a line of this package and it is made anew. The checker below reads the part of JSON Schema that
our classes produce; a keyword it does not know, a rule that JSON Schema cannot express (marked with ``$comment``), a
kind of another package, any doubt at all: then it does not say yes, and the loader proper decides and explains.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqcli import __version__
from seqcli.errors import UserError
from seqcli.files import atomic_write_text, cache_folder
from seqcli.recipe.folder import find_recipe, read_recipe_text
from seqcli.recipe.tree import Source, parse


def surely_valid(source: str | Path) -> bool:
    """True when the recipe is certainly right; False when it is wrong, or when only the loader can tell."""
    schema = _read_cache()
    if schema is None:
        return False
    try:
        path = find_recipe(source)
        root, errors = parse(Source(str(path), read_recipe_text(path)))
    except UserError:
        return False
    return root is not None and not errors and conforms(root.plain(), schema)


def remember_schema() -> None:
    """Put the schema into the cache folder if it is not there; a folder that cannot be written is no one's worry."""
    from seqcli.recipe import registry
    from seqcli.recipe.catalogue import recipe_schema

    foreign = any(set(registry.kinds(slot)) - set(ours) for slot, ours in registry.REGISTRY.items())
    if foreign or _read_cache() is not None:
        return
    path = _cache_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps({"made_from": _made_from(), "schema": recipe_schema()}))
    except (OSError, UserError):
        return


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a recipe's plain values certainly follow a JSON Schema."""
    try:
        return _Checker(schema).holds(value, schema)
    except _Doubt:
        return False


def _cache_file() -> Path:
    return cache_folder() / "recipe-schema.json"


def _read_cache() -> dict[str, Any] | None:
    try:
        cached = json.loads(_cache_file().read_bytes())
        schema = cached["schema"] if cached["made_from"] == _made_from() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return schema if isinstance(schema, dict) else None


def _made_from() -> str:
    """Hash of the version and of every source of this package."""
    import hashlib

    digest = hashlib.sha256(__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_bytes()
        digest.update(f"\n{path.name} {len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


class _Doubt(Exception):
    """Something that the checker does not know about."""


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) is int or (type(value) is float and math.isfinite(value)),
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "const": lambda value, bound: type(value) is type(bound) and value == bound,
    "enum": lambda value, bound: any(type(value) is type(one) and value == one for one in bound),
    "minLength": lambda value, bound: len(value) >= bound,
    "required": lambda value, bound: type(value) is not dict or all(name in value for name in bound),
}
_REMARKS = {"$schema", "$defs", "title", "description", "default", "discriminator", "then"}


def _may_be(value: Any, choice: dict[str, Any]) -> bool:
    """False when ``value`` names another kind than ``choice``, whose rules then raise no doubt about it."""
    kind = choice.get("properties", {}).get("kind", {}).get("const")
    return kind is None or not isinstance(value, dict) or value.get("kind") == kind


class _Checker:
    """Checks values against one schema and its ``$defs``."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._definitions = schema.get("$defs", {})

    def holds(self, value: Any, schema: dict[str, Any]) -> bool:
        """Whether ``value`` follows ``schema``; the type is looked at first, so that the rest can rely on it."""
        if "type" in schema and not _TYPES[schema["type"]](value):
            return False
        return all(self._keyword(keyword, schema, value) for keyword in schema if keyword != "type")

    def _keyword(self, keyword: str, schema: dict[str, Any], value: Any) -> bool:
        wanted = schema[keyword]
        if keyword in _REMARKS:
            return True
        if keyword in _COMPARE:
            return _COMPARE[keyword](value, wanted)
        if keyword == "$ref":
            return self.holds(value, self._definitions[wanted.rpartition("/")[2]])
        if keyword in ("anyOf", "oneOf"):  # our alternatives exclude each other: by type, or by their required kind
            return any(_may_be(value, choice) and self.holds(value, choice) for choice in wanted)
        if keyword == "properties":
            return not isinstance(value, dict) or all(
                self.holds(value[name], field) for name, field in wanted.items() if name in value
            )
        if keyword == "additionalProperties":
            others = [name for name in value if name not in schema.get("properties", {})]
            return not others if wanted is False else all(self.holds(value[name], wanted) for name in others)
        if keyword == "prefixItems":  # comes with minItems and maxItems, which may be looked at later
            return all(self.holds(item, one) for item, one in zip(value, wanted, strict=False))
        if keyword == "items":
            return all(self.holds(item, wanted) for item in value)
        if keyword == "pattern":  # \n: Python's $ lets it pass, pydantic's does not
            return value.isascii() and "\n" not in value and re.search(wanted, value) is not None
        if keyword == "if":
            return not self.holds(value, wanted) or self.holds(value, schema["then"])
        raise _Doubt(keyword)
