"""A linear classifier over the mean of a sequence's frames: no order at all.

Letters: E examples, K classes, C columns of weights (K, or 1 for two classes), N frames, D channels, T frames of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error, plural
from seqcli.models.counts.base import Floats, Labelled, Progress, Sizes
from seqcli.models.counts.checked_arrays import CheckedArrays
from seqcli.models.counts.linear import both_classes, fit_linear, log_probs

if TYPE_CHECKING:
    from seqcli.recipe.models import MeanPoolConfig

_TINY = float(np.finfo(np.float32).tiny)


class MeanPool:
    """Each channel is scaled by the training data; implements `seqcli.models.counts.base.CountsClassifier`.

    A value that is missing (NaN) is left out; a channel that is missing in all of a sequence has the training data's mean.
    """

    def __init__(self, config: MeanPoolConfig, arrays: dict[str, Floats], sizes: Sizes) -> None:
        self._config, self._arrays, self._sizes = config, arrays, sizes

    @staticmethod
    def title(config: MeanPoolConfig) -> str:
        return "mean of the frames, logistic regression"

    @classmethod
    def fit(cls, config: MeanPoolConfig, data: Labelled, sizes: Sizes, progress: Progress | None = None) -> MeanPool:
        """Scale the channels to mean 0 and deviation 1 over all frames, then find the best weights.

        Raises:
            UserError: there is no frame at all (65).
        """
        frames_ND = np.asarray(data.values, np.float32)
        if not len(frames_ND):
            raise data_error("the training data has no frame: nothing to scale by")
        here_ND = ~np.isnan(frames_ND)
        present_D = np.maximum(here_ND.sum(0), 1)
        mean_D = np.sum(frames_ND, axis=0, where=here_ND, dtype=np.float64) / present_D
        deviation_D = np.sqrt(np.sum((frames_ND - mean_D) ** 2, axis=0, where=here_ND) / present_D)
        deviation_D[deviation_D <= np.maximum(1e-7 * np.abs(mean_D), _TINY)] = 1  # a channel that never changes
        scaling = {"mean": mean_D.astype(np.float32), "deviation": deviation_D.astype(np.float32)}
        pooled_ED = _pooled(frames_ND, data.offsets, **scaling)
        weights_DC, bias_C = fit_linear(pooled_ED, data, sizes, regularization=config.regularization, progress=progress)
        arrays = {"weights": weights_DC.astype(np.float32), "bias": bias_C.astype(np.float32), **scaling}
        return cls(config, arrays, sizes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``weights`` [D, C], ``bias`` [C], ``mean`` and ``deviation`` [D]."""
        return dict(self._arrays)

    @classmethod
    def from_arrays(
        cls, config: MeanPoolConfig, arrays: Mapping[str, NDArray[Any]], sizes: Sizes, file: object = None
    ) -> MeanPool:
        checked = CheckedArrays(arrays, "mean-pool baseline", file)
        mean_D = checked.floats("mean", (sizes.channels or None,))
        channels = len(mean_D)
        checked_arrays = {
            "mean": mean_D,
            "deviation": checked.floats("deviation", (channels,), least=_TINY),
            "weights": checked.floats("weights", (channels, sizes.columns)),
            "bias": checked.floats("bias", (sizes.columns,)),
        }
        checked.nothing_left()
        return cls(config, checked_arrays, sizes)

    def log_probs(self, values: NDArray[Any], offsets: NDArray[Any]) -> Floats:
        """ln p of each class, [E, K]; an example without any frame has the bias alone.

        Raises:
            UserError: the frames have another number of channels than those of training (65).
        """
        frames_ND = np.asarray(values, np.float32)
        trained = len(self._arrays["mean"])
        if frames_ND.ndim != 2 or frames_ND.shape[1] != trained:
            channels = frames_ND.shape[1] if frames_ND.ndim == 2 else 1
            raise data_error(
                f"frames of {plural(channels, 'channel')}, but the model was trained on frames of {trained}"
            )
        pooled_ED = _pooled(frames_ND, offsets, self._arrays["mean"], self._arrays["deviation"])
        return log_probs(pooled_ED @ self._arrays["weights"] + self._arrays["bias"], self._sizes)

    def contributions(self, values: NDArray[Any]) -> Floats:
        scaled_TD = (np.asarray(values, np.float64) - self._arrays["mean"]) / self._arrays["deviation"]
        here_TD = ~np.isnan(scaled_TD)
        shares_TD = np.where(here_TD, scaled_TD, 0) / np.maximum(here_TD.sum(0), 1)
        return both_classes((shares_TD @ self._arrays["weights"]).astype(np.float32), self._sizes)


def _pooled(frames_ND: Floats, offsets: NDArray[Any], mean: Floats, deviation: Floats) -> NDArray[np.float64]:
    """The mean of each example's scaled frames, NaN left out, [E, D]; 0 where there is nothing."""
    offsets = np.asarray(offsets, np.int64)
    scaled_ND = (frames_ND.astype(np.float64) - mean) / deviation
    here_ND = ~np.isnan(scaled_ND)
    scaled_ND[~here_ND] = 0
    pooled_ED = np.zeros((len(offsets) - 1, frames_ND.shape[1]))
    full = np.flatnonzero(np.diff(offsets))  # reduceat knows no empty stretch
    if len(full):
        counts = np.add.reduceat(here_ND, offsets[full], axis=0, dtype=np.int64)
        pooled_ED[full] = np.add.reduceat(scaled_ND, offsets[full], axis=0) / np.maximum(counts, 1)
    return pooled_ED
