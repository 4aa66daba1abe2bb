"""What is odd about the data, said before time is spent on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seqcli.pipeline.events import Notice
from seqcli.pipeline.measure import unseen_labels
from seqcli.recipe.schema import Recipe


def data_notices(recipe: Recipe, task: Any, data: Mapping[str, Any]) -> Iterator[Notice]:
    """Yield what is odd about the splits: sequences that are cut, labels never seen, files beside another corpus."""
    for name, split in data.items():
        if split.split.cut:
            yield Notice(cut_sequences(f"{split.split.cut} {name} sequences", task, "were cut"))
        if unseen := getattr(split, "unseen", None):
            yield Notice(unseen_labels(f"labels in {name} that the training data lacks", unseen, task))
    corpus = recipe.data.corpus
    own = [name for name in data if getattr(recipe.data, name)]
    others = [name for name in data if name not in own]
    if own and others and corpus is not None:
        yield Notice(
            f"{' and '.join(own)} from your files, but {' and '.join(others)} from {corpus} "
            f"(set data.{others[0]} too, or data.corpus=null)"
        )


def cut_sequences(which: str, task: Any, else_: str) -> str:
    """Say what became of sequences over the limit: of a classifier's the first positions count, of others ``else_``."""
    unit = task.source.unit if hasattr(task, "source") else "tokens"
    most = task.recipe.data.max_length
    if task.recipe.task.kind == "classification":
        else_ = f"only the first {most} count"
    return f"{which} are longer than data.max_length = {most} {unit} and {else_}"
