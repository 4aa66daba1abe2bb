"""Captions that somebody wrote of a training image: any one, the nearest image's, or what its neighbours agree on.

Letters: B images asked about, N training images, C captions, D values of a vector, K neighbours, G n-grams.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error
from seqcli.metrics.captions import ORDER, document_counts, ngrams
from seqcli.models.counts.base import Floats, Ints, Progress
from seqcli.models.counts.checked_arrays import CheckedArrays

if TYPE_CHECKING:
    from seqcli.recipe.models import ConsensusCaptionConfig, NearestCaptionConfig, RandomCaptionConfig


@dataclass(frozen=True)
class Captions:
    """Images with their captions: ``vectors_ND``, the texts, and the image ``owners_C`` that each is of (sorted)."""

    vectors_ND: Floats
    texts: Sequence[str]
    owners_C: Ints


class CaptionModel(ABC):
    """What the three share: the captions as arrays of bytes, so that they lie in a file of weights."""

    def __init__(self, config: Any, captions: Captions, seed: int) -> None:
        self.config, self.known, self.seed = config, captions, seed

    @classmethod
    def fit(cls, config: Any, captions: Captions, seed: int, progress: Progress | None = None) -> Self:
        if progress is not None:
            progress(1, 1)
        return cls(config, captions, seed)

    @staticmethod
    @abstractmethod
    def title(config: Any) -> str:
        """The model as a report names it."""

    @abstractmethod
    def captions(self, vectors_BD: Floats) -> list[str]:
        """A caption for each image."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``vectors`` [N, D], ``owners`` [C], ``texts`` (UTF-8, one after the other), ``ends`` [C] and ``seed`` [1]."""
        blobs = [text.encode("utf-8") for text in self.known.texts]
        return {
            "vectors": np.asarray(self.known.vectors_ND, np.float32),
            "owners": np.asarray(self.known.owners_C, np.int64),
            "texts": np.frombuffer(b"".join(blobs), np.uint8),
            "ends": np.cumsum([len(blob) for blob in blobs], dtype=np.int64),
            "seed": np.array([self.seed], np.int64),
        }

    @classmethod
    def from_arrays(cls, config: Any, arrays: Mapping[str, NDArray[Any]], values: int, file: object = None) -> Self:
        """The model of its `arrays`, which may come from anywhere; ``values`` of a vector.

        Raises:
            UserError: they are no such model (65, naming ``file``).
        """
        checked = CheckedArrays(arrays, "captions of images", file)
        vectors_ND = checked.floats("vectors", (None, values))
        owners_C = checked.whole("owners", 0, len(vectors_ND))
        blob = checked.bytes("texts")
        ends_C = checked.whole("ends", 0, len(blob) + 1, len(owners_C))
        seed = checked.whole("seed", 0, 2**63 - 1, 1)
        checked.nothing_left()
        if not len(owners_C) or (np.diff(owners_C) < 0).any() or (np.diff(ends_C) < 0).any():
            raise data_error("no captions of images: they are not in order", file=file)
        try:
            texts = [blob[a:b].decode("utf-8") for a, b in zip([0, *ends_C.tolist()], ends_C.tolist(), strict=False)]
        except UnicodeDecodeError as error:
            raise data_error("no captions of images: 'texts' is not UTF-8", file=file) from error
        return cls(config, Captions(vectors_ND, texts, owners_C), int(seed[0]))

    # -- neighbours

    @cached_property
    def _unit_ND(self) -> Floats:
        return self._unit(self.known.vectors_ND)

    @cached_property
    def _scaling(self) -> tuple[Floats, Floats]:
        vectors_ND = self.known.vectors_ND
        deviation_D = vectors_ND.std(0)
        deviation_D[deviation_D <= 0] = 1
        return vectors_ND.mean(0), deviation_D

    def _unit(self, vectors_BD: Floats) -> Floats:
        """Vectors scaled by the training data, of length 1: their products are cosines."""
        mean_D, deviation_D = self._scaling
        scaled_BD = (vectors_BD - mean_D) / deviation_D
        unit_BD: Floats = scaled_BD / np.maximum(np.linalg.norm(scaled_BD, axis=1, keepdims=True), 1e-12)
        return unit_BD

    def neighbours(self, vectors_BD: Floats, count: int) -> Ints:
        """The training images [B, K] with the highest cosine, the nearest first."""
        similar_BN = self._unit(vectors_BD) @ self._unit_ND.T
        order_BN: Ints = np.argsort(-similar_BN, axis=1, kind="stable")
        return order_BN[:, :count]

    def captions_of(self, image: int) -> range:
        """The numbers of the captions of a training image."""
        return range(*np.searchsorted(self.known.owners_C, [image, image + 1]).tolist())


