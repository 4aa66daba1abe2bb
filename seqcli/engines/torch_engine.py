"""Trained networks on torch: a GPU, gradients of the input, and the measure of every other engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.data.batch import Outputs, Side
from seqcli.decode.stepper import LogProbs
from seqcli.engines.stepper import LOGITS, Ids, NetworkStepper
from seqcli.errors import usage_error
from seqcli.models.device import choose_device
from seqcli.models.language import LanguageModel
from seqcli.models.network import Network
from seqcli.models.weights import check_shapes, load_weights
from seqcli.tasks.base import Task
from seqcli.tasks.language_model import LanguageModelTask


class TorchEngine:
    """A network as it is, on the device that it is on."""

    flat = False
    parallel = False
    positions = 4096

    def __init__(self, network: Network, eos: int = 0, context: int | None = None) -> None:
        """``eos``, ``context``: of a language model, the token that starts a sequence and how far it looks back."""
        self.network, self.eos, self.context = network, eos, context

    def outputs(self, source: Side) -> Outputs:
        with torch.inference_mode():
            outputs = self.network.eval()(source)
        return {name: value.float().cpu().numpy() for name, value in outputs.items()}

    def stepper(self) -> TorchStepper:
        if not isinstance(self.network, LanguageModel):
            raise usage_error("this model has no next token")
        return TorchStepper(self.network, self.eos, self.context)


class TorchStepper(NetworkStepper[Tensor]):
    """A language model, token by token."""

    def __init__(self, network: LanguageModel, eos: int, context: int | None) -> None:
        super().__init__(eos, context)
        self.network = network.eval()
        self.device = next(network.parameters()).device
        self.vocabulary_size = network.words.num_embeddings

    def initial(self, count: int) -> list[Tensor]:
        return []

    @torch.inference_mode()
    def next(self, ids_BT: Ids, states: list[Tensor]) -> tuple[LogProbs, list[Tensor]]:
        hidden_BTD, states = self.network.read(torch.from_numpy(ids_BT).to(self.device), states)
        return self.network.head.log_probs(hidden_BTD[:, -1]).cpu().numpy(), states

    @torch.inference_mode()
    def chosen(self, ids_BT: Ids, targets_BT: Ids, states: list[Tensor]) -> tuple[NDArray[np.float32], list[Tensor]]:
        hidden_BTD, states = self.network.read(torch.from_numpy(ids_BT).to(self.device), states)
        hidden_ND = hidden_BTD.flatten(0, 1)
        targets_N1 = torch.from_numpy(targets_BT).to(self.device).flatten().unsqueeze(1)
        rows = max(16, LOGITS // self.vocabulary_size)
        parts = [
            self.network.head.log_probs(hidden_ND[at : at + rows]).gather(1, targets_N1[at : at + rows])
            for at in range(0, len(hidden_ND), rows)
        ]
        return torch.cat(parts).view(targets_BT.shape).cpu().numpy(), states

    def rows(self, state: Tensor, rows: Ids) -> Tensor:
        return state.index_select(0, torch.from_numpy(rows).to(state.device))


def torch_engine(task: Task[Any], network: Network) -> TorchEngine:
    """The engine of a task's network."""
    if isinstance(task, LanguageModelTask):
        return TorchEngine(network, task.source.eos, task.context)
    return TorchEngine(network)


def load_network(task: Task[Any], weights: Path, device: str) -> Network:
    """The network of a loaded task with its trained weights, on a device.

    Raises:
        UserError: weights of another shape, a damaged file (65), a device that is not there (2).
    """
    where = choose_device(device)
    torch.set_flush_denormal(True)
    network = task.network()
    tensors = load_weights(weights)
    check_shapes(network.state_dict(), tensors, file=weights)
    network.load_state_dict(tensors)
    return network.to(where).eval().requires_grad_(False)
