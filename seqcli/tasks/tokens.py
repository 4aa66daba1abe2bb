"""Sequences of tokens as model inputs: shared by every task whose source is text.

Shapes: B sequences, T positions, U different tokens (row 0 is padding).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.batching.batch import pad_ids
from seqcli.data.arrays import Field
from seqcli.models.embedders import InputSizes
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.text import TextConfig
from seqcli.text.features import AffixKind, TokenFeatures, TypeArrays
from seqcli.text.vectors import read_vectors


def affix_kinds(config: TokensConfig) -> list[AffixKind]:
    """The affix tables that an embedder section asks for, in the order of their columns."""
    if config.affixes is None:
        return []
    kinds = [AffixKind("prefix", length) for length in config.affixes.prefixes]
    kinds += [AffixKind("suffix", length) for length in config.affixes.suffixes]
    return kinds + [AffixKind("shape")] * config.affixes.shape


class TokenEncoder:
    """Tokens -> the inputs of a `seqcli.models.embedders.TokenEmbedder`."""

    def __init__(self, text: TextConfig, embedder: TokensConfig, features: TokenFeatures) -> None:
        self.text, self.embedder, self.features = text, embedder, features

    @classmethod
    def fit(cls, text: TextConfig, embedder: TokensConfig, tokens: Field) -> TokenEncoder:
        """Fit on the token field of the training split."""
        vocabulary = text.vocabulary
        extra: Sequence[str] = ()
        if embedder.vectors is not None and embedder.vectors.extend:
            extra = list(read_vectors(Path(embedder.vectors.file), embedder.dim, None))
        features = TokenFeatures.fit(
            dict(zip(tokens.symbols, tokens.counts.tolist(), strict=True)),
            lowercase=vocabulary.lowercase,
            max_size=vocabulary.max_size,
            min_count=vocabulary.min_count,
            characters=embedder.characters is not None,
            affix_kinds=affix_kinds(embedder),
            affix_min_count=embedder.affixes.min_count if embedder.affixes else 1,
            extra_words=extra,
        )
        return cls(text, embedder, features)

    @classmethod
    def load(cls, text: TextConfig, embedder: TokensConfig, folder: Path) -> TokenEncoder:
        """Read the vocabularies of a trained model."""
        features = TokenFeatures.load(
            folder,
            lowercase=text.vocabulary.lowercase,
            characters=embedder.characters is not None,
            affix_kinds=affix_kinds(embedder),
        )
        return cls(text, embedder, features)

    def save(self, folder: Path) -> list[str]:
        """Write the vocabularies; returns the names of the files."""
        return self.features.save(folder)

    def sizes(self) -> InputSizes:
        """What the embedder must know."""
        features = self.features
        return InputSizes(
            words=len(features.words),
            characters=len(features.characters) if features.characters is not None else 0,
            affixes=tuple(len(vocabulary) for vocabulary in features.affixes.values()),
            word_counts=(0, 0, *features.words.counts[2:]),
        )

    def types(self, tokens: Sequence[str]) -> TypeArrays:
        """Arrays over the given tokens."""
        return self.features.encode(tokens)


class TokenInputs:
    """The token field of a split, with the features of its different tokens computed once."""

    def __init__(self, encoder: TokenEncoder, tokens: Field) -> None:
        self.tokens = tokens
        self.arrays = encoder.types(tokens.symbols)

    def inputs(self, rows: NDArray[np.int64]) -> tuple[dict[str, Tensor], NDArray[np.int64]]:
        """``(inputs, lengths [B])`` of the examples in these rows."""
        lengths = self.tokens.lengths_of(rows)
        types, index = np.unique(self.tokens.gather(rows), return_inverse=True)
        inputs = type_tensors(self.arrays, types.astype(np.int64))
        inputs["index_BT"] = pad_ids(index.astype(np.int64) + 1, lengths)
        return inputs, lengths


def type_tensors(arrays: TypeArrays, types: NDArray[np.int64]) -> dict[str, Tensor]:
    """Tensors over some of the tokens, with the padding row in front; characters cut to the longest word there is."""
    inputs = {"words_U": torch.from_numpy(_with_padding_row(arrays.words[types]))}
    if arrays.characters is not None:
        characters = arrays.characters[types]
        longest = max(1, int((characters != 0).sum(1).max(initial=1)))
        inputs["characters_UC"] = torch.from_numpy(_with_padding_row(characters[:, :longest]))
    if arrays.affixes is not None:
        inputs["affixes_UA"] = torch.from_numpy(_with_padding_row(arrays.affixes[types]))
    return inputs


def _with_padding_row(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    padded = np.zeros((len(values) + 1, *values.shape[1:]), np.int64)
    padded[1:] = values
    return padded


def load_vectors(embedder: TokensConfig, encoder: TokenEncoder, table: Tensor) -> int:
    """Copy pretrained vectors into the rows of ``table`` [V, D] whose words the file has; returns how many."""
    assert embedder.vectors is not None
    rows: Mapping[str, int] = {word: row for row, word in enumerate(encoder.features.words.tokens) if row > 1}
    found: dict[str, Any] = read_vectors(Path(embedder.vectors.file), embedder.dim, rows)
    with torch.no_grad():
        for word, vector in found.items():
            table[rows[word]] = torch.from_numpy(vector)
    return len(found)
