"""Heads: a vector for each position -> a label for each position, or a vector for the sequence -> its label(s).

Shapes: B sequences, T positions, D values, K labels, N real positions of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.data.batch import LabelSpace
from seqcli.models.crf import log_partition, path_score
from seqcli.models.layers import Counted, PositionHead, SequenceHead, Tables, TokenHead
from seqcli.models.masks import real_positions
from seqcli.models.output import linear_cross_entropy
from seqcli.recipe.heads import CRFConfig, SigmoidConfig, SoftmaxConfig

FORBIDDEN = -1e4
"""Score of a step the scheme forbids: never taken, and still a number that gradients survive."""


class SoftmaxHead(PositionHead, SequenceHead, TokenHead):
    """Each position, or each sequence, for itself: a linear layer and cross-entropy."""

    def __init__(self, config: SoftmaxConfig, input_dim: int, space: LabelSpace) -> None:
        super().__init__()
        self.output = nn.Linear(input_dim, space.labels, bias=config.bias)
        self.label_smoothing = config.label_smoothing

    def tables(self, labels: str) -> Tables:
        return {name: row for name, row in _output_layer(labels).items() if name in self.state_dict()}

    def loss(self, hidden_BTD: Tensor, labels_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, int]:
        real_BT = real_positions(lengths_B, labels_BT.size(1))
        logits_NK = self.output(hidden_BTD[real_BT]).float()
        labels_N = labels_BT[real_BT]
        loss = nn.functional.cross_entropy(logits_NK, labels_N, reduction="sum", label_smoothing=self.label_smoothing)
        return loss, len(labels_N)

    def outputs(self, hidden_BTD: Tensor) -> dict[str, Tensor]:
        return {"logits_BTK": self.output(hidden_BTD).float()}

    def sequence_loss(self, pooled_BD: Tensor, labels_B: Tensor, weights_K: Tensor | None) -> tuple[Tensor, float]:
        """Cross-entropy in nats, summed; with weights as if each example stood there so often, and how often in all."""
        logits_BK = self.output(pooled_BD).float()
        loss_B = nn.functional.cross_entropy(
            logits_BK, labels_B, reduction="none", label_smoothing=self.label_smoothing
        )
        if weights_K is None:
            return loss_B.sum(), len(labels_B)
        weights_B = weights_K[labels_B]
        return (loss_B * weights_B).sum(), float(weights_B.sum())

    def next_loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        return linear_cross_entropy(hidden_ND, self.output.weight, self.output.bias, targets_N, self.label_smoothing)

    def log_probs(self, hidden_ND: Tensor) -> Tensor:
        return self.output(hidden_ND).float().log_softmax(-1)


class SigmoidHead(SequenceHead):
    """Each label of a sequence for itself: a linear layer and binary cross-entropy."""

    def __init__(self, config: SigmoidConfig, input_dim: int, space: LabelSpace) -> None:
        super().__init__()
        self.output = nn.Linear(input_dim, space.labels)

    def tables(self, labels: str) -> Tables:
        return _output_layer(labels)

    def sequence_loss(self, pooled_BD: Tensor, labels_BK: Tensor, weights_K: Tensor | None) -> tuple[Tensor, float]:
        """Binary cross-entropy in nats, summed over labels and examples, and the number of examples.

        A weight multiplies the loss of its label where the example has it.
        """
        loss_BK = nn.functional.binary_cross_entropy_with_logits(
            self.output(pooled_BD).float(), labels_BK, reduction="none"
        )
        if weights_K is not None:
            loss_BK = loss_BK * torch.where(labels_BK > 0, weights_K, 1.0)
        return loss_BK.sum(), len(labels_BK)

    def log_probs(self, pooled_BD: Tensor) -> Tensor:
        return nn.functional.logsigmoid(self.output(pooled_BD).float())


class CRFHead(PositionHead):
    """Linear-chain conditional random field (Lafferty et al. 2001; Lample et al. 2016, eq. 1-2)."""

    forbidden_KK: Tensor
    forbidden_start_K: Tensor
    forbidden_end_K: Tensor

    def __init__(self, config: CRFConfig, input_dim: int, space: LabelSpace) -> None:
        super().__init__()
        labels = space.labels
        self.output = nn.Linear(input_dim, labels)
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        self.start = nn.Parameter(torch.zeros(labels))
        self.end = nn.Parameter(torch.zeros(labels))
        for name, allowed, shape in (
            ("forbidden_KK", space.steps_KK, (labels, labels)),
            ("forbidden_start_K", space.start_K, (labels,)),
            ("forbidden_end_K", space.end_K, (labels,)),
        ):
            free = allowed is None or not config.constrained
            forbidden = torch.zeros(shape, dtype=torch.bool) if free else ~torch.as_tensor(allowed)
            self.register_buffer(name, forbidden, persistent=False)

    def tables(self, labels: str) -> Tables:
        ends = dict.fromkeys(("start", "end"), Counted((labels,)))
        return _output_layer(labels) | ends | {"transitions": Counted((labels, labels))}

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Step, start and end scores with the forbidden ones out of reach."""
        return (
            self.transitions.masked_fill(self.forbidden_KK, FORBIDDEN),
            self.start.masked_fill(self.forbidden_start_K, FORBIDDEN),
            self.end.masked_fill(self.forbidden_end_K, FORBIDDEN),
        )

    def loss(self, hidden_BTD: Tensor, labels_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, int]:
        emissions_BTK = self.output(hidden_BTD).float()
        scores = self.scores()
        log_z_B = log_partition(emissions_BTK, *scores, lengths_B)
        gold_B = path_score(emissions_BTK, *scores, labels_BT, lengths_B)
        return (log_z_B - gold_B).sum(), int(lengths_B.sum())

    def outputs(self, hidden_BTD: Tensor) -> dict[str, Tensor]:
        """``logits_BTK``, and ``transitions_KK``, ``start_K``, ``end_K`` as `scores` gives them."""
        steps_KK, start_K, end_K = self.scores()
        logits_BTK = self.output(hidden_BTD).float()
        return {"logits_BTK": logits_BTK, "transitions_KK": steps_KK, "start_K": start_K, "end_K": end_K}


def _output_layer(labels: str) -> Tables:
    return dict.fromkeys(("output.weight", "output.bias"), Counted((labels,)))
