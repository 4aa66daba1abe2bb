"""YAML under our own rules: scalars, and everything that is refused, with its place."""

import math

import pytest

from seqcli.recipe.tree import MAX_DEPTH, Document, parse, plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("2.", 2.0),
        (".5", 0.5),
        ("-1.5e+2", -150.0),
        ("+3", 3),
        ("-7", -7),
        ("64_000", 64000),
        ("0", 0),
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("True", True),
        ("no", False),
        ("Off", False),
        ("YES", True),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("1e999", math.inf),
    ],
)
def test_scalars_with_a_meaning(text, value):
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "12:30",
        "2024-01-01",
        "007",
        "0x1F",
        "0o17",
        "1_",
        "_1",
        "1__0",
        "e3",
        ".",
        "-",
        "+",
        "1e",
        "1.2.3",
        "inf",
        "nan",
        "y",
        "n",
        "nO",
        "tRUE",
        "<<",
        "=",
        "١٢",
        "1 000",
    ],
)
def test_scalars_that_stay_text(text):
    assert plain_scalar(text) == text


def test_nan_is_a_number():
    assert math.isnan(plain_scalar(".nan"))


def _errors(text):
    return [str(error) for error in parse(Document("r.yaml", text))[1]]


BILLION_LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["r.yaml:3:1: duplicate key 'a', first given in line 1. Keep one of the two."]),
        ("a: {b: 1, b: 1}\n", ["r.yaml:1:11: duplicate key 'b', first given in line 1. Keep one of the two."]),
        (
            "a: !!python/object/apply:os.system ['true']\n",
            [
                "r.yaml:1:4: tag '!!python/object/apply:os.system': recipes are plain data, without tags. "
                "Take the tag off; a text is put in quotes."
            ],
        ),
        (
            "a: !x 1\n",
            ["r.yaml:1:4: tag '!x': recipes are plain data, without tags. Take the tag off; a text is put in quotes."],
        ),
        (
            BILLION_LAUGHS,
            [
                "r.yaml:1:4: anchor '&a': recipes have no anchors and aliases. Write the value out.",
                "r.yaml:2:4: anchor '&b': recipes have no anchors and aliases. Write the value out.",
                "r.yaml:2:8: alias '*a': recipes have no aliases. Write the value out.",
                "r.yaml:2:12: alias '*a': recipes have no aliases. Write the value out.",
                "r.yaml:3:5: alias '*b': recipes have no aliases. Write the value out.",
                "r.yaml:3:9: alias '*b': recipes have no aliases. Write the value out.",
            ],
        ),
        ("? [a]\n: 1\n", ["r.yaml:1:3: a key is a word, not a list or a mapping"]),
        (
            "a: 1\n---\nb: 2\n",
            ["r.yaml:2:1: a second document begins here; a recipe is one document. Remove the '---'."],
        ),
        ("a:\n\tb: 1\n", ["r.yaml:2:1: a tab where only spaces may stand. Indent with spaces."]),
        (
            "a: b: c\n",
            [
                "r.yaml:1:5: not valid YAML: mapping values are not allowed in this context. "
                "A text with ': ' in it is put in quotes; otherwise look at the indentation."
            ],
        ),
        (
            "a: @b\n",
            [
                "r.yaml:1:4: not valid YAML: found character that cannot start any token. "
                "A text that begins with this character is put in quotes."
            ],
        ),
        ("a: [1,\n", ["r.yaml:2:1: not valid YAML: did not find expected node content"]),
        (
            "a: {b: [1, 2}\n",
            [
                "r.yaml:1:13: not valid YAML: did not find expected ',' or ']'. "
                "Is the bracket of line 1, column 8 closed?"
            ],
        ),
        ("a: 1\nb: x\x01y\n", ["r.yaml:2:5: control character U+0001. Remove it."]),
        ("a: " + "9" * 5000 + "\n", ["r.yaml:1:4: a number of 5000 characters. Put it in quotes if it is a text."]),
    ],
)
def test_what_is_refused(text, expected):
    assert _errors(text) == expected


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: " + "[" * 50 + "]" * 50])
def test_deep_nesting_ends_in_one_message(text):
    errors = _errors(text)
    assert len(errors) == 1
    assert f"nested deeper than {MAX_DEPTH} levels" in errors[0]


def test_places_count_characters_and_only_newlines():
    root, errors = parse(Document("r.yaml", "é: 'ü\u2028'\nb: {ö: 1, ö: 2}\n"))
    assert [str(error) for error in errors] == [
        "r.yaml:2:11: duplicate key 'ö', first given in line 2. Keep one of the two."
    ]
    assert root.plain()["b"] == {"ö": 1}
