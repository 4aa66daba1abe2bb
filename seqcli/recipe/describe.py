"""The schema as data: JSON Schema of a whole recipe, and the list of component kinds with their options."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from seqcli.recipe import registry
from seqcli.recipe.base import Config
from seqcli.recipe.schema import Recipe

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Schema(GenerateJsonSchema):
    """Without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def recipe_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a recipe, for editors."""
    return {"$schema": _DIALECT, **Recipe.model_json_schema(schema_generator=_Schema)}


def describe(slot: str, kind: str) -> dict[str, Any]:
    """A kind: ``slot``, ``kind``, ``summary`` (a line), ``options``: ``name``, ``type``, ``default``, ``description``.

    ``default`` is absent from an option that has to be given.
    """
    config: type[Config] = registry.config_class(slot, kind)
    schema = config.model_json_schema(schema_generator=_Schema)
    required = set(schema.get("required", ()))
    options = []
    for name, field in schema["properties"].items():
        if name == "kind":
            continue
        option = {"name": name, "type": _type(field, schema.get("$defs", {}))}
        if name not in required:
            option["default"] = field.get("default")
        options.append({**option, "description": field.get("description", "")})
    return {"slot": slot, "kind": kind, "summary": schema.get("description", "").split("\n")[0], "options": options}


def describe_all(slot: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    """`describe` of every kind, of one slot, or of one kind."""
    return [
        describe(one_slot, one_kind)
        for one_slot in registry.REGISTRY
        if slot in (None, one_slot)
        for one_kind in registry.kinds(one_slot)
        if kind in (None, one_kind)
    ]


_NAMES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true/false",
    "null": "null",
    "array": "list",
    "object": "mapping",
}


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A field's type in words: ``whole number >= 1``, ``tanh | relu``, ``text | null``."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        properties = definitions.get(name, {}).get("properties", {})
        return f"section of {', '.join(properties)}"
    if "discriminator" in field:
        kinds = ", ".join(choice["properties"]["kind"]["const"] for choice in field["oneOf"])
        return f"section of kind {kinds}"
    if "anyOf" in field:
        return " | ".join(_type(choice, definitions) for choice in field["anyOf"])
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "const" in field:
        return json.dumps(field["const"])
    name = _NAMES.get(field.get("type", ""), "any value")
    if "prefixItems" in field:
        return f"list of {len(field['prefixItems'])}: {_type(field['prefixItems'][0], definitions)}"
    if "items" in field:
        return f"list of {_type(field['items'], definitions)}s"
    if isinstance(field.get("additionalProperties"), dict):
        return f"mapping to {_type(field['additionalProperties'], definitions)}"
    return name + _bounds(field)


def _bounds(field: dict[str, Any]) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return "".join(f", {sign} {field[key]:g}" for key, sign in signs.items() if key in field).replace(",", "", 1)
