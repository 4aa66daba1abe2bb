"""Recipes from YAML and ``--set``: every error at once, each with its place; every value with its origin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from pydantic import ValidationError

from seqcli.errors import UserError, UserErrors, data_error
from seqcli.recipe import registry
from seqcli.recipe.base import walk
from seqcli.recipe.folder import find_recipe, read_recipe_text
from seqcli.recipe.messages import Override, broken_rule, explain, old_spelling
from seqcli.recipe.schema import Recipe
from seqcli.recipe.sections import default_kind
from seqcli.recipe.tree import Document, Node, Origin, parse, walk_nodes


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and where it comes from.

    ``origins`` tells for each dotted path of a value (``training.optimizer.lr``) who set it: ``default``, ``file``
    or ``--set``. ``path`` is None for a recipe that was not read from a file. ``text`` is what was read.
    """

    recipe: Recipe
    origins: dict[str, Origin]
    path: Path | None
    text: str


def load_recipe(name: str | Path, overrides: Sequence[str] = (), *, confine_to: Path | None = None) -> LoadedRecipe:
    """Read a recipe: one of ours by its name (``ner``), or a file by its path.

    Args:
        name: of one of ours, without slash and suffix; or a path.
        overrides: ``a.b=value`` each, as given to ``--set``; the value is YAML (``{kind: sgd, lr: 0.1}``).
        confine_to: folder outside of which the recipe may name no file (a recipe inside a downloaded model).

    Raises:
        UserErrors: everything that is wrong with the recipe and the overrides (exit code 2); values that lead out of
            ``confine_to`` (65).
        UserError: unknown name (2), unreadable file (74), not UTF-8 (65).
    """
    path = find_recipe(name)
    return recipe_from_text(
        read_recipe_text(path), name=str(path), overrides=overrides, confine_to=confine_to, path=path
    )


def recipe_from_text(
    text: str,
    *,
    name: str = "<recipe>",
    overrides: Sequence[str] = (),
    confine_to: Path | None = None,
    path: Path | None = None,
) -> LoadedRecipe:
    """`load_recipe` of a text in memory; ``name`` is what messages call it."""
    document = Document(name, text)
    root, errors = parse(document)
    root, top_errors = _top(root, document, bool(errors))
    errors += top_errors
    applied = []
    if root is not None:
        for override in overrides:
            one, set_errors = _apply(root, override)
            errors += set_errors
            applied += [one] if one is not None else []
        if old := old_spelling(root):
            raise UserErrors([*errors, old])
        recipe, wrong = _validate(root, applied)
        errors += wrong
    if errors or root is None or recipe is None:
        raise UserErrors(sorted(errors, key=_place))
    if confine_to is not None and (outside := _outside(root, confine_to)):
        raise UserErrors(outside)
    return LoadedRecipe(recipe, _origins(recipe, root), path, text)


def _place(error: UserError) -> tuple[float, int]:
    """Errors in the file by position, then those of the command line."""
    return (math.inf if error.line is None else error.line, error.column or 0)


def _top(root: Node | None, document: Document, failed: bool) -> tuple[Node | None, list[UserError]]:
    """The top of the tree if it is a mapping, and the error if it is not."""
    if root is None or (root.value is None and not root.quoted):
        return None, [] if failed else [
            document.error("the recipe is empty", hint="'seqcli recipes cp ner my.yaml' gives one to start from.")
        ]
    if not isinstance(root.value, dict):
        found = "a list" if isinstance(root.value, list) else "a single value"
        return None, [document.error(f"expected a mapping (name: ..., task: ...), found {found}", root.index)]
    return root, []


def _validate(root: Node, applied: list[Override]) -> tuple[Recipe | None, list[UserError]]:
    try:
        recipe = Recipe.model_validate(root.plain())
    except ValidationError as error:
        return None, explain(error, root, applied)
    task = registry.implementation("task", recipe.task.kind)
    return recipe, [broken_rule(root, rule, recipe) for rule in task.rules if rule.broken(recipe)]


def _apply(root: Node, override: str) -> tuple[Override | None, list[UserError]]:
    """Set one value in the tree."""
    dotted, equals, text = override.partition("=")
    names = [name.strip() for name in dotted.split(".")]
    document = Document(f"--set {override}", text, origin="--set")
    if not equals or not all(names):
        return None, [document.error("expected a.b=value, such as training.optimizer.lr=1e-3")]
    if not text.strip():
        return None, [document.error("nothing stands after the '='", hint=f"For no value at all, write {dotted}=null.")]
    if not _is_unicode(text):
        return None, [document.error("invalid UTF-8")]
    node, errors = parse(document)
    if node is None or errors:
        return None, errors or [document.error("nothing stands after the '='")]
    node.key_index = 0
    section = root
    for depth, name in enumerate(names[:-1], start=1):
        section, problem = _descend(section, tuple(names[:depth]), name, root, document)
        if problem is not None:
            return None, [problem]
    section.value[names[-1]] = node
    return Override(tuple(names), override), []


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _descend(
    section: Node, path: tuple[str, ...], name: str, root: Node, document: Document
) -> tuple[Node, UserError | None]:
    """The section ``name`` below ``section``, made if the file does not have it (with the kind it has by default)."""
    child = section.value.get(name)
    if child is not None and child.value is not None:
        if isinstance(child.value, dict):
            return child, None
        what = "a list" if isinstance(child.value, list) else "a value"
        return child, document.error(f"{'.'.join(path)} is {what}, not a section", hint="Set it as a whole.")
    child = Node({}, document, 0, key_index=0)
    section.value[name] = child
    if kind := default_kind(path, root.plain()):
        child.value["kind"] = Node(kind, replace(document, origin="default"), 0, key_index=0, written=kind)
    return child, None


def _origins(recipe: Recipe, root: Node) -> dict[str, Origin]:
    """Who set each value."""
    origins: dict[str, Origin] = {}
    for path, _ in walk(recipe):
        node: Node | None = root
        for name in path:
            node = node.value.get(name) if node is not None and isinstance(node.value, dict) else None
        origins[".".join(path)] = "default" if node is None else node.origin
    return origins


def _outside(root: Node, folder: Path) -> list[UserError]:
    """The texts of the file that lead out of ``folder`` when taken as paths; what the user set is the user's matter."""
    errors = []
    for path, node in walk_nodes(root):
        if node.origin != "file" or not isinstance(node.value, str) or path == ("description",):
            continue
        if _leads_out(node.value, folder):
            line, column = node.document.position(node.index)
            errors.append(
                data_error(
                    f"{'.'.join(path)}: a path out of the model's folder ('{node.value}')",
                    file=node.document.name,
                    line=line,
                    column=column,
                    hint="The recipe of a model may name only files inside it.",
                )
            )
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
