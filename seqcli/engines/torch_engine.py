"""Trained networks on torch: a GPU, gradients of the input, and the measure of every other engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.data.batch import Outputs, Side
from seqcli.decode.stepper import LogProbs, Stepper
from seqcli.engines.stepper import LOGITS, Ids, NetworkStepper, SourceStepper, SourceWriter, numbered
from seqcli.errors import usage_error
from seqcli.models.device import choose_device
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.language import LanguageModel
from seqcli.models.layers import TokenHead
from seqcli.models.network import Network
from seqcli.models.weights import check_shapes, load_weights
from seqcli.tasks.base import Task


class TorchEngine(SourceWriter):
    """A network as it is, on the device that it is on."""

    flat = False
    parallel = False
    positions = 4096

    def __init__(self, network: Network, eos: int = 0, context: int | None = None) -> None:
        """``eos``, ``context``: the token that starts what is read or written, and how far a language model looks back."""
        self.network, self.eos, self.context = network, eos, context

    def outputs(self, source: Side) -> Outputs:
        with torch.inference_mode():
            outputs = self.network.eval()(source)
        return {name: value.float().cpu().numpy() for name, value in outputs.items()}

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        if isinstance(self.network, EncoderDecoder) and source is not None:
            return TorchSourceStepper(self.network, self.eos, source, outputs)
        if not isinstance(self.network, LanguageModel):
            raise usage_error("this model has no next token")
        return TorchStepper(self.network, self.eos, self.context)


class TorchStepper(NetworkStepper[Tensor]):
    """A language model, token by token."""

    def __init__(self, network: LanguageModel, eos: int, context: int | None) -> None:
        super().__init__(eos, context)
        self.network = network.eval()
        self.device = next(network.parameters()).device

    def initial(self, count: int) -> list[Tensor]:
        return []

    @torch.inference_mode()
    def next(self, ids_BT: Ids, states: list[Tensor]) -> tuple[LogProbs, list[Tensor]]:
        hidden_BTD, states = self.network.read(torch.from_numpy(ids_BT).to(self.device), states)
        return self.network.head.log_probs(hidden_BTD[:, -1]).cpu().numpy(), states

    @torch.inference_mode()
    def chosen(self, ids_BT: Ids, targets_BT: Ids, states: list[Tensor]) -> tuple[NDArray[np.float32], list[Tensor]]:
        hidden_BTD, states = self.network.read(torch.from_numpy(ids_BT).to(self.device), states)
        found_N = _chosen(self.network.head, hidden_BTD.flatten(0, 1), torch.from_numpy(targets_BT).to(self.device))
        return found_N.view(targets_BT.shape).cpu().numpy(), states

    def rows(self, state: Tensor, rows: Ids) -> Tensor:
        return state.index_select(0, torch.from_numpy(rows).to(state.device))


class TorchSourceStepper(SourceStepper[Tensor]):
    """An encoder-decoder that has read some sources, token by token."""

    @torch.inference_mode()
    def __init__(self, network: EncoderDecoder, eos: int, source: Side, outputs: Outputs | None = None) -> None:
        self.network = network.eval()
        self.device = next(network.parameters()).device
        if outputs is None:
            kept, states = network.encode(source)
        else:
            kept, states = (
                [torch.from_numpy(outputs[name]).to(self.device) for name in numbered(part, outputs)]
                for part in ("kept", "state")
            )
        super().__init__(eos, kept, states, len(source.lengths_B))

    @torch.inference_mode()
    def next(
        self, ids_BT: Ids, kept: list[Tensor], states: list[Tensor]
    ) -> tuple[LogProbs, list[Tensor], NDArray[np.float32] | None]:
        hidden_BTD, states, seen_BTS = self.network.read(torch.from_numpy(ids_BT).to(self.device), kept, states)
        log_probs = self.network.head.log_probs(hidden_BTD[:, -1]).cpu().numpy()
        return log_probs, states, None if seen_BTS is None else seen_BTS[:, -1].float().cpu().numpy()

    @torch.inference_mode()
    def chosen(self, ids_BT: Ids, targets_BT: Ids, kept: list[Tensor], states: list[Tensor]) -> NDArray[np.float32]:
        hidden_BTD, _, _ = self.network.read(torch.from_numpy(ids_BT).to(self.device), kept, states)
        found_N = _chosen(self.network.head, hidden_BTD.flatten(0, 1), torch.from_numpy(targets_BT).to(self.device))
        return found_N.view(targets_BT.shape).cpu().numpy()

    def rows(self, state: Tensor, rows: Ids) -> Tensor:
        return state.index_select(0, torch.from_numpy(rows).to(state.device))


def _chosen(head: TokenHead, hidden_ND: Tensor, targets_BT: Tensor) -> Tensor:
    """ln p of one row of the vocabulary for each position [N]; not all logits are there at once."""
    targets_N1 = targets_BT.flatten().unsqueeze(1)
    rows = max(16, LOGITS // head.log_probs(hidden_ND[:1]).size(1))
    parts = [
        head.log_probs(hidden_ND[at : at + rows]).gather(1, targets_N1[at : at + rows])
        for at in range(0, len(hidden_ND), rows)
    ]
    return torch.cat(parts)


def torch_engine(task: Task[Any], network: Network) -> TorchEngine:
    """The engine of a task's network."""
    return TorchEngine(network, task.eos, task.context)


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
