"""Backpropagation through time, measured (Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013).

With L_t the loss at step t, s_k the state of a layer after step k (of an LSTM its cell) and U its recurrent matrix:

- by distance: the mean over sequences, t and k of the Euclidean norm of dL_t/ds_k, for each t - k;
- through time: dL_t/dU = sum over k of dL_t/ds_k * d+s_k/dU, where d+ is direct: s_{k-1} taken as a constant. In one layer
  without attention dL_t/ds_k = dL_t/ds_t * ds_t/ds_k, and of a tanh RNN ds_t/ds_k is the product over j = k+1 ... t of
  diag(1 - s_j^2) U. That product is what vanishes or explodes;
- the singular values of U, which bound it: a factor stretches no direction by more than the largest;
- the norm of a batch's gradient, which training clips.

All of it in float64. Shapes: T steps, B sequences, H state, G gates.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.data.batch import IGNORE, Batch, Side
from seqcli.inspect.steps import Trace, layer_name, recurrent_layers, traced
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.ctc import Transcriber
from seqcli.models.encoder_decoder import EncoderDecoder
from seqcli.models.ensemble import Ensemble
from seqcli.models.forecaster import Forecaster, StepwiseForecaster
from seqcli.models.imputer import Imputer
from seqcli.models.labeller import Labeller
from seqcli.models.language import AdaptiveHead, LanguageModel
from seqcli.models.masks import real_positions
from seqcli.models.network import Memory, Network

SEQUENCES, LOSSES = 16, 64
"""Sequences that are averaged over, and the most steps of theirs whose loss is followed back, evenly apart."""

SHARE = 0.01
"""A gradient has faded where it is less than this share of the one at the nearest step."""

Where = Literal["positions", "end", "target"]


class Losses(NamedTuple):
    """A loss for each step, summed over the sequences, and which of them count [T, B].

    ``where`` the steps are: at the positions of the source, at its end alone, or in the target of a decoder.
    ``lengths_B``: how many real positions the encoder reads; empty where every step is one.
    """

    steps: list[Tensor]
    real_TB: Tensor
    where: Where
    lengths_B: Tensor


@dataclass(frozen=True)
class ByDistance:
    """A layer: the mean norm of dL_t/ds_k for each distance (NaN where there is none), and of how many pairs."""

    layer: str
    norms: NDArray[np.float64]
    pairs: NDArray[np.int64]

    @property
    def nearest(self) -> int:
        """The smallest distance that there is."""
        return int(np.argmax(self.pairs > 0))

    @property
    def reach(self) -> int | None:
        """How many steps back the norm first falls below `SHARE` of the nearest; None: not in the steps seen."""
        begun = self.norms[self.nearest]
        below = np.flatnonzero((self.pairs > 0) & (self.norms < SHARE * begun))
        return int(below[0]) if len(below) else None


@dataclass(frozen=True)
class ThroughTime:
    """The parts of dL_t/dU of one sequence, the nearest step first.

    Attributes:
        norms: of each part dL_t/ds_k * d+s_k/dU; ``shares``: its projection on the sum, as a share of it (they add to 1).
        total: the norm of the sum; ``difference``: the largest one to autograd's gradient of the layer itself.
    """

    layer: str
    distances: list[int]
    norms: list[float]
    shares: list[float]
    total: float
    difference: float


@dataclass(frozen=True)
class Matrix:
    """A block of a recurrent matrix: its singular values, the largest first, and its largest absolute eigenvalue."""

    layer: str
    block: str
    singular: list[float]
    radius: float


@dataclass(frozen=True)
class Gradient:
    """What `gradient` measures.

    Attributes:
        compared: the last layer of other networks by their names, untrained.
        batches: the norm of the gradient of each batch's mean loss, without dropout; ``clip_norm``: the recipe's.
        sequences: those averaged over; ``losses``: the number of steps of theirs that have a loss.
    """

    layers: list[ByDistance]
    through_time: list[ThroughTime]
    matrices: list[Matrix]
    batches: list[float]
    clip_norm: float | None
    sequences: int
    losses: int
    compared: Mapping[str, ByDistance] = field(default_factory=dict)


def gradient(network: Network, batches: Sequence[Batch], clip_norm: float | None) -> Gradient:
    """Measure the backward pass of a network over some batches as training makes them; the first is averaged over.

    A network that does not compute in float64 (clusters of an adaptive softmax) is measured in float32.
    """
    network = precise(network)
    batch = first(batches[0])
    layers, losses = by_distance(network, batch)
    return Gradient(
        layers,
        through_time(network, longest(batch)),
        matrices(network),
        [norm_of(network, one) for one in batches],
        clip_norm,
        len(batch.source.lengths_B),
        losses,
    )


def precise(network: Network) -> Network:
    """A copy that computes in float64 where it can, without dropout."""
    network = copy.deepcopy(network).eval()
    return network if any(isinstance(one, AdaptiveHead) for one in network.modules()) else network.double()


def some(batch: Batch, rows: slice) -> Batch:
    """Some sequences of a batch."""

    def of(side: Side) -> Side:
        shared = {"words_U", "characters_UC", "affixes_UA"}
        arrays = {name: array if name in shared else array[rows] for name, array in side.arrays.items()}
        return Side(arrays, side.lengths_B[rows])

    return Batch(of(batch.source), of(batch.target), batch.rows[rows], batch.fresh)


def first(batch: Batch) -> Batch:
    """Those sequences of a batch that are averaged over."""
    return some(batch, slice(SEQUENCES))


def longest(batch: Batch) -> Batch:
    """The longest sequence of a batch, the first of several."""
    row = int(batch.source.lengths_B.argmax())
    return some(batch, slice(row, row + 1))


def by_distance(network: Network, batch: Batch) -> tuple[list[ByDistance], int]:
    """The mean norm of dL_t/ds_k by distance for each recurrent layer, and how many losses there are."""
    with torch.enable_grad(), traced(network) as traces:
        losses = losses_of(network, typed(network, batch))
    tables = [_Table() for _ in traces]
    memories = [trace.memories for trace in traces]
    flat = [one for own in memories for one in own]
    followed = np.unique(np.linspace(0, len(losses.steps) - 1, LOSSES).astype(int)).tolist()
    for step in followed:
        if not losses.real_TB[step].any():
            continue
        found = iter(torch.autograd.grad(losses.steps[step], flat, retain_graph=True, allow_unused=True))
        for trace, own, table in zip(traces, memories, tables, strict=True):
            norms = [_norms(next(found), like) for like in own]
            norms_SB = torch.stack([one for one in norms if len(one) == len(norms[0])]).numpy()
            distance_SB = _distances(trace, losses, step, len(own), norms_SB.shape[1])[: len(norms_SB)]
            real = (distance_SB >= 0) & _rows(losses.real_TB[step], norms_SB.shape[1])
            table.add(distance_SB[real], norms_SB[real])
    layers = [ByDistance(trace.name, table.mean(), table.counts) for trace, table in zip(traces, tables, strict=True)]
    return layers, int(losses.real_TB[followed].sum())


def _norms(gradient_BH: Tensor | None, like_BH: Tensor) -> Tensor:
    return like_BH.new_zeros(len(like_BH)) if gradient_BH is None else gradient_BH.norm(dim=-1)


class _Table:
    """Norms summed and counted by distance."""

    def __init__(self) -> None:
        self.sums = np.zeros(0)
        self.counts = np.zeros(0, np.int64)

    def add(self, distances_N: NDArray[np.int64], norms_N: NDArray[np.float64]) -> None:
        size = max(len(self.sums), int(distances_N.max(initial=-1)) + 1)
        self.sums = np.pad(self.sums, (0, size - len(self.sums))) + np.bincount(distances_N, norms_N, size)
        self.counts = np.pad(self.counts, (0, size - len(self.counts))) + np.bincount(distances_N, minlength=size)

    def mean(self) -> NDArray[np.float64]:
        nothing = np.full(len(self.sums), np.nan)
        return np.asarray(np.divide(self.sums, self.counts, out=nothing, where=self.counts > 0))


def _distances(trace: Trace, losses: Losses, step: int, steps: int, batch: int) -> NDArray[np.int64]:
    """Recurrent steps [S, B] from each state of a layer to the loss of a step; -1 where the loss cannot see the state."""
    places_S1 = np.arange(steps)[:, None]
    lengths_B = losses.lengths_B.numpy() if len(losses.lengths_B) == batch else np.full(batch, steps)
    if trace.name.startswith("decoder"):
        end_B = np.full(batch, step + steps - len(losses.steps))
    elif losses.where == "positions":
        end_B = lengths_B - 1 - step if trace.backwards else np.full(batch, step)
    else:
        end_B = lengths_B + step if losses.where == "target" else lengths_B - 1
    distance_SB = end_B - places_S1
    if not trace.name.startswith("decoder"):
        distance_SB = np.where(places_S1 < lengths_B, distance_SB, -1)
    return np.asarray(np.maximum(distance_SB, -1))


def _rows(real_B: Tensor, batch: int) -> NDArray[np.bool_]:
    """Which sequences have a loss; where each has several rows (columns apart) those of all."""
    real = real_B.numpy()
    return np.asarray(real if len(real) == batch else np.ones(batch, bool))


def through_time(network: Network, batch: Batch) -> list[ThroughTime]:
    """dL_t/dU of one loss of one sequence, for each recurrent layer, step by step.

    The loss is the one at the end of the way that the layer reads: of a backward layer that at the first position.
    """
    batch = typed(network, batch)
    with torch.enable_grad(), traced(network) as traces:
        losses = losses_of(network, batch)
    real = losses.real_TB[:, 0].nonzero().flatten()
    found = []
    for number, trace in enumerate(traces):
        step = int(real[0 if trace.backwards and losses.where == "positions" else -1])
        total = _total(network, batch, step, number)
        nodes = [one for state in trace.carried for one in state]
        by_state = iter(torch.autograd.grad(losses.steps[step], nodes, retain_graph=True, allow_unused=True))
        parts, distances = [], []
        distance_S = _distances(trace, losses, step, len(trace.states), len(trace.states[0][0]))[:, 0]
        for place in range(len(trace.states)):
            own = [next(by_state) for _ in trace.carried[place]]
            if distance_S[place] >= 0 and any(one is not None for one in own):
                parts.append(direct_part(trace, place, own))
                distances.append(int(distance_S[place]))
        found.append(_listed(trace.name, parts[::-1], distances[::-1], total))
    return found


def direct_part(trace: Trace, step: int, by_state: Sequence[Tensor | None]) -> Tensor:
    """dL/ds_k * d+s_k/dU [G x H, H]: the step anew from a constant state, with U as its only variable."""
    recurrent = trace.cell.recurrent.detach().requires_grad_()
    before = tuple(one.detach() for one in trace.before[step])
    with torch.enable_grad():
        state = trace.cell.step(trace.inputs[step].detach(), before, recurrent).state
    pairs = [(new, given) for new, given in zip(state, by_state, strict=True) if given is not None]
    (part,) = torch.autograd.grad([new for new, _ in pairs], recurrent, [given for _, given in pairs])
    return part


def _total(network: Network, batch: Batch, step: int, number: int) -> Tensor:
    """dL_t/dU of a recurrent layer by autograd through the layers as they are."""
    with torch.nn.utils.parametrize.cached(), torch.enable_grad():
        weight = [cell.recurrent for _, _, cell in recurrent_layers(network)][number]
        wanted = weight.requires_grad
        if weight.is_leaf:
            weight.requires_grad_()
        (total,) = torch.autograd.grad(losses_of(network, batch).steps[step], weight, allow_unused=True)
        if weight.is_leaf:
            weight.requires_grad_(wanted)
    return torch.zeros_like(weight) if total is None else total


def _listed(layer: str, parts: list[Tensor], distances: list[int], expected: Tensor) -> ThroughTime:
    total = torch.stack(parts).sum(0) if parts else torch.zeros_like(expected)
    square = float((total * total).sum())
    return ThroughTime(
        layer,
        distances,
        [float(part.norm()) for part in parts],
        [float((part * total).sum()) / square if square else 0.0 for part in parts],
        square**0.5,
        float((total - expected).abs().max()),
    )


def matrices(network: Network) -> list[Matrix]:
    """Singular values and spectral radius of each block of each recurrent matrix."""
    found = []
    for path, _, cell in recurrent_layers(network):
        size = cell.recurrent.size(1)
        for name, block_HH in zip(cell.blocks, cell.recurrent.detach().double().split(size), strict=True):
            singular = torch.linalg.svdvals(block_HH).tolist()
            found.append(Matrix(layer_name(path), name, singular, float(torch.linalg.eigvals(block_HH).abs().max())))
    return found


def norm_of(network: Network, batch: Batch) -> float:
    """The norm of the gradient of a batch's mean loss by all parameters, as training has it before it clips."""
    parameters = list(network.parameters())
    wanted = [one.requires_grad for one in parameters]
    batch = typed(network, batch)
    with torch.enable_grad():
        for one in parameters:
            one.requires_grad_()
        if batch.target.arrays:
            loss, targets, _ = network.loss(batch, Memory())
        else:
            steps = losses_of(network, batch).steps
            loss, targets = torch.stack(steps).sum(), float(len(steps))
        gradients = torch.autograd.grad(loss / (targets or 1), parameters, allow_unused=True)
    for one, before in zip(parameters, wanted, strict=True):
        one.requires_grad_(before)
    return float(torch.stack([one.norm() for one in gradients if one is not None]).norm())


