"""The most probable next tokens after some text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.sampling import check_numbers
from seqcli.pipeline.language import LanguageModel

Candidate = tuple[str, float]
"""A token and its probability."""

_AT_ONCE = 64


def complete(model: LanguageModel, prompts: Sequence[str], count: int) -> list[list[Candidate]]:
    """The ``count`` most probable next tokens after each prompt, most probable first, equal ones by id.

    Probabilities are the model's own: <EOS> is a token like any other; <UNK> is no text and left out, so that the
    probabilities of all others need not add up to 1.

    Raises:
        UserError: the model gives no number (1).
    """
    encoded = [model.encode(prompt) for prompt in prompts]
    by_length: dict[int, list[int]] = {}
    for row, ids in enumerate(encoded):
        by_length.setdefault(len(ids), []).append(row)
    found: list[list[Candidate]] = [[] for _ in prompts]
    for rows in by_length.values():
        for begin in range(0, len(rows), _AT_ONCE):
            some = rows[begin : begin + _AT_ONCE]
            for row, log_probs in zip(some, _next(model, [encoded[row] for row in some]), strict=True):
                found[row] = _top(model, log_probs, count)
    return found


def _next(model: LanguageModel, ids: list[list[int]]) -> NDArray[np.float32]:
    log_probs, state = model.engine.start(len(ids))
    if ids[0]:
        log_probs, _ = model.engine.read(np.array(ids, dtype=np.int64), state)
    check_numbers(log_probs)
    return log_probs


def _top(model: LanguageModel, log_probs: NDArray[np.float32], count: int) -> list[Candidate]:
    some = np.arange(len(log_probs))
    if len(some) > 2 * count:
        some = np.flatnonzero(log_probs >= np.partition(log_probs, -(count + 1))[-(count + 1)])  # one may be <UNK>
    order = some[np.argsort(-log_probs[some], kind="stable")]  # stable: equal tokens in the order of their ids
    best = [number for number in order.tolist() if number != model.unk][:count]
    return [(model.vocabulary.tokens[number], float(np.exp(np.float64(log_probs[number])))) for number in best]
