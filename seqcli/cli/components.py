"""The verb ``components``: what a recipe can be made of, read off the schema itself."""

from __future__ import annotations

from textwrap import wrap
from typing import Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Json, examples, nearest
from seqcli.errors import usage_error

EPILOG = examples("seqcli components encoder", "seqcli components encoder lstm --json")


def command(
    slot: Annotated[str | None, typer.Argument(help="Only this slot: encoder, head, ...")] = None,
    kind: Annotated[str | None, typer.Argument(help="Only this kind: lstm, crf, ...")] = None,
    as_json: Json = False,
) -> None:
    """List every component kind with its options."""
    from seqcli.recipe import registry

    if slot is not None:
        _check("slot", slot, list(registry.REGISTRY))
        if kind is not None:
            _check(slot, kind, registry.kinds(slot))

    from seqcli.recipe.describe import describe_all

    components = describe_all(slot, kind)
    if as_json:
        console.emit_json(components)
        return
    for number, component in enumerate(components):
        if number:
            console.emit()
        console.emit_lines(_lines(component))


def _check(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise usage_error(f"unknown {what} '{name}'", hint=nearest(name, known))


def _lines(component: dict[str, Any]) -> list[str]:
    """A kind on a line, its options below it."""
    from seqcli.recipe.dump import format_value

    rows = []
    for option in component["options"]:
        default = format_value(option["default"]) if "default" in option else "(required)"
        rows.append((option["name"], option["type"], default, option["description"]))
    title = show.wrapped([f"{component['slot']} {component['kind']}: {component['summary']}"])
    if not rows:
        return [*title, "  no options"]
    width = console.terminal_width()
    if width is None:
        return [*title, *show.table(rows, ("option", "type", "default", "meaning"), indent="  ")]
    options: list[str] = []  # a table is too narrow for what the options mean
    for name, type_, default, meaning in rows:
        options += wrap(f"{name}: {type_}, {default}", width, initial_indent="  ", subsequent_indent="    ")
        options += wrap(meaning, width, initial_indent="    ", subsequent_indent="    ")
    return [*title, *options]
