"""The verb ``recipes``: list, show, copy and validate recipes, and the schema they follow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Json, SetValue, examples, verb_of_verbs
from seqcli.errors import UserError, UserErrors, usage_error

# The loader stands on pydantic, which costs more than all the rest: only the bodies that need it import it.

command = verb_of_verbs("seqcli recipes cp ner my.yaml", "seqcli recipes validate my.yaml")

_Recipe = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A recipe that comes with seqcli, or a file.")]


@command.command("ls", epilog=examples("seqcli recipes ls", "seqcli recipes ls --json"))
def list_recipes(as_json: Json = False) -> None:
    """List the recipes that come with seqcli."""
    from seqcli.recipe.folder import summaries

    rows = summaries()
    if as_json:
        console.emit_json(rows)
        return
    cells = [[*map(_cell, row.values())] for row in rows]
    console.emit_lines(show.table(cells, ("name", "task", "data", "description")))


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@command.command(
    "show", epilog=examples("seqcli recipes show ner", "seqcli recipes show ner --set model.encoder.dim=300")
)
def show_recipe(recipe: _Recipe, overrides: SetValue = None, as_json: Json = False) -> None:
    """Print a recipe filled in, with the origin of each value: default, file or --set."""
    from seqcli.recipe.dump import dump_recipe
    from seqcli.recipe.load import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    if as_json:
        console.emit_json(
            {"path": str(loaded.path), "recipe": loaded.recipe.model_dump(mode="json"), "origins": loaded.origins}
        )
    else:
        console.emit(dump_recipe(loaded.recipe, loaded.origins).rstrip("\n"))


@command.command("cp", epilog=examples("seqcli recipes cp ner my.yaml", "seqcli recipes cp ner recipes/ --name mine"))
def copy(
    recipe: _Recipe,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A file, or a folder.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What the copy's models are called (default: as its file).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite DEST if it exists.")] = False,
) -> None:
    """Copy a recipe as a start for your own, and print where it lies."""
    from seqcli.files import atomic_write_text
    from seqcli.recipe.copy import copied
    from seqcli.recipe.folder import find_recipe
    from seqcli.store.runs import check_name

    if name is not None:
        check_name(name)
    path = find_recipe(recipe)
    target = destination / (f"{name}.yaml" if name else path.name) if destination.is_dir() else destination
    if target.exists() and not force:
        raise usage_error("exists already", file=target, hint="Name another file, or overwrite it with --force.")
    copy = copied(path, target, name)
    atomic_write_text(target, copy.text)
    if name is None and copy.name != target.stem:
        console.note(f"its models will be called {copy.name} (--name gives another name)")
    if str(target) != "-":  # then the copy itself stands there
        console.emit(str(target))


@command.command(
    "validate", epilog=examples("seqcli recipes validate my.yaml", "seqcli recipes validate recipes/*.yaml")
)
def validate(
    recipes: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, or names.")],
    overrides: SetValue = None,
    as_json: Json = False,
) -> None:
    """Check recipes: every error of every file, one a line with its place; exit code 2 if there is one."""
    reports: list[dict[str, Any]] = []
    wrong: list[UserError] = []
    for recipe in recipes:
        errors = _errors(recipe, overrides or ())
        wrong += errors
        reports.append({"file": recipe, "ok": not errors, "errors": [_as_dict(error) for error in errors]})
        if not errors and not as_json:
            console.emit(f"{recipe}: ok")
    if as_json:
        console.emit_json(reports)
    if wrong:
        raise UserErrors(wrong)


def _errors(recipe: str, overrides: Sequence[str]) -> tuple[UserError, ...]:
    from seqcli.data.rules import KNOWN_CORPUS
    from seqcli.recipe.load import load_recipe

    try:
        load_recipe(recipe, overrides, rules=[KNOWN_CORPUS])
    except UserErrors as errors:
        return errors.errors
    except UserError as error:
        return (error,)
    return ()


def _as_dict(error: UserError) -> dict[str, Any]:
    return {name: getattr(error, name) for name in ("file", "line", "column", "message", "hint")}


@command.command(
    "schema",
    epilog=examples("seqcli recipes schema > recipe.schema.json", "seqcli recipes schema | python -m json.tool"),
)
def schema() -> None:
    """Print the JSON Schema of a recipe, with which editors complete and check."""
    from seqcli.recipe.describe import recipe_schema

    console.emit(json.dumps(recipe_schema(), indent=2, ensure_ascii=False))
