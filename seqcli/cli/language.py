"""What the verbs of language models share: options, and opening the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli import console

if TYPE_CHECKING:
    from seqcli.pipeline.language import LanguageModel

Model = Annotated[
    str | None,
    typer.Argument(help="A trained language model: NAME, NAME@VERSION or a run folder; the newest one by default."),
]
Runs = Annotated[
    str | None, typer.Option("--runs", metavar="FOLDER", help="Where runs are kept.", envvar="SEQCLI_RUNS")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Errors = Annotated[str, typer.Option("--errors", help="Invalid UTF-8: strict stops, replace goes on.")]
MaxLine = Annotated[int, typer.Option("--max-line", help="Longest line accepted, in bytes.", min=1)]

READ_AT_ONCE = 2**16
"""Bytes of lines that are answered together: enough for full batches, few enough to wait for."""


def open_model(model: str | None, runs: str | None, device: str) -> LanguageModel:
    """The language model of that name; without one the newest, said on stderr.

    Raises:
        UserError: there is none, or it is a model for another task (2), or it is damaged (65).
    """
    from seqcli.store.runs import Store

    run = Store(runs).resolve(model, task_kinds=("language-model",))
    if model is None:
        console.note(f"using {run}")
    from seqcli.pipeline.language import load_language_model

    return load_language_model(run, device)


def warn_of_unknown(model: LanguageModel, prompt: str) -> None:
    """Say on stderr which tokens of a prompt the model reads as <UNK>."""
    from seqcli.pipeline.sample import unknown_tokens

    if unknown := unknown_tokens(model, prompt):
        console.warn(f"not in the model's vocabulary, read as <UNK>: {' '.join(unknown)}")
