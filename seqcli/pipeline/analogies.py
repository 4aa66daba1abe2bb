"""Measuring word vectors on analogy questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqcli.metrics.analogies import AnalogyCount, Section, analogy_score
from seqcli.metrics.score import Score
from seqcli.text.word_vectors import WordVectors


def evaluate_analogies(vectors: WordVectors, sections: Sequence[Section], method: str = "3cosadd") -> Score:
    """Ask every question whose four words have a vector, all words as possible answers but the three of the question.

    Words are looked up in lower case where the vocabulary is lower-cased. See `analogy_score` for the counts.

    Raises:
        UserError: an unknown method (2).
    """
    rows = [[vectors.find(word) for word in question] for section in sections for question in section.questions]
    covered = np.array([None not in row for row in rows], bool)
    asked = np.array([row for row in rows if None not in row], np.int64).reshape(-1, 4)
    right = np.zeros(len(rows), bool)
    right[covered] = vectors.answers(asked[:, :3], method) == asked[:, 3]
    counts, start = [], 0
    for section in sections:
        place = slice(start, start + len(section.questions))
        counts.append(
            AnalogyCount(section.name, len(section.questions), int(covered[place].sum()), int(right[place].sum()))
        )
        start = place.stop
    return analogy_score(counts, method, len(vectors), vectors.lowercase)
