"""Hypothesis strategies: random recipes, drawn from the schema itself."""

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
    return st.lists(values(part["items"]), min_size=part.get("minItems", 0), max_size=4)


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
    """Plain values of right recipes."""
    return values(schema()).map(_consistent)


def _consistent(recipe: dict[str, Any]) -> dict[str, Any]:
    """Obey the rules that stand across options."""
    encoder = recipe["model"].get("encoder")
    if kind_of(encoder) == "transformer":
        encoder["dim"] = encoder.get("heads", 4) * 8
    if kind_of(encoder) == "ngram" and "prune" in encoder:
        encoder["prune"] = sorted(abs(count) for count in encoder["prune"])[: encoder.get("order", 4)]
    head = recipe["model"].get("head")
    if kind_of(head) == "adaptive" and "cutoffs" in head:
        head["cutoffs"] = sorted({abs(cut) + 1 for cut in head["cutoffs"]})
    if kind_of(recipe["model"].get("embedder")) == "tokens" and recipe.get("text") is None:
        recipe["text"] = {}
    return recipe


def kind_of(section: Any) -> str | None:
    """The kind of a component; None where there is none."""
    return section.get("kind") if isinstance(section, dict) else None


def beyond_json_schema(recipe: dict[str, Any]) -> bool:
    """Whether a component has rules that JSON Schema cannot say."""
    model = recipe["model"] if isinstance(recipe.get("model"), dict) else {}
    kinds = {kind_of(model.get(part)) for part in ("encoder", "head")}
    return bool(kinds & {"transformer", "ngram", "adaptive"})
