"""From text to the tokens a language model is trained on. Imports no torch: the workers that encode run this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.data.example import Example
from seqcli.errors import data_error
from seqcli.recipe.base import Component
from seqcli.text.case import lower
from seqcli.text.tokenizers import Lowercased, Tokenizer, tokenizer_of

END = "\n"
"""How the end of a line stands among the encoded tokens: no token of a text can spell it."""


@dataclass
class RunningPieces:
    """Fields ``token`` (the tokens of an example and `END`) and ``size`` ([words, characters] of its text).

    In ``sentences`` a sequence over ``max_length`` is cut into pieces, of which the last one has the end.
    ``lowercase``: as whoever samples and scores with the model does it (`seqcli.text.tokenizers.Lowercased`).
    """

    tokenizer: Component
    model: Path | None
    max_length: int | None
    lowercase: bool = False

    def __post_init__(self) -> None:
        self._built: Tokenizer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A tokenizer is built anew in each worker."""
        return {**self.__dict__, "_built": None}

    @property
    def _tokenizer(self) -> Tokenizer:
        if self._built is None:
            built = tokenizer_of(self.tokenizer, self.model)
            self._built = Lowercased(built) if self.lowercase else built
        return self._built

    def __call__(self, example: Example) -> Iterator[dict[str, Any]]:
        """Yield one mapping of fields, several for a long sequence.

        Raises:
            UserError: the source is no text, or holds a token that is a line break (65).
        """
        source = example.source
        if isinstance(source, str):
            tokens = self._tokenizer.tokenize(source)
            size = len(source.split()), len(source)
        elif isinstance(source, list):
            if "" in source or END in source:
                raise data_error("a token is empty or a line break", file=example.at)
            tokens = [*map(lower, source)] if self.lowercase else list(source)
            size = len(source), len(" ".join(source))
        else:
            raise data_error("a language model needs text", file=example.at, hint="Check data.format and data.columns.")
        tokens.append(END)
        limit = self.max_length or len(tokens)
        for start in range(0, len(tokens), limit):
            words, characters = size if start == 0 else (0, 0)
            yield {"token": tokens[start : start + limit], "size": np.array([[words, characters]], np.float32)}
