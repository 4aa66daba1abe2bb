"""The training loop: a generator of step events. Measuring, saving and showing are the caller's.

The loss is (sum, number of targets); gradients of the sums are added up and divided once, by the targets of the whole
optimizer step, so accumulated batches and the shares of several processes give the gradient of one big batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seqcli.errors import ExitCode, UserError
from seqcli.models.device import resolve_precision
from seqcli.models.network import Memory, Network
from seqcli.recipe.schema import TrainingConfig
from seqcli.tasks.base import Data
from seqcli.training.checkpoint import pack_optimizer, restore_rng, rng_state, unpack_optimizer
from seqcli.training.distributed import ALONE, World
from seqcli.training.events import StepEvent
from seqcli.training.gradients import Gradients
from seqcli.training.optim import build_optimizer
from seqcli.training.schedules import build_schedule

Tensors = dict[str, dict[str, Tensor]]


class Trainer:
    """Model, optimizer, schedule and the place in the data; all of it goes into a checkpoint and comes back.

    ``time_share``: how much of ``max_minutes`` is over, which whoever has the clock sets.
    """

    time_share = 0.0

    def __init__(
        self, network: Network, data: Data, config: TrainingConfig, device: torch.device, world: World = ALONE
    ) -> None:
        self.data, self.config, self.device, self.world = data, config, device, world
        network.load_state_dict(world.broadcast(network.state_dict()))  # chance may differ from machine to machine
        self.network: Network = network.to(device)
        self.optimizer = build_optimizer(config.optimizer, self.network)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0
        self.epoch = 0
        self.batch = 0
        self._order = self._epoch_order()
        steps_an_epoch = -(-len(self._order) // config.accumulate)
        self.total_steps = min(config.epochs * steps_an_epoch, config.max_steps or config.epochs * steps_an_epoch)
        self.schedule = build_schedule(config.schedule, self.total_steps)
        self.precision = resolve_precision(config.precision, device, self.network)
        self.gradients = Gradients(self.network, data, device, precision=self.precision, seed=config.seed, world=world)
        self.memory = Memory()
        self.average: AveragedModel | None = None
        if config.ema is not None:
            self.average = AveragedModel(self.network, multi_avg_fn=self._move_average)
            self.average.n_averaged.fill_(1)  # the first weights count

    @property
    def largest_state(self) -> float:
        """Largest value of the state that is carried from batch to batch; 0 where none is."""
        return max((float(state.abs().max()) for state in self.memory.states), default=0.0)

    def steps(self) -> Iterator[StepEvent]:
        """Train until the epochs or the steps of the recipe are through, one event an optimizer step.

        Raises:
            UserError: the loss or the gradient is not a number; nothing was updated, the batch's lines are named (1).
        """
        while not self.finished:
            yield self._step()

    @property
    def finished(self) -> bool:
        """True when there is nothing left to train."""
        return self.step >= self.total_steps or self.epoch >= self.config.epochs

    def _step(self) -> StepEvent:
        began = time.perf_counter()
        self.network.train()
        rate = self.schedule.factor(self.step, self.time_share)
        for group, base in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = base * rate
        self.optimizer.zero_grad(set_to_none=True)
        end = min(self.batch + self.config.accumulate, len(self._order))
        chosen = [self._order[number] for number in range(self.batch, end)]
        loss_sum = targets = positions = 0.0
        for number, rows in enumerate(chosen, self.batch):
            loss, count, seen, self.memory = self.gradients.add(
                rows, self.memory, step=self.epoch * len(self._order) + number
            )
            loss_sum += loss
            targets += count
            positions += seen
        loss_sum, targets, positions = self.world.sum(self.gradients.parameters, loss_sum, targets, positions)
        norm = self._clip(targets)
        if not np.isfinite(loss_sum) or not np.isfinite(norm):
            raise self._not_a_number(loss_sum, chosen)
        self.optimizer.step()
        self.step += 1
        self.batch += len(chosen)
        if self.average is not None:
            self.average.update_parameters(self.network)
        event = StepEvent(
            self.step,
            self.epoch,
            self.batch,
            len(self._order),
            loss_sum / (targets or 1),
            targets,
            int(positions),
            norm,
            self.optimizer.param_groups[0]["lr"],
            time.perf_counter() - began,
        )
        if event.epoch_done:
            self.epoch, self.batch = self.epoch + 1, 0
            self._order = self._epoch_order()
        return event

    def _clip(self, targets: float) -> float:
        """Divide the summed gradients by the targets, clip, and return the norm before clipping."""
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = float(get_total_norm(gradients) / (targets or 1))
        limit = self.config.clip_norm
        scale = 1.0 / (targets or 1)
        if limit is not None and norm > limit:
            scale *= limit / norm
        torch._foreach_mul_(gradients, scale)
        return norm

    def _not_a_number(self, loss: float, chosen: list[NDArray[np.int64]]) -> UserError:
        places = [place for rows in chosen for place in self.data.places(rows)]
        shown = ", ".join(places[:5]) + (f" and {len(places) - 5} more" if len(places) > 5 else "")
        what = "loss" if not np.isfinite(loss) else "gradient"
        return UserError(
            f"the {what} is not a number at step {self.step + 1} (batch: {shown}); nothing was updated",
            code=ExitCode.FAILURE,
            hint="Lower training.optimizer.lr, or set training.clip_norm.",
        )

    def _epoch_order(self) -> Sequence[NDArray[np.int64]]:
        return self.data.training_order(self.config.batch, seed=self.config.seed, epoch=self.epoch)

    def _move_average(self, average: Any, weights: Any, updates: Any) -> None:
        decay = min(self.config.ema or 0.0, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(average, weights, updates)

    def _gathered(self) -> Memory:
        """The carried state of all processes, on the CPU."""
        states = self.world.gather([state.cpu() for state in self.memory.states])
        return Memory.joined([Memory(own) for own in states if own])

    @property
    def averaged(self) -> Network:
        """The model to measure and keep: that of the averaged weights where the recipe asks for them."""
        if self.average is None:
            return self.network
        assert isinstance(self.average.module, Network)
        return self.average.module

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Everything a checkpoint keeps: tensors by file, not copied, and JSON; all processes have to ask for it."""
        optimizer_tensors, optimizer_state = pack_optimizer(self.optimizer)
        random_tensors, random_state = rng_state()
        tensors = {"model": self.averaged.state_dict(), "optimizer": optimizer_tensors, "random": random_tensors}
        if carried := self._gathered().states:
            tensors["carried"] = {str(number): state for number, state in enumerate(carried)}
        if self.average is not None:  # "model" is then the average, and these are the weights training goes on with
            tensors["training"] = self.network.state_dict()
        state = {
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "optimizer": optimizer_state,
            "random": random_state,
            "schedule": self.schedule.state(),
        }
        return tensors, state

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave: the next steps are those an uninterrupted training would have made."""
        self.network.load_state_dict(dict(tensors.get("training", tensors["model"])))
        if self.average is not None:
            self.average.module.load_state_dict(dict(tensors["model"]))
        unpack_optimizer(self.optimizer, tensors["optimizer"], state["optimizer"])
        carried = tensors.get("carried", {})
        states = [carried[str(number)].to(self.device) for number in range(len(carried))]
        self.memory = Memory(states).part(self.gradients.own(len(states[0]))) if states else Memory()
        self.schedule.restore(state["schedule"])
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        self._order = self._epoch_order()
        restore_rng(tensors["random"], state["random"])
