"""Baselines of classification that need no network and no torch: what any model has to beat.

They, and `seqcli.models.bag_of_words.BagOfWords`, share one small protocol, `Baseline`. Letters: E examples, K classes,
C columns of weights (K, or 1 for two classes), N frames, D channels, T frames of one example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error
from seqcli.models.checked_arrays import CheckedArrays
from seqcli.models.linear import Told, both_columns, fit_linear, log_probs

if TYPE_CHECKING:
    from seqcli.recipe.encoders import MajorityConfig, MeanPoolConfig

Floats = NDArray[np.float32]


class Baseline(Protocol):
    """A classifier of sequences that was fitted at once and is kept as arrays.

    Attributes:
        classes: K.
    """

    classes: int

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        """ln p of each class for each example, [E, K]; with several labels an example, of each label on its own.

        Args:
            values: all examples one after the other: ids of words [N], or frames [N, D].
            offsets: [E + 1]; example e is ``values[offsets[e]:offsets[e + 1]]``, and may be empty.
        """

    def contributions(self, values: NDArray[Any]) -> Floats:
        """What each position of one example gives to the logit of each class, [T, K]; with a bias they add up to it."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learned, by name, as ``from_arrays`` of the class takes it."""


class Majority:
    """Each class as often as in training, whatever comes."""

    def __init__(self, log_p_K: Floats) -> None:
        self.classes = len(log_p_K)
        self._log_p_K = log_p_K

    @classmethod
    def fit(
        cls,
        config: MajorityConfig,
        values: NDArray[Any],
        offsets: NDArray[Any],
        labels: NDArray[Any],
        *,
        classes: int,
        weights: NDArray[Any] | None = None,
        several: bool = False,
        told: Told | None = None,
    ) -> Majority:
        """Count the labels, [E] or with ``several`` bool [E, K], each as often as its example's weight says."""
        counted_E = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
        truth_EK = np.asarray(labels, np.float64) if several else np.eye(classes)[np.asarray(labels, np.int64)]
        least = np.finfo(np.float32).tiny  # the logarithm of a class that is not there stays a number
        shares_K = np.maximum(counted_E @ truth_EK / counted_E.sum(), least)
        if told is not None:
            told(1, 1)
        return cls(np.log(shares_K).astype(np.float32))

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        """See `Baseline.log_probs`; the values do not matter."""
        return np.tile(self._log_p_K, (len(offsets) - 1, 1))

    def contributions(self, values: NDArray[Any]) -> Floats:
        """Nothing at all, [T, K]."""
        return np.zeros((len(values), self.classes), np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``log_probs`` [K]."""
        return {"log_probs": self._log_p_K}

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        config: MajorityConfig,
        *,
        classes: int,
        several: bool = False,
        file: object = None,
    ) -> Majority:
        """The model of these `arrays`, which may come from anywhere.

        Raises:
            UserError: they are no such model (65, naming ``file``).
        """
        checked = CheckedArrays(arrays, "majority baseline", file)
        log_p_K = checked.floats("log_probs", (classes,), most=0)
        checked.nothing_left()
        return cls(log_p_K)


class MeanPool:
    """A linear classifier over the mean of a sequence's frames, each channel scaled by the training data.

    With ``missing: mask`` a channel that is missing (NaN) in all of a sequence has the mean of the training data.
    """

    def __init__(
        self,
        weights_DC: Floats,
        bias_C: Floats,
        mean_D: Floats,
        deviation_D: Floats,
        *,
        config: MeanPoolConfig,
        classes: int,
        several: bool,
    ) -> None:
        self.classes = classes
        self.channels = len(mean_D)
        self._weights_DC, self._bias_C, self._mean_D, self._deviation_D = weights_DC, bias_C, mean_D, deviation_D
        self._config, self._several = config, several

    @classmethod
    def fit(
        cls,
        config: MeanPoolConfig,
        frames: NDArray[Any],
        offsets: NDArray[Any],
        labels: NDArray[Any],
        *,
        classes: int,
        weights: NDArray[Any] | None = None,
        several: bool = False,
        told: Told | None = None,
    ) -> MeanPool:
        """Scale the channels to mean 0 and deviation 1 over all frames, then find the best weights.

        Args:
            config: missing values, and the penalty.
            frames: [N, D] the frames of all training examples, one after the other.
            offsets: [E + 1] where each example begins, and the last one ends.
            labels: [E] classes 0 to K-1; with ``several`` bool [E, K].
            classes: K.
            weights: [E] how much each example counts.
            several: an example has any number of labels.
            told: is told (parts done, parts).

        Raises:
            UserError: there is no frame at all; a value is NaN and ``missing`` says ``refuse`` (65).
        """
        frames = np.asarray(frames, np.float32)
        if not len(frames):
            raise data_error("the training data has no frame: nothing to scale by")
        _refuse_missing(frames, config)
        here_ND = ~np.isnan(frames)
        present_D = np.maximum(here_ND.sum(0), 1)
        mean_D = np.sum(frames, axis=0, where=here_ND, dtype=np.float64) / present_D
        deviation_D = np.sqrt(np.sum((frames - mean_D) ** 2, axis=0, where=here_ND) / present_D)
        deviation_D[deviation_D <= 1e-7 * np.abs(mean_D)] = 1  # a channel that never changes
        scaling = mean_D.astype(np.float32), np.where(deviation_D > 0, deviation_D, 1).astype(np.float32)
        pooled_ED = _pooled(frames, np.asarray(offsets, np.int64), *scaling)
        linear = fit_linear(
            pooled_ED,
            labels,
            classes=classes,
            regularization=config.regularization,
            several=several,
            weights=weights,
            told=told,
        )
        return cls(
            linear.weights.astype(np.float32),
            linear.bias.astype(np.float32),
            *scaling,
            config=config,
            classes=classes,
            several=several,
        )

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        """See `Baseline.log_probs`; ``values`` are frames [N, D], and an example without any gives the bias alone.

        Raises:
            UserError: the frames have another number of channels than those of training; a value is NaN and the
                config says ``refuse`` (65).
        """
        frames = np.asarray(values, np.float32)
        if frames.ndim != 2 or frames.shape[1] != self.channels:
            channels = frames.shape[1] if frames.ndim == 2 else 1
            raise data_error(f"frames of {channels} channels, but the model was trained on frames of {self.channels}")
        _refuse_missing(frames, self._config)
        pooled_ED = _pooled(frames, np.asarray(offsets, np.int64), self._mean_D, self._deviation_D)
        return log_probs(pooled_ED @ self._weights_DC + self._bias_C, several=self._several)

    def contributions(self, values: NDArray[Any]) -> Floats:
        """What each frame gives to the logit of each class, [T, K]; with the bias they add up to it.

        Of two classes each has half, with opposite signs, as of `seqcli.models.bag_of_words.BagOfWords`.
        """
        scaled_TD = (np.asarray(values, np.float64) - self._mean_D) / self._deviation_D
        here_TD = ~np.isnan(scaled_TD)
        shares_TD = np.where(here_TD, scaled_TD, 0) / np.maximum(here_TD.sum(0), 1)
        return both_columns((shares_TD @ self._weights_DC).astype(np.float32), several=self._several)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``weights`` [D, C], ``bias`` [C], ``mean`` and ``deviation`` [D]."""
        return {"weights": self._weights_DC, "bias": self._bias_C, "mean": self._mean_D, "deviation": self._deviation_D}

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        config: MeanPoolConfig,
        *,
        classes: int,
        several: bool = False,
        file: object = None,
    ) -> MeanPool:
        """The model of these `arrays`, which may come from anywhere.

        Raises:
            UserError: they are no such model (65, naming ``file``).
        """
        checked = CheckedArrays(arrays, "mean-pool baseline", file)
        columns = 1 if classes == 2 and not several else classes
        mean_D = checked.floats("mean", (None,))
        deviation_D = checked.floats("deviation", (len(mean_D),), least=float(np.finfo(np.float32).tiny))
        weights_DC = checked.floats("weights", (len(mean_D), columns))
        bias_C = checked.floats("bias", (columns,))
        checked.nothing_left()
        return cls(weights_DC, bias_C, mean_D, deviation_D, config=config, classes=classes, several=several)


