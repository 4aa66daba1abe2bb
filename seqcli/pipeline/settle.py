"""What a recipe leaves to its data, filled in before the training: the run's folder alone then says how it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqcli.data import catalogue
from seqcli.data.corpus import SPLITS, Corpus, SplitFiles, open_corpus
from seqcli.data.fetch.obtain import obtain
from seqcli.data.kept import is_kept
from seqcli.data.statistics import scheme_of
from seqcli.errors import data_error
from seqcli.fields.base import Progress
from seqcli.lines import source_name
from seqcli.pipeline.prepare import projected, with_projection
from seqcli.recipe import registry
from seqcli.recipe.fields import TagFieldConfig
from seqcli.recipe.schema import Recipe


@dataclass(frozen=True)
class Settled:
    """A recipe that its data has completed, and what of that the user should know."""

    recipe: Recipe
    notes: tuple[str, ...] = ()


def settle(recipe: Recipe, progress: Progress | None = None) -> Settled:
    """The recipe with the columns and the tag scheme that its training data shows, where it leaves them to the data; a
    file that came through a pipe is named as it is kept.

    Raises:
        UserError: a label is to be learned, and which column has it cannot be told; tags that follow no scheme, where
            one is to be recognised (65); what `open_corpus` raises.
    """
    task = registry.implementation("task", recipe.task.kind)
    if task.has_series and recipe.data.corpus:
        recipe = _as_catalogued(recipe, recipe.data.corpus)
    recipe, notes = _projected(recipe, progress)
    data = recipe.data
    is_auto = isinstance(recipe.target, TagFieldConfig) and recipe.target.scheme == "auto"
    own = tuple(name for name in SPLITS if dict(data)[name] or (is_auto and name == "train"))
    if "train" not in own:
        return Settled(recipe, tuple(notes))
    corpus = open_corpus(data, splits=own, plain=task.plain_text, series=task.has_series, progress=progress)
    train = corpus.split_files["train"]
    changes: dict[str, Any] = {}
    for name in own:
        if any(map(is_kept, files := corpus.files(name))):
            changes[name] = [str(file) for file in files]
            names = {str(file): source_name(file) for file in files if is_kept(file)}
            notes += [f"{name}: read once and kept as {file}" for file, name in names.items() if name != file]
    if train.has_series:
        changes["format"] = train.reading.format  # forecasts are made of files that are read like this one
    if train.table is not None:
        if recipe.target is not None and not train.has_series:
            _check_label(train)
        if train.reading.columns and _same_format(corpus):
            changes["columns"] = dict(train.reading.columns)
        notes.append(f"{source_name(train.files[0])}: read as {train.describe()}")
    sections: dict[str, Any] = {"data": data.model_copy(update=changes)} if changes else {}
    if is_auto:
        scheme = _scheme(recipe, [corpus.split_files[name] for name in ("train", "dev") if name in corpus.split_files])
        sections["target"] = recipe.target.model_copy(update={"scheme": scheme}) if recipe.target else None
        if data.train:
            notes.append(f"{source_name(train.files[0])}: tag scheme {scheme}, recognised")
    return Settled(recipe.model_copy(update=sections), tuple(notes))


def _as_catalogued(recipe: Recipe, corpus: str) -> Recipe:
    """The recipe with what the catalogue says of a data set of series, where it says nothing else."""
    data, data_set = recipe.data, catalogue.data_set(corpus)
    update = {
        "format": data_set.format,
        "missing": data.missing or list(data_set.missing),
        "frequency": data.frequency or data_set.frequency,
        "gaps": data_set.gaps if data.gaps == "refuse" else data.gaps,
        "columns": {**(data_set.columns or {}), **(data.columns or {})} or None,
    }
    return recipe.model_copy(update={"data": data.model_copy(update=update)})


def _projected(recipe: Recipe, progress: Progress | None) -> tuple[Recipe, list[str]]:
    """The recipe with the projection that the catalogue's stored grids were made by, so that its model takes images too."""
    data, features = recipe.data, projected(recipe)
    if data.corpus is None or data.train or data.images or features is None or features.projection is not None:
        return recipe, []
    data_set = catalogue.data_set(data.corpus)
    if data_set.projection is None:
        return recipe, []
    file = obtain(data_set, data_set.projection, progress)
    note = f"{data.corpus}: its features are projected; those of other images will be, by {data_set.projection}"
    return with_projection(recipe, features, str(file)), [note]


def _scheme(recipe: Recipe, own: Sequence[SplitFiles]) -> str:
    """The scheme that the catalogue states where a split is its own, else the one that the tags come nearest to."""
    data_set = catalogue.data_set(recipe.data.corpus) if recipe.data.corpus else None
    if data_set is not None and data_set.scheme and not all(dict(recipe.data)[name] for name in data_set.splits):
        return data_set.scheme
    if scheme := scheme_of(*own):
        return scheme
    raise data_error(
        "target.scheme: auto finds no tag scheme: the tags do not mark spans",
        file=source_name(own[0].files[0]),
        hint="Set target.scheme=null where each tag stands alone, or data.columns where this is the wrong column.",
    )


def _same_format(corpus: Corpus) -> bool:
    return len({split.reading.format for split in corpus.split_files.values()}) == 1


def _check_label(train: SplitFiles) -> None:
    """Refuse a table none of whose columns is seen to be the label."""
    table, file = train.table, source_name(train.files[0])
    if table is None or {"label", "tags"} & {*table.roles}:
        return
    if len(table.columns) == 1:
        raise data_error(f"no column of labels: there is only {table.names()}", file=file)
    raise data_error(
        f"which column is the label? There are: {table.names()}",
        file=file,
        hint=f"Set data.columns, such as {table.columns_line()}.",
    )
