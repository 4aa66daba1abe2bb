"""Round trips and agreement on random recipes."""

import copy
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from recipe_values import follows, recipes, schema

from seqcli.errors import UserErrors
from seqcli.recipe import registry
from seqcli.recipe.base import walk
from seqcli.recipe.dump import dump_recipe, format_value, recipe_difference
from seqcli.recipe.folder import recipe_names
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


def read(text):
    root, wrong = parse(Document("r.yaml", text))
    assert not wrong
    return Recipe.model_validate(root.plain())


@relaxed
@given(recipes())
def test_dump_and_read(values):
    recipe = Recipe.model_validate(values)
    text = dump_recipe(recipe)
    assert read(text) == recipe
    assert dump_recipe(read(text)) == text
    remarks = {".".join(path): "file" for path, _ in walk(recipe)}
    assert read(dump_recipe(recipe, remarks)) == recipe  # remarks change nothing


@pytest.mark.parametrize("name", recipe_names())
def test_dump_and_load(name):
    recipe = load_recipe(name).recipe
    again = recipe_from_text(dump_recipe(recipe))
    assert again.recipe == recipe
    assert set(again.origins.values()) == {"file"}
    assert recipe_from_text(dump_recipe(recipe, again.origins)).recipe == recipe


@relaxed
@given(recipes())
def test_what_follows_the_schema_breaks_nothing_but_rules(values):
    """And a rule points at its option, or at the section that lacks it."""
    recipe = Recipe.model_validate(values)
    text = dump_recipe(recipe)
    rules = {rule.where for rule in registry.implementation("task", recipe.task.kind).rules}
    try:
        assert recipe_from_text(text).recipe == recipe
    except UserErrors as caught:
        for error in caught.errors:
            where = error.message.partition(":")[0]
            assert where in rules
            key = text.split("\n")[error.line - 1].strip().partition(":")[0]
            assert key in where.split(".")


@relaxed
@given(recipes())
def test_others_read_the_dump_alike(values):
    recipe = Recipe.model_validate(values)
    assert json.dumps(yaml.safe_load(dump_recipe(recipe))) == json.dumps(recipe.model_dump(mode="json"))


@given(st.text())
def test_any_text_survives(text):
    root, errors = parse(Document("x", f"a: {format_value(text)}\nb: [{format_value(text)}]\n"))
    assert not errors
    assert root.plain() == {"a": text, "b": [text]}


@relaxed
@given(recipes(), st.data())
def test_the_json_schema_says_yes_and_no_where_the_validator_does(values, data):
    """Right recipes, then the same with one value exchanged; only rules across options are beyond JSON Schema."""
    assert follows(values, schema())
    section = spoiled = copy.deepcopy(values)
    while isinstance(section, dict) and section:
        name = data.draw(st.sampled_from(sorted(section)))
        if not isinstance(section[name], dict) or data.draw(st.booleans()):
            section[name] = data.draw(SCALARS)
            break
        section = section[name]
    if data.draw(st.booleans()) and isinstance(section, dict):
        section[data.draw(st.sampled_from(["kind", "dim", "x"]))] = data.draw(SCALARS)
    assert follows(spoiled, schema()) == _is_valid(spoiled)


def _is_valid(values):
    """Whether the validator has anything to say but rules across options."""
    try:
        Recipe.model_validate(values)
    except ValidationError as error:
        return {line["type"] for line in error.errors()} == {"value_error"}
    return True


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
        "model.head.bias: absent -> true",
        "model.head.tied: absent -> false",
    ]


def test_dump_is_in_the_order_of_the_schema():
    recipe = load_recipe("ner").recipe
    assert [line.strip().split(":")[0] for line in dump_recipe(recipe).splitlines() if line[0] != " "] == list(
        Recipe.model_fields
    )
    assert len(list(walk(recipe))) == sum(1 for line in dump_recipe(recipe).splitlines() if not line.endswith(":"))
