"""The text section: how text becomes tokens and tokens become numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seqcli.recipe.base import Component, Config, Slot


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


class VocabularyConfig(Config):
    """Which words of the training data get a row of their own; all others share <UNK>."""

    max_size: int | None = Field(
        None, ge=1, description="at most this many words, the most frequent first (specials not counted)"
    )
    min_count: int = Field(1, ge=1, description="fewest occurrences in the training data")
    lowercase: bool = Field(False, description="look words up in lower case (characters and affixes keep their case)")


class TextConfig(Config):
    """Tokenizer and vocabulary; absent for tasks whose source is not text."""

    tokenizer: Annotated[Component, Slot("tokenizer")] = Field(
        WhitespaceConfig.model_construct(), description="cuts raw text into tokens; data that comes in tokens skips it"
    )
    vocabulary: VocabularyConfig = Field(VocabularyConfig.model_construct(), description="the words the model knows")
