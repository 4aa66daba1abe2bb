"""Language models at work in torch. Shapes: B sequences, T tokens, D values, V rows of the vocabulary, N = B x T."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.decode.next_token import LogProbs
from seqcli.engines.stepper import Ids, Stepper
from seqcli.engines.stepping import RecurrentStepper
from seqcli.models.language import LanguageModel
from seqcli.models.recurrent import RecurrentEncoder
from seqcli.tasks.language import LanguageTask

_LOGITS = 2**22
"""Logits made at a time when scoring."""


class NetworkEngine(Stepper[Tensor]):
    """A trained network as a model of the next token."""

    def __init__(self, task: LanguageTask, model: LanguageModel, device: torch.device) -> None:
        # On a CPU batches are scored side by side on one thread each, and a step is too small to be shared at all.
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        if threads > 1:
            torch.set_num_threads(1)
        super().__init__(task.eos, task.context, threads=threads)
        self.task, self.device = task, device
        self.model = model.to(device).eval()
        self._stepper = RecurrentStepper(self.model) if isinstance(self.model.encoder, RecurrentEncoder) else None

    def initial(self, count: int) -> list[Tensor]:
        """No states: the start of a sequence."""
        return []

    @torch.inference_mode()
    def next(self, ids_BT: Ids, states: list[Tensor]) -> tuple[LogProbs, list[Tensor]]:
        """``(ln p of the token after these [B, V], states to read on from)``."""
        ids = torch.from_numpy(ids_BT).to(self.device)
        if self._stepper is not None and ids.size(1) == 1 and states:
            last_BD, states = self._stepper(ids[:, 0], states)
        else:
            hidden_BTD, states = self.model(ids, states)
            last_BD = hidden_BTD[:, -1]
        return self.model.log_probs(last_BD).cpu().numpy(), states

    @torch.inference_mode()
    def chosen(self, ids_BT: Ids, targets_BT: Ids, states: list[Tensor]) -> tuple[NDArray[np.float32], list[Tensor]]:
        """``(ln p of the target after each token [B, T], states to read on from)``."""
        hidden_BTD, states = self.model(torch.from_numpy(ids_BT).to(self.device), states)
        hidden_ND, targets_N1 = hidden_BTD.flatten(0, 1), torch.from_numpy(targets_BT).to(self.device).view(-1, 1)
        rows = max(16, _LOGITS // len(self.task.vocabulary))
        parts = [
            self.model.log_probs(hidden_ND[at : at + rows]).gather(1, targets_N1[at : at + rows])
            for at in range(0, len(hidden_ND), rows)
        ]
        return torch.cat(parts).view(targets_BT.shape).cpu().numpy(), states

    @torch.inference_mode()
    def rows(self, state: Tensor, rows: Ids) -> Tensor:
        """One state of some of the sequences."""
        return state.index_select(0, torch.from_numpy(rows).to(state.device))
