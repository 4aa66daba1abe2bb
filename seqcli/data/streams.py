"""The ids of a text as batches for a language model: one running text, or sentences.

Shapes: B sequences, T positions. The token read before the first one of a text or a sentence is <EOS>.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column, Columns
from seqcli.data.batch import IGNORE, Batch, Ints, Side, pad_ids
from seqcli.data.order import ByLength, shuffled_windows, stream_windows
from seqcli.recipe.schema import BatchConfig

CONTEXT = 512
"""Tokens read before the first one that counts, when a long text is measured in parts."""

PARTS = 32
"""Parts of a long text that are measured side by side."""


class TokenIds:
    """A column of tokens as ids of a vocabulary, a slice at a time."""

    def __init__(self, tokens: Column, id_of_symbol: Ints) -> None:
        self._values, self._ids = tokens.values, id_of_symbol
        self.offsets = tokens.offsets

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: slice) -> Ints:
        return self._ids[np.asarray(self._values[index])]

    def ring(self, start: int, end: int) -> Ints:
        """Tokens from ``start`` to ``end``, going on at the beginning behind the end; -1 is the last token."""
        total = len(self)
        parts = []
        while start < end:
            begin = start % total
            stop = min(total, begin + end - start)
            parts.append(self[begin:stop])
            start += stop - begin
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _batch(before: Sequence[Ints], after: Sequence[Ints], rows: Ints, *, fresh: bool = True) -> Batch:
    lengths = np.array([len(sequence) for sequence in after], np.int64)
    inputs = {"words_BT": pad_ids(np.concatenate(before), lengths)}
    targets = {"ids_BT": pad_ids(np.concatenate(after), lengths, fill=IGNORE)}
    return Batch(Side(inputs, lengths), Side(targets, lengths), rows, fresh)


class SentenceData(ByLength):
    """Each sentence on its own, with its <EOS>."""

    def __init__(self, columns: Columns, ids: TokenIds, eos: int) -> None:
        self.columns, self.ids, self.eos = columns, ids, eos
        self.lengths = columns["source"].lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Inputs, and the same one token later as targets."""
        after = self.sequences(rows)
        return _batch([np.concatenate([[self.eos], sequence[:-1]]) for sequence in after], after, rows)

    def sequences(self, rows: NDArray[np.int64]) -> list[Ints]:
        """The ids of sentences, each with its <EOS>."""
        offsets = self.ids.offsets
        return [self.ids[int(offsets[row]) : int(offsets[row + 1])] for row in rows.tolist()]


class StreamData:
    """One running text, in windows of ``bptt`` tokens.

    ``carries``: windows go on from each other, and the state is carried over; else each window is on its own (for a
    transformer).
    """

    def __init__(self, columns: Columns, ids: TokenIds, eos: int, *, bptt: int, carries: bool) -> None:
        self.columns, self.ids, self.eos, self.bptt, self.carries = columns, ids, eos, bptt, carries
        self.lengths = np.array([len(ids)], np.int64)

    def widths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
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

    def parts(self) -> list[tuple[Ints, int]]:
        """The text as headed sequences to be scored side by side, and how many results of each do not count.

        Every token counts once. Where the state runs on, a part begins `CONTEXT` tokens before its first that counts;
        a model that looks back on a window alone gets the text whole.
        """
        total = len(self.ids)
        side = int(np.clip(total // (4 * CONTEXT), 1, PARTS)) if self.carries else 1
        edges = [total * part // side for part in range(side + 1)]
        starts = [max(edge - CONTEXT, 0) for edge in edges[:-1]]
        heads = [self.ids[start - 1 : start] if start else np.array([self.eos]) for start in starts]
        return [
            (np.concatenate([head, self.ids[start:end]]), first - start)
            for head, start, first, end in zip(heads, starts, edges, edges[1:], strict=False)
        ]

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        pairs = [self._window(start, end) for start, end in rows[:, :2].tolist()]
        return _batch([before for before, _ in pairs], [after for _, after in pairs], rows, fresh=bool(rows[0, 2]))

    def _window(self, start: int, end: int) -> tuple[Ints, Ints]:
        if start == 0:
            after = self.ids.ring(0, end)
            return np.concatenate([[self.eos], after[:-1]]), after
        both = self.ids.ring(start - 1, end)
        return both[:-1], both[1:]

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        offsets = np.asarray(self.columns["source"].offsets[:])
        total = len(self.ids)
        return [
            self.columns.place(int(np.searchsorted(offsets, start % total, side="right")) - 1)
            for start in rows[:, 0].tolist()
        ]
