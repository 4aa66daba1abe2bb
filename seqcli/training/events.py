"""What the training loop tells, a step at a time. Imports no torch: those who show it need none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepEvent:
    """One optimizer step: ``loss`` in nats a target, ``gradient_norm`` before clipping, ``positions`` trained on."""

    step: int
    epoch: int
    batch: int
    batches: int
    loss: float
    targets: float
    positions: int
    gradient_norm: float
    learning_rate: float
    seconds: float

    @property
    def epoch_done(self) -> bool:
        """True for the last step of an epoch."""
        return self.batch == self.batches
