"""The one door of the models that are no networks: `fit`, `arrays`, `from_arrays`.

Letters: E examples, K classes, C columns of weights (K, or 1 for two classes), N values of all examples, T of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with (parts done, parts)."""


@dataclass(frozen=True)
class Sizes:
    """What a model knows of its task; what does not concern it stays 0.

    Attributes:
        words: rows of the vocabulary; every id is below it.
        classes: K.
        multilabel: an example has any number of labels, each decided on its own.
        channels: numbers in a frame.
        bos: the row that is read before a sequence.
        unk: the row of <UNK>.
    """

    words: int = 0
    classes: int = 0
    multilabel: bool = False
    channels: int = 0
    bos: int = 0
    unk: int = 0

    @property
    def columns(self) -> int:
        """C: two classes are decided by one logit, that of class 1, where class 0 has 0."""
        return 1 if self.classes == 2 and not self.multilabel else self.classes


@dataclass(frozen=True)
class Labelled:
    """Examples of a classifier.

    Attributes:
        values: all examples one after the other: ids of words [N] (0 and 1 are <PAD> and <UNK>), or frames [N, D].
        offsets: [E + 1]; example e is ``values[offsets[e]:offsets[e + 1]]``, and may be empty.
        labels: [E] classes 0 to K-1; multilabel: bool [E, K].
        weights: [E] how much each example counts, none below 0: 2 is as if it were there twice; None: 1 each.
    """

    values: NDArray[Any]
    offsets: NDArray[Any]
    labels: NDArray[Any]
    weights: NDArray[Any] | None = None

    def truth(self, sizes: Sizes) -> NDArray[np.float64]:
        """1 where an example has the label, else 0, [E, K]."""
        if sizes.multilabel:
            return np.asarray(self.labels, np.float64).reshape(-1, sizes.classes)
        return np.eye(sizes.classes)[np.asarray(self.labels, np.int64)]

    def counted(self) -> NDArray[np.float64]:
        return np.ones(len(self.labels)) if self.weights is None else np.asarray(self.weights, np.float64)


@dataclass(frozen=True)
class Tokens:
    """The text of a language model.

    Attributes:
        ids: an array, or what gives one when sliced: all sequences one after the other, each ending in <EOS>.
        offsets: the same of where each sequence begins, and the last one ends.
        stream: the sequences are one running text, so contexts reach over their ends.
    """

    ids: Any
    offsets: Any
    stream: bool = False


class CountsModel(Protocol):
    """A model made of data in one go and kept as arrays; its config is the recipe section of its kind."""

    @staticmethod
    def title(config: Any) -> str:
        """The model as a report names it."""

    @classmethod
    def fit(cls, config: Any, data: Any, sizes: Sizes, progress: Progress | None = None) -> Self:
        """The model of `Labelled` or `Tokens`; the same call gives the same model.

        Raises:
            UserError: data that nothing can be learned from (65).
        """

    @classmethod
    def from_arrays(cls, config: Any, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None) -> Self:
        """The model of its `arrays`, which may come from anywhere.

        Raises:
            UserError: they are no such model: a name, size, type, order or range is wrong (65, naming ``file``).
        """

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learned, by name."""


class CountsClassifier(CountsModel, Protocol):
    """One that classifies sequences."""

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        """ln p of each class for each example of `Labelled` values, [E, K]; multilabel: of each label on its own."""

    def contributions(self, values: NDArray[Any]) -> Floats:
        """What each position of one example gives to the logit of each class, [T, K]; with a bias they add up to it.

        Of two classes each has half, with opposite signs.
        """
