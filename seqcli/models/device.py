"""Devices and the precision of matrix products."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from seqcli.errors import usage_error

T = TypeVar("T")

# Each shape of a product in bf16 is compiled and kept; of a thousand of them, as is usual, a training has a gigabyte.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

_WIDE = 128
"""Values of a Transformer's position from which bf16 is faster on a CPU with matrix tiles."""


def resolve_precision(wanted: str, device: torch.device, network: nn.Module) -> str:
    """``auto`` -> bf16 on a GPU that computes in it, and for a Transformer of some size on a CPU with matrix tiles (AMX).

    Everything else is faster in fp32, or no slower, see the benchmarks.

    Raises:
        UserError: the processor has no recurrent networks in bf16 (2).
    """
    recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())
    if wanted == "bf16" and recurrent and device.type == "cpu" and not cpu_has_bf16():
        raise usage_error("this processor has no bf16 for recurrent networks", hint="Set training.precision=fp32.")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    wide = any(isinstance(module, nn.LayerNorm) and module.normalized_shape[0] >= _WIDE for module in network.modules())
    return "bf16" if device.type == "cpu" and wide and not recurrent and cpu_has_tiles() else "fp32"


def cpu_has_tiles() -> bool:
    """Whether the processor has AMX, which multiplies tiles of bf16."""
    return bool(torch.cpu._is_amx_tile_supported())


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16 itself."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Context in which matrix products run in ``precision``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def choose_device(wanted: str) -> torch.device:
    """``auto`` takes a GPU where there is one.

    Raises:
        UserError: the device asked for is not there (2).
    """
    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if wanted == "auto":
        return torch.device(next(name for name, there in available.items() if there()))
    if wanted not in available:
        raise usage_error(f"unknown device '{wanted}'", hint="Known: auto, cpu, cuda, mps.")
    if not available[wanted]():
        raise usage_error(f"no {wanted} device on this machine", hint="Use --device auto or cpu.")
    return torch.device(wanted)


def compute_environment(device: torch.device, precision: str) -> dict[str, Any]:
    """What a training computes with, for its record."""
    return {
        "threads": torch.get_num_threads(),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "precision": precision,
    }


def seeded(seed: int, build: Callable[[], T]) -> T:
    """What ``build`` makes with torch's generator at this seed; small numbers are taken for zero from here on."""
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    return build()