def typed(network: Network, batch: Batch) -> Batch:
    """A batch whose numbers are of the network's own precision."""
    dtype = np.float64 if next(network.parameters()).dtype == torch.float64 else np.float32

    def side(one: Side) -> Side:
        arrays = {
            name: array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array
            for name, array in one.arrays.items()
        }
        return Side(arrays, one.lengths_B)

    return Batch(side(batch.source), side(batch.target), batch.rows, batch.fresh)


@singledispatch
def losses_of(network: Network, batch: Batch) -> Losses:
    """The loss of each step; a batch whose target is empty is measured by what the network itself says."""
    raise NotImplementedError(type(network).__name__)


@losses_of.register
def _language(network: LanguageModel, batch: Batch) -> Losses:
    log_probs_BTV = network(batch.source)["log_probs_BTV"]
    return _chosen(log_probs_BTV, _ids(network, batch), "positions", torch.from_numpy(batch.source.lengths_B))


@losses_of.register
def _labeller(network: Labeller, batch: Batch) -> Losses:
    """Each position's own cross-entropy; of a CRF without the scores of its steps."""
    log_probs_BTK = network(batch.source)["logits_BTK"].log_softmax(-1)
    positions_B = network.embedder.positions(torch.from_numpy(batch.source.lengths_B))
    if batch.target.arrays:
        ids_BT = _ids(network, batch)
    else:
        ids_BT = log_probs_BTK.argmax(-1)
    real_BT = real_positions(positions_B, ids_BT.size(1))
    return _chosen(log_probs_BTK, ids_BT.masked_fill(~real_BT, IGNORE), "positions", positions_B)


