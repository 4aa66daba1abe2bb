"""What a result was measured with."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from seqcli.machine import processor
from seqcli.version import __version__

_PACKAGES = ("torch", "numpy", "onnxruntime")


def environment(seed: int, **compute: Any) -> dict[str, Any]:
    """Versions, machine and seed, and what it was computed with (device, precision, threads); ready for JSON."""
    return {
        "seqcli": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        **compute,
        "seed": seed,
        "command": " ".join(sys.argv),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
