"""Language models at work: the next token's distribution, step by step, and the probability of given text.

Shapes: B sequences, T tokens, V rows of the vocabulary. Implements `seqcli.decode.stepper.Stepper`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.batching.batch import pad_ids
from seqcli.data.order import sorted_batches
from seqcli.decode.stepper import LogProbs
from seqcli.engines.stepping import RecurrentStepper
from seqcli.models.language import LanguageModel
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.tasks.language import LanguageTask

POSITIONS = 4096
"""Positions scored at a time, padding counted."""

_LOGITS = 2**22
"""Logits made at a time when scoring."""


class ReadState(NamedTuple):
    """States of the encoder; ``seen``: the tokens they stand for, kept where the model can look back on some only."""

    states: list[Tensor]
    seen: Tensor | None


class NetworkEngine:
    """A trained network as a model of the next token.

    A model of limited context (a transformer) that has filled it starts again from the later half of what it has
    seen, so every token but the first ones is predicted from half a context at least; `score` cuts long sequences at
    the same places.
    """

    def __init__(self, task: LanguageTask, model: LanguageModel, device: torch.device) -> None:
        self.task, self.device = task, device
        self.model = model.to(device).eval()
        self.eos, self.context = task.eos, task.context
        # On a CPU batches are scored side by side on one thread each, and a step is too small to be shared at all.
        self._pool: ThreadPoolExecutor | None = None
        threads = torch.get_num_threads()
        if device.type == "cpu" and threads > 1:
            torch.set_num_threads(1)
            self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self._stepper = RecurrentStepper(self.model) if isinstance(self.model.encoder, RecurrentEncoder) else None

    @torch.inference_mode()
    def start(self, count: int) -> tuple[LogProbs, ReadState]:
        """``(ln p of the first token [B, V], state)`` of ``count`` sequences."""
        seen = torch.zeros(count, 0, dtype=torch.long) if self.context is not None else None
        return self.read(np.full((count, 1), self.eos, np.int64), ReadState([], seen))

    @torch.inference_mode()
    def read(self, ids_BT: NDArray[np.int64], state: ReadState) -> tuple[LogProbs, ReadState]:
        """Read more tokens: ``(ln p of the token after them [B, V], new state)``."""
        ids = torch.from_numpy(ids_BT)
        if self._stepper is not None and ids.size(1) == 1 and state.states:
            vectors_BD, states = self._stepper(ids[:, 0].to(self.device), state.states)
            return self.model.log_probs(vectors_BD).cpu().numpy(), ReadState(states, None)
        hidden = None
        while ids.size(1):
            state = self._with_room(state)
            room = ids.size(1) if self.context is None or state.seen is None else self.context - state.seen.size(1)
            hidden, state = self._read(ids[:, :room], state)
            ids = ids[:, room:]
        assert hidden is not None
        return self.model.log_probs(hidden[:, -1]).cpu().numpy(), state

    def _read(self, ids_BT: Tensor, state: ReadState) -> tuple[Tensor, ReadState]:
        hidden_BTD, states = self.model(ids_BT.to(self.device), state.states)
        seen = None if state.seen is None else torch.cat([state.seen, ids_BT], dim=1)
        return hidden_BTD, ReadState(states, seen)

    def _with_room(self, state: ReadState) -> ReadState:
        """The same state where it can take a token, else one that remembers the later half."""
        if self.context is None or state.seen is None or state.seen.size(1) < self.context:
            return state
        kept = state.seen[:, max(1, self.context // 2) :]
        fresh = ReadState([], kept[:, :0])
        return self._read(kept, fresh)[1] if kept.size(1) else fresh

    def select(self, state: ReadState, rows: NDArray[np.int64]) -> ReadState:
        """The state of some of the sequences."""
        index = torch.from_numpy(rows)
        states = [one.index_select(0, index.to(one.device)) for one in state.states]
        return ReadState(states, None if state.seen is None else state.seen.index_select(0, index))

    def score(self, sequences: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """ln p of each token of each sequence."""
        results = [np.zeros(len(sequence)) for sequence in sequences]
        windows = [
            window for number, sequence in enumerate(sequences) for window in self._windows(number, len(sequence))
        ]
        lengths = np.array([window.end - window.start for window in windows], np.int64)
        batches = [[windows[row] for row in rows.tolist()] for rows in sorted_batches(lengths, tokens=POSITIONS)]
        jobs = [[self._pair(sequences, window) for window in batch] for batch in batches]
        found = self._pool.map(self._score, jobs) if self._pool and len(jobs) > 1 else map(self._score, jobs)
        for batch, log_probs in zip(batches, found, strict=True):
            for window, values in zip(batch, log_probs, strict=True):
                results[window.sequence][window.counted : window.end] = values[window.counted - window.start :]
        return results

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

    def _pair(self, sequences: Sequence[NDArray[np.int64]], window: _Window) -> tuple[NDArray[np.int64], ...]:
        sequence = sequences[window.sequence]
        before = sequence[window.start - 1 : window.start] if window.start else np.array([self.eos])
        after = sequence[window.start : window.end]
        return np.concatenate([before, after[:-1]]), after

    @torch.inference_mode()
    def _score(self, pairs: list[tuple[NDArray[np.int64], ...]]) -> list[NDArray[np.float64]]:
        """ln p of the targets of some windows; a single long one is read in pieces."""
        lengths = np.array([len(after) for _, after in pairs], np.int64)
        ids_BT = pad_ids(np.concatenate([before for before, _ in pairs]), lengths).to(self.device)
        targets_BT = pad_ids(np.concatenate([after for _, after in pairs]), lengths).to(self.device)
        states: list[Tensor] = []
        parts = []
        piece = ids_BT.size(1) if self.context is not None else max(1, POSITIONS // len(pairs))
        for at in range(0, ids_BT.size(1), piece):
            hidden_BTD, states = self.model(ids_BT[:, at : at + piece], states)
            parts.append(self._chosen(hidden_BTD, targets_BT[:, at : at + piece]))
        found = torch.cat(parts, dim=1).double().cpu().numpy()
        return [found[row, :length] for row, length in enumerate(lengths.tolist())]

    def _chosen(self, hidden_BTD: Tensor, targets_BT: Tensor) -> Tensor:
        """ln p of the targets [B, T], the logits made some rows at a time."""
        hidden_ND, targets_N1 = hidden_BTD.flatten(0, 1), targets_BT.flatten().unsqueeze(1)
        rows = max(16, _LOGITS // len(self.task.vocabulary))
        parts = [
            self.model.log_probs(hidden_ND[at : at + rows]).gather(1, targets_N1[at : at + rows])
            for at in range(0, len(hidden_ND), rows)
        ]
        return torch.cat(parts).view(targets_BT.shape)


class _Window(NamedTuple):
    """Tokens ``start`` to ``end`` of a sequence are read, those from ``counted`` on are its results."""

    sequence: int
    start: int
    end: int
    counted: int
