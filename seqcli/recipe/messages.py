"""What the schema finds wrong, in plain words: where, what was expected, what was found, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from seqcli.errors import UserError, did_you_mean
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.recipe.sections import class_at, field_at, places_of
from seqcli.recipe.tree import MAX_ERRORS, Node, nearest

Path = tuple[str | int, ...]


class Override(NamedTuple):
    """One ``--set`` that was applied: the path it set, and its text."""

    path: tuple[str, ...]
    text: str


@dataclass
class _Problem:
    """One line of a ValidationError, brought to a node of the tree."""

    kind: str
    node: Node
    path: Path
    """Where the node stands; ends in the missing name where something is missing."""
    context: dict[str, Any]
    message: str
    in_union: bool


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a section (key: value)",
    "component_type": "a section with a 'kind'",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "literal_error": "{expected}",
}


_PATTERNS = {"^[a-z0-9][a-z0-9._-]*$": "lower-case letters, digits, '.', '_' and '-', a letter or digit first"}
"""The patterns of the schema, in words."""


def explain(error: ValidationError, root: Node, overrides: list[Override]) -> list[UserError]:
    """One UserError for each thing that is wrong; alternatives of a union are told in one line."""
    problems = [_locate(line, root) for line in error.errors(include_url=False, include_input=False)]
    problems = [problem for problem in problems if not problem.node.broken]
    problems = [problem for problem in problems if not _told_deeper(problem, problems)]
    grouped: dict[Path, list[_Problem]] = {}
    for problem in problems:
        grouped.setdefault(problem.path, []).append(problem)
    values = root.plain()
    told = [_error(group, values, overrides) for group in list(grouped.values())[:MAX_ERRORS]]
    if len(grouped) > MAX_ERRORS:
        told.append(root.document.error(f"{len(grouped) - MAX_ERRORS:,} more errors like these"))
    return told


def broken_rule(root: Node, rule: Rule, recipe: Recipe) -> UserError:
    """The error of sections that cannot be meant together, at the option that the rule is about."""
    node, _ = nearest(root, rule.where.split("."))  # the section that lacks the option where it is not written down
    message, hint = (said(recipe) if callable(said) else said for said in (rule.message, rule.hint))
    return node.error(f"{rule.where}: {message}", hint)


_MOVED: dict[str, str | dict[str, str]] = {
    "task.kind": {"embedding": "word-vectors"},
    "task.scheme": "target.scheme (kind: tags)",
    "task.model_scheme": "target.model_scheme",
    "task.labels": "target.labels",
    "task.separator": "target.separator (kind: labels)",
    "task.ordinal": "target.ordinal",
    "task.algorithm": "model.kind (skip-gram or cbow)",
    "task.window": "model.window",
    "task.negative": "model.negative",
    "task.subsample": "model.subsample",
    "task.lr": "model.lr",
    "text": "source (kind: text)",
    "model.embedder.missing": "source.missing (kind: frames)",
    "model.embedder.scaling": "source.scaling",
    "model.encoder.kind": {
        kind: f"a model of its own, model: {{kind: {kind}, ...}}"
        for kind in ("ngram", "bag-of-words", "mean-pool", "majority")
    },
}
"""Where an option stands that recipes had elsewhere before source and target were sections; or what a value became."""


def old_spelling(root: Node) -> UserError | None:
    """One error for everything that has moved, at the first of it; None for a recipe as they are written now."""
    moved: list[tuple[Node, str]] = []
    for path, now in _MOVED.items():
        node, there = nearest(root, path.split("."))
        if there and isinstance(now, str):
            moved.append((node, f"'{path}' is now {now}"))
        elif there and isinstance(now, dict) and isinstance(node.value, str) and node.value in now:
            moved.append((node, f"'{path}: {node.value}' is now {now[node.value]}"))
    if not moved:
        return None
    first = min((node for node, _ in moved), key=lambda node: (node.document.origin != "file", node.key_index))
    return first.key_error(
        f"this is how recipes were written before: {'; '.join(text for _, text in moved)}",
        "'seqcli recipes show NAME' prints a recipe as it is written now.",
    )


def _locate(line: Any, root: Node) -> _Problem:
    """Follow a location into the tree; the names pydantic puts in for the branches of a union lead nowhere."""
    node, path, in_union = root, [], False
    for name in line["loc"]:
        if (child := node.child(name)) is not None:
            node = child
            path.append(name)
        elif line["type"] == "missing" and name == line["loc"][-1]:
            path.append(name)
        else:
            in_union = True
    if line["type"] == "kind_unknown":
        node = node.value["kind"]
    return _Problem(line["type"], node, tuple(path), line.get("ctx", {}), line["msg"], in_union)


def _told_deeper(problem: _Problem, problems: list[_Problem]) -> bool:
    """Of a union's branches, the one that got further is the one that was meant."""
    depth = len(problem.path)
    return problem.in_union and any(
        other.in_union and len(other.path) > depth and other.path[:depth] == problem.path for other in problems
    )


