"""Tagging at full speed: what depends on a token's spelling alone is computed once and remembered.

Shapes: N remembered tokens (row 0 is padding), B sequences, T positions, D values.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.batch import pad_ids
from seqcli.batching.order import sorted_batches
from seqcli.tasks.tagging import TaggingTask
from seqcli.tasks.tokens import type_tensors

MAX_REMEMBERED = 2**16
"""Tokens remembered before the memory starts anew, which keeps an endless stream flat."""

POSITIONS = 4096
"""Positions a batch, padding counted."""


class TaggingEngine:
    """A trained tagger for tokens as they come."""

    def __init__(self, task: TaggingTask, model: nn.Module, device: torch.device) -> None:
        self.task, self.device = task, device
        self.model = model.to(device).eval()
        self._rows: dict[str, int] = {}
        # On a CPU batches run side by side on one thread each: nothing waits for the slower half of a batch.
        self._pool: ThreadPoolExecutor | None = None
        threads = torch.get_num_threads()
        if device.type == "cpu" and threads > 1:
            torch.set_num_threads(1)
            self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self._vectors = torch.zeros(1024, int(model.embedder.output_dim), device=device)  # type: ignore[union-attr, arg-type]

    def tag(
        self, sentences: Sequence[list[str]], *, scores: bool = False
    ) -> list[tuple[list[str], list[float] | None]]:
        """``(tags, probability of each tag or None)`` of each sentence, in order; an empty sentence has none.

        A sentence of more than ``data.max_length`` tokens is tagged in pieces of that length.
        """
        limit = self.task.recipe.data.max_length
        pieces = [(index, start) for index, sentence in enumerate(sentences)
                  for start in range(0, len(sentence), limit)]
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
            indexes = [self._numbers(batch, lengths[rows]) for batch, rows in zip(chosen, batches, strict=True)]
        # the memory may start anew between two batches, so each batch holds on to the table it was numbered in
        jobs = [(index_BT, table, torch.from_numpy(lengths[rows]), scores)
                for (index_BT, table), rows in zip(indexes, batches, strict=True)]
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
        x_BTD = table.index_select(0, index_BT.flatten().to(self.device)).view(*index_BT.shape, -1)
        hidden_BTD = self.model.encoder(x_BTD, lengths_B)  # type: ignore[operator, union-attr]
        labels_BT = self.model.head.decode(hidden_BTD, lengths_B)  # type: ignore[operator, union-attr]
        if not scores:
            return labels_BT.tolist(), []
        posteriors = self.model.head.posteriors(hidden_BTD, lengths_B)  # type: ignore[operator, union-attr]
        return labels_BT.tolist(), posteriors.gather(2, labels_BT.unsqueeze(2)).squeeze(2).tolist()

    def _numbers(self, parts: list[list[str]], lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """``(rows [B, T], the table they are rows of)``; tokens not met before are embedded first."""
        known = self._rows
        try:
            rows = [known[token] for part in parts for token in part]
        except KeyError:
            needed = {token for part in parts for token in part}
            self._learn([token for token in needed if token not in known], needed)
            rows = [known[token] for part in parts for token in part]
        return pad_ids(np.array(rows, np.int64), lengths), self._vectors

    def _learn(self, new: list[str], needed: set[str]) -> None:
        if len(self._rows) + len(new) > MAX_REMEMBERED:
            self._rows.clear()
            self._vectors = torch.zeros_like(self._vectors)
            new = list(needed)
        arrays = self.task.encoder.types(new)
        inputs = type_tensors(arrays, np.arange(len(new)))
        vectors = self.model.embedder.embed_types({name: value.to(self.device) for name, value in inputs.items()})[1:]  # type: ignore[operator, union-attr]
        start = len(self._rows) + 1
        self._rows.update(zip(new, range(start, start + len(new)), strict=True))
        while start + len(new) > len(self._vectors):
            self._vectors = torch.cat([self._vectors, torch.zeros_like(self._vectors)])
        self._vectors[start : start + len(new)] = vectors
