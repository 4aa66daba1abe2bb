"""Training by several processes, on one machine or many, under torch's own launcher (``torchrun``).

The launcher starts one command several times and tells each process by its environment which one it is. Every process
takes its rows of each batch, and what they computed is summed before anything is divided, so losses and weights are
those of one process. Process 0 reads and writes the run's folder, decides and speaks; the others only compute.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from seqcli.errors import ExitCode, UserError, io_error, usage_error
from seqcli.machine import cores

if TYPE_CHECKING:  # a process on its own imports nothing for this
    from torch import Tensor

T = TypeVar("T")

_MEETING = timedelta(minutes=10)
"""Longest wait for the other processes at the start."""

_SILENCE = timedelta(hours=1)
"""Longest wait for one of them later: for process 0 to encode or measure, or for a machine that lost its power."""


class PeerLost(UserError):
    """Another process of the training ended or fell silent."""

    def __init__(self) -> None:
        super().__init__("another process of this training ended", code=ExitCode.FAILURE)


@dataclass(frozen=True)
class World:
    """The processes of one training; where there is one, every method gives back at once what it was given.

    Attributes:
        rank: number of this process; 0 reads, writes and speaks.
        size: processes there are.
        local_rank, local_size: the same among those of this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def of_environment(cls) -> World:
        """What the launcher said, or one process where there is none."""
        if "RANK" not in os.environ:
            return cls()
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (int(os.environ.get(name, "0")) for name in names)
        return cls(rank, max(1, size), local_rank, max(1, local_size))

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Meet the other processes, and part at the end.

        Whatever ends one of them ends all, and one alone says why: process 0 where it fails too, else the first.

        Raises:
            UserError: no GPU for this process (2); the others cannot be reached (74).
            SystemExit: another process said what there is to say.
        """
        if self.size == 1:
            yield
            return
        import torch.distributed as dist

        before = signal.signal(signal.SIGTERM, _terminated)
        store: Any = None
        try:
            store = self._join(device)
            yield
        except BaseException as error:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher's, which may come before the line is out
            if not self._speaks(store):
                raise SystemExit(int(error.code if isinstance(error, UserError) else ExitCode.FAILURE)) from None
            raise
        dist.destroy_process_group()
        signal.signal(signal.SIGTERM, before)

    def _join(self, device: str) -> Any:
        import torch
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        from seqcli.models.device import choose_device

        torch.set_num_threads(max(1, cores() // self.local_size))
        kind = choose_device(device).type
        if kind == "mps":
            raise usage_error("several processes train on CPUs or on CUDA GPUs", hint="Use --device cpu.")
        if kind == "cuda":
            if self.local_rank >= (count := torch.cuda.device_count()):
                raise usage_error(
                    f"process {self.local_rank + 1} of this machine has no GPU of its own, there are {count}",
                    hint=f"Use --nproc-per-node {count}, or --device cpu.",
                )
            torch.cuda.set_device(self.local_rank)
        backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
        try:
            store, _, _ = next(rendezvous("env://", self.rank, self.size, timeout=_MEETING))
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=_SILENCE)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise io_error(f"cannot reach the other processes of this training: {reason}") from error
        return store

    def _speaks(self, store: Any) -> bool:
        """Whether no other process has said why all end."""
        if self.rank:
            time.sleep(1)  # process 0 first: it knows the most
        try:
            return bool(store.add("failed", 1) == 1)
        except (RuntimeError, AttributeError):  # the store went with process 0, or there never was one
            return self.rank == 0

    def in_turn(self, work: Callable[[], T]) -> T:
        """Process 0 works first, then one of each machine, then the rest: each finds in the cache what is there."""
        mine = 0 if self.rank == 0 else 1 if self.local_rank == 0 else 2
        for turn in range(3):
            if turn == mine:
                result = work()
            self.largest()
        return result

    def sum(self, parameters: Sequence[Tensor], *numbers: float) -> list[float]:
        """Sum the parameters' ``grad`` over all processes, in place, and the numbers: in one exchange.

        A parameter without a gradient in one process counts there as zeros; without one in all it stays so.
        """
        if self.size == 1:
            return list(numbers)
        import torch
        import torch.distributed as dist

        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        last = parameters[0].new_tensor([*numbers, *(p.grad is not None for p in parameters)])
        flat = torch.cat([gradient.detach().reshape(-1) for gradient in (*gradients, last)])
        _together(dist.all_reduce, flat)
        *summed, last = flat.split([gradient.numel() for gradient in (*gradients, last)])
        figures = last.tolist()
        for parameter, gradient, holders in zip(parameters, summed, figures[len(numbers) :], strict=True):
            parameter.grad = gradient.view_as(parameter) if holders else None
        return figures[: len(numbers)]

    def largest(self, *numbers: float) -> list[float]:
        """The largest of each number over all processes; none leaves before all have come."""
        if self.size == 1:
            return list(numbers)
        import torch
        import torch.distributed as dist

        values = torch.tensor([0.0, *numbers], dtype=torch.float64)
        _together(dist.all_reduce, values, op=dist.ReduceOp.MAX)
        return values[1:].tolist()

    def broadcast(self, value: T) -> T:
        """The value of process 0; a tensor in it has to lie on the CPU."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        box = [value]
        _together(dist.broadcast_object_list, box, src=0)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank; a tensor in it has to lie on the CPU."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        _together(dist.all_gather_object, values, value)
        return values


ALONE = World()


def _together(collective: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Run one of torch's exchanges; what it says of a peer that is gone (a page of addresses) becomes `PeerLost`."""
    try:
        collective(*arguments, **options)
    except RuntimeError as error:
        raise PeerLost from error


def _terminated(number: int, frame: object) -> None:
    raise UserError("terminated before the training began", code=ExitCode.TERMINATED)
