"""The word vectors of a trained model, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from seqcli.errors import UserError, data_error, usage_error
from seqcli.store.runs import Run, Store
from seqcli.text.vectors import read_vector_file
from seqcli.text.vocabulary import Vocabulary
from seqcli.text.word_vectors import WORD_TABLE, WordVectors

_TRAIN = "Train one: seqcli train embedding"


def has_word_table(run: Run) -> bool:
    """Whether a finished run has word vectors; only the head of its file of weights is read."""
    try:
        return WORD_TABLE in _open(run, _names)
    except UserError:
        return False


def model_vectors(run: Run, store: Store) -> WordVectors:
    """The word vectors of a finished run, every file checked against its manifest first; special tokens left out.

    Raises:
        UserError: it has none (2), with the names of those in ``store`` that have some; a damaged run, a table that
            does not fit its vocabulary (65).
    """
    run.verify()
    matrix = _open(run, lambda weights: weights.get_tensor(WORD_TABLE) if WORD_TABLE in _names(weights) else None)
    if matrix is None:
        others = list(dict.fromkeys(other.name for other in store.newest_first() if has_word_table(other)))
        raise usage_error(
            f"{run} has no word vectors", hint=f"These models have some: {', '.join(others)}." if others else _TRAIN
        )
    vocabulary = Vocabulary.load(run.vocabulary_path)
    if matrix.ndim != 2 or len(matrix) != len(vocabulary):
        shape = " x ".join(map(str, matrix.shape))
        raise data_error(
            f"{WORD_TABLE} is {shape}, but {run.vocabulary_path.name} has {len(vocabulary):,} rows",
            file=run.weights_path,
        )
    matrix = matrix.astype(np.float32, copy=False)
    if not np.isfinite(matrix).all():
        raise data_error(f"{WORD_TABLE} holds values that are infinite or no numbers", file=run.weights_path)
    first = len(vocabulary.specials)
    return WordVectors(vocabulary.tokens[first:], matrix[first:])


def open_vectors(store: Store, model: str | None, file: Path | None = None) -> tuple[str, WordVectors]:
    """``(name, vectors)`` of a file, of a model, or (both None) of the newest model that has any.

    Raises:
        UserError: both given, no such model, or none with word vectors (2); a bad file or model (65, 74).
    """
    if file is not None:
        if model is not None:
            raise usage_error(f"word vectors of the model '{model}' or of the file {file}, not of both")
        return str(file), WordVectors(*read_vector_file(file))
    run = store.resolve(model) if model is not None else newest_with_vectors(store)
    return str(run), model_vectors(run, store)


def newest_with_vectors(store: Store) -> Run:
    """The run finished last among those with word vectors.

    Raises:
        UserError: there is none (2).
    """
    run = next((run for run in store.newest_first() if has_word_table(run)), None)
    if run is None:
        raise usage_error(f"no trained model with word vectors in {store.root}", hint=_TRAIN)
    return run


def _names(weights: Any) -> list[str]:
    return list(weights.keys())


def _open(run: Run, read: Callable[[Any], Any]) -> Any:
    """What ``read`` makes of a run's weights, which are mapped, not loaded.

    Raises:
        UserError: they are missing or damaged (65).
    """
    try:
        with safe_open(run.weights_path, framework="numpy") as weights:
            return read(weights)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise data_error(f"not a sound safetensors file: {error}", file=run.weights_path) from error
