"""From a line of text to the tokens that are encoded. Imports no torch: the workers that encode run this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seqcli.corpora.example import Example
from seqcli.errors import data_error
from seqcli.recipe.base import Component
from seqcli.text.tokenizers import Tokenizer, tokenizer_of


@dataclass(frozen=True)
class SentenceTokens:
    """Field ``token`` of an example: a line cut by the tokenizer, or the tokens that the data comes in.

    A sequence over ``max_length`` is cut into pieces. ``model`` is the file that some tokenizers need.
    """

    tokenizer: Component
    model: Path | None
    max_length: int

    @cached_property
    def _built(self) -> Tokenizer:
        return tokenizer_of(self.tokenizer, self.model)

    def __getstate__(self) -> dict[str, Any]:
        """A tokenizer is built anew in each worker."""
        return {name: value for name, value in self.__dict__.items() if name != "_built"}

    def __call__(self, example: Example) -> Iterator[dict[str, list[str]]]:
        """Yield one mapping of fields, several for a long line, none for one without tokens.

        Raises:
            UserError: the example is neither a line nor a list of tokens (65).
        """
        source = example.source
        if isinstance(source, str):
            source = self._built.tokenize(source)
        if not isinstance(source, list):
            raise data_error("word vectors are learned from text", file=example.at, hint="Check data.format.")
        for start in range(0, len(source), self.max_length):
            yield {"token": source[start : start + self.max_length]}
