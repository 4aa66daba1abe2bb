"""From a recipe to encoded splits and a task fitted to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seqcli.data.arrays import Split
from seqcli.data.chunks import chunks
from seqcli.data.corpus import Corpus, open_corpus
from seqcli.data.encode import EncodeJob, encode_split
from seqcli.errors import UserError, data_error, io_error
from seqcli.files import cache_folder, sha256_file
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import Task
from seqcli.text.pieces import SentencePieces, train_sentencepiece

PLAIN_TEXT = frozenset({"language-model", "embedding"})
"""Tasks whose data is text and nothing beside it: a file of which nobody said the format is lines."""

Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, how much is done, how much there is or None)."""


def open_splits(
    recipe: Recipe, task: Task, splits: tuple[str, ...], progress: Progress | None = None
) -> dict[str, Split]:
    """Those of the named splits that the recipe's data has, encoded (from the cache where nothing changed)."""
    corpus = open_corpus(recipe.data, splits=splits, plain=recipe.task.kind in PLAIN_TEXT, progress=progress)
    text = task.recipe.text  # another task may read a recipe's data
    if getattr(task, "tokenizer_model", False) is None and text is not None:
        lowercase = getattr(task.pieces(), "lowercase", False)
        task.tokenizer_model = pieces_model(  # type: ignore[attr-defined]
            text.tokenizer, corpus, progress, lowercase=lowercase
        )
    return {name: encode(corpus, name, task, progress) for name in corpus.splits if name in splits}


def pieces_model(tokenizer: Any, corpus: Corpus, progress: Progress | None, *, lowercase: bool) -> Path | None:
    """The model file of a ``sentencepiece`` tokenizer: the recipe's, or one trained on the training split (cached).

    Raises:
        UserError: a size that the text cannot fill or that cannot hold its characters (2); a recipe's model file that
            cannot be read (74) or is none (65); bad data (65).
    """
    if tokenizer.kind != "sentencepiece":
        return None
    if tokenizer.model is not None:
        path = Path(tokenizer.model).expanduser()
        SentencePieces(path)
        return path
    options = f"{tokenizer.size} {tokenizer.algorithm} {lowercase}"
    key = hashlib.sha256(f"{corpus.fingerprint('train')} {options}".encode()).hexdigest()
    path = cache_folder() / "pieces" / f"{key[:32]}.model"
    if not path.exists():
        if progress is not None:
            progress("training the tokenizer", 0, None)
        _train_pieces(tokenizer, corpus, path, lowercase)
    return path


def _train_pieces(tokenizer: Any, corpus: Corpus, path: Path, lowercase: bool) -> None:
    """Train on the sources of the training examples, and on nothing else that stands in the files."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            text = Path(folder) / "train.txt"
            with text.open("w", encoding="utf-8", newline="\n") as handle:
                for example in corpus.examples("train"):
                    source: Any = example.source
                    if not isinstance(source, str | list):
                        raise data_error("a tokenizer is trained on text", file=example.at, hint="Check data.format.")
                    handle.write((source if isinstance(source, str) else " ".join(source)) + "\n")
            train_sentencepiece(
                [text], tokenizer.size, path, tokenizer.algorithm, lowercase=lowercase, max_line=text.stat().st_size + 1
            )
    except OSError as error:
        raise io_error(
            f"cannot keep the tokenizer: {error.strerror or error}",
            file=path.parent,
            hint="Make room, or set SEQCLI_CACHE to another folder.",
        ) from error
    except UserError as error:
        error.hint = error.hint and error.hint.replace("--size ", "text.tokenizer.size=").replace(
            ", or a lower --coverage", ""
        )
        raise


def kept_recipe(recipe: Recipe) -> Recipe:
    """The recipe as a run keeps it: its tokenizer's model is the copy in the run's folder."""
    if recipe.text is None or getattr(recipe.text.tokenizer, "model", None) is None:
        return recipe
    tokenizer = recipe.text.tokenizer.model_copy(update={"model": "tokenizer.model"})
    return recipe.model_copy(update={"text": recipe.text.model_copy(update={"tokenizer": tokenizer})})


def encode(corpus: Corpus, split: str, task: Task, progress: Progress | None = None) -> Split:
    """One split as arrays on disk."""
    files = corpus.files(split)
    reading = corpus.reading(split)
    job = EncodeJob(
        files=[str(file) for file in files],
        parts=[chunks(file, reading.format, columns=reading.columns, max_line=reading.max_line) for file in files],
        read=partial(corpus.part_examples, split),
        pieces=task.pieces(),
        key=_key(task, corpus.fingerprint(split), [str(file) for file in files]),
        size=corpus.size(split),
    )

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(f"encoding {split}", done, total)

    cache = cache_folder() / "encoded"
    try:
        return encode_split(job, cache, progress=told)
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


def _key(task: Task, fingerprint: str, files: list[str]) -> str:
    """Everything that decides the arrays: the bytes read and how, and what the task makes of an example."""
    recipe = task.recipe
    parts: list[Any] = [fingerprint, files, recipe.task.model_dump(mode="json"), recipe.data.max_length]
    if recipe.text is not None:
        parts.append(recipe.text.tokenizer.model_dump(mode="json"))
    if getattr(task.pieces(), "lowercase", False):
        parts.append("lowercase")
    if (missing := getattr(task.pieces(), "missing", None)) is not None:
        parts.append(missing)
    if model := getattr(task, "tokenizer_model", None):
        parts.append(sha256_file(model))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
