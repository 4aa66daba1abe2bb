"""Heads that predict values of series.

Shapes: R rows (windows, or each of their columns), N positions, D values of a position, K steps predicted, F features
of a step, O outputs of a step (columns of a row x quantiles), M columns predicted, G segments to come, W steps a segment.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Encoder, Head
from seqcli.models.pooling import LastPooling
from seqcli.recipe.heads import DirectConfig, ForecastConfig, SegmentsConfig, ShiftedConfig, StepwiseConfig
from seqcli.recipe.pooling import LastConfig


@dataclass(frozen=True)
class ForecastSizes:
    """What a head must know.

    ``positions`` are read, of ``input_dim`` values each and made of ``segment`` steps; ``columns`` go apart as rows (1:
    they go together); each of ``steps`` has so many ``outputs`` and ``features``.
    """

    positions: int
    input_dim: int
    segment: int
    columns: int
    steps: int
    outputs: int
    features: int


class ForecastHead(Head):
    """The last layer of a network that predicts values; ``error`` is what its loss sums."""

    def __init__(self, config: ForecastConfig) -> None:
        super().__init__()
        self.error = config.loss


class WindowHead(ForecastHead):
    """A head that predicts all steps at once."""

    @abstractmethod
    def forward(self, encoder: Encoder, x_RND: Tensor, future_RKF: Tensor) -> Tensor:
        """Outputs [R, K, O] of an embedder's vectors."""


class ColumnLinear(nn.Module):
    """A linear layer for each of M columns; row r is of column r mod M."""

    def __init__(self, columns: int, input_dim: int, output_dim: int) -> None:
        super().__init__()
        bound = input_dim**-0.5
        self.weight_MDO = nn.Parameter(torch.empty(columns, input_dim, output_dim).uniform_(-bound, bound))
        self.bias_MO = nn.Parameter(torch.empty(columns, output_dim).uniform_(-bound, bound))

    def forward(self, x_RD: Tensor) -> Tensor:
        x_MBD = x_RD.unflatten(0, (-1, len(self.bias_MO))).transpose(0, 1)
        return torch.baddbmm(self.bias_MO.unsqueeze(1), x_MBD, self.weight_MDO).transpose(0, 1).flatten(0, 1)


class Future(nn.Module):
    """What the features f of a step change, after a vector h: V relu(U h + S f + b), or V f."""

    def __init__(self, config: ForecastConfig, dim: int, sizes: ForecastSizes) -> None:
        super().__init__()
        self.features = nn.Linear(sizes.features, config.future) if config.future else None
        self.vector = nn.Linear(dim, config.future, bias=False) if config.future else None
        self.output = nn.Linear(config.future or sizes.features, sizes.outputs, bias=False)

    def forward(self, hidden_D: Tensor, future_KF: Tensor) -> Tensor:
        """[..., D] and [..., K, F] -> [..., K, O]."""
        if self.features is not None and self.vector is not None:
            future_KF = torch.relu(self.features(future_KF) + self.vector(hidden_D).unsqueeze(-2))
        changes_KO: Tensor = self.output(future_KF)
        return changes_KO


class Steps(nn.Module):
    """A vector -> the outputs of all steps, by a linear layer."""

    def __init__(self, config: ForecastConfig, dim: int, sizes: ForecastSizes, *, columns: int = 1) -> None:
        """``columns``: so many have weights of their own."""
        super().__init__()
        self.steps, self.outputs = sizes.steps, sizes.outputs
        size = sizes.steps * sizes.outputs
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output = nn.Linear(dim, size) if columns == 1 else ColumnLinear(columns, dim, size)
        self.future = Future(config, dim, sizes) if sizes.features else None

    def forward(self, hidden_D: Tensor, future_KF: Tensor) -> Tensor:
        """[..., D] and [..., K, F] -> [..., K, O]."""
        hidden_D = self.dropout(hidden_D)
        values_KO: Tensor = self.output(hidden_D).unflatten(-1, (self.steps, self.outputs))
        return values_KO if self.future is None else values_KO + self.future(hidden_D, future_KF)


