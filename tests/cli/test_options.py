"""Options that verbs share: declared once, grouped into values, and the option that was renamed."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from tiny import run_inside
from typer.main import get_command

from seqcli.cli.app import build_app
from seqcli.cli.options import Reading, grouped
from seqcli.cli.verbs import VERBS


@dataclass(frozen=True, kw_only=True)
class Size:
    height: Annotated[int, typer.Option("--height", "-h")]
    width: Annotated[int, typer.Option("--width")] = 2


def call(*arguments):
    calls = []

    @grouped
    def command(
        *,
        name: Annotated[str, typer.Argument()] = "x",
        size: Size,
        loud: Annotated[bool, typer.Option("--loud")] = False,
    ):
        """Do it."""
        calls.append((name, size, loud))

    app = typer.Typer()
    app.command()(command)
    get_command(app)(list(arguments), standalone_mode=False)
    return calls


def test_a_group_of_options_arrives_as_one_value():
    assert call("-h", "3") == [("x", Size(height=3), False)]
    assert call("y", "--loud", "--width", "5", "--height", "1") == [("y", Size(height=1, width=5), True)]
    with pytest.raises(Exception, match="height"):
        call("y")


def parameters():
    """(verb, option) -> the typer parameter, of every verb and of the verbs of a group."""
    for verb in VERBS:
        command = get_command(build_app(verb)).commands[verb]
        for name, one in getattr(command, "commands", {"": command}).items():
            for parameter in one.params:
                yield f"{verb} {name}".strip(), parameter


def test_what_verbs_share_has_one_meaning_everywhere():
    helps = defaultdict(set)
    for _, parameter in parameters():
        for option in parameter.opts:
            if option in ("--invalid", "--max-line", "--runs", "--device", "--set", "--errors", "--width"):
                helps[option].add(parameter.help)
    assert len(helps) == 7
    assert {option: len(texts) for option, texts in helps.items() if len(texts) > 1} == {}


def test_errors_names_a_file_and_invalid_says_what_to_do_about_bytes():
    errors = {verb for verb, parameter in parameters() if "--errors" in parameter.opts}
    invalid = {verb for verb, parameter in parameters() if "--invalid" in parameter.opts}
    assert errors == {"evaluate", "spans"}
    assert {"predict", "score", "complete", "neighbors", "analogy", "tokenize", "vocab build", "bleu"} <= invalid
    assert {"spans", "data stats"} <= invalid
    assert run_inside("predict", "m", "--errors", "replace") == (
        2,
        "",
        "error: No such option: --errors. Invalid UTF-8 is now --invalid strict|replace. See 'seqcli predict --help'\n",
    )
    assert Reading().invalid == "strict"
