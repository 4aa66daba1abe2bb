"""What a training step sees.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Right-padded tensors of some examples.

    ``inputs`` is what the embedder reads, by name; ``targets`` what the head learns, None when predicting;
    ``rows`` the examples' numbers in their split.
    """

    inputs: dict[str, Tensor]
    lengths_B: Tensor
    targets: Tensor | None = None
    rows: NDArray[np.int64] | None = None

    @property
    def positions(self) -> int:
        """Real positions, padding not counted."""
        return int(self.lengths_B.sum())

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``; from pinned memory and without waiting when that is a GPU."""
        if device.type == "cpu":
            return self

        def move(tensor: Tensor) -> Tensor:
            return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

        targets = None if self.targets is None else move(self.targets)
        return replace(
            self,
            inputs={name: move(value) for name, value in self.inputs.items()},
            lengths_B=move(self.lengths_B),
            targets=targets,
        )


def pad_ids(values: NDArray[np.int64], lengths: NDArray[np.int64], *, fill: int = 0) -> Tensor:
    """Concatenated ids of several sequences -> [B, T], right-padded with ``fill``."""
    padded = np.full((len(lengths), max(1, int(lengths.max(initial=0)))), fill, np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = values
    return torch.from_numpy(padded)
