"""Measuring a model on an encoded split."""

from __future__ import annotations

import torch
from torch import nn

from seqcli.batching.order import sorted_batches
from seqcli.tasks.base import Data, Scorer, Task

POSITIONS = 8192
"""Positions a batch when nothing is learned, padding counted."""


def measure(task: Task, model: nn.Module, data: Data, device: torch.device) -> Scorer:
    """Run ``model`` over all of ``data`` and return the scorer that counted."""
    scorer = task.scorer(data)
    model.eval()
    with torch.inference_mode():
        for rows in sorted_batches(data.lengths, tokens=POSITIONS):
            scorer.add(model, data.batch(rows).to(device))
    return scorer
