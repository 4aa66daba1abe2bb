"""Lines of text scored by a language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.sampling import check_numbers
from seqcli.errors import usage_error
from seqcli.metrics.perplexity import PerplexityScorer
from seqcli.pipeline.language import LanguageModel

_BETWEEN_TOKENS = re.compile("[ \t]+")


@dataclass(frozen=True)
class ScoredLine:
    """A line, scored: its tokens as they stand in it, <EOS> last, ln p of each, and which the model reads as <UNK>."""

    text: str
    tokens: list[str]
    log_probs: NDArray[np.float64]
    unknown: list[bool]

    @property
    def log_prob(self) -> float:
        """ln p of the line, its end included."""
        return float(self.log_probs.sum())


class LineScorer:
    """A language model that scores lines, in order, and adds them up.

    Args:
        tokens: lines come in tokens, spaces between, spelled as the model's own tokenizer spells them.

    Attributes:
        totals: the figures of all lines so far.
    """

    def __init__(self, model: LanguageModel, *, tokens: bool = False) -> None:
        self.model, self.tokens = model, tokens
        self.totals = PerplexityScorer(model.tokenizer.kind, model.unit, len(model.vocabulary))

    def score(self, lines: Sequence[str]) -> list[ScoredLine]:
        """Score some lines, each from a fresh start.

        Raises:
            UserError: the model gives no number (1).
        """
        cut = [self._cut(line) for line in lines]
        found = self.model.engine.score([np.array(ids, dtype=np.int64) for _, ids in cut])
        return [self._count(line, *pair, log_probs) for line, pair, log_probs in zip(lines, cut, found, strict=True)]

    def score_stream(self, lines: Sequence[str]) -> list[ScoredLine]:
        """Score lines as one running text: each line is read after all those before it.

        Raises:
            UserError: the model reads each line for itself (2), or gives no number (1).
        """
        if self.model.unit != "stream":
            raise usage_error(
                f"{self.model.run} reads each line by itself, not a running text", hint="Leave out --stream."
            )
        if not lines:
            return []
        cut = [self._cut(line) for line in lines]
        ends = np.cumsum([len(ids) for _, ids in cut])[:-1]
        whole = np.concatenate([np.array(ids, dtype=np.int64) for _, ids in cut])
        found = np.split(self.model.engine.score([whole])[0], ends)
        return [self._count(line, *pair, log_probs) for line, pair, log_probs in zip(lines, cut, found, strict=True)]

    def _cut(self, line: str) -> tuple[list[str], list[int]]:
        model = self.model
        if self.tokens:
            tokens = [token for token in _BETWEEN_TOKENS.split(line) if token]
            ids = model.vocabulary.encode(tokens)
        else:
            tokens, ids = model.tokenizer.tokenize(line), model.encode(line)
        return [*tokens, model.vocabulary.tokens[model.eos]], [*ids, model.eos]

    def _count(self, line: str, tokens: list[str], ids: list[int], log_probs: NDArray[np.float64]) -> ScoredLine:
        check_numbers(log_probs)
        unknown = [number == self.model.unk for number in ids]
        text = self.model.tokenizer.detokenize(tokens[:-1]) if self.tokens else line
        self.totals.add(log_probs, words=len(text.split()), characters=len(text), unknown=unknown)
        return ScoredLine(line, tokens, log_probs, unknown)
