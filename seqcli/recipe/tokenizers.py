"""Tokenizer sections: how text is cut into tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqcli.recipe.base import Component


class WhitespaceConfig(Component):
    """Tokens are what stands between spaces."""

    kind: Literal["whitespace"] = "whitespace"


class WordsConfig(Component):
    """Words, numbers and punctuation marks apart (Unicode-aware)."""

    kind: Literal["words"] = "words"


class CharactersConfig(Component):
    """One token a user-perceived character (grapheme cluster)."""

    kind: Literal["characters"] = "characters"


class BytesConfig(Component):
    """One token a byte of UTF-8."""

    kind: Literal["bytes"] = "bytes"


class SentencePieceConfig(Component):
    """Subword pieces (Kudo and Richardson 2018), from a model file or trained on the training data."""

    kind: Literal["sentencepiece"] = "sentencepiece"
    model: str | None = Field(None, description="a trained .model file; null trains one on the training data")
    size: int = Field(8000, ge=8, description="number of pieces when one is trained")
    algorithm: Literal["unigram", "bpe"] = Field("unigram", description="how the pieces are found when one is trained")
