"""The baselines by their recipe section: fitted, or made of stored arrays. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from seqcli.models.bag_of_words import BagOfWords
from seqcli.models.baselines import Baseline, Majority, MeanPool
from seqcli.models.linear import Told
from seqcli.recipe.encoders import BagOfWordsConfig, MeanPoolConfig


def fit_baseline(
    encoder: Any,
    values: NDArray[Any],
    offsets: NDArray[Any],
    labels: NDArray[Any],
    *,
    words: int,
    classes: int,
    weights: NDArray[Any] | None = None,
    several: bool = False,
    told: Told | None = None,
) -> Baseline:
    """The baseline of a section; ``values`` and ``offsets`` as `Baseline.log_probs` takes them.

    Args:
        labels: [E] the class of each example, or with ``several`` bool [E, classes].
        words: rows of the vocabulary; 0 for frames.
        weights: [E] how much each example counts.
        told: is told (parts done, parts).
    """
    options: dict[str, Any] = {"classes": classes, "weights": weights, "several": several}
    if isinstance(encoder, BagOfWordsConfig):
        return BagOfWords.fit(encoder, values, offsets, labels, words=words, told=told, **options)
    if isinstance(encoder, MeanPoolConfig):
        return MeanPool.fit(encoder, values, offsets, labels, told=told, **options)
    return Majority.fit(encoder, values, offsets, labels, told=told, **options)


def load_baseline(
    encoder: Any,
    arrays: Mapping[str, NDArray[Any]],
    *,
    words: int,
    classes: int,
    several: bool = False,
    file: object = None,
) -> Baseline:
    """The baseline of stored arrays.

    Raises:
        UserError: arrays that are none of this model (65).
    """
    options: dict[str, Any] = {"classes": classes, "several": several, "file": file}
    if isinstance(encoder, BagOfWordsConfig):
        return BagOfWords.from_arrays(arrays, encoder, words=words, **options)
    if isinstance(encoder, MeanPoolConfig):
        return MeanPool.from_arrays(arrays, encoder, **options)
    return Majority.from_arrays(arrays, encoder, **options)
