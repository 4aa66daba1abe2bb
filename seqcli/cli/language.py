"""What the verbs of language models share: telling model and file apart, opening the model."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Running
from seqcli.errors import usage_error
from seqcli.lines import is_stdin

if TYPE_CHECKING:
    from seqcli.pipeline.language import LanguageModel
    from seqcli.store.runs import Run

READ_AT_ONCE = 2**16
"""Bytes of lines that are answered together: enough for full batches, few enough to wait for."""

ModelOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A trained language model: NAME, NAME@VERSION or a run folder; the newest one by "
        "default. An argument alone is the model if a run has that name, else the file.",
    ),
]


def model_and_file(model: str | None, file: str | None, runs: str | None) -> tuple[str | None, str | None]:
    """Tell the two arguments apart when there is only one: a run's name is the model, else a file is the file."""
    from seqcli.store.runs import Store

    if model is None or file is not None or Store(runs).knows(model):
        return model, file
    if is_stdin(model) or Path(model).is_file():
        return None, model
    return model, None


def open_run(model: str | None, running: Running, kinds: Sequence[str] = ("language-model",)) -> Run:
    """The run of that name; without one the newest of these tasks, said on stderr.

    Raises:
        UserError: there is none, or it is a model for another task (2).
    """
    from seqcli.store.runs import Store

    run = Store(running.runs).resolve(model, task_kinds=kinds)
    if model is None:
        console.note(f"using {run}")
    return run


def open_model(model: str | None, running: Running) -> LanguageModel:
    """The language model of that name; without one the newest, said on stderr.

    Raises:
        UserError: there is none, it is a model for another task, or the engine cannot run it (2); it is damaged (65).
    """
    run = open_run(model, running)
    from seqcli.pipeline.language import load_language_model

    return load_language_model(run, running.device, running.engine)


def seed_or_new(seed: int | None, *, said: bool = True) -> int:
    """The seed that was given, or a new one, said on stderr where it decides anything."""
    if seed is None:
        seed = secrets.randbelow(2**31)
        if said:
            console.note(f"seed {seed}")
    return seed


def warn_of_unknown(model: LanguageModel, prompt: str) -> None:
    """Say on stderr which tokens of a prompt the model reads as <UNK>.

    Raises:
        UserError: the prompt is no text (2).
    """
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise usage_error("--prompt: invalid UTF-8") from None
    from seqcli.pipeline.sample import unknown_tokens

    if unknown := unknown_tokens(model, prompt):
        console.warn(f"not in the model's vocabulary, read as <UNK>: {' '.join(unknown)}")
