"""What a network is looked at with: one sequence, or a sample of them.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.data.arrays import Columns
from seqcli.data.batch import IGNORE, Batch, Side
from seqcli.errors import usage_error
from seqcli.fields.pairs import SourceText
from seqcli.fields.text import TextField
from seqcli.pipeline.inside import Opened
from seqcli.pipeline.prepare import open_columns
from seqcli.tasks.base import Data
from seqcli.tasks.language_model import LanguageModelTask
from seqcli.tasks.writing import WritingTask
from seqcli.text.vocabulary import EOS, UNK

SPLITS = ("dev", "test", "train")


@dataclass(frozen=True)
class Subject:
    """One sequence as a network reads it.

    Attributes:
        positions: what stands at each position of the source.
        target: of an encoder-decoder what it writes for the source, or what the data has.
        read: what its decoder reads at each step; ``written``: what it writes there.
        unknown: tokens that are not in the vocabulary.
        cut: how many positions there were, where the model takes fewer.
    """

    source: Side
    positions: list[str]
    target: Side | None = None
    read: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    cut: int | None = None

    def batch(self) -> Batch:
        """For the loss of it: where nothing says what is right, it is what the model says."""
        rows = np.zeros(1, np.int64)
        target = self.target if self.target is not None else Side({}, self.source.lengths_B)
        return Batch(self.source, target, rows)


def subject(opened: Opened, text: str | None) -> Subject:
    """A text, or of a model that reads no text the example of that number (counted from 1) in its dev split.

    Raises:
        UserError: no text where one is needed, one without a token, no such example (2).
    """
    if not isinstance(opened.task.source, TextField):
        return _example(opened, text)
    if text is None:
        raise usage_error("this view needs a text to look at", hint=f"seqcli inspect {opened.name} ... 'a text'.")
    if isinstance(opened.task, LanguageModelTask):
        return _running(opened.task, text)
    task, source = opened.task, opened.task.source
    tokens = source.read(text, "TEXT")
    seen = list(task.pieces(tokens)[0]) if tokens else []
    _check(seen, text)
    side = source.side([seen])
    positions = [*seen, EOS] if isinstance(source, SourceText) else seen
    found = Subject(side, positions, unknown=_unknown(source, seen), cut=_cut(tokens, seen))
    return _written(opened, found, seen) if isinstance(task, WritingTask) else found


def _running(task: LanguageModelTask, text: str) -> Subject:
    tokens = task.source.read(text, "TEXT")
    seen = tokens[: task.context - 1] if task.context else tokens
    _check(seen, text)
    ids = np.concatenate([[task.eos], task.source.ids(seen)])
    lengths = np.array([len(ids)], np.int64)
    side = Side({"words_BT": ids[None]}, lengths)
    target = Side({"ids_BT": np.append(ids[1:], IGNORE)[None]}, lengths)
    return Subject(side, [EOS, *seen], target, unknown=_unknown(task.source, seen), cut=_cut(tokens, seen))


def _written(opened: Opened, one: Subject, raw: Any) -> Subject:
    """With what an encoder-decoder writes for it, as it would in ``translate``."""
    from dataclasses import replace

    from seqcli.engines.torch_engine import torch_engine

    task = opened.task
    assert isinstance(task, WritingTask)
    (generated,) = task.generate(torch_engine(task, opened.network), one.source, [raw], task.options, scores=False)
    tokens = generated.hypotheses[0].tokens
    target = task.target.written(task.target.ids(tokens), np.array([len(tokens)], np.int64))
    return replace(one, target=target, read=[EOS, *tokens], written=[*tokens, EOS])


def _example(opened: Opened, number: str | None) -> Subject:
    from dataclasses import replace

    if number is not None and not number.isdecimal():
        raise usage_error(
            f"{opened.name} reads {opened.task.source.unit}, no text",
            hint="Give the number of an example of its dev split, such as 1.",
        )
    data, split = split_data(opened)
    row = int(number or 1) - 1
    try:
        batch = data.batch(np.array([row], np.int64))
    except (IndexError, ValueError):
        batch = None
    if row < 0 or row >= len(data.lengths) or batch is None:
        raise usage_error(f"{split} has {len(data.lengths):,} examples: there is no number {number}")
    count = int(batch.source.lengths_B[0])
    one = Subject(batch.source, [str(place) for place in range(1, count + 1)], batch.target)
    if not isinstance(opened.task, WritingTask):
        return one
    raw = np.zeros(count)
    return replace(_written(opened, one, raw), positions=one.positions)


def split_data(opened: Opened, file: str | None = None) -> tuple[Data, str]:
    """A file, or the first split there is of dev, test and train, as the task batches it; and what it is called.

    Raises:
        UserError: bad data (65), an unreadable file (74), none of these splits (2).
    """
    task = opened.task
    if file is not None:
        return task.data(_columns_of(opened, file)), Path(file).name
    found = open_columns(task.recipe, task, SPLITS)
    for split in SPLITS:
        if split in found and len(found[split]):
            return task.data(found[split]), f"the {split} split"
    raise usage_error(f"the data of {opened.name} has no examples", hint="Give a file.")


def _columns_of(opened: Opened, file: str) -> Columns:
    if opened.model is not None:
        return opened.model.columns([file], "dev")
    recipe = opened.task.recipe
    changes = {"dev": [file], "dev_share": None}
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})
    return open_columns(recipe, opened.task, ("dev",))["dev"]


def sample(opened: Opened, what: str | None, most: int) -> tuple[list[Batch], str]:
    """Batches as training makes them, at most so many: of a text, a file, or the model's own data.

    Raises:
        UserError: as `subject` and `split_data`.
    """
    if what is not None and not Path(what).is_file() and isinstance(opened.task.source, TextField):
        one = subject(opened, what)
        return [one.batch()], "the text"
    data, name = split_data(opened, what if what is not None and Path(what).is_file() else None)
    training = opened.task.recipe.training
    order = data.training_order(training.batch, seed=training.seed, epoch=0)
    return [data.batch(np.asarray(rows)) for rows in islice(order, most)], name


def _check(seen: list[str], text: str) -> None:
    if not seen:
        raise usage_error(f"there is no token in {text!r}", hint="Give a text of one token at least.")


def _cut(tokens: list[str], seen: list[str]) -> int | None:
    return len(tokens) if len(tokens) > len(seen) else None


def _unknown(field: TextField, tokens: list[str]) -> list[str]:
    """Different tokens that are not in the vocabulary, in their order."""
    if not field.spelling.dim and not isinstance(field, SourceText):
        return []
    unknown = field.words.id_of(UNK)
    ids = field.encode(tokens).words.tolist()
    return list(dict.fromkeys(token for token, id in zip(tokens, ids, strict=True) if id == unknown))
