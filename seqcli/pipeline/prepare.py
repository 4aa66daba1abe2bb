"""From a recipe to encoded splits."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from seqcli.data.arrays import Columns
from seqcli.data.chunks import chunks
from seqcli.data.corpus import Corpus, SplitFiles, open_corpus
from seqcli.data.encode import EncodeJob, encode_split
from seqcli.data.statistics import scheme_of
from seqcli.errors import UserError, io_error
from seqcli.fields.base import Progress
from seqcli.fields.tags import SchemeFault
from seqcli.fields.text import TOKENIZER_MODEL
from seqcli.files import cache_folder
from seqcli.media.image import PROJECTION_FILE
from seqcli.recipe.features import EfficientNetLite0Config
from seqcli.recipe.fields import NumbersConfig, TextFieldConfig
from seqcli.recipe.paths import move_paths, seen_from
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tokenizers import SentencePieceConfig
from seqcli.tasks.base import Task


def open_columns(
    recipe: Recipe, task: Task[Any], splits: tuple[str, ...], progress: Progress | None = None
) -> dict[str, Columns]:
    """Those of the named splits that the recipe's data has, encoded by ``task`` (from the cache where nothing changed).

    The task may be another's: then it reads this recipe's data.
    """
    corpus = corpus_of(recipe, task, splits, progress)
    if "train" in corpus.splits:
        key = corpus.fingerprint("train")
        task.prepare(lambda: corpus.examples("train"), key, progress)
    return {name: encode(corpus, name, task, progress) for name in corpus.splits if name in splits}


def corpus_of(recipe: Recipe, task: Task[Any], splits: tuple[str, ...], progress: Progress | None = None) -> Corpus:
    """The data of a recipe as a task of its kind reads it."""
    return open_corpus(recipe.data, splits=splits, plain=task.plain_text, series=task.has_series, progress=progress)


def kept_recipe(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe as a run in ``folder`` keeps it: its paths start there, a tokenizer's model and a projection are the copies there."""
    recipe = move_paths(recipe, lambda path: seen_from(path, folder))
    if (features := projected(recipe)) is not None and features.projection is not None:
        recipe = with_projection(recipe, features, PROJECTION_FILE)
    for name in ("source", "target"):
        section = dict(recipe)[name]
        if not isinstance(section, TextFieldConfig) or not isinstance(section.tokenizer, SentencePieceConfig):
            continue
        if section.tokenizer.model is None:
            continue
        file = TOKENIZER_MODEL if name == "source" else f"target-{TOKENIZER_MODEL}"
        tokenizer = section.tokenizer.model_copy(update={"model": file})
        recipe = recipe.model_copy(update={name: section.model_copy(update={"tokenizer": tokenizer})})
    return recipe


def projected(recipe: Recipe) -> EfficientNetLite0Config | None:
    """The features of the recipe's source, if they are such as may be projected."""
    source = recipe.source
    features = source.features if isinstance(source, NumbersConfig) else None
    return features if isinstance(features, EfficientNetLite0Config) else None


def with_projection(recipe: Recipe, features: EfficientNetLite0Config, file: str) -> Recipe:
    """The recipe with a projection of its features."""
    changes = {"features": features.model_copy(update={"projection": file})}
    return recipe.model_copy(update={"source": recipe.source.model_copy(update=changes)})


def encode(corpus: Corpus, split: str, task: Task[Any], progress: Progress | None = None) -> Columns:
    """One split as arrays on disk."""
    files = corpus.files(split)
    reading = corpus.reading(split)
    if split == "train" and corpus.train_share < 1 and reading.blank_lines != "keep":
        corpus.highest_drawn()  # once, not in each process
    shared = split not in corpus.split_files
    reader = task.reader(split, shared=shared)
    key = repr([corpus.fingerprint(split), *task.key(), *([split, shared] if reader != task.read else [])])
    job = EncodeJob(
        files=[str(file) for file in files],
        parts=[
            chunks(
                file, reading.format, columns=reading.columns, separator=reading.separator, max_line=reading.max_line
            )
            for file in files
        ],
        read=partial(corpus.part_examples, split),
        pieces=reader,
        key=hashlib.sha256(key.encode()).hexdigest(),
        size=corpus.size(split),
        nothing=lambda: corpus.no_example(split),
        notes=task.source.media.notes if task.source.media is not None else tuple,
    )

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(f"encoding {split}", done, total)

    def damaged(error: UserError) -> None:
        if progress is not None:
            progress(f"{error}; encoding it anew", 0, None)

    cache = cache_folder() / "encoded"
    try:
        return encode_split(job, cache, progress=report, damaged=damaged)
    except SchemeFault as error:
        error.hint = _mend(error, corpus.split(split), dict(task.recipe.target or ())["scheme"])
        raise
    except UserError as error:  # the readers speak of the options of the streaming verbs
        error.hint = error.hint and error.hint.replace(", or go on with --invalid replace", "").replace(
            "--max-line", "data.max_line"
        )
        raise
    except OSError as error:
        raise io_error(
            f"cannot keep the encoded {split} data: {error.strerror or error}",
            file=cache,
            hint="Make room, or set SEQCLI_CACHE to another folder.",
        ) from error


def _mend(error: SchemeFault, split: SplitFiles, scheme: str) -> str:
    """What to do about tags that break their scheme: the one they come nearest to, and the command that mends them."""
    everything = f"'seqcli data lint {error.file}' lists all faults."
    nearest = scheme_of(split)
    if nearest is None:
        return (
            "The tags follow no scheme that is known: is it the right column? Set data.columns, or target.scheme=null."
        )
    if split.reading.format != "conll" or not error.is_step:
        return f"The tags come nearest to {nearest}. {everything}"
    command = (
        f"seqcli data convert {error.file} --from {nearest} --to {scheme if scheme != nearest else 'bio'} --repair"
    )
    return f"The tags come nearest to {nearest}. '{command}' mends them, {everything}"
