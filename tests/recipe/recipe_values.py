"""Hypothesis strategies: random recipes, drawn from the JSON Schema itself; and what an editor makes of that schema."""

import math
import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from seqcli.recipe.describe import recipe_schema


@cache
def schema() -> dict[str, Any]:
    return recipe_schema()


def values(part: dict[str, Any]) -> st.SearchStrategy:
    """Values that follow a part of the schema."""
    if "$ref" in part:
        return values(schema()["$defs"][part["$ref"].rpartition("/")[2]])
    for keyword in ("anyOf", "oneOf"):
        if keyword in part:
            return st.one_of([values(choice) for choice in part[keyword]])
    if "const" in part:
        return st.just(part["const"])
    if "enum" in part:
        return st.sampled_from(part["enum"])
    return _TYPES[part["type"]](part)


def _object(part: dict[str, Any]) -> st.SearchStrategy:
    if "properties" not in part:
        return st.dictionaries(st.text(max_size=8), values(part["additionalProperties"]), max_size=3)
    fields = {name: values(field) for name, field in part["properties"].items()}
    required = set(part.get("required", ()))
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def _array(part: dict[str, Any]) -> st.SearchStrategy:
    if "prefixItems" in part:
        return st.tuples(*[values(item) for item in part["prefixItems"]]).map(list)
    return st.lists(values(part["items"]), min_size=part.get("minItems", 0), max_size=part.get("maxItems", 4))


def _number(part: dict[str, Any]) -> st.SearchStrategy:
    low, high = part.get("minimum", part.get("exclusiveMinimum")), part.get("maximum", part.get("exclusiveMaximum"))
    return st.floats(
        low,
        high,
        exclude_min="exclusiveMinimum" in part,
        exclude_max="exclusiveMaximum" in part,
        allow_nan=False,
        allow_infinity=False,
    )


_NAMES = st.from_regex("[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
_TYPES = {
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": lambda part: st.integers(part.get("minimum"), part.get("maximum") or 2**70),
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
    "string": lambda part: _NAMES if "pattern" in part else st.text(min_size=part.get("minLength", 0)),
}


def recipes() -> st.SearchStrategy:
    """Plain values that follow the schema; most of them break a rule of their task."""
    return values(schema()).map(_within_sections)


def _within_sections(recipe: dict[str, Any]) -> dict[str, Any]:
    """Obey the rules that stand across the options of one section."""
    model = recipe["model"]
    if model.get("kind") == "ngram" and "prune" in model:
        model["prune"] = sorted(abs(count) for count in model["prune"])[: model.get("order", 4)]
    features = recipe.get("source", {}).get("features")
    if isinstance(features, dict):
        half = features.get("rate", 16000) / 2
        if "low" in features:
            features["low"] = min(features["low"], half / 2)
        if features.get("high") is not None:
            features["high"] = half
        if features["kind"] == "mfcc":
            features["cepstra"] = min(features.get("cepstra", 13), features.get("bins", 23))
        if features["kind"] != "efficientnet-lite0" and recipe["source"]["kind"] in ("vector", "grid"):
            recipe["source"]["features"] = None
    encoder, head = model.get("encoder"), model.get("head")
    embedder = model.get("embedder")
    if _kind(embedder) == "convolution":
        embedder["layers"] = max(2, embedder.get("layers", 2))  # each halves once at most
    if _kind(encoder) == "transformer":
        encoder["dim"] = encoder.get("heads", 4) * 8
    decoder = model.get("decoder")
    if _kind(decoder) == "transformer":
        decoder["dim"] = decoder.get("heads", 4) * 8
    elif isinstance(decoder, dict) and decoder.get("attention") == "none":
        decoder["input_feeding"] = False
    if _kind(head) == "adaptive" and "cutoffs" in head:
        head["cutoffs"] = sorted({abs(cut) + 1 for cut in head["cutoffs"]})
    return recipe


def _kind(section: Any) -> str | None:
    return section.get("kind") if isinstance(section, dict) else None


def follows(value: Any, part: dict[str, Any]) -> bool:
    """Whether a value follows a part of the schema, read by the letter of JSON Schema; of oneOf exactly one."""
    if "$ref" in part and not follows(value, schema()["$defs"][part["$ref"].rpartition("/")[2]]):
        return False
    if "type" in part and not _IS[part["type"]](value):
        return False
    for keyword, wanted in part.items():
        if keyword not in _REMARKS and not _HOLDS[keyword](value, wanted, part):
            return False
    return True


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _same(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and value == wanted


_REMARKS = {"$schema", "$defs", "$comment", "$ref", "type", "title", "description", "default", "discriminator"}
_IS = {
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int,
    "number": _is_number,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
}
_HOLDS = {
    "minimum": lambda value, bound, _: value >= bound,
    "maximum": lambda value, bound, _: value <= bound,
    "exclusiveMinimum": lambda value, bound, _: value > bound,
    "exclusiveMaximum": lambda value, bound, _: value < bound,
    "minItems": lambda value, bound, _: len(value) >= bound,
    "maxItems": lambda value, bound, _: len(value) <= bound,
    "minLength": lambda value, bound, _: len(value) >= bound,
    "maxLength": lambda value, bound, _: len(value) <= bound,
    "const": lambda value, wanted, _: _same(value, wanted),
    "enum": lambda value, choices, _: any(_same(value, one) for one in choices),
    "pattern": lambda value, pattern, _: re.search(pattern.replace("$", r"\Z"), value) is not None,
    "required": lambda value, names, _: all(name in value for name in names),
    "anyOf": lambda value, choices, _: any(follows(value, choice) for choice in choices),
    "oneOf": lambda value, choices, _: sum(follows(value, choice) for choice in choices) == 1,
    "items": lambda value, item, part: all(follows(one, item) for one in value[len(part.get("prefixItems", ())) :]),
    "prefixItems": lambda value, items, _: all(map(follows, value, items)),
    "properties": lambda value, fields, _: all(follows(value[name], fields[name]) for name in fields if name in value),
    "additionalProperties": lambda value, wanted, part: all(
        wanted is not False and follows(one, wanted)
        for name, one in value.items()
        if name not in part.get("properties", {})
    ),
}
