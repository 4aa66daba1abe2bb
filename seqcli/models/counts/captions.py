"""Captions that somebody wrote of a training image: any one, the nearest image's, or what its neighbours agree on.

Letters: A, B texts or images asked about, N training images, C captions, D values of a vector, K neighbours, G n-grams, M of them
in all captions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
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
    def _nearest(self) -> Nearest:
        return Nearest(self.known.vectors_ND)

    def neighbours(self, vectors_BD: Floats, count: int) -> Ints:
        """The training images [B, K] with the highest cosine, the nearest first."""
        return self._nearest.find(vectors_BD, count)

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
        return products(rows, rows)

    @cached_property
    def _rows(self) -> list[Row]:
        likeness = Likeness.of(self.known)
        return [likeness.row(text) for text in self.known.texts]


class Reranker:
    """Chooses among the texts written for an image by the captions of its nearest training images (Mao et al. 2015).

    What most of them say is more often right than what one network thinks likeliest.
    """

    def __init__(self, vectors_ND: Floats, owners_C: Ints, likeness: Likeness, rows: Rows) -> None:
        self._nearest, self._owners_C, self._likeness, self._rows = Nearest(vectors_ND), owners_C, likeness, rows

    @classmethod
    def of(cls, captions: Captions) -> Reranker:
        likeness = Likeness.of(captions)
        rows = Rows.of([likeness.row(text) for text in captions.texts])
        vectors_ND = captions.vectors_ND.astype(np.float16).astype(np.float32)  # as it will be loaded
        return cls(vectors_ND, np.asarray(captions.owners_C, np.int64), likeness, rows)

    def agreement(self, vector_D: Floats, texts: Sequence[str], neighbours: int) -> NDArray[np.float64]:
        """For each text the mean of its CIDEr against every caption of so many nearest images, times 100."""
        images = self._nearest.find(vector_D[None], neighbours)[0]
        ends = np.searchsorted(self._owners_C, np.stack([images, images + 1]))
        captions = [number for begin, end in ends.T.tolist() for number in range(begin, end)]
        found: NDArray[np.float64] = products(
            [self._likeness.row(text) for text in texts], [self._rows[number] for number in captions]
        )
        return 100 * found.mean(1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``vectors`` [N, D], ``owners`` [C]; n-grams by hash, ``grams`` [G], with their ``rarity`` [G]; the n-grams of
        each caption, ``ids`` [M] and ``weights`` [M] up to ``ends`` [C]."""
        return {
            "vectors": self._nearest.vectors_ND.astype(np.float16),
            "owners": self._owners_C,
            "grams": self._likeness.grams_G,
            "rarity": self._likeness.rarity_G,
            "ids": self._rows.ids_M,
            "weights": self._rows.weights_M,
            "ends": self._rows.ends_C,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], values: int, file: object = None) -> Reranker:
        """What the `arrays` of one make, which may come from anywhere; ``values`` of a vector.

        Raises:
            UserError: they are none (65, naming ``file``).
        """
        checked = CheckedArrays(arrays, "captions of training images", file)
        vectors_ND = checked.floats("vectors", (None, values), dtype=np.float16).astype(np.float32)
        owners_C = checked.whole("owners", 0, len(vectors_ND))
        grams_G = checked.hashes("grams")
        rarity_G = checked.floats("rarity", (len(grams_G),))
        ids_M = checked.whole("ids", 0, len(grams_G))
        weights_M = checked.floats("weights", (len(ids_M),))
        ends_C = checked.whole("ends", 0, len(ids_M) + 1, len(owners_C))
        checked.nothing_left()
        if not len(owners_C) or (np.diff(owners_C) < 0).any() or (np.diff(ends_C) < 0).any():
            raise data_error("no captions of training images: they are not in order", file=file)
        return cls(vectors_ND, owners_C, Likeness(grams_G, rarity_G), Rows(ids_M, weights_M, ends_C))


