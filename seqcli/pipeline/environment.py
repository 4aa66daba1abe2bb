"""What a result was measured with."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import numpy
import torch

from seqcli import __version__


def environment(device: torch.device, precision: str, seed: int) -> dict[str, Any]:
    """Versions, machine and seed, ready for JSON."""
    return {
        "seqcli": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "precision": precision,
        "seed": seed,
        "command": " ".join(sys.argv),
    }


def peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, in MB (10^6 bytes); None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            names = [line.partition(":")[2].strip() for line in handle if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor()
