"""Learning rate over time: each schedule maps a step (from 0) to a factor of the recipe's rate.

Where training has a time limit, a rate that falls towards the end follows the clock as soon as that is ahead of the steps.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

from seqcli.recipe import registry
from seqcli.recipe.base import Component
from seqcli.recipe.optimization import ConstantConfig, CosineConfig, InverseSqrtConfig, LinearConfig, PlateauConfig


class Schedule(Protocol):
    def factor(self, step: int, time_share: float = 0.0) -> float:
        """What the recipe's rate is multiplied by at this step; ``time_share`` of the time limit is over."""

    def evaluated(self, improved: bool) -> None:
        """Take note of an evaluation."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""

    def restore(self, state: dict[str, Any]) -> None: ...


def build_schedule(config: Component, total_steps: int) -> Schedule:
    """The schedule of a recipe; ``total_steps`` is where training is expected to end."""
    return registry.implementation("schedule", config.kind)(config, total_steps)


def warmup_factor(step: int, warmup: int) -> float:
    """Linear from 1/warmup to 1."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


class ConstantSchedule:
    """Warm-up, then 1."""

    def __init__(self, config: ConstantConfig | Any, total_steps: int) -> None:
        self.config, self.total_steps = config, total_steps

    def factor(self, step: int, time_share: float = 0.0) -> float:
        return warmup_factor(step, self.config.warmup)

    def evaluated(self, improved: bool) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass

    def _progress(self, step: int, time_share: float) -> float:
        """0 at the end of the warm-up, 1 at the end of training."""
        warmup = self.config.warmup
        return min(1.0, max(time_share, (step - warmup) / max(1, self.total_steps - warmup)))


class InverseSqrtSchedule(ConstantSchedule):
    """Warm-up, then sqrt(warmup / step) (Vaswani et al. 2017, eq. 3)."""

    config: InverseSqrtConfig

    def factor(self, step: int, time_share: float = 0.0) -> float:
        return warmup_factor(step, self.config.warmup) * min(1.0, math.sqrt(self.config.warmup / (step + 1)))


class CosineSchedule(ConstantSchedule):
    """Warm-up, then half a cosine (Loshchilov and Hutter 2017)."""

    config: CosineConfig

    def factor(self, step: int, time_share: float = 0.0) -> float:
        falling = 0.5 * (1 + math.cos(math.pi * self._progress(step, time_share)))
        return warmup_factor(step, self.config.warmup) * (self.config.floor + (1 - self.config.floor) * falling)


class LinearSchedule(ConstantSchedule):
    """Warm-up, then a straight line."""

    config: LinearConfig

    def factor(self, step: int, time_share: float = 0.0) -> float:
        falling = 1 - self._progress(step, time_share)
        return warmup_factor(step, self.config.warmup) * (self.config.floor + (1 - self.config.floor) * falling)


class PlateauSchedule(ConstantSchedule):
    """Cut when the score stands still."""

    config: PlateauConfig

    def __init__(self, config: PlateauConfig, total_steps: int) -> None:
        super().__init__(config, total_steps)
        self.current, self.waited = 1.0, 0

    def factor(self, step: int, time_share: float = 0.0) -> float:
        return warmup_factor(step, self.config.warmup) * self.current

    def evaluated(self, improved: bool) -> None:
        """Count evaluations without improvement, and cut after enough of them."""
        self.waited = 0 if improved else self.waited + 1
        if self.waited > self.config.patience:
            self.current *= self.config.factor
            self.waited = 0

    def state(self) -> dict[str, Any]:
        return {"current": self.current, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        self.current, self.waited = state["current"], state["waited"]