def _error(group: list[_Problem], values: Any, overrides: list[Override]) -> UserError:
    first = group[0]
    dotted = ".".join(str(name) for name in first.path) or "the recipe"
    node = first.node
    if first.kind == "extra_forbidden":
        message, hint = _unknown_key(first, values, overrides)
        return node.key_error(f"{dotted}: {message}", hint)
    if first.kind == "missing":
        return _missing(first, dotted, values)
    if first.kind in ("kind_missing", "kind_unknown", "value_error"):
        message = first.message.removeprefix("Value error, ")
        return node.error(f"{dotted}: {message}")
    message, hint = _wrong_value(group, dotted)
    return node.error(f"{dotted}: {message}", hint)


def _unknown_key(problem: _Problem, values: Any, overrides: list[Override]) -> tuple[str, str | None]:
    *parent, name = problem.path
    section = class_at(parent, values)
    if section is None:
        return "unknown key", None
    kind_path = (*parent, "kind")
    changed = next((override for override in reversed(overrides) if override.path == kind_path), None)
    if changed is not None and problem.node.origin == "file":
        where = ".".join(str(part) for part in parent)
        kind = changed.text.partition("=")[2].strip()
        return (
            f"unknown key for the kind '{kind}' that --set {changed.text} asks for",
            f"Set the whole section: --set '{where}={{kind: {kind}, ...}}'.",
        )
    known = list(section.model_fields)
    hint = did_you_mean(str(name), known)
    if hint is None and len(places := list(places_of(str(name), values))) == 1:
        hint = f"Did you mean '{places[0]}'?"
    return "unknown key", hint or f"Known here: {', '.join(known)}."


def _missing(problem: _Problem, dotted: str, values: Any) -> UserError:
    node = problem.node
    if isinstance(problem.path[-1], int):  # a list that stands for a tuple
        return node.error(f"{'.'.join(map(str, problem.path[:-1]))}: the list has too few items")
    field = field_at(problem.path, values)
    what = f" ({field.description})" if field is not None and field.description else ""
    return node.error(f"{dotted}: missing{what}")


def _wrong_value(group: list[_Problem], dotted: str) -> tuple[str, str | None]:
    first = group[0]
    node = first.node
    if first.kind == "string_pattern_mismatch":
        return f"expected {_PATTERNS.get(first.context['pattern'], first.message)}, found {_in_words(node)}", None
    if any(problem.kind not in _EXPECTED for problem in group):
        return f"{first.message[:1].lower()}{first.message[1:]}, found {_in_words(node)}", None
    wanted = [_EXPECTED[problem.kind].format(**_numbers(problem.context)) for problem in group]
    expected = " or ".join(dict.fromkeys(wanted))
    hint = _value_hint({problem.kind for problem in group}, node, dotted)
    if first.kind == "literal_error":
        choices = re.findall(r"'([^']*)'", first.context["expected"])
        expected = f"one of {', '.join(choices)}" if len(choices) > 1 else expected
        hint = hint or did_you_mean(str(node.value), choices)
    return f"expected {expected}, found {_in_words(node)}", hint


def _numbers(context: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value:g}" if isinstance(value, float) else value for key, value in context.items()}


def _value_hint(kinds: set[str], node: Node, dotted: str) -> str | None:
    value = node.value
    wants_text = bool(kinds & {"string_type", "literal_error"})
    quoted = f'"{node.written}"' if node.origin == "file" else f"""--set '{dotted}="{node.written}"'"""
    if isinstance(value, bool):
        return f"For the text, write {quoted}." if wants_text and node.written else None
    if isinstance(value, float) and kinds & {"int_type", "int_from_float"} and value.is_integer():
        return f"Write {int(value)}."
    if isinstance(value, int | float) and wants_text:
        return f"For the text, write {quoted}."
    if isinstance(value, str) and node.quoted and kinds & {"int_type", "float_type", "bool_type"}:
        return "Take the quotes off."
    return None


def _in_words(node: Node) -> str:
    value = node.value
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{node.written} (a boolean)"
    if isinstance(value, int | float):
        return f"{node.written}"
    return f"the text '{value if len(value) <= 40 else value[:37] + '...'}'"
