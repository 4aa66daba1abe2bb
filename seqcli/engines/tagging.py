"""Tagging at full speed. Shapes: B sequences, T positions, D values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.order import sorted_batches
from seqcli.engines.token_table import TokenTable, cpu_pool, spread
from seqcli.tasks.tagging import TaggingTask

POSITIONS = 4096
"""Positions a batch, padding counted."""


class TaggingEngine:
    """A trained tagger for tokens as they come."""

    def __init__(self, task: TaggingTask, model: nn.Module, device: torch.device) -> None:
        self.task, self.device = task, device
        self.model = model.to(device).eval()
        self._pool = cpu_pool(device)
        self._table = TokenTable(task.encoder, model.embedder, device)  # type: ignore[arg-type]

    def tag(
        self, sentences: Sequence[list[str]], *, scores: bool = False
    ) -> list[tuple[list[str], list[float] | None]]:
        """``(tags, probability of each tag or None)`` of each sentence, in order; an empty sentence has none.

        A sentence of more than ``data.max_length`` tokens is tagged in pieces of that length.
        """
        limit = self.task.recipe.data.max_length
        pieces = [
            (index, start) for index, sentence in enumerate(sentences) for start in range(0, len(sentence), limit)
        ]
        parts = [sentences[index][start : start + limit] for index, start in pieces]
        results: list[tuple[list[str], list[float] | None]] = [([], [] if scores else None) for _ in sentences]
        for (index, _), (labels, chances) in zip(pieces, self._tag_parts(parts, scores), strict=True):
            tags, kept = results[index]
            tags.extend(self.task.written(labels))
            if kept is not None:
                kept.extend(chances)
        return results

    def _tag_parts(self, parts: list[list[str]], scores: bool) -> list[tuple[list[int], list[float]]]:
        """``(label ids, probabilities)`` of each part, batches of like length running side by side."""
        lengths = np.array([len(part) for part in parts], np.int64)
        batches = sorted_batches(lengths, tokens=POSITIONS)
        results: list[tuple[list[int], list[float]]] = [([], [])] * len(parts)
        chosen = [[parts[row] for row in rows] for rows in batches]
        with torch.inference_mode():
            indexes = [self._table.numbers(batch, lengths[rows]) for batch, rows in zip(chosen, batches, strict=True)]
        jobs = [
            (index_BT, table, torch.from_numpy(lengths[rows]), scores)
            for (index_BT, table), rows in zip(indexes, batches, strict=True)
        ]
        found = self._pool.map(self._run, jobs) if self._pool and len(jobs) > 1 else map(self._run, jobs)
        for rows, (labels, chances) in zip(batches, found, strict=True):
            for position, row in enumerate(rows.tolist()):
                length = int(lengths[row])
                results[row] = labels[position][:length], chances[position][:length] if scores else []
        return results

    @torch.inference_mode()
    def _run(self, job: tuple[Tensor, Tensor, Tensor, bool]) -> tuple[list[list[int]], list[list[float]]]:
        index_BT, table, lengths_B, scores = job
        lengths_B = lengths_B.to(self.device)
        hidden_BTD = self.model.encoder(spread(table, index_BT), lengths_B)  # type: ignore[operator, union-attr]
        labels_BT = self.model.head.decode(hidden_BTD, lengths_B)  # type: ignore[operator, union-attr]
        if not scores:
            return labels_BT.tolist(), []
        posteriors = self.model.head.posteriors(hidden_BTD, lengths_B)  # type: ignore[operator, union-attr]
        return labels_BT.tolist(), posteriors.gather(2, labels_BT.unsqueeze(2)).squeeze(2).tolist()
