"""Bag of words: which n-grams occur in a text, and a linear classifier over them, without torch.

The value of an n-gram is 1, its count c, or c times its inverse document frequency; an example's values are divided
by their Euclidean norm; then they are multiplied by the naive-Bayes log ratio r of their class (Wang and Manning
2012, equations 2 to 4). r, and the inverse document frequency too, is the same for every example, so the weights that
are stored have them multiplied in, and what is left to do for a text is a sum of weights and a division by its norm.

Letters: E examples, F n-grams with a row, K classes, C columns of weights (K, or 1 for two classes), T words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.models.counts.base import Floats, Ints, Labelled, Progress, Sizes
from seqcli.models.counts.checked_arrays import CheckedArrays
from seqcli.models.counts.linear import both_classes, fit_linear, log_probs
from seqcli.models.counts.ngram_rows import NGramRows, Rows

if TYPE_CHECKING:
    from seqcli.recipe.models import BagOfWordsConfig

_ALPHA = 1.0
"""Added to the count of each n-gram in each class before the ratio is taken."""


class BagOfWords:
    """A linear classifier over n-grams; implements `seqcli.models.counts.base.CountsClassifier`.

    Attributes:
        bias: [K] the logits of an empty text.
    """

    def __init__(
        self,
        config: BagOfWordsConfig,
        rows: NGramRows,
        weights_FC: Floats,
        bias_C: Floats,
        idf_F: Floats | None,
        sizes: Sizes,
    ) -> None:
        self.bias: Floats = both_classes(bias_C[None, :], sizes)[0]
        self._rows, self._weights_FC, self._bias_C, self._idf_F = rows, weights_FC, bias_C, idf_F
        self._columns = [np.ascontiguousarray(column) for column in weights_FC.T]
        self._config, self._sizes = config, sizes

    @staticmethod
    def title(config: BagOfWordsConfig) -> str:
        return f"bag of {'words' if config.ngrams == 1 else f'1-{config.ngrams}-grams'}, logistic regression"

    @classmethod
    def fit(
        cls, config: BagOfWordsConfig, data: Labelled, sizes: Sizes, progress: Progress | None = None
    ) -> BagOfWords:
        """Find the n-grams and the best weights; ``min_count`` sees an example once, whatever its weight."""
        from scipy.sparse import csr_array

        rows = NGramRows.fit(
            data.values,
            data.offsets,
            words=sizes.words,
            order=config.ngrams,
            buckets=config.buckets,
            min_count=config.min_count,
        )
        bags = Rows.joined(rows.blocks(data.values, data.offsets))
        counted_E = data.counted()
        values = np.ones(len(bags.rows)) if config.weighting == "binary" else bags.counts.astype(np.float64)
        idf_F = None
        if config.weighting == "tfidf":
            counted_of = np.repeat(counted_E, np.diff(bags.ends))
            idf_F = np.log((1 + counted_E.sum()) / (1 + np.bincount(bags.rows, counted_of, rows.size))) + 1
            values *= idf_F[bags.rows]
        items = csr_array((values, bags.rows, bags.ends), shape=(len(counted_E), rows.size))
        ratio_FC = None
        if config.naive_bayes:
            ratio_FC = _log_ratio(items, data.truth(sizes), counted_E)[:, -sizes.columns :]
        if config.normalize:
            items.data /= np.repeat(_norms(values, bags.ends), np.diff(bags.ends))
        weights_FC, bias_C = fit_linear(
            items, data, sizes, regularization=config.regularization, scale=ratio_FC, progress=progress
        )
        if idf_F is not None:
            weights_FC *= idf_F[:, None]
            idf_F = idf_F.astype(np.float32) if config.normalize else None
        return cls(config, rows, weights_FC.astype(np.float32), bias_C.astype(np.float32), idf_F, sizes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The n-grams (see `NGramRows.arrays`), ``weights`` [F, C], ``bias`` [C]; ``idf`` [F] where norms need it."""
        arrays = {**self._rows.arrays(), "weights": self._weights_FC, "bias": self._bias_C}
        return arrays if self._idf_F is None else {**arrays, "idf": self._idf_F}

    @classmethod
    def from_arrays(
        cls, config: BagOfWordsConfig, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None
    ) -> BagOfWords:
        checked = CheckedArrays(arrays, "bag of words", file)
        rows = NGramRows.from_arrays(checked, order=config.ngrams, words=sizes.words, buckets=config.buckets)
        weights_FC = checked.floats("weights", (rows.size, sizes.columns))
        bias_C = checked.floats("bias", (sizes.columns,))
        needs_idf = config.weighting == "tfidf" and config.normalize
        idf_F = checked.floats("idf", (rows.size,), least=0.5) if needs_idf else None
        checked.nothing_left()
        return cls(config, rows, weights_FC, bias_C, idf_F, sizes)

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        blocks = [log_probs(self._logits(bags), self._sizes) for bags in self._rows.blocks(values, offsets)]
        return np.concatenate([np.zeros((0, self._sizes.classes), np.float32), *blocks])

    def contributions(self, values: NDArray[Any]) -> Floats:
        """What each word of a text gives to the logit of each class, [T, K].

        An n-gram's part is shared equally by its words; the parts and `bias` add up to the logits, whose softmax
        (multilabel: sigmoid) are the probabilities. Of two classes each has half, with opposite signs.
        """
        ids = np.asarray(values, np.int64)
        occurrences = [one for one in self._rows.occurrences(ids, np.array([0, len(ids)])) if len(one[1])]
        parts_TC = np.zeros((len(ids), len(self._bias_C)))
        if occurrences:
            different, numbers, counts = np.unique(
                np.concatenate([rows for _, _, rows in occurrences]), return_inverse=True, return_counts=True
            )
            (norm,) = self._norms(Rows(different, counts, np.array([0, len(different)])))
            # each occurrence has its share in the value of its n-gram: all of one count, a part of a single 1
            share = (1 / counts if self._config.weighting == "binary" else np.ones(len(counts)))[numbers] / norm
            for length, at, rows in occurrences:
                here, share = share[: len(rows)] / length, share[len(rows) :]
                for further in range(length):
                    np.add.at(parts_TC, at + further, self._weights_FC[rows] * here[:, None])
        return both_classes(parts_TC.astype(np.float32), self._sizes)

    def _logits(self, bags: Rows) -> Floats:
        """Of a block of examples, [E, C]."""
        logits_EC = np.zeros((len(bags.ends) - 1, len(self._columns)), np.float32)
        full = np.flatnonzero(np.diff(bags.ends))  # reduceat knows no empty stretch
        if len(full):
            begins, norms = bags.ends[full], self._norms(bags)[full]
            for number, column in enumerate(self._columns):
                parts = column.take(bags.rows)
                if self._config.weighting != "binary":
                    parts *= bags.counts
                logits_EC[full, number] = np.add.reduceat(parts, begins) / norms
        logits_EC += self._bias_C
        return logits_EC

    def _norms(self, bags: Rows) -> Floats:
        if not self._config.normalize:
            return np.ones(len(bags.ends) - 1, np.float32)
        if self._config.weighting == "binary":
            return np.sqrt(np.diff(bags.ends), dtype=np.float32)
        values = bags.counts.astype(np.float32)
        return _norms(values if self._idf_F is None else values * self._idf_F.take(bags.rows), bags.ends)


def _norms(values: NDArray[Any], ends: Ints) -> NDArray[Any]:
    """The Euclidean norm of each stretch, 0 of an empty one."""
    squares = np.zeros(len(ends) - 1, values.dtype)
    full = np.flatnonzero(np.diff(ends))
    if len(full):
        squares[full] = np.add.reduceat(values * values, ends[full])
    return np.sqrt(squares)


def _log_ratio(items: Any, truth_EK: NDArray[np.float64], counted_E: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of an n-gram's share in a class over its share in all the others (equation 2), [F, K]."""
    inside_FK = items.T @ (truth_EK * counted_E[:, None])
    outside_FK = (items.T @ counted_E)[:, None] - inside_FK + _ALPHA
    inside_FK += _ALPHA
    ratio_FK: NDArray[np.float64] = np.log(inside_FK / inside_FK.sum(0)) - np.log(outside_FK / outside_FK.sum(0))
    return ratio_FK
