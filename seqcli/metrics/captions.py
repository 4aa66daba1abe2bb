"""CIDEr-D and ROUGE-L of captions with several references, as the COCO caption evaluation computes them.

Sources: CIDEr-D (Vedantam et al. 2015, section 6), ROUGE-L (Lin 2004). Tokens are what white space separates; whoever
compares with other people's figures cuts and lower-cases texts as they did. METEOR and SPICE need Java: left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.metrics.score import Score, signature

ORDER = 4
_SIGMA = 6.0
_BETA = 1.2

Ngram = tuple[str, ...]
_Weights = list[dict[Ngram, float]]


def ngrams(text: str) -> Counter[Ngram]:
    """The n-grams of 1 to 4 tokens of a text, and how often each stands there."""
    tokens = text.split()
    return Counter(
        tuple(tokens[at : at + order]) for order in range(1, ORDER + 1) for at in range(len(tokens) - order + 1)
    )


def document_counts(references: Iterable[Sequence[str]]) -> Counter[Ngram]:
    """In how many images' references each n-gram stands."""
    return Counter(gram for texts in references for gram in set().union(*map(ngrams, texts)))


class CiderD:
    """CIDEr-D against the references of some images, whose n-grams are also what is counted as rare or frequent.

    Scaled so that 100 is what papers write as 1.0 or as 100; a perfect caption of rare words may reach 1000.
    """

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        self._frequency = document_counts(references)
        self._log_images = math.log(len(references)) if references else 0.0
        self._references = [[self._weights(text) for text in texts] for texts in references]

    def score(self, texts: Sequence[str]) -> tuple[Score, NDArray[np.float64]]:
        """The mean over the images, and the value of each."""
        values = np.array([self._one(text, own) for text, own in zip(texts, self._references, strict=True)], np.float64)
        references = max(map(len, self._references), default=0)
        told = signature("cider-d", nrefs=references, n=ORDER, sigma=_SIGMA, df="references", scale=100, tok="none")
        mean = float(values.mean()) if len(values) else 0.0
        return Score("CIDEr-D", mean, told, {"images": len(values)}), values

    def _weights(self, text: str) -> tuple[_Weights, list[float], int]:
        """tf-idf of the n-grams of each order, its length, and the number of pairs of tokens."""
        weights: _Weights = [{} for _ in range(ORDER)]
        counts = ngrams(text)
        for gram, count in counts.items():
            weights[len(gram) - 1][gram] = count * (self._log_images - math.log(max(1.0, self._frequency[gram])))
        norms = [math.sqrt(sum(weight**2 for weight in own.values())) for own in weights]
        return weights, norms, max(0, len(text.split()) - 1)

    def _one(self, text: str, references: Sequence[tuple[_Weights, list[float], int]]) -> float:
        mine, norms, length = self._weights(text)
        total = 0.0
        for theirs, their_norms, their_length in references:
            similarity = 0.0
            for order in range(ORDER):
                if norms[order] and their_norms[order]:
                    own, other = mine[order], theirs[order]
                    shared = sum(min(own[gram], other[gram]) * other[gram] for gram in own.keys() & other.keys())
                    similarity += shared / (norms[order] * their_norms[order])
            total += similarity / ORDER * math.exp(-((length - their_length) ** 2) / (2 * _SIGMA**2))
        return 1000 * total / len(references)


def rouge_l(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """The mean over images of F (beta 1.2) of the longest common subsequence; precision and recall are the best of all
    references, each for itself."""
    values = [_rouge(text, own) for text, own in zip(texts, references, strict=True)]
    told = signature("rouge-l", nrefs=max(map(len, references), default=0), beta=_BETA, tok="none")
    return Score("ROUGE-L", 100 * sum(values) / max(1, len(values)), told, {"images": len(values)})


def _rouge(text: str, references: Sequence[str]) -> float:
    from rapidfuzz.distance import LCSseq

    tokens = text.split()
    precision = recall = 0.0
    for reference in references:
        theirs = reference.split()
        common = LCSseq.similarity(tokens, theirs)
        precision, recall = max(precision, common / max(1, len(tokens))), max(recall, common / max(1, len(theirs)))
    if not (precision and recall):
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