@losses_of.register
def _classifier(network: SequenceClassifier, batch: Batch) -> Losses:
    lengths_B = network.embedder.positions(torch.from_numpy(batch.source.lengths_B))
    if batch.target.arrays:
        loss = network.loss(batch, Memory()).sum
    else:
        loss = -network(batch.source)["log_probs_BK"].amax(-1).sum()
    return Losses([loss], (lengths_B > 0).unsqueeze(0), "end", lengths_B.clamp(min=1))


@losses_of.register
def _ensemble(network: Ensemble, batch: Batch) -> Losses:
    """The sum over the members, each of which learns for itself."""
    each = [losses_of(member, batch) for member in network.networks()]
    return each[0]._replace(
        steps=[torch.stack(steps).sum() for steps in zip(*(one.steps for one in each), strict=True)]
    )


@losses_of.register
def _encoder_decoder(network: EncoderDecoder, batch: Batch) -> Losses:
    encoded_BSD, positions_B = network.encoded(batch.source)
    kept, states = network.decoder.start(encoded_BSD, positions_B)
    hidden_BTD, _, _ = network.read(torch.from_numpy(batch.target.arrays["words_BT"]), kept, states)
    log_probs = network.head.log_probs(hidden_BTD.flatten(0, 1)).view(*hidden_BTD.shape[:2], -1)
    return _chosen(log_probs, _ids(network, batch), "target", positions_B)


