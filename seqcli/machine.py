"""The machine that something runs on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec


def peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, in MB (10^6 bytes); None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1))


def memory_bytes() -> int | None:
    """All the memory that this process may use; None where the system does not say."""
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        return None
    for control in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):  # of a container
        with suppress(OSError, ValueError), open(control, encoding="ascii") as handle:
            limits.append(int(handle.read()))
    return min(limits)


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            names = [line.partition(":")[2].strip() for line in handle if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this thread, and the threads that it starts, to the core that it runs on, where the system can."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    with suppress(OSError, ValueError, IndexError):
        if before:
            with open("/proc/thread-self/stat", encoding="ascii", errors="replace") as handle:
                here = int(handle.read().rpartition(")")[2].split()[36])  # proc(5): the 39th field of all
            os.sched_setaffinity(0, {here if here in before else max(before)})
    try:
        yield
    finally:
        with suppress(OSError):
            if before:
                os.sched_setaffinity(0, before)


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return find_spec(package) is not None