class Nearest:
    """Training images by the cosine of their vectors, scaled by the training data."""

    def __init__(self, vectors_ND: Floats) -> None:
        self.vectors_ND = vectors_ND
        self._mean_D, self._deviation_D = vectors_ND.mean(0), vectors_ND.std(0)
        self._deviation_D[self._deviation_D <= 0] = 1
        self._unit_ND = self._unit(vectors_ND)

    def _unit(self, vectors_BD: Floats) -> Floats:
        scaled_BD = (vectors_BD - self._mean_D) / self._deviation_D
        unit_BD: Floats = scaled_BD / np.maximum(np.linalg.norm(scaled_BD, axis=1, keepdims=True), 1e-12)
        return unit_BD

    def find(self, vectors_BD: Floats, count: int) -> Ints:
        """The numbers [B, K] of those with the highest cosine, the nearest first."""
        similar_BN = self._unit(vectors_BD) @ self._unit_ND.T
        order_BN: Ints = np.argsort(-similar_BN, axis=1, kind="stable")
        return order_BN[:, :count]


Row = tuple[Ints, Floats]
"""The n-grams of a text, by their numbers in `Likeness`, and their tf-idf, scaled so that a product of two is their CIDEr."""


class Likeness:
    """CIDEr of texts in lower case, with the n-grams of some images' captions told apart by 64 bits of hash.

    ``grams_G`` rise; ``rarity_G`` is ln of images over images in whose captions one stands.
    """

    def __init__(self, grams_G: NDArray[np.uint64], rarity_G: Floats) -> None:
        self.grams_G, self.rarity_G = grams_G, rarity_G
        self._unseen = float(rarity_G.max(initial=0))  # as rare as what stands in one image's captions

    @classmethod
    def of(cls, captions: Captions) -> Likeness:
        images: dict[int, list[str]] = {}
        for owner, text in zip(captions.owners_C.tolist(), captions.texts, strict=True):
            images.setdefault(owner, []).append(text.lower())
        frequency = document_counts(images.values())
        grams_G = np.array([*map(_hash, frequency)], np.uint64)
        rarity_G = np.log(len(images)) - np.log(np.array([*frequency.values()], np.float64))
        order = np.argsort(grams_G, kind="stable")
        return cls(grams_G[order], rarity_G[order].astype(np.float32))

    def row(self, text: str) -> Row:
        counts = ngrams(text.lower())
        hashes = np.array([*map(_hash, counts)], np.uint64)
        ids = np.searchsorted(self.grams_G, hashes).clip(max=max(0, len(self.grams_G) - 1))
        known = self.grams_G[ids] == hashes
        weights = np.array([*counts.values()], np.float64) * np.where(known, self.rarity_G[ids], self._unseen)
        orders = np.array([len(gram) for gram in counts], np.int64)
        norms = np.sqrt(np.bincount(orders, weights**2, minlength=ORDER + 1))
        scaled = weights / np.maximum(norms[orders], 1e-12) / ORDER**0.5
        return ids[known], scaled[known].astype(np.float32)


def _hash(gram: tuple[str, ...]) -> int:
    return int.from_bytes(blake2b(" ".join(gram).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Rows:
    """A `Row` of each of C captions, one after the other."""

    ids_M: Ints
    weights_M: Floats
    ends_C: Ints

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        ids, weights = zip(*rows, strict=True)
        return cls(np.concatenate(ids), np.concatenate(weights), np.cumsum([*map(len, ids)], dtype=np.int64))

    def __getitem__(self, number: int) -> Row:
        part = slice(int(self.ends_C[number - 1]) if number else 0, int(self.ends_C[number]))
        return self.ids_M[part], self.weights_M[part]


def products(some: Sequence[Row], others: Sequence[Row]) -> NDArray[np.float64]:
    """CIDEr of each text against each of the others [A, B]."""
    rows = [*some, *others]
    grams, columns = np.unique(np.concatenate([ids for ids, _ in rows]), return_inverse=True)
    weights_CG = np.zeros((len(rows), len(grams)))
    owners = np.repeat(np.arange(len(rows)), [len(ids) for ids, _ in rows])
    weights_CG[owners, columns] = np.concatenate([weights for _, weights in rows])
    found: NDArray[np.float64] = weights_CG[: len(some)] @ weights_CG[len(some) :].T
    return found
