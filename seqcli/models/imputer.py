"""The network that fills the gaps of series: what stands around each step, an encoder, a value for each column.

Shapes: B windows, L steps, C columns read, M columns filled, F features of a step, D values of a vector.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqcli.data.batch import Batch, SeriesSizes, Side
from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Embedder, Encoder, Head, Inputs, build
from seqcli.models.masks import real_positions
from seqcli.models.network import Loss, Memory, Network, Tensors
from seqcli.recipe.embedders import GapsConfig
from seqcli.recipe.heads import FillConfig
from seqcli.recipe.models import NetworkConfig

EPSILON = 1e-5
"""Added to a variance, so that a constant column has a deviation."""


class Level(NamedTuple):
    """What is taken off the columns of a window, and what they are divided by [B, 1, C]."""

    mean: Tensor
    deviation: Tensor


class GapEmbedder(Embedder):
    """A dense layer over what stands around each step, ReLU.

    Inputs: ``before_BLC``, ``after_BLC``, ``line_BLC``, ``since_BLC``, ``until_BLC``
    (`seqcli.data.gaps.Surroundings`) and ``features_BLF``. Of a distance of s steps it reads 1 / (1 + s), which is 0 where
    there is no value, and whether it is 0: the mask of what is there.
    """

    def __init__(self, config: GapsConfig, sizes: SeriesSizes) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.dense = nn.Linear(6 * sizes.columns + sizes.features, config.dim)
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        since_BLC, until_BLC = inputs["since_BLC"], inputs["until_BLC"]
        level = self.level(inputs)
        near_since, near_until = 1 / (1 + since_BLC), 1 / (1 + until_BLC)
        known = {"before": near_since > 0, "after": near_until > 0}
        known["line"] = known["before"] | known["after"]
        parts = [
            *(known[name] * (inputs[f"{name}_BLC"] - level.mean) / level.deviation for name in known),
            near_since,
            near_until,
            (since_BLC == 0).to(since_BLC.dtype),
            inputs["features_BLF"],
        ]
        return self.dropout(torch.relu(self.dense(torch.cat(parts, -1))))

    def level(self, inputs: Inputs) -> Level:
        """Of the values that are there: where a column has none 0, and about nothing."""
        there_BLC = inputs["since_BLC"] == 0
        values_BLC = inputs["before_BLC"] * there_BLC
        mean_B1C, deviation_B1C = values_BLC.new_zeros(1, 1, 1), values_BLC.new_ones(1, 1, 1)
        if self.normalize != "none":
            counts_B1C = there_BLC.sum(1, keepdim=True).clamp(min=1)
            mean_B1C = values_BLC.sum(1, keepdim=True) / counts_B1C
            if self.normalize == "standard":
                squares_BLC = there_BLC * (values_BLC - mean_B1C) ** 2
                deviation_B1C = (squares_BLC.sum(1, keepdim=True) / counts_B1C + EPSILON).sqrt()
        return Level(mean_B1C, deviation_B1C)


class FillHead(Head):
    """A linear layer over a step's vectors, behind the encoder and before it; 0 at the start."""

    def __init__(self, config: FillConfig, input_dim: int, columns: int) -> None:
        super().__init__()
        self.guess, self.squared = config.guess == "line", config.loss == "mse"
        self.output = nn.Linear(input_dim, columns)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)


class Imputer(Network):
    """Values of all steps, those that are there among them: what is not hidden is left to who asks."""

    def __init__(self, config: NetworkConfig, sizes: SeriesSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embedder: GapEmbedder = build("embedder", config.embedder, sizes)
        self.encoder: Encoder = build("encoder", config.encoder, self.embedder.output_dim)
        input_dim = self.embedder.output_dim + self.encoder.output_dim
        self.head: FillHead = build("head", config.head, input_dim, len(sizes.targets))
        self.register_buffer("targets_M", torch.tensor(sizes.targets), persistent=False)

    targets_M: Tensor

    def forward(self, source: Side) -> Tensors:
        """``values_BLM``, 0 past a window's length."""
        inputs, lengths_B = self.tensors(source)
        x_BLD = self.embedder(inputs, lengths_B)
        values_BLM = self.head.output(torch.cat([self.encoder(x_BLD, lengths_B), x_BLD], -1)).float()
        mean, deviation = (self._targets(one) for one in self.embedder.level(inputs))
        guess_BLM = self._targets(inputs["line_BLC"]) if self.head.guess else mean
        values_BLM = guess_BLM + deviation * values_BLM
        return {"values_BLM": values_BLM * real_positions(lengths_B, values_BLM.size(1)).unsqueeze(-1)}

    def _targets(self, x_BLC: Tensor) -> Tensor:
        return x_BLC if x_BLC.size(2) == 1 else x_BLC.index_select(2, self.targets_M)

    def loss(self, batch: Batch, memory: Memory) -> Loss:
        """The errors of hidden values summed, and their number; the target is NaN where none is hidden."""
        gold_BLM = self.tensors(batch.target)[0]["values_BLM"]
        hidden_BLM = ~gold_BLM.isnan()
        errors_BLM = torch.where(hidden_BLM, self(batch.source)["values_BLM"] - gold_BLM, 0.0)
        total = (errors_BLM**2 if self.head.squared else errors_BLM.abs()).sum()
        return Loss(total, float(hidden_BLM.sum()), memory)
