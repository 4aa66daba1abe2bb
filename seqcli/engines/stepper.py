"""A network as a model of the next token: whatever runs it, texts are cut and batched in the same places.

Shapes: B sequences, T tokens, V rows of the vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Outputs, Side
from seqcli.data.order import sorted_batches
from seqcli.decode.generate import GenerateOptions, Hypothesis, generate
from seqcli.decode.stepper import LogProbs, Stepper

POSITIONS = 4096
"""Positions scored at a time, padding counted."""

LOGITS = 2**22
"""Logits made at a time when scoring."""

S = TypeVar("S")
Ids = NDArray[np.int64]


class ReadState(NamedTuple, Generic[S]):
    """States of the encoder; ``seen_BT``: the tokens they stand for, kept where the model can look back on some only."""

    states: list[S]
    seen_BT: Ids | None


class SourceWriter(ABC):
    """How an engine that has a stepper for some sources writes their targets."""

    @abstractmethod
    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        """One that has read these sources, of which ``outputs`` may be known; of a language model without any."""

    def generate(
        self, source: Side, options: GenerateOptions, *, scores: bool = True, **how: Any
    ) -> list[list[Hypothesis]]:
        return generate(self.stepper(source), len(source.lengths_B), options, **how)

    def score(self, source: Side, targets: Sequence[Ids]) -> list[NDArray[np.float64]]:
        return self.stepper(source).score(targets)


class SourceState(NamedTuple, Generic[S]):
    """What is remembered of targets begun.

    ``owners_B``: the source of each; ``kept``: what the decoder keeps of those sources, ``states``: of the tokens read;
    ``seen_BS``: where the last token looked.
    """

    owners_B: Ids
    kept: list[S]
    states: list[S]
    seen_BS: NDArray[np.float32] | None


class SourceStepper(ABC, Generic[S]):
    """Implements `seqcli.decode.stepper.Stepper` for encoder-decoders that have read some sources."""

    def __init__(self, eos: int, kept: list[S], states: list[S], sources: int) -> None:
        """``kept``, ``states``: what the encoder made of the sources, as in `SourceState`."""
        self.eos = eos
        self._begin: SourceState[S] = SourceState(np.arange(sources), kept, states, None)

    @abstractmethod
    def next(self, ids_BT: Ids, kept: list[S], states: list[S]) -> tuple[LogProbs, list[S], NDArray[np.float32] | None]:
        """``(ln p of the token after these [B, V], states to read on from, where the last one looked [B, S])``."""

    @abstractmethod
    def chosen(self, ids_BT: Ids, targets_BT: Ids, kept: list[S], states: list[S]) -> NDArray[np.float32]:
        """ln p of the target after each token [B, T]."""

    @abstractmethod
    def rows(self, state: S, rows: Ids) -> S:
        """One state of some of the sequences."""

    def start(self, count: int) -> tuple[LogProbs, SourceState[S]]:
        """The first token of a target for each source; ``count`` is the number of sources."""
        return self.read(np.full((count, 1), self.eos, np.int64), self._begin)

    def read(self, ids_BT: Ids, state: SourceState[S]) -> tuple[LogProbs, SourceState[S]]:
        log_probs, states, seen_BS = self.next(ids_BT, state.kept, state.states)
        return log_probs, SourceState(state.owners_B, state.kept, states, seen_BS)

    def select(self, state: SourceState[S], rows: Ids) -> SourceState[S]:
        """The state of some of the targets; what is kept of the sources moves only where a row gets another source."""
        owners_B = state.owners_B[rows]
        alike = len(owners_B) == len(state.owners_B) and bool((owners_B == state.owners_B).all())
        kept = state.kept if alike else [self.rows(one, rows) for one in state.kept]
        seen_BS = None if state.seen_BS is None else state.seen_BS[rows]
        return SourceState(owners_B, kept, [self.rows(one, rows) for one in state.states], seen_BS)

    def attention(self, state: SourceState[S]) -> NDArray[np.float32] | None:
        return state.seen_BS

    def score(self, sequences: Sequence[Ids], *, headed: bool = False) -> list[NDArray[np.float64]]:
        """ln p of the tokens of a target for each source, in their order."""
        if not headed:
            sequences = [np.concatenate([[self.eos], sequence]) for sequence in sequences]
        ids_BT, targets_BT = _padded([one[:-1] for one in sequences]), _padded([one[1:] for one in sequences])
        found_BT = self.chosen(ids_BT, targets_BT, self._begin.kept, self._begin.states).astype(np.float64)
        return [row[: len(sequence) - 1] for row, sequence in zip(found_BT, sequences, strict=True)]


class NetworkStepper(ABC, Generic[S]):
    """Implements `seqcli.decode.stepper.Stepper` for networks whose states are arrays or tensors (S).

    A model of limited context (a transformer) that has filled it starts again from the later half of what it has
    seen, so every token but the first ones is predicted from half a context at least; `score` cuts long sequences at
    the same places.
    """

    def __init__(self, eos: int, context: int | None, *, positions: int = POSITIONS, threads: int = 1) -> None:
        """``positions``: most of them that one call of `chosen` takes; ``threads`` score batches side by side."""
        self.eos, self.context, self.positions = eos, context, positions
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    @abstractmethod
    def initial(self, count: int) -> list[S]:
        """States of ``count`` sequences that have read nothing."""

    @abstractmethod
    def next(self, ids_BT: Ids, states: list[S]) -> tuple[LogProbs, list[S]]:
        """``(ln p of the token after these [B, V], states to read on from)``."""

    @abstractmethod
    def chosen(self, ids_BT: Ids, targets_BT: Ids, states: list[S]) -> tuple[NDArray[np.float32], list[S]]:
        """``(ln p of the target after each token [B, T], states to read on from)``."""

    @abstractmethod
    def rows(self, state: S, rows: Ids) -> S:
        """One state of some of the sequences."""

    def start(self, count: int) -> tuple[LogProbs, ReadState[S]]:
        """``(ln p of the first token [B, V], state)`` of ``count`` sequences."""
        return self.read(np.full((count, 1), self.eos, np.int64), self._fresh(count))

    def read(self, ids_BT: Ids, state: ReadState[S]) -> tuple[LogProbs, ReadState[S]]:
        """Read more tokens: ``(ln p of the token after them [B, V], new state)``."""
        while True:
            state = self._with_room(state)
            taken = ids_BT.shape[1]
            if self.context is not None and state.seen_BT is not None:
                taken = min(taken, self.context - state.seen_BT.shape[1])
            log_probs, state = self._read(ids_BT[:, :taken], state)
            ids_BT = ids_BT[:, taken:]
            if not ids_BT.shape[1]:
                return log_probs, state

    def select(self, state: ReadState[S], rows: Ids) -> ReadState[S]:
        """The state of some of the sequences."""
        seen_BT = None if state.seen_BT is None else state.seen_BT[rows]
        return ReadState([self.rows(one, rows) for one in state.states], seen_BT)

    def attention(self, state: ReadState[S]) -> None:
        return None

    def score(self, sequences: Sequence[Ids], *, headed: bool = False) -> list[NDArray[np.float64]]:
        if not headed:
            sequences = [np.concatenate([[self.eos], sequence]) for sequence in sequences]
        results = [np.zeros(len(sequence) - 1) for sequence in sequences]
        windows = [window for number, result in enumerate(results) for window in self._windows(number, len(result))]
        lengths = np.array([window.end - window.start for window in windows], np.int64)
        # a limited context is read in one go, so that its batches are small; else a long batch is read in pieces
        tokens = POSITIONS if self.context is None else min(POSITIONS, self.positions)
        rows = sorted_batches(lengths, tokens=tokens, sequences=self.positions)
        batches = [[windows[row] for row in batch.tolist()] for batch in rows]
        jobs = [[self._pair(sequences, window) for window in batch] for batch in batches]
        found = self._pool.map(self._score, jobs) if self._pool and len(jobs) > 1 else map(self._score, jobs)
        for batch, log_probs in zip(batches, found, strict=True):
            for window, values in zip(batch, log_probs, strict=True):
                results[window.sequence][window.counted : window.end] = values[window.counted - window.start :]
        return results

    def _fresh(self, count: int) -> ReadState[S]:
        return ReadState(self.initial(count), None if self.context is None else np.zeros((count, 0), np.int64))

    def _read(self, ids_BT: Ids, state: ReadState[S]) -> tuple[LogProbs, ReadState[S]]:
        log_probs, states = self.next(ids_BT, state.states)
        seen_BT = None if state.seen_BT is None else np.concatenate([state.seen_BT, ids_BT], axis=1)
        return log_probs, ReadState(states, seen_BT)

    def _with_room(self, state: ReadState[S]) -> ReadState[S]:
        """The state itself while it can take a token, else one that remembers the later half."""
        if self.context is None or state.seen_BT is None or state.seen_BT.shape[1] < self.context:
            return state
        kept_BT = state.seen_BT[:, max(1, self.context // 2) :]
        fresh = self._fresh(len(kept_BT))
        return self._read(kept_BT, fresh)[1] if kept_BT.shape[1] else fresh

    def _windows(self, number: int, length: int) -> list[_Window]:
        context = self.context
        if context is None or length <= context:
            return [_Window(number, 0, length, 0)] if length else []
        step = max(1, context // 2)
        later = [
            _Window(number, first + step - context, min(first + step, length), first)
            for first in range(context, length, step)
        ]
        return [_Window(number, 0, context, 0), *later]

    def _pair(self, sequences: Sequence[Ids], window: _Window) -> tuple[Ids, Ids]:
        tokens = sequences[window.sequence][window.start : window.end + 1]
        return tokens[:-1], tokens[1:]

    def _score(self, pairs: list[tuple[Ids, Ids]]) -> list[NDArray[np.float64]]:
        """ln p of the targets of some windows, so many positions at a time as `chosen` takes."""
        ids_BT, targets_BT = (_padded([pair[side] for pair in pairs]) for side in (0, 1))
        states = self.initial(len(pairs))
        parts = []
        piece = max(1, self.positions // len(pairs))
        for at in range(0, ids_BT.shape[1], piece):
            found, states = self.chosen(ids_BT[:, at : at + piece], targets_BT[:, at : at + piece], states)
            parts.append(found)
        log_probs_BT = np.concatenate(parts, axis=1).astype(np.float64)
        return [row[: len(after)] for row, (_, after) in zip(log_probs_BT, pairs, strict=True)]


def numbered(prefix: str, names: Iterable[str]) -> list[str]:
    """The names that are ``prefix`` and a number, in the order of their numbers."""
    return sorted(
        (name for name in names if name.startswith(f"{prefix}_")), key=lambda name: int(name.rpartition("_")[2])
    )


def _padded(sequences: list[Ids]) -> Ids:
    padded_BT = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
    for row, sequence in zip(padded_BT, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded_BT


class _Window(NamedTuple):
    """Targets ``start`` to ``end`` of a sequence are read, those from ``counted`` on are its results."""

    sequence: int
    start: int
    end: int
    counted: int
