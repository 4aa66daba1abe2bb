"""The base of every section of a recipe, and slots: fields that hold one of several component kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from seqcli.errors import did_you_mean
from seqcli.recipe import registry


class Config(BaseModel):
    """One section of a recipe: immutable, and no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        result = handler(schema)
        _mark_rules(cls, handler.resolve_ref_schema(result))
        return result


def _mark_rules(config: type[BaseModel], definition: JsonSchemaValue) -> None:
    """Mark a class whose validators say more than its JSON Schema."""
    validators = config.__pydantic_decorators__
    if validators.model_validators or validators.field_validators:
        definition["$comment"] = "rules of several options together are checked by 'seqcli recipes validate'"


class Component(Config):
    """A section that chooses a component by its ``kind`` (a subclass sets ``kind: Literal[...]``)."""

    kind: str


Dropout = Annotated[float, Field(ge=0, lt=1, description="share of the values dropped in training")]


class Slot:
    """Marks a field that holds a component: ``Annotated[Component, Slot("encoder")]``.

    The class is looked up by ``kind`` when a recipe is read, so a recipe pays only for the kinds it uses, and a kind
    that another package brings is a kind like any other.
    """

    def __init__(self, name: str, *, default: str | None = None) -> None:
        """``default``: kind of a section that names none."""
        self.name, self.default = name, default

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.model_dump(mode="json")),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Every kind as an alternative, told apart by ``kind``."""
        alternatives = []
        for kind in registry.kinds(self.name):
            config = registry.config_class(self.name, kind)
            config.model_rebuild()
            alternative = handler.resolve_ref_schema(handler(config.__pydantic_core_schema__))
            # A default makes 'kind' optional in Python; in a recipe it is what chooses the alternative.
            _mark_rules(config, alternative)
            required = ["kind"] * (kind != self.default)
            required += [name for name in alternative.get("required", ()) if name != "kind"]
            alternatives.append({**alternative, "required": required})
        return {"oneOf": alternatives, "discriminator": {"propertyName": "kind"}}

    def _validate(self, value: Any) -> Any:
        if isinstance(value, Component):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("component_type", "expected a mapping with a 'kind'")
        kind = value.get("kind", self.default)
        if kind is None:
            raise PydanticCustomError(
                "kind_missing", "'kind' is missing; one of {kinds}", {"kinds": ", ".join(registry.kinds(self.name))}
            )
        if not registry.knows(self.name, kind):
            choices = registry.kinds(self.name)
            hint = did_you_mean(str(kind), choices) or f"Known: {', '.join(choices)}"
            raise PydanticCustomError(
                "kind_unknown", "unknown {slot} '{kind}'. {hint}", {"slot": self.name, "kind": str(kind), "hint": hint}
            )
        # A ValidationError raised in here is taken over line by line, each with its own location.
        return registry.config_class(self.name, kind).model_validate(value)


def walk(config: Config, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield ``(path, value)`` of every leaf of a recipe, in the order of the schema."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from walk(value, (*path, name))
        else:
            yield (*path, name), value