@losses_of.register
def _forecaster(network: Forecaster, batch: Batch) -> Losses:
    """All steps ahead come of the end of the window at once, or a decoder makes one after the other."""
    inputs, _ = network.tensors(batch.source)
    target_BKM = torch.from_numpy(batch.target.arrays["values_BKC"])
    window = network.embedder.window(inputs["values_BLC"])
    values_BKMQ = network.finished(network.outputs(window, inputs["features_BSF"]), window)
    known_KB = ~target_BKM.isnan().all(-1).T
    lengths_B = torch.zeros(0, dtype=torch.long)  # all windows are full
    if not isinstance(network, StepwiseForecaster):
        return Losses([network.errors(values_BKMQ, target_BKM).sum], known_KB.any(0, keepdim=True), "end", lengths_B)
    steps = range(target_BKM.size(1))
    each = [network.errors(values_BKMQ[:, [step]], target_BKM[:, [step]]).sum for step in steps]
    return Losses(each, known_KB, "target", lengths_B)


@losses_of.register
def _imputer(network: Imputer, batch: Batch) -> Losses:
    gold_BLM = torch.from_numpy(batch.target.arrays["values_BLM"])
    hidden_BLM = ~gold_BLM.isnan()
    errors_BLM = torch.where(hidden_BLM, network(batch.source)["values_BLM"] - gold_BLM, 0.0)
    each = list((errors_BLM**2 if network.head.squared else errors_BLM.abs()).sum((0, 2)))
    return Losses(each, hidden_BLM.any(-1).T, "positions", torch.from_numpy(batch.source.lengths_B))


def has_losses(network: Network) -> bool:
    """Whether its loss is one of steps; that of CTC is of all alignments together."""
    return not isinstance(network, Transcriber) and losses_of.dispatch(type(network)) is not losses_of.dispatch(
        nn.Module
    )


def _ids(network: Network, batch: Batch) -> Tensor:
    return network.tensors(batch.target)[0]["ids_BT"]


def _chosen(log_probs_BTK: Tensor, ids_BT: Tensor, where: Where, lengths_B: Tensor) -> Losses:
    """-ln p of what is right at each step."""
    real_BT = ids_BT != IGNORE
    losses_BT = -log_probs_BTK.gather(2, ids_BT.clamp(min=0).unsqueeze(2)).squeeze(2) * real_BT
    return Losses(list(losses_BT.sum(0)), real_BT.T, where, lengths_B)
