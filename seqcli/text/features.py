"""What a token's spelling tells: its row in the word vocabulary, its characters, its affixes and its shape.

All of it depends on the spelling alone, so it is computed once for each different token, never for each position.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.text.case import lower
from seqcli.text.vocabulary import PAD, UNK, Vocabulary

MAX_CHARACTERS = 32
"""Characters of a word that are looked at: of a longer one the first and the last half of that."""

_RUNS = re.compile(r"(.)\1+")


@dataclass(frozen=True)
class TypeArrays:
    """Arrays over U different tokens: ``words`` [U], ``characters`` [U, C] (0 = padding), ``affixes`` [U, A]."""

    words: NDArray[np.int32]
    characters: NDArray[np.integer[Any]] | None
    affixes: NDArray[np.int32] | None

    def joined(self, others: TypeArrays) -> TypeArrays:
        affixes = None
        if self.affixes is not None and others.affixes is not None:
            affixes = np.concatenate([self.affixes, others.affixes])
        characters = None
        if self.characters is not None and others.characters is not None:
            width = max(self.characters.shape[1], others.characters.shape[1])
            characters = np.concatenate(
                [np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in (self.characters, others.characters)]
            )
        return TypeArrays(np.concatenate([self.words, others.words]), characters, affixes)


@dataclass(frozen=True)
class AffixKind:
    """``prefix``, ``suffix`` or ``shape``, and the length of an affix."""

    kind: str
    length: int = 0

    @property
    def name(self) -> str:
        """Such as ``prefix-3`` or ``shape``; also the name of its file."""
        return f"{self.kind}-{self.length}" if self.length else self.kind

    def of(self, token: str) -> str:
        """The affix (in lower case, since the shape keeps the case) or the shape of a token."""
        if self.kind == "shape":
            return word_shape(token)
        lowered = lower(token)
        return lowered[: self.length] if self.kind == "prefix" else lowered[-self.length :]


def word_shape(token: str) -> str:
    """``Chennai`` -> ``Xx``, ``U.S.`` -> ``X.X.``, ``3,000`` -> ``d,d``: classes of characters, runs as one."""
    classes = "".join(
        "X" if character.isupper() else "x" if character.isalpha() else "d" if character.isdigit() else character
        for character in token[:MAX_CHARACTERS]
    )
    return _RUNS.sub(r"\1", classes)


class TokenFeatures:
    """Turns spellings into ids; fitted on training data only."""

    def __init__(
        self,
        words: Vocabulary,
        *,
        lowercase: bool,
        characters: Vocabulary | None,
        affixes: Mapping[AffixKind, Vocabulary],
    ) -> None:
        self.words = words
        self.lowercase = lowercase
        self.characters = characters
        self.affixes = dict(affixes)

    @classmethod
    def fit(
        cls,
        counts: Mapping[str, int],
        *,
        lowercase: bool = False,
        max_size: int | None = None,
        min_count: int = 1,
        characters: bool = False,
        affix_kinds: Sequence[AffixKind] = (),
        affix_min_count: int = 1,
        extra_words: Iterable[str] = (),
        start: TokenFeatures | None = None,
    ) -> TokenFeatures:
        """Fit on how often each token occurs in the training data.

        ``affix_min_count`` counts distinct words that show an affix; ``extra_words`` get a row although the training
        data lacks them (words of a pretrained vector file); the rows of ``start`` stay as they are, new ones follow.
        """
        folded: Counter[str] = Counter()
        for token, count in counts.items():
            folded[lower(token) if lowercase else token] += count
        words = _fitted(start.words if start else None, folded, min_count, max_size)
        if extra := [word for word in dict.fromkeys(extra_words) if word not in words]:
            words = Vocabulary([*words.tokens, *extra], [*words.counts, *[0] * len(extra)], words.specials)
        character_vocabulary = None
        if characters:
            occurrences: Counter[str] = Counter()
            for token, count in counts.items():
                for character in token:
                    occurrences[character] += count
            character_vocabulary = _fitted(start.characters if start else None, occurrences, 2)
        affixes = {}
        for kind in affix_kinds:
            shown = Counter(kind.of(token) for token in counts)
            affixes[kind] = _fitted(start.affixes.get(kind) if start else None, shown, affix_min_count)
        return cls(words, lowercase=lowercase, characters=character_vocabulary, affixes=affixes)

    def rows(self, tokens: Sequence[str]) -> list[int]:
        return self.words.encode(map(lower, tokens) if self.lowercase else tokens)

    def encode(self, tokens: Sequence[str]) -> TypeArrays:
        """Arrays over the given tokens, in their order."""
        words = np.array(self.rows(tokens), np.int32)
        characters = None if self.characters is None else _character_rows(tokens, self.characters)
        affixes = None
        if self.affixes:
            affixes = np.empty((len(tokens), len(self.affixes)), np.int32)
            for column, (kind, vocabulary) in enumerate(self.affixes.items()):
                affixes[:, column] = vocabulary.encode(map(kind.of, tokens))
        return TypeArrays(words, characters, affixes)

    def save(self, folder: Path, prefix: str = "") -> list[str]:
        """Write the vocabularies as text files and return their names, each with ``prefix`` in front."""
        files = {"vocabulary.txt": self.words}
        if self.characters is not None:
            files["characters.txt"] = self.characters
        files |= {f"{kind.name}.txt": vocabulary for kind, vocabulary in self.affixes.items()}
        for name, vocabulary in files.items():
            vocabulary.save(folder / f"{prefix}{name}")
        return [f"{prefix}{name}" for name in files]

    @classmethod
    def load(
        cls, folder: Path, *, lowercase: bool, characters: bool, affix_kinds: Sequence[AffixKind], prefix: str = ""
    ) -> TokenFeatures:
        """What `save` wrote.

        Raises:
            UserError: a damaged file (65).
        """

        def read(name: str) -> Vocabulary:
            return Vocabulary.load(folder / f"{prefix}{name}.txt")

        return cls(
            read("vocabulary"),
            lowercase=lowercase,
            characters=read("characters") if characters else None,
            affixes={kind: read(kind.name) for kind in affix_kinds},
        )


def _fitted(
    start: Vocabulary | None, counts: Mapping[str, int], min_count: int, max_size: int | None = None
) -> Vocabulary:
    if start is not None:
        return start.extended(counts, max_size, min_count)
    return Vocabulary.build(counts, max_size, min_count, specials=(PAD, UNK))


def _character_rows(tokens: Sequence[str], vocabulary: Vocabulary) -> NDArray[np.integer[Any]]:
    half = MAX_CHARACTERS // 2
    width = max(1, min(MAX_CHARACTERS, max(map(len, tokens), default=1)))
    padded = np.zeros((len(tokens), width), np.uint16 if len(vocabulary) < 2**16 else np.int32)
    for index, token in enumerate(tokens):
        row = vocabulary.encode(token if len(token) <= MAX_CHARACTERS else token[:half] + token[-half:])
        padded[index, : len(row)] = row
    return padded
