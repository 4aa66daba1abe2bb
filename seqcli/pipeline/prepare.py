"""From a recipe to encoded splits and a task fitted to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from seqcli.batching.arrays import Split
from seqcli.batching.encode import EncodeJob, encode_split
from seqcli.corpora.chunks import chunks
from seqcli.corpora.corpus import Corpus, open_corpus
from seqcli.errors import UserError, io_error
from seqcli.files import cache_folder, sha256_file
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import Task
from seqcli.text.pieces import train_sentencepiece

PLAIN_TEXT = frozenset({"language-model", "embedding"})
"""Tasks whose data is text and nothing beside it: a file of which nobody said the format is lines."""

Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, how much is done, how much there is or None)."""


def open_splits(
    recipe: Recipe, task: Task, splits: tuple[str, ...], progress: Progress | None = None
) -> dict[str, Split]:
    """Those of the named splits that the recipe's data has, encoded (from the cache where nothing changed)."""
    corpus = open_corpus(recipe.data, splits=splits, plain=recipe.task.kind in PLAIN_TEXT, progress=progress)
    if getattr(task, "tokenizer_model", False) is None and recipe.text is not None:
        task.tokenizer_model = pieces_model(recipe.text.tokenizer, corpus, progress)  # type: ignore[attr-defined]
    return {name: encode(corpus, name, task, progress) for name in corpus.splits if name in splits}


def pieces_model(tokenizer: Any, corpus: Corpus, progress: Progress | None) -> Path | None:
    """The model file of a ``sentencepiece`` tokenizer: the recipe's, or one trained on the training split (cached)."""
    if tokenizer.kind != "sentencepiece":
        return None
    if tokenizer.model is not None:
        return Path(tokenizer.model).expanduser()
    key = hashlib.sha256(f"{corpus.fingerprint('train')} {tokenizer.size} {tokenizer.algorithm}".encode()).hexdigest()
    path = cache_folder() / "pieces" / f"{key[:32]}.model"
    if not path.exists():
        if progress is not None:
            progress("training the tokenizer", 0, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        train_sentencepiece(corpus.files("train"), tokenizer.size, path, tokenizer.algorithm)
    return path


def encode(corpus: Corpus, split: str, task: Task, progress: Progress | None = None) -> Split:
    """One split as arrays on disk."""
    files = corpus.files(split)
    reading = corpus.reading(split)
    job = EncodeJob(
        files=[str(file) for file in files],
        parts=[chunks(file, reading.format) for file in files],
        read=partial(corpus.part_examples, split),
        pieces=task.pieces(),
        key=_key(task, corpus.fingerprint(split), [str(file) for file in files]),
        size=sum(file.stat().st_size for file in files),
    )

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(f"encoding {split}", done, total)

    cache = cache_folder() / "encoded"
    try:
        return encode_split(job, cache, progress=told)
    except UserError as error:  # the readers speak of the options of the streaming verbs
        error.hint = error.hint and error.hint.replace(", or go on with --errors replace", "").replace(
            "--max-line", "data.max_line")
        raise
    except OSError as error:
        raise io_error(f"cannot keep the encoded {split} data: {error.strerror or error}", file=cache,
                       hint="Make room, or set SEQCLI_CACHE to another folder.") from error


def _key(task: Task, fingerprint: str, files: list[str]) -> str:
    """Everything that decides the arrays: the bytes read and how, and what the task makes of an example."""
    recipe = task.recipe
    parts: list[Any] = [fingerprint, files, recipe.task.model_dump(mode="json"), recipe.data.max_length]
    if recipe.text is not None:
        parts.append(recipe.text.tokenizer.model_dump(mode="json"))
    if (model := getattr(task, "tokenizer_model", None)) is not None:
        parts.append(sha256_file(model))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
