"""TensorBoard files beside metrics.jsonl: a listener to the events of a training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seqcli.errors import usage_error
from seqcli.pipeline.events import Evaluated, Prepared
from seqcli.training.tensorboard import ScalarLog


class TensorBoardLog:
    """Writes ``<run>/tensorboard/``."""

    def __init__(self) -> None:
        """Raises UserError (2) where the package is not installed."""
        if find_spec("tensorboard") is None:
            raise usage_error(
                "the package 'tensorboard' is not installed", hint="Install it: pip install 'seqcli[tensorboard]'."
            )
        self._log: ScalarLog | None = None

    def show(self, event: Any) -> None:
        """Take note of an event."""
        if isinstance(event, Prepared):
            self._log = ScalarLog(Path(event.folder) / "tensorboard")
        elif isinstance(event, Evaluated) and self._log is not None:
            values = {
                "train/loss": event.train_loss,
                "train/gradient_norm": event.gradient_norm,
                "train/learning_rate": event.learning_rate,
                "train/tokens_per_second": event.tokens_per_second,
                **{f"dev/{name}": value for name, value in event.scores.items()},
            }
            self._log.add(values, event.step)
