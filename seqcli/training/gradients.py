"""The gradient of a batch, made by several threads at once where it is a CPU that trains, and by several processes.

Each thread takes a part of the batch's rows on a core of its own; the parts' gradients are added in a fixed order, so
the sum does not depend on which thread came first. A recurrent step is too small to be worth sharing between cores:
two threads that each train on half a batch are faster than two that wait for each other at every step.

The parts are numbered through all processes, and a part's number is the seed of its dropout. So two processes of one
thread make the gradient of one process of two threads, to rounding. Another number of parts draws other masks; without
dropout there is nothing to draw, and any number of processes makes the same gradient, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.models.device import autocast
from seqcli.models.dropout import chance
from seqcli.models.network import Memory, Network
from seqcli.tasks.base import Data
from seqcli.training.distributed import ALONE, World

_MIX = 1_000_003
"""Keeps the seeds of different steps apart."""


@dataclass(frozen=True)
class Part:
    """What a thread made of its rows: sums over its targets."""

    loss: float
    targets: float
    positions: int
    gradients: tuple[Tensor | None, ...]
    memory: Memory


class Gradients:
    """Gradients of a network's loss over batches of rows.

    Args:
        threads: parts of a batch that this process works on (None: one for each of torch's threads on a CPU, else one);
            where processes differ in it, the fewest.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        device: torch.device,
        *,
        precision: str,
        seed: int,
        threads: int | None = None,
        world: World = ALONE,
    ) -> None:
        self.network, self.data, self.device = network, data, device
        self.precision, self.seed = precision, seed
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.world = world
        threads = threads or (torch.get_num_threads() if device.type == "cpu" else 1)
        self.parts = -int(world.largest(-threads)[0])
        self._pool: ThreadPoolExecutor | None = None
        if self.parts > 1:
            self._pool = ThreadPoolExecutor(self.parts, initializer=torch.set_num_threads, initargs=(1,))

    def add(self, rows: NDArray[np.int64], memory: Memory, *, step: int) -> tuple[float, float, int, Memory]:
        """Add the gradient of the loss, summed over this process's part of the rows, to the parameters' ``grad``.

        Args:
            memory: what the batch before left; ``step`` decides the chance in dropout, with the seed and the part.

        Returns:
            ``(loss summed in nats, targets, positions, what this batch leaves)``, of this process's rows.
        """
        parts = self._run(rows, memory, step)
        for index, parameter in enumerate(self.parameters):
            for part in parts:
                gradient = part.gradients[index]
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        left = parts[0].memory if len(parts) == 1 else Memory.joined([part.memory for part in parts])
        return (
            sum(part.loss for part in parts),
            sum(part.targets for part in parts),
            sum(part.positions for part in parts),
            left,
        )

    def own(self, rows: int) -> slice:
        """This process's rows of a batch of so many."""
        edges = self._edges(rows)
        return slice(edges[0], edges[-1])

    def _edges(self, rows: int) -> list[int]:
        """Where each of this process's parts begins, and where the last one ends."""
        count = min(self.parts * self.world.size, rows)
        first = self.world.rank * self.parts
        return [rows * min(part, count) // count for part in range(first, first + self.parts + 1)]

    def _run(self, rows: NDArray[np.int64], memory: Memory, step: int) -> Sequence[Part]:
        edges = self._edges(len(rows))
        number = self.world.rank * self.parts
        jobs = [
            (rows[begin:end], memory.part(slice(begin - edges[0], end - edges[0])), step, number + index)
            for index, (begin, end) in enumerate(pairwise(edges))
            if begin < end
        ]
        if self._pool is None or len(jobs) < 2:
            return [self._part(*job) for job in jobs]
        return [part.result() for part in [self._pool.submit(self._part, *job) for job in jobs]]

    def _part(self, rows: NDArray[np.int64], memory: Memory, step: int, number: int) -> Part:
        generator = torch.Generator(self.device).manual_seed(((self.seed * _MIX + step) * _MIX + number) % 2**63)
        batch = self.data.batch(rows)
        with chance(generator), autocast(self.precision, self.device):
            loss, targets, memory = self.network.loss(batch, memory)
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return Part(float(loss.detach()), targets, batch.positions, gradients, memory)
