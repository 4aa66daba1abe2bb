"""Bag of words: which n-grams occur in a text, and a linear classifier over them, without torch.

The value of an n-gram is 1, its count c, or c times its inverse document frequency; an example's values are divided
by their Euclidean norm; then they are multiplied by the naive-Bayes log ratio r of their class (Wang and Manning
2012, equations 2 to 4). r, and the inverse document frequency too, is the same for every example, so the weights that
are kept have them multiplied in, and what is left to do for a text is a sum of weights and a division by its norm.

Letters: E examples, F n-grams with a row, K classes, C columns of weights (K, or 1 for two classes), T words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.models.checked_arrays import CheckedArrays
from seqcli.models.linear import Told, both_columns, fit_linear, log_probs
from seqcli.models.ngram_rows import NGramRows, Rows

if TYPE_CHECKING:
    from seqcli.recipe.encoders import BagOfWordsConfig

_ALPHA = 1.0
"""Added to the count of each n-gram in each class before the ratio is taken."""

Floats = NDArray[np.float32]


def bag(ids: NDArray[Any] | Sequence[int], words: int) -> NDArray[np.int64]:
    """How often each of ``words`` words occurs in a text, whatever the order: the lecture's vector."""
    return np.bincount(np.asarray(ids, np.int64), minlength=words)


