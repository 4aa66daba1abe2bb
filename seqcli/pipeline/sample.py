"""Text sampled from a language model, as it grows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seqcli.decode.sampling import Drawn, SamplingOptions, sample
from seqcli.pipeline.language import LanguageModel

# What the next token can still change: bytes of a character that is not whole yet, a character spelled by its code; in
# words a dash, which makes a range when a digit follows.
_UNSETTLED = re.compile("(?:\ufffd+|％[0-9a-f]{0,3})\\Z")
_UNSETTLED_WORDS = re.compile("(?:\ufffd+| ?–|％[0-9a-f]{0,3})\\Z")


class Sample:
    """One sample: the tokens drawn so far and their text, prompt included.

    Args:
        prompt: text that every sample begins with, shown as it was typed (with ``tokens``: as it was cut).
        stop: text that ends the sample, which is cut before it; the prompt does not count.
        tokens: the text is the tokens with one space between.

    Attributes:
        number: which of the samples it is, from 0.
        ids, log_probs: the tokens drawn, a final <EOS> included, and the model's own ln p of each.
        finished: it ended in <EOS> or at ``stop``.
        done: no more tokens will come.
    """

    def __init__(
        self, model: LanguageModel, number: int, prompt: str = "", stop: str | None = None, *, tokens: bool = False
    ) -> None:
        self.model, self.number, self.stop, self.tokens = model, number, stop, tokens
        self.ids: list[int] = []
        self.log_probs: list[float] = []
        self.finished = self.done = False
        self._unsettled = _UNSETTLED_WORDS if model.tokenizer.kind == "words" else _UNSETTLED
        # The text is what stands before the line that grows, and that line's tokens spelled, without as many characters
        # as its part of the prompt has: that part is shown as typed, though spelled it may have other spacing.
        *above, typed = _lines(model, prompt)
        self._line = model.tokenizer.tokenize(typed)
        if tokens:
            above = [" ".join(model.tokenizer.tokenize(line)) for line in above]
            typed = " ".join(self._line)
        elif not model.tokenizer.reversible:
            typed = typed.rstrip(" \t")
        self._before = "\n".join([*above, self._settle(typed)])
        self._skip = len(self._settle(self._spell()))
        self._searched = len(self._before)
        self._text: str | None = None

    def add(self, drawn: Drawn) -> None:
        """Take one more token."""
        self.ids.append(drawn.token)
        self.log_probs.append(drawn.log_prob)
        if drawn.token != self.model.eos:
            self._line.append(self.model.vocabulary.tokens[drawn.token])
            self._text = None
        elif self.model.unit == "stream":
            self._before, self._skip, self._line, self._text = self.text + "\n", 0, [], None
        else:
            self.finished = True
            return
        if self.stop is not None and (at := self.text.find(self.stop, self._searched)) >= 0:
            self._text = self.text[:at]
            self.finished = True

    @property
    def text(self) -> str:
        """The whole text so far."""
        if self._text is None:
            self._text = self._before + self._spell()[self._skip :]
        return self._text

    @property
    def settled(self) -> str:
        """The part of the text that no later token can change: a prefix of every later `text`."""
        text = self.text
        if self.finished or self.done:
            return text
        if self.stop is None:
            return self._settle(text)
        longest = min(len(self.stop) - 1, len(text) - self._searched)
        begun = next((size for size in range(longest, 0, -1) if text.endswith(self.stop[:size])), 0)
        return self._settle(text)[: len(text) - begun]

    def _spell(self) -> str:
        return " ".join(self._line) if self.tokens else self.model.tokenizer.detokenize(self._line)

    def _settle(self, text: str) -> str:
        found = self._unsettled.search(text)
        return text if found is None else text[: found.start()]


def grow(
    model: LanguageModel,
    prompt: str = "",
    *,
    count: int = 1,
    options: SamplingOptions,
    max_tokens: int,
    stop: str | None = None,
    seed: int = 0,
    tokens: bool = False,
) -> Iterator[Sample]:
    """Sample texts, some together; yields each time the sample that has just grown by a token.

    <UNK> is never drawn: it is no text. In a stream <EOS> is a line break and ends nothing.

    Raises:
        UserError: the model gives no number (1).
    """
    growing: dict[int, Sample] = {}
    for drawn in sample(
        model.engine,
        model.encode(prompt),
        count,
        options,
        max_tokens=max_tokens,
        seed=seed,
        forbidden={model.unk},
        stop=None if model.unit == "stream" else model.eos,
        stopped=lambda number: number not in growing,
    ):
        number = drawn.sequence
        if number not in growing:
            growing[number] = Sample(model, number, prompt, stop, tokens=tokens)
        one = growing[number]
        one.add(drawn)
        one.done = one.finished or len(one.ids) == max_tokens
        if one.done:
            del growing[number]
        yield one


def unknown_tokens(model: LanguageModel, text: str) -> list[str]:
    """The tokens of a text that the model does not know, each once, in order."""
    found: dict[str, None] = {}
    for line in _lines(model, text):
        tokens = model.tokenizer.tokenize(line)
        found |= {token: None for token, number in zip(tokens, model.encode(line), strict=True) if number == model.unk}
    return list(found)


def _lines(model: LanguageModel, text: str) -> list[str]:
    return text.split("\n") if model.unit == "stream" else [text]
