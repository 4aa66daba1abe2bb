"""TensorBoard files, by torch's own writer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class ScalarLog:
    """Writes figures by name and step into a folder; needs the package tensorboard."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def add(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
