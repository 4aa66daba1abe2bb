"""Tagging at full speed: what depends on a token's spelling alone is computed once and remembered.

Shapes: N remembered tokens (row 0 is padding), B sequences, T positions, D values.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        self._vectors = torch.zeros(1024, int(model.embedder.output_dim), device=device)  # type: ignore[union-attr, arg-type]

    @torch.inference_mode()
    def tag(
        self, sentences: Sequence[list[str]], *, scores: bool = False
    ) -> list[tuple[list[str], list[float] | None]]:
        """``(tags, probability of each tag or None)`` of each sentence, in order; an empty sentence has none."""
        results: list[tuple[list[str], list[float] | None]] = [([], [] if scores else None)] * len(sentences)
        filled = [index for index, sentence in enumerate(sentences) if sentence]
        if not filled:
            return results
        limit = self.task.recipe.data.max_length
        pieces = [(index, start) for index in filled for start in range(0, len(sentences[index]), limit)]
        parts = [sentences[index][start : start + limit] for index, start in pieces]
        lengths = np.array([len(part) for part in parts], np.int64)
        labels: list[list[int]] = [[]] * len(parts)
        chances: list[list[float]] = [[]] * len(parts)
        for rows in sorted_batches(lengths, tokens=POSITIONS):
            found, chance = self._run([parts[row] for row in rows], lengths[rows], scores)
            for position, row in enumerate(rows.tolist()):
                labels[row] = found[position][: lengths[row]]
                if chance is not None:
                    chances[row] = chance[position][: lengths[row]]
        for index in filled:
            results[index] = ([], [] if scores else None)
        for (index, _), label_ids, chance_list in zip(pieces, labels, chances, strict=True):
            tags, kept = results[index]
            tags.extend(self.task.written(label_ids))
            if kept is not None:
                kept.extend(chance_list)
        return results

    def _run(
        self, parts: list[list[str]], lengths: NDArray[np.int64], scores: bool
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        index_BT = pad_ids(np.fromiter(self._numbers(parts), np.int64, int(lengths.sum())), lengths)
        lengths_B = torch.from_numpy(lengths).to(self.device)
        x_BTD = self._vectors[index_BT.to(self.device)]
        hidden_BTD = self.model.encoder(x_BTD, lengths_B)  # type: ignore[operator, union-attr]
        labels_BT = self.model.head.decode(hidden_BTD, lengths_B)  # type: ignore[operator, union-attr]
        if not scores:
            return labels_BT.tolist(), None
        posteriors = self.model.head.posteriors(hidden_BTD, lengths_B)  # type: ignore[operator, union-attr]
        return labels_BT.tolist(), posteriors.gather(2, labels_BT.unsqueeze(2)).squeeze(2).tolist()

    def _numbers(self, parts: list[list[str]]) -> list[int]:
        """Row of each token, embedding those not met before."""
        known = self._rows
        new = {token for part in parts for token in part if token not in known}
        if new:
            self._learn(list(new), {token for part in parts for token in part})
            known = self._rows
        return [known[token] for part in parts for token in part]

    def _learn(self, new: list[str], needed: set[str]) -> None:
        if len(self._rows) + len(new) > MAX_REMEMBERED:
            self._rows.clear()
            new = list(needed)
        arrays = self.task.encoder.types(new)
        inputs = type_tensors(arrays, np.arange(len(new)))
        vectors = self.model.embedder.embed_types({name: value.to(self.device) for name, value in inputs.items()})[1:]  # type: ignore[operator, union-attr]
        start = len(self._rows) + 1
        self._rows.update(zip(new, range(start, start + len(new)), strict=True))
        while start + len(new) > len(self._vectors):
            self._vectors = torch.cat([self._vectors, torch.zeros_like(self._vectors)])
        self._vectors[start : start + len(new)] = vectors
        assert isinstance(self._vectors, Tensor)