def _refuse_missing(frames: Floats, config: MeanPoolConfig) -> None:
    if config.missing == "refuse" and np.isnan(frames).any():
        frame, channel = np.argwhere(np.isnan(frames))[0].tolist()
        raise data_error(
            f"frame {frame + 1}, channel {channel + 1} is missing (NaN)",
            hint="To leave missing values out of the mean, write 'missing: mask' in the encoder.",
        )


def _pooled(frames: Floats, offsets: NDArray[np.int64], mean_D: Floats, deviation_D: Floats) -> NDArray[np.float64]:
    """The mean of each example's scaled frames, NaN left out, [E, D]; 0 where there is nothing."""
    scaled_ND = (frames.astype(np.float64) - mean_D) / deviation_D
    here_ND = ~np.isnan(scaled_ND)
    scaled_ND[~here_ND] = 0
    pooled_ED = np.zeros((len(offsets) - 1, frames.shape[1]))
    full = np.flatnonzero(np.diff(offsets))  # reduceat knows no empty stretch
    if len(full):
        counts = np.add.reduceat(here_ND, offsets[full], axis=0, dtype=np.int64)
        pooled_ED[full] = np.add.reduceat(scaled_ND, offsets[full], axis=0) / np.maximum(counts, 1)
    return pooled_ED
