"""What a recipe leaves to its data, filled in before the training: the run's folder alone then says how it was read."""

from __future__ import annotations

from dataclasses import dataclass

from seqcli.data.corpus import SPLITS, Corpus, SplitFiles, open_corpus
from seqcli.errors import data_error
from seqcli.fields.base import Progress
from seqcli.recipe import registry
from seqcli.recipe.schema import Recipe


@dataclass(frozen=True)
class Settled:
    """A recipe that its data has completed, and what of that the user should know."""

    recipe: Recipe
    notes: tuple[str, ...] = ()


def settle(recipe: Recipe, progress: Progress | None = None) -> Settled:
    """The recipe with the columns that its training file shows, where it names none.

    Raises:
        UserError: a label is to be learned, and which column has it cannot be told (65); what `open_corpus` raises.
    """
    data = recipe.data
    own = tuple(name for name in SPLITS if dict(data)[name])
    if "train" not in own:
        return Settled(recipe)
    plain = registry.implementation("task", recipe.task.kind).plain_text
    corpus = open_corpus(data, splits=own, plain=plain, progress=progress)
    train = corpus.split_files["train"]
    if train.table is None:
        return Settled(recipe)
    if recipe.target is not None:
        _check_label(train)
    if train.reading.columns and _same_format(corpus):
        recipe = recipe.model_copy(update={"data": data.model_copy(update={"columns": dict(train.reading.columns)})})
    return Settled(recipe, (f"{train.files[0]}: read as {train.describe()}",))


def _same_format(corpus: Corpus) -> bool:
    return len({split.reading.format for split in corpus.split_files.values()}) == 1


def _check_label(train: SplitFiles) -> None:
    """Refuse a table of several columns none of which is seen to be the label."""
    table = train.table
    if table is None or len(table.columns) < 2 or {"label", "tags"} & {*table.roles}:
        return
    raise data_error(
        f"which column is the label? There are: {table.names()}",
        file=train.files[0],
        hint=f"Set data.columns, such as {table.columns_line()}.",
    )
