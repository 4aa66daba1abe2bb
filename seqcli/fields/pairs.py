"""The two sides of a text-to-text example: a text that is read, and one that is written token by token.

Shapes: B sequences, T positions. Both end in <EOS>, and what is read before the first token of a target is <EOS> too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import IGNORE, Ints, Side
from seqcli.errors import usage_error
from seqcli.fields.base import Field
from seqcli.fields.text import RunningTextField
from seqcli.recipe.dump import format_value
from seqcli.recipe.fields import TextTargetConfig
from seqcli.text.features import TypeArrays


class SourceText(RunningTextField):
    """Tokens as rows of the vocabulary, and <EOS> after them."""

    def collate(self, numbers_N: NDArray[Any], lengths_B: Ints, types: TypeArrays) -> Side:
        return Side({"words_BT": ended(types.words[numbers_N], lengths_B, self.eos)}, lengths_B + 1)

    def key(self) -> list[Any]:
        return [*super().key(), "pair"]


class TargetText(RunningTextField):
    """Tokens to be written; with ``share: source`` cut and numbered as the source is.

    Args:
        source: the field of the other side, where that is text.
    """

    side_name = "target"
    prefix = "target-"
    table = "target words"

    def __init__(self, config: TextTargetConfig, source: Field | None = None) -> None:
        self.shared: SourceText | None = None
        if config.share:
            if not isinstance(source, SourceText):
                raise usage_error("target.share: source needs a source of text")
            self.shared = source
        super().__init__(config if self.shared is None else self.shared.config)

    def start_from(self, trained: Self) -> None:
        mine, theirs = (None if field.shared is None else "source" for field in (self, trained))
        if mine != theirs:  # its rows are those of another table
            raise usage_error(
                f"target.share is {format_value(mine)} in the recipe and {format_value(theirs)} in the model"
            )
        super().start_from(trained)

    def fit_sides(self, source: Column, target: Column) -> None:
        """`fit`; a shared vocabulary is that of the tokens of both sides."""
        if self.shared is None:
            self.fit(target, ())
            return
        counts: Counter[str] = Counter()
        for column in (source, target):
            counts.update(dict(zip(column.symbols, column.counts.tolist(), strict=True)))
        self.shared.fit_counts(dict(counts))
        self.follow()

    def follow(self) -> None:
        """Take over what a shared source knows."""
        if self.shared is not None:
            self.tokenizer_model, self.features = self.shared.tokenizer_model, self.shared.features

    def notes(self) -> list[str]:
        return [] if self.shared is not None else super().notes()

    def side(self, raws: Sequence[list[str]]) -> Side:
        lengths = np.array([len(tokens) for tokens in raws], np.int64)
        ids = self.encode([token for tokens in raws for token in tokens]).words
        return self.written(ids, lengths)

    def collate(self, numbers_N: NDArray[Any], lengths_B: Ints, types: TypeArrays) -> Side:
        return self.written(types.words[numbers_N], lengths_B)

    def written(self, ids_N: NDArray[Any], lengths_B: Ints) -> Side:
        """``words_BT``: what is read before each position; ``ids_BT``: what is to be written there."""
        ids_BT = ended(ids_N, lengths_B, self.eos, fill=IGNORE)
        words_BT = np.roll(ids_BT, 1, axis=1)
        words_BT[:, 0] = self.eos
        words_BT[words_BT < 0] = self.eos
        return Side({"words_BT": words_BT, "ids_BT": ids_BT}, lengths_B + 1)

    def text(self, ids: Iterable[int]) -> str:
        """Ids as a line of text."""
        return self.tokenizer.detokenize(self.words.decode(ids))

    def tables(self) -> dict[str, int]:
        return {} if self.shared is not None else {self.table: len(self.words)}

    def known_rows(self) -> dict[str, Ints]:
        if self.shared is not None or self.start is None:
            return {}
        return {self.table: super().known_rows()["words"]}

    def key(self) -> list[Any]:
        return [*super().key(), "target"]

    def save(self, folder: Path) -> list[str]:
        return [] if self.shared is not None else super().save(folder)

    def load(self, folder: Path) -> None:
        if self.shared is None:
            super().load(folder)
        self.follow()

    def summary(self) -> dict[str, int]:
        return {} if self.shared is not None else {"target tokens in the vocabulary": len(self.words)}


def ended(ids_N: NDArray[Any], lengths_B: Ints, eos: int, *, fill: int = 0) -> Ints:
    """Joined ids -> [B, T + 1]: each sequence with <EOS> after it, right-padded with ``fill``."""
    width = int(lengths_B.max(initial=0)) + 1
    ended_BT = np.full((len(lengths_B), width), fill, np.int64)
    ended_BT[np.arange(width) < lengths_B[:, None]] = ids_N
    ended_BT[np.arange(len(lengths_B)), lengths_B] = eos
    return ended_BT
