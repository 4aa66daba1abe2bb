"""The encoded text of a language model as batches: one running text, or sentences.

Shapes: B sequences, T positions. The token read before the first one of a text or a sentence is <EOS>.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.batching.batch import Batch, pad_ids
from seqcli.data.arrays import Field, Split
from seqcli.data.order import ByLength, shuffled_windows, stream_windows
from seqcli.recipe.schema import BatchConfig

IGNORE = -100
"""Target of a position that is not counted."""

CONTEXT = 512
"""Tokens read before the first one that counts, when a long text is measured in parts."""

PARTS = 32
"""Parts of a long text that are measured side by side."""


class TokenIds:
    """The token field of a split as ids of a vocabulary, a slice at a time."""

    def __init__(self, tokens: Field, id_of_symbol: NDArray[np.int64]) -> None:
        self._values, self._ids = tokens.values, id_of_symbol
        self.offsets = tokens.offsets

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: slice) -> NDArray[np.int64]:
        return self._ids[np.asarray(self._values[index])]

    def ring(self, start: int, end: int) -> NDArray[np.int64]:
        """Tokens from ``start`` to ``end``, going on at the beginning behind the end; -1 is the last token."""
        total = len(self)
        parts = []
        while start < end:
            begin = start % total
            stop = min(total, begin + end - start)
            parts.append(self[begin:stop])
            start += stop - begin
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


class SentenceData(ByLength):
    """Each sentence on its own, with its <EOS>."""

    carries = False

    def __init__(self, split: Split, ids: TokenIds, eos: int) -> None:
        self.split, self.ids, self.eos = split, ids, eos
        self.field = split.fields["token"]
        self.lengths = self.field.lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Inputs, and the same one token later as targets, of these sentences."""
        sequences = self.sequences(rows)
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        before = [np.concatenate([[self.eos], sequence[:-1]]) for sequence in sequences]
        return Batch(
            {"ids_BT": pad_ids(np.concatenate(before), lengths)},
            torch.from_numpy(lengths),
            pad_ids(np.concatenate(sequences), lengths, fill=IGNORE),
            rows,
        )

    def sequences(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The ids of these sentences, each with its <EOS>."""
        offsets = self.ids.offsets
        return [self.ids[int(offsets[row]) : int(offsets[row + 1])] for row in rows.tolist()]


class StreamData:
    """One running text, in windows of ``bptt`` tokens.

    ``carries``: windows go on from each other, and the state is carried over; else each window is on its own (for a
    transformer), and when measuring, windows overlap by half.
    """

    def __init__(self, split: Split, ids: TokenIds, eos: int, *, bptt: int, carries: bool) -> None:
        self.split, self.ids, self.eos, self.bptt, self.carries = split, ids, eos, bptt, carries
        self.lengths = np.array([len(ids)], np.int64)

    def widths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens in each of these windows."""
        return rows[:, 1] - rows[:, 0]

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """Rows [start, end, fresh] of each batch; where the text is cut moves from epoch to epoch."""
        total = len(self.ids)
        window = min(self.bptt, total)
        side = max(1, min(batch.sequences or batch.tokens // self.bptt, total // window))
        random = np.random.default_rng([seed, epoch])
        offset = int(random.integers(total)) if epoch else 0
        if self.carries:
            return stream_windows(total, streams=side, window=window, offset=offset)
        return shuffled_windows(total, windows=side, window=window, offset=offset, random=random)

    def measuring_order(self, tokens: int) -> Sequence[NDArray[np.int64]]:
        """Rows [start, end, fresh, first that counts]; every token counts once, after `CONTEXT` tokens or all before.

        Where windows are on their own, after half a window at least.
        """
        total = len(self.ids)
        if not self.carries:
            return self._overlapping(tokens)
        side = int(np.clip(total // (4 * CONTEXT), 1, PARTS))
        edges = np.array([total * part // side for part in range(side + 1)], np.int64)
        firsts = np.maximum(edges[:-1] - CONTEXT, 0)
        window = max(1, tokens // side)
        longest = int((edges[1:] - firsts).max())
        return [
            np.stack(
                [
                    np.minimum(firsts + at, edges[1:]),
                    np.minimum(firsts + at + window, edges[1:]),
                    np.full(side, at == 0),
                    edges[:-1],
                ],
                axis=1,
            )
            for at in range(0, longest, window)
        ]

    def _overlapping(self, tokens: int) -> list[NDArray[np.int64]]:
        total, window = len(self.ids), self.bptt
        step = max(1, window // 2)
        rows = [[0, min(window, total), 1, 0]]
        for first in range(window, total, step):
            rows.append([first + step - window, min(first + step, total), 1, first])
        side = max(1, tokens // window)
        return [np.array(rows[at : at + side], np.int64) for at in range(0, len(rows), side)]

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Inputs and targets of these windows; ``fresh`` among the inputs when the state starts anew."""
        lengths = self.widths(rows)
        pairs = [self._window(start, end) for start, end in rows[:, :2].tolist()]
        inputs: dict[str, Any] = {"ids_BT": pad_ids(np.concatenate([before for before, _ in pairs]), lengths)}
        targets = [after for _, after in pairs]
        if rows.shape[1] > 3:
            targets = [
                np.where(np.arange(start, end) < counted, IGNORE, after)
                for (start, end, _, counted), after in zip(rows.tolist(), targets, strict=True)
            ]
        if rows[0, 2]:
            inputs["fresh"] = torch.ones(1, dtype=torch.bool)
        return Batch(inputs, torch.from_numpy(lengths), pad_ids(np.concatenate(targets), lengths, fill=IGNORE), rows)

    def _window(self, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if start == end:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if start == 0:
            after = self.ids.ring(0, end)
            return np.concatenate([[self.eos], after[:-1]]), after
        both = self.ids.ring(start - 1, end)
        return both[:-1], both[1:]

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        """``file:line`` where these windows begin."""
        offsets = np.asarray(self.split.fields["token"].offsets[:])
        total = len(self.ids)
        return [
            self.split.place(int(np.searchsorted(offsets, start % total, side="right")) - 1)
            for start in rows[:, 0].tolist()
        ]
