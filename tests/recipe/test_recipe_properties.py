"""Round trips and agreement on random recipes."""

import copy
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from recipe_values import beyond_json_schema, recipes, schema
from seqcli.recipe.quick import conforms

from seqcli.errors import UserErrors
from seqcli.recipe.base import walk
from seqcli.recipe.dump import dump_recipe, format_value, recipe_difference
from seqcli.recipe.load import load_recipe, recipe_from_text
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tree import Document, parse

relaxed = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@relaxed
@given(recipes())
def test_dump_and_load(values):
    recipe = Recipe.model_validate(values)
    text = dump_recipe(recipe)
    again = recipe_from_text(text)
    assert again.recipe == recipe
    assert set(again.origins.values()) == {"file"}
    assert dump_recipe(again.recipe) == text
    assert recipe_from_text(dump_recipe(recipe, again.origins)).recipe == recipe  # remarks change nothing


@relaxed
@given(recipes())
def test_others_read_the_dump_alike(values):
    recipe = Recipe.model_validate(values)
    read = yaml.safe_load(dump_recipe(recipe))
    assert json.dumps(read) == json.dumps(recipe.model_dump(mode="json"))


@given(st.text())
def test_any_text_survives(text):
    root, errors = parse(Document("x", f"a: {format_value(text)}\nb: [{format_value(text)}]\n"))
    assert not errors
    assert root.plain() == {"a": text, "b": [text]}


@relaxed
@given(recipes(), st.data())
def test_a_quick_yes_is_a_yes(values, data):
    """Right recipes, then the same with one value exchanged: where the quick check says yes, so does the schema."""
    Recipe.model_validate(values)
    assert conforms(values, schema()) == (not beyond_json_schema(values))
    spoiled = copy.deepcopy(values)
    section = spoiled
    while isinstance(section, dict) and section:
        name = data.draw(st.sampled_from(sorted(section)))
        if not isinstance(section[name], dict) or data.draw(st.booleans()):
            section[name] = data.draw(SCALARS)
            break
        section = section[name]
    if data.draw(st.booleans()) and isinstance(section, dict):
        section[data.draw(st.sampled_from(["kind", "dim", "x"]))] = data.draw(SCALARS)
    if conforms(spoiled, schema()):
        Recipe.model_validate(spoiled)
    else:
        try:
            Recipe.model_validate(spoiled)
        except ValidationError:
            return
        assert beyond_json_schema(spoiled)


@relaxed
@given(st.text(alphabet="abk: -[]{}#&*!|>'\"\n\t,?%@`1e.~=", max_size=60))
def test_no_text_breaks_the_reader(text):
    with pytest.raises(UserErrors) as caught:  # and no other exception
        recipe_from_text(text)
    for error in caught.value.errors:
        assert error.line is None or 1 <= error.line <= text.count("\n") + 1


def test_floats_are_readable():
    assert [format_value(value) for value in (0.001, 1e-5, 2.5e-07, 5.0, 1e22, -0.0)] == [
        "0.001",
        "1.0e-05",
        "2.5e-07",
        "5.0",
        "1.0e+22",
        "-0.0",
    ]


def test_texts_are_quoted_where_yaml_would_read_something_else():
    plain = ["ner", "my/train.conll", "B-PER", "two words", "naïve"]
    quoted = ["no", "y", "null", "12:30", "1e-3", "12", "", " x", "a: b", "a #b", "a,b", "-", "é\u2028"]
    assert [format_value(text) for text in plain] == plain
    assert [format_value(text) for text in quoted] == [
        '"no"',
        '"y"',
        '"null"',
        '"12:30"',
        '"1e-3"',
        '"12"',
        '""',
        '" x"',
        '"a: b"',
        '"a #b"',
        '"a,b"',
        '"-"',
        '"é\\u2028"',
    ]


def test_difference():
    old = load_recipe("ner").recipe
    assert recipe_difference(old, old) == []
    new = load_recipe("ner", ["training.optimizer.lr=1e-5", "model.head={kind: softmax}", "data.train=a b.txt"]).recipe
    assert recipe_difference(old, new) == [
        "data.train: null -> a b.txt",
        "model.head.kind: crf -> softmax",
        "model.head.constrained: true -> absent",
        "training.optimizer.lr: 0.002 -> 1.0e-05",
        "model.head.label_smoothing: absent -> 0.0",
        "model.head.tied: absent -> false",
    ]


def test_dump_is_in_the_order_of_the_schema():
    recipe = load_recipe("ner").recipe
    assert [line.strip().split(":")[0] for line in dump_recipe(recipe).splitlines() if line[0] != " "] == list(
        Recipe.model_fields
    )
    assert len(list(walk(recipe))) == sum(1 for line in dump_recipe(recipe).splitlines() if not line.endswith(":"))
