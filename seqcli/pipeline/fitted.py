"""Baselines that classify, loaded from their run without torch.

Shapes: N sequences, K labels, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import CountsClassifier, Sizes
from seqcli.pipeline.stored import stored_arrays
from seqcli.recipe import registry
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run
from seqcli.text.fast_ids import FastIds
from seqcli.text.tokenizers import Lowercased, tokenizer_of
from seqcli.text.vocabulary import Vocabulary

Numbers = NDArray[np.floating[Any]]


class FittedEngine:
    """A baseline for lists of tokens, for lines, or for frames."""

    def __init__(self, run: Run, recipe: Recipe, labels: Sequence[str]) -> None:
        self.max_length = recipe.data.max_length
        self.vocabulary: Vocabulary | None = None
        if recipe.text is not None:
            self.vocabulary = Vocabulary.load(run.vocabulary_path)
            self.lowercase = recipe.text.vocabulary.lowercase
            tokenizer = tokenizer_of(recipe.text.tokenizer, run.inside("tokenizer.model"))
            self.fast = FastIds(Lowercased(tokenizer) if self.lowercase else tokenizer, self.vocabulary)
        self.model = _model(run, recipe, len(labels), len(self.vocabulary) if self.vocabulary is not None else 0)

    def probabilities(self, sources: Sequence[Any]) -> Numbers:
        """Probability of each label [N, K]."""
        offsets = np.cumsum([0, *(len(source) for source in sources)])
        parts = [self._values(source) for source in sources]
        values = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return np.exp(self.model.log_probs(values, offsets))

    def at_once(self, lines: Sequence[str]) -> tuple[Numbers, NDArray[np.int64]]:
        """``(probabilities [N, K], tokens of each line [N])``, the lines cut into tokens together."""
        ids, offsets = self.fast.ids_of(lines)
        lengths = np.diff(offsets)
        if len(lengths) and lengths.max() > self.max_length:
            keep = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths) < self.max_length
            ids, offsets = ids[keep], np.concatenate([[0], np.cumsum(np.minimum(lengths, self.max_length))])
        return np.exp(self.model.log_probs(ids, offsets)), lengths

    def attribution(self, source: Any) -> tuple[Numbers, Numbers]:
        """``(probabilities [K], share [T] of each position in the logit of the most probable label)``."""
        probs_K = self.probabilities([source])[0]
        return probs_K, self.model.contributions(self._values(source))[:, int(probs_K.argmax())]

    def _values(self, source: Any) -> NDArray[Any]:
        if self.vocabulary is None:
            return np.asarray(source)
        tokens = [token.lower() for token in source] if self.lowercase else source
        return np.array(self.vocabulary.encode(tokens), np.int64)


def _model(run: Run, recipe: Recipe, labels: int, words: int) -> CountsClassifier:
    assert recipe.model.encoder is not None
    kind: type[CountsClassifier] = registry.implementation("encoder", recipe.model.encoder.kind)
    multilabel = getattr(recipe.task, "separator", None) is not None
    sizes = Sizes(words=words, classes=labels, multilabel=multilabel)
    return kind.from_arrays(recipe.model.encoder, stored_arrays(run), sizes, run.weights_path)
