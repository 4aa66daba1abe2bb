"""The JSON Schema, the list of components, and the quick check that lives on them."""

import json
from typing import ClassVar, Literal

import pytest
from pydantic import Field
from recipe_values import schema

from seqcli.errors import UserErrors
from seqcli.recipe import quick, registry
from seqcli.recipe.base import Component
from seqcli.recipe.describe import describe, describe_all
from seqcli.recipe.load import load_recipe


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


def test_the_schema_names_every_kind_and_describes_every_field():
    model = schema()["$defs"]["ModelConfig"]["properties"]
    for slot in ("embedder", "encoder", "head"):
        section, nothing = model[slot]["anyOf"]
        assert nothing == {"type": "null"}
        assert [choice["properties"]["kind"]["const"] for choice in section["oneOf"]] == registry.kinds(slot)
        assert all("kind" in choice["required"] for choice in section["oneOf"])
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
    assert marked == ["TransformerConfig", "NGramConfig", "AdaptiveConfig"]


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
    assert describe("optimizer", "adam")["options"][1]["type"] == "list of 2 numbers"
    assert [(one["slot"], one["kind"]) for one in describe_all()] == [
        (slot, kind) for slot in registry.REGISTRY for kind in registry.kinds(slot)
    ]
    assert [one["kind"] for one in describe_all("head", "crf")] == ["crf"]


@pytest.mark.parametrize(
    ("value", "part", "answer"),
    [
        (1, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (1.0, {"type": "integer"}, False),
        (1, {"type": "number"}, True),
        (float("nan"), {"type": "number"}, False),
        ("a", {"type": "null"}, False),
        ("ner\n", {"type": "string", "pattern": "^[a-z]*$"}, False),
        ("ner", {"pattern": "^[a-z]*$"}, True),
        ([1, "a"], {"type": "array", "items": {"type": "integer"}}, False),
        ([1], {"type": "array", "prefixItems": [{"type": "integer"}] * 2, "minItems": 2}, False),
        ("x", {"const": "x", "default": 1}, True),
        (1, {"const": True}, False),
        (True, {"enum": [1]}, False),
        ({"a": 1}, {"type": "object", "additionalProperties": False}, False),
        ({"a": 1}, {"type": "object", "additionalProperties": {"type": "string"}}, False),
        ({}, {"required": ["a"]}, False),
        (None, {"required": ["a"]}, True),
        ("", {"minLength": 1}, False),
        (5, {"exclusiveMaximum": 5}, False),
        (5, {"maximum": 5}, True),
        ("a", {"format": "path"}, False),
        ("a", {"$comment": "more rules"}, False),
        ("a", {"not": {"const": "b"}}, False),
        ("embedder", {"properties": {"embedder": {"type": "string"}}}, True),
    ],
)
def test_quick_check(value, part, answer):
    assert quick.conforms(value, part) is answer


def test_the_schema_is_remembered_for_these_sources_only(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "cache"))
    assert not quick.surely_valid("ner")
    quick.remember_schema()
    assert quick.surely_valid("ner")
    assert not quick.surely_valid("no-such-recipe")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["recipe-schema.json"]
    monkeypatch.setattr(quick, "__version__", "0.0.0")
    assert not quick.surely_valid("ner")
    for broken in (b"", b"[]", b'{"made_from": 1}', b"\xff"):
        (tmp_path / "cache" / "recipe-schema.json").write_bytes(broken)
        assert not quick.surely_valid("ner")


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "file" / "cache"))
    quick.remember_schema()
    assert not quick.surely_valid("ner")


class MineConfig(Component):
    """A kind that another package brings."""

    implementation: ClassVar[str] = "builtins:dict"
    kind: Literal["mine"] = "mine"
    size: int = Field(3, ge=1, description="how big")


def test_a_kind_of_another_package(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path))
    quick.remember_schema()
    monkeypatch.setattr(registry, "_foreign", lambda slot: {"mine": f"{__name__}:MineConfig"} if slot == "head" else {})
    assert registry.kinds("head") == ["softmax", "crf", "sigmoid", "adaptive", "mine"]
    assert load_recipe("ner", ["model.head={kind: mine, size: 5}"]).recipe.model.head.size == 5
    with pytest.raises(UserErrors, match=r"model\.head\.sise: unknown key\. Did you mean 'size'\?"):
        load_recipe("ner", ["model.head={kind: mine, sise: 5}"])
    assert describe("head", "mine")["options"][0]["description"] == "how big"
    path = tmp_path / "mine.yaml"
    path.write_text(load_recipe("ner").text.replace("{kind: crf}", "{kind: mine}"))
    assert load_recipe(path).recipe.model.head.kind == "mine"
    assert not quick.surely_valid(path)  # it may change without us: the loader decides
    (tmp_path / "recipe-schema.json").unlink()
    quick.remember_schema()
    assert not (tmp_path / "recipe-schema.json").exists()
