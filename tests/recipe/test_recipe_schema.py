"""The JSON Schema, and the list of components."""

import json
from typing import ClassVar, Literal

import pytest
from pydantic import Field
from recipe_values import follows, schema

from seqcli.errors import UserErrors
from seqcli.recipe import registry
from seqcli.recipe.base import Component
from seqcli.recipe.describe import describe, describe_all
from seqcli.recipe.folder import find_recipe, recipe_names
from seqcli.recipe.load import load_recipe
from seqcli.recipe.tree import Document, parse


def _parts(part):
    if isinstance(part, dict):
        yield part
        for child in part.values():
            yield from _parts(child)
    elif isinstance(part, list):
        for child in part:
            yield from _parts(child)


def test_one_schema_without_loose_ends():
    whole = schema()
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(part["$ref"].removeprefix("#/$defs/") in whole["$defs"] for part in _parts(whole) if "$ref" in part)
    assert json.loads(json.dumps(whole)) == whole


def _slots():
    """``(slot, default kind or None, its part of the schema)`` of every field that holds a component."""
    network, translator = (
        next(part for part in schema()["properties"]["model"]["oneOf"] if name in part["properties"])
        for name in ("pooling", "decoder")
    )
    training = schema()["$defs"]["TrainingConfig"]["properties"]
    for name, default in (("task", None), ("source", "text"), ("model", "network")):
        yield name, default, schema()["properties"][name]
    for name in ("optimizer", "schedule"):
        yield name, None, training[name]
    optional = {"target": schema()["properties"]["target"]}
    optional |= {name: network["properties"][name] for name in ("embedder", "encoder", "pooling", "head")}
    optional["decoder"] = translator["properties"]["decoder"]
    for name, part in optional.items():
        section, nothing = part["anyOf"]
        assert nothing == {"type": "null"}
        yield name, None, section


@pytest.mark.parametrize(("slot", "default", "part"), list(_slots()))
def test_an_editor_can_complete_every_kind(slot, default, part):
    assert part["discriminator"] == {"propertyName": "kind"}
    kinds = [choice["properties"]["kind"]["const"] for choice in part["oneOf"]]
    assert kinds == registry.kinds(slot)
    assert [kind for kind, choice in zip(kinds, part["oneOf"], strict=True) if "kind" not in choice["required"]] == [
        *([default] if default else [])
    ]


@pytest.mark.parametrize("name", recipe_names())
def test_an_editor_takes_our_recipes_as_they_stand(name):
    text = find_recipe(name).read_text(encoding="utf-8")
    assert follows(parse(Document(name, text))[0].plain(), schema())


def test_the_schema_describes_every_field():
    fields = {
        name: field
        for part in _parts(schema())
        if isinstance(part.get("properties"), dict) and "title" in part
        for name, field in part["properties"].items()
        if name != "kind"
    }
    assert len(fields) > 50
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert schema()["$defs"]["TrainingConfig"]["properties"]["epochs"] == {
        "default": 30,
        "description": "most passes over the training data",
        "minimum": 1,
        "type": "integer",
    }


def test_a_rule_beyond_json_schema_is_marked():
    marked = [part["title"] for part in _parts(schema()) if "$comment" in part]
    assert list(dict.fromkeys(marked)) == [
        "Recipe",
        "LogMelConfig",
        "MFCCConfig",
        "VectorFieldConfig",
        "GridFieldConfig",
        "ConvolutionConfig",
        "SeriesConfig",
        "TransformerConfig",
        "AdaptiveConfig",
        "NGramConfig",
        "RNNDecoderConfig",
        "LSTMDecoderConfig",
        "GRUDecoderConfig",
        "TransformerDecoderConfig",
    ]


def test_describe():
    found = describe("encoder", "lstm")
    assert found["summary"].startswith("Long short-term memory")
    assert found["options"][0] == {
        "name": "dim",
        "type": "whole number >= 1",
        "default": 200,
        "description": "state size in each direction (a bidirectional output is twice that)",
    }
    types = {option["name"]: option["type"] for option in describe("embedder", "tokens")["options"]}
    assert types["characters"] == "section of kind cnn, lstm | null"
    assert types["vectors"] == "section of file, freeze, extend | null"
    assert describe("optimizer", "adam")["options"][1]["type"] == "list of 2: number >= 0, < 1"
    assert [(one["slot"], one["kind"]) for one in describe_all()] == [
        (slot, kind) for slot in registry.REGISTRY for kind in registry.kinds(slot)
    ]
    assert [one["kind"] for one in describe_all("head", "crf")] == ["crf"]


class MineConfig(Component):
    """A kind that another package brings."""

    implementation: ClassVar[str] = "builtins:dict"
    kind: Literal["mine"] = "mine"
    size: int = Field(3, ge=1, description="how big")


def test_a_kind_of_another_package(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_foreign", lambda slot: {"mine": f"{__name__}:MineConfig"} if slot == "head" else {})
    assert registry.kinds("head") == [*registry.REGISTRY["head"], "mine"]
    assert load_recipe("ner", ["model.head={kind: mine, size: 5}"]).recipe.model.head.size == 5
    with pytest.raises(UserErrors, match=r"model\.head\.sise: unknown key\. Did you mean 'size'\?"):
        load_recipe("ner", ["model.head={kind: mine, sise: 5}"])
    assert describe("head", "mine")["options"][0]["description"] == "how big"
    path = tmp_path / "mine.yaml"
    path.write_text(find_recipe("ner").read_text().replace("{kind: crf}", "{kind: mine}"))
    assert load_recipe(path).recipe.model.head.kind == "mine"
