"""TensorBoard files beside metrics.jsonl: a listener to the events of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqcli.errors import usage_error
from seqcli.pipeline.events import Evaluated, Prepared


class TensorBoardLog:
    """Writes ``<run>/tensorboard/``. Raises UserError (2) where the package is not installed."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise usage_error(
                "the package 'tensorboard' is not installed", hint="Install it: pip install 'seqcli[tensorboard]'."
            ) from error
        self._open = SummaryWriter
        self._writer: Any = None

    def show(self, event: Any) -> None:
        """Take note of an event."""
        if isinstance(event, Prepared):
            self._writer = self._open(str(Path(event.folder) / "tensorboard"))
        elif isinstance(event, Evaluated) and self._writer is not None:
            values = {
                "train/loss": event.train_loss,
                "train/gradient_norm": event.gradient_norm,
                "train/learning_rate": event.learning_rate,
                "train/tokens_per_second": event.tokens_per_second,
                **{f"dev/{name}": value for name, value in event.scores.items()},
            }
            for name, value in values.items():
                self._writer.add_scalar(name, value, event.step)
            self._writer.flush()