class RandomCaption(CaptionModel):
    """Any caption of the training data, drawn by the recipe's seed: what every captioner has to beat."""

    @staticmethod
    def title(config: RandomCaptionConfig) -> str:
        return "random training caption"

    def captions(self, vectors_BD: Floats) -> list[str]:
        """Drawn by what the image is, so that no batch changes it."""
        texts = self.known.texts
        found = []
        for vector_D in np.asarray(vectors_BD, np.float32):
            own = np.random.default_rng([self.seed, *np.frombuffer(vector_D.tobytes(), np.uint32).tolist()])
            found.append(texts[int(own.integers(len(texts)))])
        return found


class NearestCaption(CaptionModel):
    """The first caption of the nearest training image that has one."""

    @staticmethod
    def title(config: NearestCaptionConfig) -> str:
        return "nearest neighbour"

    def captions(self, vectors_BD: Floats) -> list[str]:
        return [
            next(self.known.texts[number] for image in row for number in self.captions_of(image))
            for row in self.neighbours(vectors_BD, len(self.known.vectors_ND)).tolist()
        ]


class ConsensusCaption(CaptionModel):
    """The caption of the neighbours that is most like their others (Devlin et al. 2015).

    Likeness is CIDEr: the mean over n-grams of 1 to 4 tokens of the cosine of tf-idf vectors, in lower case. Of each
    caption the ``agreeing`` others that are most like it count, so that a minority of odd ones does not.
    """

    @staticmethod
    def title(config: ConsensusCaptionConfig) -> str:
        return f"consensus of {config.neighbours} neighbours"

    def captions(self, vectors_BD: Floats) -> list[str]:
        rows = self.neighbours(vectors_BD, self.config.neighbours).tolist()
        candidates = [[number for image in row for number in self.captions_of(image)] for row in rows]
        return [self.known.texts[self.consensus(some)] for some in candidates]

    def consensus(self, numbers: Sequence[int]) -> int:
        """The one of some captions (by their numbers) that is most like the others; the first of equal ones."""
        likeness_CC = self.likeness(numbers)
        np.fill_diagonal(likeness_CC, -np.inf)
        most = max(1, min(self.config.agreeing, len(numbers) - 1))
        best_C = -np.sort(-likeness_CC, axis=1)[:, :most].sum(1)
        return numbers[int(best_C.argmax())]

    def likeness(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """CIDEr of each of some captions against each other [C, C]."""
        rows = [self._rows[number] for number in numbers]
        grams, columns = np.unique(np.concatenate([ids for ids, _ in rows]), return_inverse=True)
        weights_CG = np.zeros((len(numbers), len(grams)))
        weights_CG[np.repeat(np.arange(len(rows)), [len(ids) for ids, _ in rows]), columns] = np.concatenate(
            [weights for _, weights in rows]
        )
        likeness_CC: NDArray[np.float64] = weights_CG @ weights_CG.T
        return likeness_CC

    @cached_property
    def _rows(self) -> list[tuple[Ints, NDArray[np.float64]]]:
        """Of each caption the numbers of its n-grams and their tf-idf, scaled so that a product of two is their CIDEr."""
        texts = [text.lower() for text in self.known.texts]
        images = [[texts[number] for number in self.captions_of(image)] for image in range(len(self.known.vectors_ND))]
        frequency = document_counts(one for one in images if one)
        number_of = {gram: number for number, gram in enumerate(frequency)}
        rarity_G = np.log(sum(map(bool, images))) - np.log(np.array([*frequency.values()], np.float64))
        found = []
        for text in texts:
            counts = ngrams(text)
            ids = np.array([number_of[gram] for gram in counts], np.int64)
            weights = np.array([*counts.values()], np.float64) * rarity_G[ids]
            orders = np.array([len(gram) for gram in counts], np.int64)
            norms = np.sqrt(np.bincount(orders, weights**2, minlength=ORDER + 1))
            found.append((ids, weights / np.maximum(norms[orders], 1e-12) / ORDER**0.5))
        return found
