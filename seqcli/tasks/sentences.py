"""From a line of text to the tokens that are encoded. Imports no torch: the workers that encode run this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seqcli.data.example import Example
from seqcli.errors import data_error
from seqcli.tasks.tokenizing import Tokenizing


@dataclass(frozen=True)
class SentenceTokens(Tokenizing):
    """Field ``token`` of an example: a line cut by the tokenizer, or the tokens that the data comes in.

    A sequence over ``max_length`` is cut into pieces.
    """

    max_length: int

    def __call__(self, example: Example) -> Iterator[dict[str, list[str]]]:
        """Yield one mapping of fields, several for a long line, none for one without tokens.

        Raises:
            UserError: the example is neither a line nor a list of tokens (65).
        """
        source = example.source
        if isinstance(source, str):
            source = self.built.tokenize(source)
        if not isinstance(source, list):
            raise data_error("word vectors are learned from text", file=example.at, hint="Check data.format.")
        for start in range(0, len(source), self.max_length):
            yield {"token": source[start : start + self.max_length]}
