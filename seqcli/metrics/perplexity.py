"""Perplexity of a language model, one definition for every kind of model.

A text is N tokens, every final <EOS> among them, to which the model gives the probabilities p_1 ... p_N. It has W words
(what white space separates) and C characters (code points, without line breaks) and E ends (<EOS> tokens: one a
sentence, or one a line break of a stream)::

    loss                = -(ln p_1 + ... + ln p_N) / N          nats a token
    perplexity          = exp(loss)                             a uniform model over V tokens has V
    word_perplexity     = exp(N * loss / (W + E))               comparable between tokenizers
    bits_per_character  = N * loss / (ln 2 * (C + E))           comparable between tokenizers; an end is one character

An unknown token counts with the probability of <UNK>. A model may give much to <UNK>, so figures compare only at equal
vocabularies. ``loss_known`` and ``perplexity_known`` leave those tokens out of both sum and N (they are still read).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error
from seqcli.metrics.score import Score, signature


class PerplexityScorer:
    """Accumulates the log-probabilities of sequences of tokens.

    Args:
        tokenizer: kind of the tokens, for the signature.
        unit: ``sentences`` or ``stream``, for the signature.
        vocabulary: rows of the vocabulary, for the signature.

    Attributes:
        sequences, tokens, ends, words, characters, unknown: counts so far; ``tokens`` holds ``ends`` and ``unknown``.
        nats: minus the sum of ln p of all tokens.
        nats_known: the part of it that comes from tokens that are not <UNK>.
    """

    def __init__(self, tokenizer: str = "whitespace", unit: str = "sentences", vocabulary: int | None = None) -> None:
        self.signature = signature(
            "perplexity", tokens=tokenizer, unit=unit, vocabulary=vocabulary or "unsaid", eos="counted", unk="counted"
        )
        self.sequences = self.tokens = self.ends = self.words = self.characters = self.unknown = 0
        self.nats = self.nats_known = 0.0

    def add(
        self,
        log_probs: NDArray[np.floating] | Sequence[float],
        *,
        words: int,
        characters: int,
        unknown: NDArray[np.bool_] | Sequence[bool] | None = None,
        ends: int = 1,
        sequences: int = 1,
    ) -> None:
        """Count one sequence, or ``sequences`` of them.

        Args:
            log_probs: ln p of each of its tokens, every <EOS> included.
            words: its words, ends not counted.
            characters: its characters, line breaks not counted.
            unknown: which tokens are <UNK>, parallel to ``log_probs``; none by default.
            ends: how many of the tokens are <EOS>.

        Raises:
            ValueError: ``unknown`` has another length.
        """
        values = np.asarray(log_probs, dtype=np.float64)
        flags = np.zeros(len(values), bool) if unknown is None else np.asarray(unknown, dtype=bool)
        if len(flags) != len(values):
            raise ValueError(f"{len(flags)} flags for {len(values)} tokens")
        self.sequences += sequences
        self.tokens += len(values)
        self.ends += ends
        self.words += words
        self.characters += characters
        self.nats -= float(values.sum())
        self.nats_known -= float(values[~flags].sum())
        self.unknown += int(flags.sum())

    def scores(self) -> dict[str, float]:
        """Every figure by name, see the module; the ``known`` ones only where a token is known.

        Raises:
            UserError: there was no token, so a perplexity is undefined (65).
        """
        if not self.tokens:
            raise data_error("no tokens, so a perplexity is undefined")
        loss = self.nats / self.tokens
        figures = {
            "loss": loss,
            "perplexity": _exp(loss),
            "word_perplexity": _exp(_share(self.nats, self.words + self.ends)),
            "bits_per_character": _share(self.nats, self.characters + self.ends) / math.log(2),
        }
        known = self.tokens - self.unknown
        if known:
            figures["loss_known"] = self.nats_known / known
            figures["perplexity_known"] = _exp(figures["loss_known"])
        return figures

    def score(self) -> Score:
        """The perplexity a token, with every other figure and all counts.

        Raises:
            UserError: there was no token (65).
        """
        figures = self.scores()
        counts = {
            "tokens": self.tokens,
            "ends": self.ends,
            "words": self.words,
            "characters": self.characters,
            "unknown": self.unknown,
            "sequences": self.sequences,
            "nats": self.nats,
        }
        return Score("perplexity", figures.pop("perplexity"), self.signature, {**counts, **figures})


def _exp(value: float) -> float:
    return math.inf if value >= 700 else math.exp(value)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.inf
