"""A language model and a lexicon in the search over the texts of a CTC network (shallow fusion, Gulcehre et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqcli.decode.stepper import Stepper

SPACE = "▁"
"""How a space stands among the units of a text: a unit of its own, or the beginning of one."""


class LanguageState:
    """What a language model has read; the model itself is asked only where the text goes on."""

    def __init__(self, model: Stepper, before: LanguageState | None = None, token: int = -1) -> None:
        self.model, self._before, self._token = model, before, token
        self._asked: tuple[Any, Any] | None = None

    def _ask(self) -> tuple[Any, Any]:
        """``(ln p of each next token [V], the model's own state)``."""
        if self._asked is None:
            if self._before is None:
                log_probs_1V, state = self.model.start(1)
            else:
                log_probs_1V, state = self.model.read(np.array([[self._token]], np.int64), self._before._ask()[1])
            self._asked = log_probs_1V[0], state
        return self._asked

    def log_prob(self, token: int) -> float:
        return float(self._ask()[0][token])

    def after(self, token: int) -> LanguageState:
        return LanguageState(self.model, self, token)


@dataclass(frozen=True)
class Words:
    """How units make words: ``spelling`` of each, and whether each is a word of its own."""

    spelling: Sequence[str]
    whole: bool

    def begins(self, unit: int) -> bool:
        """Whether a word begins with this unit (or behind it, where it is a space)."""
        return self.whole or self.spelling[unit].startswith(SPACE)

    def letters(self, unit: int) -> str:
        return self.spelling[unit].removeprefix(SPACE)


class Lexicon:
    """Words and their beginnings."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = frozenset(words)
        self.beginnings = frozenset(word[:end] for word in self.words for end in range(len(word) + 1))


@dataclass(frozen=True)
class State:
    """The beginning of the word at hand, and what the language model has read."""

    word: str
    language: LanguageState | None


class TextFusion:
    """Weighs the texts of a search by a language model of the same units or of whole words, and by a lexicon.

    Args:
        words: how the network's units make words.
        model: the language model; ``weight`` of its ln p; ``bonus`` for each of its tokens.
        tokens: the language model's token of each unit; None where its tokens are words.
        word_ids: the language model's token of each word, where those are its tokens; ``unknown`` of any other.
        eos: its token behind the last one.
        lexicon: the words that there are; None for any.
    """

    def __init__(
        self,
        words: Words,
        *,
        model: Stepper | None = None,
        weight: float = 0.0,
        bonus: float = 0.0,
        tokens: Sequence[int] | None = None,
        word_ids: dict[str, int] | None = None,
        unknown: int = 0,
        eos: int = 0,
        lexicon: Lexicon | None = None,
    ) -> None:
        self.words, self.model, self.weight, self.bonus = words, model, weight, bonus
        self.tokens, self.word_ids, self.unknown, self.eos, self.lexicon = tokens, word_ids or {}, unknown, eos, lexicon

    def start(self) -> State:
        return State("", None if self.model is None else LanguageState(self.model))

    def extend(self, state: State, unit: int) -> tuple[float, State] | None:
        added, word, language = 0.0, state.word, state.language
        if self.words.begins(unit):
            closed = self._close(state)
            if closed is None:
                return None
            added, language = closed
            word = ""
        word += self.words.letters(unit)
        if self.lexicon is not None and word not in self.lexicon.beginnings:
            return None
        if self.tokens is not None and language is not None:
            token = self.tokens[unit]
            added += self.weight * language.log_prob(token) + self.bonus
            language = language.after(token)
        return added, State(word, language)

    def end(self, state: State) -> float | None:
        closed = self._close(state)
        if closed is None:
            return None
        added, language = closed
        return added + (self.weight * language.log_prob(self.eos) if language is not None else 0.0)

    def _close(self, state: State) -> tuple[float, LanguageState | None] | None:
        """``(what the finished word adds, the language model behind it)``; None where it is no word."""
        word, language = state.word, state.language
        if not word:
            return 0.0, language
        if self.lexicon is not None and word not in self.lexicon.words:
            return None
        if language is None or self.tokens is not None:
            return 0.0, language
        token = self.word_ids.get(word, self.unknown)
        return self.weight * language.log_prob(token) + self.bonus, language.after(token)
