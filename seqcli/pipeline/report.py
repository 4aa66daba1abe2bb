"""The report of a training, and the seal on its run."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from typing import Any

from seqcli.files import atomic_write_text
from seqcli.pipeline.environment import peak_memory_mb
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run
from seqcli.tasks.base import Task


def write_report(
    run: Run,
    recipe: Recipe,
    task: Task,
    scores: dict[str, Any],
    *,
    minutes: float,
    files: list[str],
    more: dict[str, Any],
) -> dict[str, Any]:
    """Write report.json and seal the run, whose weights are saved: from here on it is finished.

    Args:
        scores: of each split measured, ready for JSON.
        files: names of what the task saved.
    """
    report = {
        "name": run.name,
        "version": run.version,
        "task": recipe.task.kind,
        "select_by": task.select_by,
        **({"input": task.source.unit} if hasattr(task, "source") else {}),
        "minutes": round(minutes, 3),
        **scores,
        **more,
        "peak_memory_mb": peak_memory_mb(),
        "seed": recipe.training.seed,
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    atomic_write_text(run.report_path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    run.seal(["recipe.yaml", "model.safetensors", "report.json", "environment.json", *files])
    return report


def discard(run: Run) -> None:
    """Take a new run's folder away: its training failed before the first step, and nothing in it is of use."""
    shutil.rmtree(run.path, ignore_errors=True)
    with suppress(OSError):  # goes only when it is empty
        run.path.parent.rmdir()
