"""Lines of text scored by a language model, and translations scored by a translator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.order import sorted_batches
from seqcli.decode.sampling import check_numbers
from seqcli.errors import data_error, plural, usage_error
from seqcli.metrics.perplexity import PerplexityScorer
from seqcli.pipeline.language import LanguageModel
from seqcli.pipeline.model import Model
from seqcli.tasks.translation import TranslationTask
from seqcli.tasks.writing import Generated
from seqcli.text.vocabulary import EOS

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


class Pair(NamedTuple):
    """A line, and the source and the target that it holds."""

    line: str
    source: str
    target: str


class PairScorer:
    """A translator that tells how probable targets are, given their sources; it adds them up.

    Args:
        file: what the lines come from, for errors.
        tokens: both sides come in tokens, spaces between.

    Attributes:
        totals: the figures of all targets so far.
    """

    def __init__(self, model: Model[Generated], file: str, *, tokens: bool = False) -> None:
        assert isinstance(model.task, TranslationTask)
        self.model, self.task, self.file, self.lines = model, model.task, file, 0
        self.totals = PerplexityScorer(self.task.target.tokenizer.kind, "sentences", len(self.task.target.words))
        if tokens:
            self.task.source.read_tokens()
            self.task.target.read_tokens()

    def pair(self, line: str) -> Pair:
        """The two sides of the next line, ``source TAB target``.

        Raises:
            UserError: it has not the two (65).
        """
        self.lines += 1
        cells = line.split("\t")
        if len(cells) != 2:
            raise data_error(
                f"{plural(len(cells), 'tab-separated column')} where a source and a target should be",
                file=self.file,
                line=self.lines,
                hint="'paste SOURCES TARGETS' makes such lines.",
            )
        return Pair(line, *cells)

    def score(self, pairs: Sequence[Pair]) -> list[ScoredLine]:
        """Score some pairs.

        Raises:
            UserError: the model gives no number (1).
        """
        sources = [self.task.source.read(source, "") for _, source, _ in pairs]
        targets = [self.task.target.read(target, "") for _, _, target in pairs]
        widths = np.array([max(map(len, pair)) + 1 for pair in zip(sources, targets, strict=True)], np.int64)
        log_probs: list[NDArray[np.float64]] = [np.zeros(0)] * len(pairs)
        ids = [np.array([*self.task.target.words.encode(one), self.task.target.eos], np.int64) for one in targets]
        for rows in sorted_batches(widths, tokens=self.model.engine.positions):
            some = rows.tolist()
            found = self.model.engine.score(
                self.task.source.side([sources[row] for row in some]), [ids[row] for row in some]
            )
            for row, one in zip(some, found, strict=True):
                log_probs[row] = one
        return [self._count(*one) for one in zip(pairs, targets, ids, log_probs, strict=True)]

    def _count(
        self, pair: Pair, tokens: list[str], ids: NDArray[np.int64], log_probs: NDArray[np.float64]
    ) -> ScoredLine:
        check_numbers(log_probs)
        unknown = (ids == self.task.target.unk).tolist()
        self.totals.add(log_probs, words=len(pair.target.split()), characters=len(pair.target), unknown=unknown)
        return ScoredLine(pair.line, [*tokens, EOS], log_probs, unknown)


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
