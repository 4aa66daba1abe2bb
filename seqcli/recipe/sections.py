"""Which section of the schema stands at which path: for messages, for ``--set`` and for the list of components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from seqcli.recipe import registry
from seqcli.recipe.base import Component, Config, Slot


def target_kind(values: Any) -> str | None:
    """Kind of the target that the task of a recipe's values has where the recipe does not say."""
    task = values.get("task")
    kind = task.get("kind") if isinstance(task, Mapping) else None
    known: str | None = registry.config_class("task", kind).target_kind if registry.knows("task", kind) else None
    return known


def slot_of(field: FieldInfo) -> Slot | None:
    marks = (*field.metadata, *_parts(field.annotation))
    return next((mark for mark in marks if isinstance(mark, Slot)), None)


def _parts(annotation: Any) -> Iterator[Any]:
    """What an annotation is made of, at any depth."""
    for part in get_args(annotation):
        yield part
        yield from _parts(part)


def section_class(field: FieldInfo, value: Any) -> type[Config] | None:
    """Class of the section a field holds; ``value`` (a mapping) tells the kind where the field is a slot."""
    if slot := slot_of(field):
        kind = value.get("kind", slot.default) if isinstance(value, Mapping) else slot.default
        return registry.config_class(slot.name, kind) if kind and registry.knows(slot.name, kind) else None
    for part in (field.annotation, *get_args(field.annotation)):
        if isinstance(part, type) and issubclass(part, Config):
            return part
    return None


def class_at(path: Sequence[str | int], values: Any) -> type[Config] | None:
    """Class of the section at a path of a recipe's values; None where the path leads to no section."""
    from seqcli.recipe.schema import Recipe

    section: type[Config] | None = Recipe
    for name in path:
        field = section.model_fields.get(str(name)) if section is not None else None
        if field is None:
            return None
        values = values.get(name) if isinstance(values, Mapping) else None
        section = section_class(field, values)
    return section


def field_at(path: Sequence[str | int], values: Any) -> FieldInfo | None:
    if not path:
        return None
    section = class_at(path[:-1], values)
    return None if section is None else section.model_fields.get(str(path[-1]))


def places_of(name: str, values: Any) -> Iterator[str]:
    """Dotted paths of every option called ``name`` in the sections of a recipe with these values."""
    from seqcli.recipe.schema import Recipe

    open_sections: list[tuple[str, type[Config], Any]] = [("", Recipe, values)]
    while open_sections:
        path, section, held = open_sections.pop()
        if name in section.model_fields:
            yield path + name
        for key, field in section.model_fields.items():
            value = held.get(key) if isinstance(held, Mapping) else None
            if value is None and isinstance(default := field.get_default(), Component):
                value = {"kind": default.kind}
            if child := section_class(field, value):
                open_sections.append((f"{path}{key}.", child, value))


def default_kind(path: Sequence[str], values: Any) -> str | None:
    """Kind that the slot at ``path`` has when a recipe does not mention it."""
    field = field_at(path, values)
    if field is None:
        return None
    if isinstance(default := field.get_default(), Component):
        return default.kind
    slot = slot_of(field)
    if slot is not None and slot.name == "target":
        return target_kind(values)
    return None if slot is None else slot.default
