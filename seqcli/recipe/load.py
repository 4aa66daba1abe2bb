"""Recipes from YAML and ``--set``: every error at once, each with its place; every value with its origin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from pydantic import ValidationError

from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.recipe import registry
from seqcli.recipe.base import walk
from seqcli.recipe.folder import find_recipe, read_recipe_text
from seqcli.recipe.messages import Override, broken_rule, explain, old_spelling
from seqcli.recipe.paths import file_nodes, folder_of, seen_from_here
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.recipe.sections import default_kind
from seqcli.recipe.tree import MAX_DEPTH, Document, Node, Origin, nearest, parse, walk_nodes


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and where it comes from.

    ``origins`` tells for each dotted path of a value (``training.optimizer.lr``) who set it: ``default``, ``file``
    or ``--set``. ``path`` is None for a recipe that was not read from a file.
    """

    recipe: Recipe
    origins: dict[str, Origin]
    path: Path | None


def load_recipe(
    name: str | Path, overrides: Sequence[str] = (), *, rules: Sequence[Rule] = (), confine_to: Path | None = None
) -> LoadedRecipe:
    """Read a recipe: one of ours by its name (``ner``), or a file by its path.

    Args:
        name: of one of ours, without slash and suffix; or a path, from whose folder the paths in the file start.
        overrides: ``a.b=value`` each, as given to ``--set``; the value is YAML (``{kind: sgd, lr: 0.1}``).
        rules: what it has to keep to beside the rules of its task.
        confine_to: folder outside of which the recipe may name no file (a recipe inside a downloaded model).

    Raises:
        UserErrors: everything that is wrong with the recipe and the overrides (exit code 2); values that lead out of
            ``confine_to`` (65).
        UserError: unknown name (2), unreadable file (74), not UTF-8 (65).
    """
    path = find_recipe(name)
    return recipe_from_text(
        read_recipe_text(path), name=str(path), overrides=overrides, rules=rules, confine_to=confine_to, path=path
    )


def recipe_from_text(
    text: str,
    *,
    name: str = "<recipe>",
    overrides: Sequence[str] = (),
    rules: Sequence[Rule] = (),
    confine_to: Path | None = None,
    path: Path | None = None,
) -> LoadedRecipe:
    """`load_recipe` of a text in memory; ``name`` is what messages call it, ``path`` the file it comes from, if any."""
    document = Document(name, text)
    root, errors = parse(document)
    if root is None or (root.value is None and not root.quoted):
        hint = "'seqcli recipes cp ner my.yaml' gives one to start from."
        raise UserErrors(errors or [document.error("the recipe is empty", hint=hint)])
    if not isinstance(root.value, dict):
        found = "a list" if isinstance(root.value, list) else "a single value"
        errors.append(document.error(f"expected a mapping (name: ..., task: ...), found {found}", root.index))
        raise UserErrors(sorted(errors, key=_place))
    applied = []
    for override in overrides:
        try:
            applied.append(_apply(root, override))
        except UserError as error:
            errors += error.errors if isinstance(error, UserErrors) else [error]
    if old := old_spelling(root):
        raise UserErrors([*errors, old])
    outside = [] if confine_to is None else _outside(root, confine_to)
    if path is not None:
        for node in file_nodes(root):
            node.value = seen_from_here(node.value, folder_of(path))
    recipe, wrong = _validate(root, applied, rules)
    errors += wrong
    if errors or recipe is None:
        raise UserErrors(sorted(errors, key=_place))
    if outside:
        raise UserErrors(outside)
    return LoadedRecipe(recipe, _origins(recipe, root), path)


def _place(error: UserError) -> tuple[float, int]:
    """Errors in the file by position, then those of the command line."""
    return (math.inf if error.line is None else error.line, error.column or 0)


def _validate(root: Node, applied: list[Override], rules: Sequence[Rule]) -> tuple[Recipe | None, list[UserError]]:
    try:
        recipe = Recipe.model_validate(root.plain())
    except ValidationError as error:
        return None, explain(error, root, applied)
    task = registry.implementation("task", recipe.task.kind)
    return recipe, [broken_rule(root, rule, recipe) for rule in (*task.rules, *rules) if rule.broken(recipe)]


def _apply(root: Node, override: str) -> Override:
    """Set one value in the tree, or raise what is wrong with it."""
    dotted, equals, text = override.partition("=")
    names = [name.strip() for name in dotted.split(".")]
    document = Document(f"--set {override}", text, origin="--set")
    if not equals or not all(names):
        raise document.error("expected a.b=value, such as training.optimizer.lr=1e-3")
    if len(names) > MAX_DEPTH:
        raise document.error(f"a path of {len(names):,} names", hint=f"A recipe has at most {MAX_DEPTH} levels.")
    if not text.strip():
        raise document.error("nothing stands after the '='", hint=f"For no value at all, write {dotted}=null.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise document.error("invalid UTF-8") from None
    node, errors = parse(document)
    if errors:
        raise UserErrors(errors)
    if node is None:
        raise document.error("nothing stands after the '='")
    node.key_index = 0
    section = root
    for depth in range(1, len(names)):
        section = _descend(section, tuple(names[:depth]), root, document)
    section.value[names[-1]] = node
    return Override(tuple(names), override)


def _descend(section: Node, path: tuple[str, ...], root: Node, document: Document) -> Node:
    """The section at ``path``, below ``section``; made if the file does not have it (with the kind it has by default)."""
    child: Node | None = section.value.get(path[-1])
    if child is not None and child.value is not None:
        if isinstance(child.value, dict):
            return child
        what = "a list" if isinstance(child.value, list) else "a value"
        raise document.error(f"{'.'.join(path)} is {what}, not a section", hint="Set it as a whole.")
    child = Node({}, document, 0, key_index=0)
    section.value[path[-1]] = child
    if kind := default_kind(path, root.plain()):
        child.value["kind"] = Node(kind, replace(document, origin="default"), 0, key_index=0, written=kind)
    return child


def _origins(recipe: Recipe, root: Node) -> dict[str, Origin]:
    origins: dict[str, Origin] = {}
    for path, _ in walk(recipe):
        node, is_there = nearest(root, path)
        origins[".".join(path)] = node.origin if is_there else "default"
    return origins


def _outside(root: Node, folder: Path) -> list[UserError]:
    """The texts of the file that lead out of ``folder`` when taken as paths; what the user set is the user's matter."""
    errors = []
    for path, node in walk_nodes(root):
        if node.origin != "file" or not isinstance(node.value, str) or path == ("description",):
            continue
        if _leads_out(node.value, folder):
            error = node.error(
                f"{'.'.join(path)}: a path out of the model's folder ('{node.value}')",
                "The recipe of a model may name only files inside it.",
            )
            error.code = ExitCode.DATA
            errors.append(error)
    return errors


def _leads_out(value: str, folder: Path) -> bool:
    if len(value) < 2:  # a separator such as '/'
        return False
    parts: Iterable[str] = value.replace("\\", "/").split("/")
    if ".." in parts or value[0] == "~" or PurePosixPath(value).is_absolute() or PureWindowsPath(value).anchor:
        return True
    try:
        target = folder / value
        return target.exists() and not target.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # too long for a path, or a NUL in it
        return "\0" in value
