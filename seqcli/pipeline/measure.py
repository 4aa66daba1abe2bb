"""Measuring a model on an encoded split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from seqcli.tasks.base import Data, Scorer, Task

POSITIONS = 8192
"""Positions a batch when nothing is learned, padding counted."""


def measure(task: Task, model: Any, data: Data, device: torch.device) -> Scorer:
    """Run ``model`` over all of ``data`` and return the scorer that counted."""
    scorer = task.scorer(data)
    if isinstance(model, nn.Module):
        model.eval()
    with torch.inference_mode():
        for rows in data.measuring_order(POSITIONS):
            scorer.add(model, data.batch(rows).to(device))
    return scorer


def unseen_labels(what: str, unseen: Sequence[str], task: Any) -> str:
    """Say that a model cannot predict some labels, in the scheme it learns in where that is not the data's."""
    scheme = getattr(task, "model_scheme", None)
    learned = f" (as {scheme}, which the model learns)" if scheme and scheme != task.scheme else ""
    return f"{what}, so that it cannot be right on them{learned}: {', '.join(sorted(unseen))}"
