"""Dropout for sequences, and the source of its chance. Shapes: B sequences, T positions, D values."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn


class _Own(threading.local):
    generator: torch.Generator | None = None


_OWN = _Own()


@contextmanager
def chance(generator: torch.Generator | None) -> Iterator[None]:
    """Let everything that is random in this thread's forward passes draw from ``generator`` (None: torch's own).

    Parts of a batch run side by side in threads; each draws from a generator of its own, so that the masks do not
    depend on which thread came first.
    """
    before = _OWN.generator
    _OWN.generator = generator
    try:
        yield
    finally:
        _OWN.generator = before


def uniform_like(values: Tensor) -> Tensor:
    """Uniform numbers from 0 to 1 of the same shape, from this thread's source."""
    return torch.empty_like(values).uniform_(generator=_OWN.generator)


def normal_like(values: Tensor) -> Tensor:
    """Normal numbers of mean 0 and deviation 1 of the same shape, from this thread's source."""
    return torch.empty_like(values).normal_(generator=_OWN.generator)


def keep_mask(shape: Sequence[int], share: float, like: Tensor) -> Tensor:
    """Zeros for the ``share`` that is dropped, 1 / (1 - share) for the rest; device and type of ``like``."""
    mask = torch.empty(shape, device=like.device, dtype=like.dtype)
    return mask.bernoulli_(1 - share, generator=_OWN.generator).div_(1 - share)


_POOL = 2**22
"""Values of a mask of which others are cut: enough that two of a step seldom meet, few enough for memory."""


@cache
def _pool(share: float, dtype: torch.dtype) -> Tensor:
    mask = torch.empty(_POOL, dtype=dtype)
    return mask.bernoulli_(1 - share, generator=torch.Generator().manual_seed(_POOL)).div_(1 - share)


def cut_mask(shape: Sequence[int], share: float, like: Tensor) -> Tensor:
    """`keep_mask`, on a CPU cut at a random place out of one that lies ready: drawing each value costs far more."""
    size = math.prod(shape)
    if like.device.type != "cpu" or size > _POOL // 2:
        return keep_mask(shape, share, like)
    start = int(torch.randint(_POOL - size, (), generator=_OWN.generator))
    return _pool(share, like.dtype)[start : start + size].view(shape)


class SequenceDropout(nn.Module):
    """Dropout on [B, T, D]; ``locked`` drops the same values at every position (Gal and Ghahramani 2016).

    The locked mask is T times smaller, and drawing whole ones is a sixth of a training step on a CPU.
    """

    def __init__(self, share: float, *, locked: bool = True) -> None:
        super().__init__()
        self.share = share
        self.locked = locked

    def forward(self, x_BTD: Tensor, *, sequence_dim: int = 1) -> Tensor:
        """Same shape; the identity when not training. ``sequence_dim`` is the dimension of the positions."""
        if not self.training or self.share == 0:
            return x_BTD
        shape = list(x_BTD.shape)
        if not self.locked:
            return x_BTD * cut_mask(shape, self.share, x_BTD)
        shape[sequence_dim] = 1
        return x_BTD * keep_mask(shape, self.share, x_BTD)
