"""Word vectors put to use: nearest neighbours and analogies.

Shapes: V words, D values a vector, Q questions or queries. Numpy alone; nothing larger than the matrix itself is made,
so that 400,000 vectors of 300 values (480 MB) are no trouble. Among words with equal scores the first comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import usage_error

WORD_TABLE = "embedder.words.weight"
"""Where every model that has word vectors keeps them: a tensor [V, D], in the order of vocabulary.txt."""

MEASURES = ("cosine", "euclidean", "manhattan")
"""Cosine is a similarity (1 is the same direction); the other two are distances (0 is the same point)."""

METHODS = ("3cosadd", "3cosmul")
"""3CosAdd: Mikolov et al. 2013; 3CosMul: Levy and Goldberg 2014."""

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]

_EPSILON = 0.001
"""What Levy and Goldberg add to the denominator, so that it is never 0."""

_ROWS_AT_ONCE = 4096
_QUESTIONS_AT_ONCE = 256
"""A block of scores, words x questions, then fits into a processor's cache (4 MB)."""

_SPELLINGS = 50_000
"""Words, from the first, that are looked through for a similar spelling."""


class Near(NamedTuple):
    """A word and its score: a similarity, or a distance, whichever was asked for."""

    word: str
    score: float


class WordVectors:
    """Words and their vectors.

    Attributes:
        words: V different words, most frequent first where that is known.
        matrix: their vectors [V, D].
    """

    def __init__(self, words: Sequence[str], matrix: Matrix) -> None:
        if len(words) != len(matrix):
            raise ValueError(f"{len(words)} words but {len(matrix)} vectors")
        self.words = list(words)
        self.matrix = matrix
        self._rows = {word: row for row, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @property
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    @cached_property
    def lowercase(self) -> bool:
        """Whether no word has a capital letter: words are then looked up in lower case."""
        return all(word == word.lower() for word in self.words)

    def find(self, word: str) -> int | None:
        row = self._rows.get(word)
        return self._rows.get(word.lower()) if row is None and self.lowercase else row

    def row_of(self, word: str) -> int:
        """The row of a word.

        Raises:
            UserError: the word has none (2), with the nearest spellings.
        """
        row = self.find(word)
        if row is None:
            near = self.similar_spellings(word)
            hint = f"Did you mean {_either(near)}?" if near else None
            raise usage_error(f"there is no vector of '{word}'", hint=hint)
        return row

    def similar_spellings(self, word: str, count: int = 3) -> list[str]:
        """Known words that are spelled much like this one."""
        from difflib import get_close_matches

        near = [
            other
            for other in self.words[:_SPELLINGS]
            if abs(len(other) - len(word)) <= 2 and (other[:1] == word[:1] or other[-1:] == word[-1:])
        ]
        return get_close_matches(word, near, n=count, cutoff=0.7)

    def neighbors(self, query: str | Matrix, k: int = 10, measure: str = "cosine") -> list[Near]:
        """The k words nearest to a word (itself left out) or to a vector [D], nearest first.

        Raises:
            UserError: an unknown word, measure, or a k below 1 (2).
        """
        _check(k, measure)
        if isinstance(query, str):
            row = self.row_of(query)
            return self._nearest(self.matrix[row], k, measure, {row})
        return self._nearest(query, k, measure, ())

    def analogy(
        self, a: str, b: str, c: str, k: int = 10, method: str = "3cosadd", measure: str = "cosine"
    ) -> list[Near]:
        """The k best answers to "a is to b as c is to ?"; a, b and c are left out.

        3CosAdd takes the words nearest to b - a + c, of vectors of length 1 for the cosine and of the vectors as they
        are for a distance. 3CosMul takes those with the largest ``sim(b) sim(c) / sim(a)``, a similarity being
        ``(cosine + 1) / 2``.

        Raises:
            UserError: an unknown word, method or measure, 3CosMul with a distance, or a k below 1 (2).
        """
        _check(k, measure, method)
        rows = [self.row_of(word) for word in (a, b, c)]
        if method == "3cosmul":
            a_V, b_V, c_V = (_similarity(self._cosines(self.matrix[row])) for row in rows)
            return self._best(b_V * c_V / (a_V + np.float32(_EPSILON)), k, rows)
        vectors = self._units(rows) if measure == "cosine" else self.matrix[rows]
        return self._nearest(vectors[1] - vectors[0] + vectors[2], k, measure, rows)

    def answers(self, questions: Rows, method: str = "3cosadd") -> Rows:
        """The row [Q] of the best answer to each question of a table [Q, 3] of rows, as `analogy` gives it by cosine.

        -1 where no word is left to answer with. Whole blocks of questions and words go through one matrix product.

        Raises:
            UserError: an unknown method (2).
        """
        _check(1, "cosine", method)
        best = np.full(len(questions), -np.inf, np.float32)
        answers = np.full(len(questions), -1, np.int64)
        for start, block in self._blocks():
            unit_vectors = block / self._norms[start : start + len(block), None]
            for first in range(0, len(questions), _QUESTIONS_AT_ONCE):
                some = questions[first : first + _QUESTIONS_AT_ONCE]
                scores = self._question_scores(some, unit_vectors, method)
                inside = (some >= start) & (some < start + len(unit_vectors))
                question, place = np.nonzero(inside)
                scores[question, some[question, place] - start] = -np.inf
                top = scores.argmax(axis=1)
                values = scores[np.arange(len(some)), top]
                better = np.flatnonzero(values > best[first : first + len(some)])
                best[first + better] = values[better]
                answers[first + better] = top[better] + start
        return answers

    def _question_scores(self, questions: Rows, unit_vectors: Matrix, method: str) -> Matrix:
        if method == "3cosadd":
            a, b, c = (self._units(questions[:, column]) for column in range(3))
            return np.asarray((b - a + c) @ unit_vectors.T, np.float32)
        words, place = np.unique(questions, return_inverse=True)
        similar = _similarity(self._units(words) @ unit_vectors.T)
        divided = 1 / (similar + np.float32(_EPSILON))
        a, b, c = place.reshape(questions.shape).T
        product = similar[b]  # in place from here: three times as fast as an expression
        product *= similar[c]
        product *= divided[a]
        return product

    @cached_property
    def _norms(self) -> Matrix:
        """Length of each vector; 1 for one of zeros, whose cosine with anything is then 0."""
        norms: Matrix = np.sqrt(np.einsum("vd,vd->v", self.matrix, self.matrix))
        norms[norms == 0] = 1
        return norms

    def _units(self, rows: Sequence[int] | Rows) -> Matrix:
        units: Matrix = self.matrix[rows] / self._norms[rows, None]
        return units

    def _blocks(self) -> Iterator[tuple[int, Matrix]]:
        for start in range(0, len(self), _ROWS_AT_ONCE):
            yield start, self.matrix[start : start + _ROWS_AT_ONCE]

    def _cosines(self, vector: Matrix) -> Matrix:
        length = float(np.linalg.norm(vector)) or 1.0
        cosines: Matrix = self.matrix @ vector
        cosines /= self._norms * np.float32(length)
        return cosines

    def _distances(self, vector: Matrix, order: int) -> Matrix:
        """Distances [V]; differences are taken first, because a product loses the small ones."""
        distances = np.empty(len(self), np.float32)
        for start, block in self._blocks():
            distances[start : start + len(block)] = np.linalg.norm(block - vector, ord=order, axis=1)
        return distances

    def _nearest(self, vector: Matrix, k: int, measure: str, excluded: Collection[int]) -> list[Near]:
        if measure == "cosine":
            return self._best(self._cosines(vector), k, excluded)
        nearest = self._best(-self._distances(vector, 2 if measure == "euclidean" else 1), k, excluded)
        return [Near(word, abs(score)) for word, score in nearest]

    def _best(self, scores: Matrix, k: int, excluded: Collection[int]) -> list[Near]:
        scores[list(excluded)] = -np.inf
        k = min(k, len(scores) - len(set(excluded)))
        if k < 1:
            return []
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        rows = np.flatnonzero(scores >= least)
        order = rows[np.argsort(-scores[rows], kind="stable")][:k]
        return [Near(self.words[row], float(scores[row])) for row in order.tolist()]


def _similarity(cosines: Matrix) -> Matrix:
    """Cosines moved from -1..1 to 0..1, as 3CosMul needs them."""
    cosines *= np.float32(0.5)
    cosines += np.float32(0.5)
    return cosines


def _check(k: int, measure: str, method: str = "3cosadd") -> None:
    if k < 1:
        raise usage_error(f"k is the number of words wanted, at least 1, not {k}")
    for what, value, known in (("measure", measure, MEASURES), ("method", method, METHODS)):
        if value not in known:
            raise usage_error(f"unknown {what} '{value}'", hint=f"Known: {', '.join(known)}.")
    if method == "3cosmul" and measure != "cosine":
        raise usage_error(f"3cosmul multiplies cosines; it has no {measure} form", hint="Use 3cosadd.")


def _either(choices: Sequence[str]) -> str:
    quoted = [f"'{choice}'" for choice in choices]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)
