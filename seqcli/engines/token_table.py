"""Vectors of tokens met before: what depends on a token's spelling alone is computed once and remembered.

Shapes: B sequences, T positions, N remembered tokens (row 0 is padding), D values.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.batch import pad_ids
from seqcli.engines.projected import ProjectedLSTM
from seqcli.tasks.tokens import TokenEncoder, type_tensors

MAX_REMEMBERED = 2**16
"""Tokens remembered before the memory starts anew, which keeps an endless stream flat."""

MAX_VALUES = 2**25
"""Values remembered at most: fewer tokens where each has many."""


class TokenTable:
    """A trained embedder for tokens as they come; with ``projected`` their part of an LSTM's gates instead."""

    def __init__(
        self, encoder: TokenEncoder, embedder: nn.Module, device: torch.device, projected: ProjectedLSTM | None = None
    ) -> None:
        self.encoder, self.embedder, self.device, self.projected = encoder, embedder, device, projected
        self._rows: dict[str, int] = {}
        width = int(embedder.output_dim) if projected is None else projected.width  # type: ignore[arg-type]
        self.most = min(MAX_REMEMBERED, MAX_VALUES // width) - 1  # and the row of padding
        self._vectors = torch.zeros(1024, width, device=device)

    def numbers(self, parts: Sequence[list[str]], lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """``(rows [B, T], the table [N, D] they are rows of)``; tokens not met before are embedded first.

        The memory may start anew at the next call, so whoever works with the rows later holds on to this table.
        """
        known = self._rows
        try:
            rows = [known[token] for part in parts for token in part]
        except KeyError:
            needed = {token for part in parts for token in part}
            self._learn([token for token in needed if token not in known], needed)
            rows = [known[token] for part in parts for token in part]
        return pad_ids(np.array(rows, np.int64), lengths), self._vectors

    def _learn(self, new: list[str], needed: set[str]) -> None:
        if len(self._rows) + len(new) > self.most:
            self._rows.clear()
            self._vectors = torch.zeros_like(self._vectors)
            new = list(needed)
        arrays = self.encoder.types(new)
        inputs = type_tensors(arrays, np.arange(len(new)))
        moved = {name: value.to(self.device) for name, value in inputs.items()}
        vectors = self.embedder.embed_types(moved)[1:]  # type: ignore[operator]
        if self.projected is not None:
            vectors = self.projected.project(vectors)
        start = len(self._rows) + 1
        self._rows.update(zip(new, range(start, start + len(new)), strict=True))
        while start + len(new) > len(self._vectors):
            self._vectors = torch.cat([self._vectors, torch.zeros_like(self._vectors)])
        self._vectors[start : start + len(new)] = vectors


def spread(table: Tensor, index_BT: Tensor) -> Tensor:
    """Rows of a table as vectors [B, T, D]."""
    return table.index_select(0, index_BT.flatten().to(table.device)).view(*index_BT.shape, -1)


def cpu_pool(device: torch.device) -> ThreadPoolExecutor | None:
    """On a CPU batches run side by side on one thread each: nothing waits for the slower half of a batch."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return None
    torch.set_num_threads(1)
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
