"""What the verbs of language models share: opening the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqcli.cli import console
from seqcli.cli.options import Running
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.language import LanguageModel

READ_AT_ONCE = 2**16
"""Bytes of lines that are answered together: enough for full batches, few enough to wait for."""


def open_model(model: str | None, running: Running) -> LanguageModel:
    """The language model of that name; without one the newest, said on stderr.

    Raises:
        UserError: there is none, it is a model for another task, or the engine cannot run it (2); it is damaged (65).
    """
    from seqcli.store.runs import Store

    run = Store(running.runs).resolve(model, task_kinds=("language-model",))
    if model is None:
        console.note(f"using {run}")
    from seqcli.pipeline.language import load_language_model

    return load_language_model(run, running.device, running.engine)


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
