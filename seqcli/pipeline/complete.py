"""The most probable next tokens after some text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.sampling import check_numbers
from seqcli.decode.words import best_words
from seqcli.errors import usage_error
from seqcli.pipeline.language import LanguageModel
from seqcli.text.marks import unmark

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


def complete_words(model: LanguageModel, prompt: str, count: int) -> list[Candidate]:
    """The most probable whole words after a prompt, for a model whose tokens are smaller than words.

    A prompt that ends within a word is completed to words that begin so. The probability of a word is that of its
    tokens and of a space, a mark or the end of the line after them.

    Raises:
        UserError: the model's tokens are words already (2); the model gives no number (1).
    """
    if model.tokenizer.kind not in _ENDS:
        raise usage_error(f"the tokens of {model.run} are words already", hint="Leave --words out.")
    ends = _ENDS[model.tokenizer.kind]
    tokens = model.vocabulary.tokens
    boundary = np.array(
        [number for number, token in enumerate(tokens) if number == model.eos or (number != model.unk and ends(token))]
    )
    ids = model.encode(prompt)
    log_probs, state = model.engine.start(1)
    if ids:
        log_probs, state = model.engine.read(np.array([ids], dtype=np.int64), state)
    check_numbers(log_probs)
    begun = "" if prompt[-1:].isspace() else "".join(prompt.split()[-1:])
    found = best_words(model.engine, log_probs, state, boundary, count, forbidden=[model.unk])
    return [(begun + model.decode(word), probability) for word, probability in found]


_INSIDE = ("'", "’", "-")

_ENDS: dict[str, Callable[[str], bool]] = {
    "characters": lambda token: not any(map(str.isalnum, unmark(token))) and token not in _INSIDE,
    "bytes": lambda token: (
        (letter := chr(int(token[3:5], 16))).isascii() and not letter.isalnum() and letter not in _INSIDE
    ),
}
"""Which tokens end a word, by the kind of tokenizer: all that are no letter or digit, but for `_INSIDE`."""


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