class BagOfWords:
    """A linear classifier over n-grams; implements `seqcli.models.baselines.Baseline`.

    Attributes:
        classes: K.
        bias: [K] the logits of an empty text.
    """

    def __init__(
        self,
        rows: NGramRows,
        weights_FC: Floats,
        bias_C: Floats,
        idf_F: Floats | None,
        *,
        config: BagOfWordsConfig,
        classes: int,
        several: bool,
    ) -> None:
        self.classes = classes
        self.bias: Floats = both_columns(bias_C[None, :], several=several)[0]
        self._rows, self._weights_FC, self._bias_C, self._idf_F = rows, weights_FC, bias_C, idf_F
        self._columns = [np.ascontiguousarray(column) for column in weights_FC.T]
        self._config, self._several = config, several

    @classmethod
    def fit(
        cls,
        config: BagOfWordsConfig,
        ids: NDArray[Any],
        offsets: NDArray[Any],
        labels: NDArray[Any],
        *,
        words: int,
        classes: int,
        weights: NDArray[Any] | None = None,
        several: bool = False,
        told: Told | None = None,
    ) -> BagOfWords:
        """Find the n-grams and the best weights; the same call gives the same model.

        Args:
            config: n-grams, their values, and the penalty.
            ids: the words of all examples, one after the other; 0 and 1 are <PAD> and <UNK>.
            offsets: [E + 1] where each example begins, and the last one ends.
            labels: [E] classes 0 to K-1; with ``several`` bool [E, K].
            words: rows of the vocabulary; every id is below it.
            classes: K.
            weights: [E] how much each example counts: 2 is as if it were there twice (``min_count`` sees it once).
            several: an example has any number of labels.
            told: is told (parts done, parts).
        """
        from scipy.sparse import csr_array

        rows = NGramRows.fit(
            ids, offsets, words=words, order=config.ngrams, buckets=config.buckets, min_count=config.min_count
        )
        found = _joined(list(rows.blocks(ids, offsets)))
        examples = len(offsets) - 1
        counted = np.ones(examples) if weights is None else np.asarray(weights, np.float64)
        values = np.ones(len(found.rows)) if config.weighting == "binary" else found.counts.astype(np.float64)
        items = csr_array((values, found.rows, found.ends), shape=(examples, rows.size))
        idf = None
        if config.weighting == "tfidf":
            present = csr_array((np.ones(len(found.rows)), found.rows, found.ends), shape=items.shape)
            idf = np.log((1 + counted.sum()) / (1 + present.T @ counted)) + 1
            items.data *= idf[found.rows]
        ratio = None
        if config.naive_bayes:
            truth_EK = np.asarray(labels, np.float64) if several else np.eye(classes)[np.asarray(labels)]
            ratio = _log_ratio(items, truth_EK, counted)
            ratio = ratio[:, 1:] if classes == 2 and not several else ratio
        if config.normalize:
            items.data /= np.repeat(_norms(items.data, found.ends), np.diff(found.ends))
        linear = fit_linear(
            items,
            labels,
            classes=classes,
            regularization=config.regularization,
            several=several,
            weights=weights,
            scale=ratio,
            told=told,
        )
        folded = linear.weights if idf is None else linear.weights * idf[:, None]
        return cls(
            rows,
            folded.astype(np.float32),
            linear.bias.astype(np.float32),
            None if idf is None or not config.normalize else idf.astype(np.float32),
            config=config,
            classes=classes,
            several=several,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learned, by name: the n-grams (see `NGramRows.arrays`), ``weights`` [F, C], ``bias`` [C], ``idf``.

        ``idf`` [F] is there only where an example's norm needs it.
        """
        arrays = {**self._rows.arrays(), "weights": self._weights_FC, "bias": self._bias_C}
        return arrays if self._idf_F is None else {**arrays, "idf": self._idf_F}

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        config: BagOfWordsConfig,
        *,
        words: int,
        classes: int,
        several: bool = False,
        file: object = None,
    ) -> BagOfWords:
        """The model of these `arrays`, which may come from anywhere.

        Raises:
            UserError: they are no such model: a name, size, type, order or range is wrong (65, naming ``file``).
        """
        checked = CheckedArrays(arrays, "bag of words", file)
        rows = NGramRows.from_arrays(checked, order=config.ngrams, words=words, buckets=config.buckets)
        columns = 1 if classes == 2 and not several else classes
        weights_FC = checked.floats("weights", (rows.size, columns))
        bias_C = checked.floats("bias", (columns,))
        needs_idf = config.weighting == "tfidf" and config.normalize
        idf_F = checked.floats("idf", (rows.size,), least=0.5) if needs_idf else None
        checked.nothing_left()
        return cls(rows, weights_FC, bias_C, idf_F, config=config, classes=classes, several=several)

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        """ln p of each class, [E, K]; see `Baseline.log_probs`. ``values`` are ids of words."""
        blocks = [log_probs(self._sums(found), several=self._several) for found in self._rows.blocks(values, offsets)]
        return np.concatenate([np.zeros((0, self.classes), np.float32), *blocks])

    def contributions(self, ids: NDArray[Any]) -> Floats:
        """What each word of a text gives to the logit of each class, [T, K].

        An n-gram's part is shared equally by its words; the parts and `bias` add up to the logits, whose softmax
        (with several labels: sigmoid) are the probabilities. Of two classes each has half, with opposite signs.
        """
        ids = np.asarray(ids, np.int64)
        ends = np.array([0, len(ids)])
        found = [(length, at, rows) for length, at, rows in self._rows.occurrences(ids, ends) if len(at)]
        parts_TC = np.zeros((len(ids), len(self._bias_C)))
        if found:
            different, numbers, counts = np.unique(
                np.concatenate([rows for _, _, rows in found]), return_inverse=True, return_counts=True
            )
            norm = self._norms(Rows(different, counts, np.array([0, len(different)])))
            # each occurrence has its share in the value of its n-gram: all of one count, a part of a single 1
            share = 1 / counts if self._config.weighting == "binary" else np.ones(len(counts))
            begin = 0
            for length, at, rows in found:
                share_of = share[numbers[begin : begin + len(rows)]] / (length * norm[0])
                for further in range(length):
                    np.add.at(parts_TC, at + further, self._weights_FC[rows] * share_of[:, None])
                begin += len(rows)
        return both_columns(parts_TC.astype(np.float32), several=self._several)

    def _sums(self, found: Rows) -> Floats:
        """The logits of a block, [E, C]."""
        logits_EC = np.zeros((len(found.ends) - 1, len(self._columns)), np.float32)
        full = np.flatnonzero(np.diff(found.ends))  # reduceat knows no empty stretch
        if len(full):
            begins, norms = found.ends[full], self._norms(found)[full]
            for number, column in enumerate(self._columns):
                parts = column.take(found.rows)
                if self._config.weighting != "binary":
                    parts *= found.counts
                logits_EC[full, number] = np.add.reduceat(parts, begins) / norms
        logits_EC += self._bias_C
        return logits_EC

    def _norms(self, found: Rows) -> Floats:
        if not self._config.normalize:
            return np.ones(len(found.ends) - 1, np.float32)
        if self._config.weighting == "binary":
            return np.sqrt(np.diff(found.ends), dtype=np.float32)
        values = found.counts.astype(np.float32)
        return _norms(values if self._idf_F is None else values * self._idf_F.take(found.rows), found.ends)


def _norms(values: NDArray[Any], ends: NDArray[np.int64]) -> NDArray[Any]:
    """The Euclidean norm of each stretch, 0 of an empty one."""
    squares = np.zeros(len(ends) - 1, values.dtype)
    full = np.flatnonzero(np.diff(ends))
    if len(full):
        squares[full] = np.add.reduceat(values * values, ends[full])
    return np.sqrt(squares)


def _joined(blocks: list[Rows]) -> Rows:
    counts = np.concatenate([np.zeros(0, np.int64), *(block.counts for block in blocks)])
    rows = np.concatenate([np.zeros(0, np.int64), *(block.rows for block in blocks)])
    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(block.ends) for block in blocks)])
    return Rows(rows, counts, np.cumsum(sizes))


def _log_ratio(items: Any, truth_EK: NDArray[np.float64], counted_E: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of an n-gram's share in a class over its share in all the others (equation 2), [F, K]."""
    inside_FK = items.T @ (truth_EK * counted_E[:, None])
    outside_FK = (items.T @ counted_E)[:, None] - inside_FK + _ALPHA
    inside_FK += _ALPHA
    ratio_FK: NDArray[np.float64] = np.log(inside_FK / inside_FK.sum(0)) - np.log(outside_FK / outside_FK.sum(0))
    return ratio_FK