class DirectHead(WindowHead):
    """Sequence to vector: the last position, or all of them side by side."""

    def __init__(self, config: DirectConfig, encoder: Encoder, sizes: ForecastSizes) -> None:
        super().__init__(config)
        self.reads_all = config.reads == "all"
        self.pooling = LastPooling(LastConfig(), encoder.output_dim, bidirectional=encoder.bidirectional)
        dim = encoder.output_dim * (sizes.positions if self.reads_all else 1)
        self.read = Steps(config, dim, sizes, columns=sizes.columns if config.own else 1)

    def forward(self, encoder: Encoder, x_RND: Tensor, future_RKF: Tensor) -> Tensor:
        lengths_R = torch.full((len(x_RND),), x_RND.size(1), device=x_RND.device)
        hidden_RND = encoder(x_RND, lengths_R)
        hidden_RD = hidden_RND.flatten(1) if self.reads_all else self.pooling(hidden_RND, lengths_R)
        outputs_RKO: Tensor = self.read(hidden_RD, future_RKF)
        return outputs_RKO


class ShiftedHead(WindowHead):
    """Sequence to sequence: each position predicts the steps after it, and sees none of them."""

    def __init__(self, config: ShiftedConfig, encoder: Encoder, sizes: ForecastSizes) -> None:
        super().__init__(config)
        self.read = Steps(config, encoder.output_dim, sizes)

    def forward(self, encoder: Encoder, x_RND: Tensor, future_RKF: Tensor) -> Tensor:
        outputs_RKO: Tensor = self.read(encoder.stream(x_RND, [])[0][:, -1], future_RKF)
        return outputs_RKO

    def everywhere(self, encoder: Encoder, x_RND: Tensor, future_RNKF: Tensor) -> Tensor:
        """Outputs [R, N, K, O] after every position."""
        outputs_RNKO: Tensor = self.read(encoder.stream(x_RND, [])[0], future_RNKF)
        return outputs_RNKO


class SegmentsHead(WindowHead):
    """All segments to come side by side, each one step of the encoder from its last state (Lin et al. 2023, section 3.3).

    What is read in a segment's place is a vector of the place, beside one of the column where columns go apart.
    """

    def __init__(self, config: SegmentsConfig, encoder: Encoder, sizes: ForecastSizes) -> None:
        super().__init__(config)
        self.steps, self.segment, self.outputs = sizes.steps, sizes.segment, sizes.outputs
        self.count = -(-sizes.steps // sizes.segment)
        of_column = sizes.input_dim // 2 if sizes.columns > 1 else 0
        self.places_GD = nn.Parameter(torch.randn(self.count, sizes.input_dim - of_column))
        self.columns_MD = nn.Parameter(torch.randn(sizes.columns, of_column)) if of_column else None
        self.features = (
            nn.Linear(sizes.segment * sizes.features, sizes.input_dim, bias=False) if sizes.features else None
        )
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output = nn.Linear(encoder.output_dim, sizes.segment * sizes.outputs)

    def forward(self, encoder: Encoder, x_RND: Tensor, future_RKF: Tensor) -> Tensor:
        rows = len(x_RND)
        _, states = encoder.stream(x_RND, [])
        x_RGD = self.places_GD.expand(rows, -1, -1)
        if self.columns_MD is not None:
            columns_RD = self.columns_MD.repeat(rows // len(self.columns_MD), 1)
            x_RGD = torch.cat([x_RGD, columns_RD.unsqueeze(1).expand(-1, self.count, -1)], -1)
        if self.features is not None:
            filled = nn.functional.pad(future_RKF, (0, 0, 0, self.count * self.segment - self.steps))
            x_RGD = x_RGD + self.features(filled.reshape(rows, self.count, -1))
        states = [state.repeat_interleave(self.count, 0) for state in states]
        hidden, _ = encoder.stream(x_RGD.reshape(rows * self.count, 1, -1), states)
        return self.output(self.dropout(hidden)).view(rows, -1, self.outputs)[:, : self.steps]


class StepwiseHead(ForecastHead):
    """A decoder's vector -> the outputs of its step."""

    def __init__(self, config: StepwiseConfig, dim: int, sizes: ForecastSizes) -> None:
        super().__init__(config)
        self.teacher_forcing = config.teacher_forcing
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output = nn.Linear(dim, sizes.outputs)

    def forward(self, hidden_RD: Tensor) -> Tensor:
        """Outputs [R, O]."""
        outputs_RO: Tensor = self.output(self.dropout(hidden_RD))
        return outputs_RO
