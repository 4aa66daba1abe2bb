"""Convolutions over frames, which may join neighbours into one position, and SpecAugment.

Shapes: B sequences, T frames, D channels of a frame, C filters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.data.batch import InputSizes
from seqcli.models.dropout import SequenceDropout, uniform_like
from seqcli.models.frames import ScaledFrames
from seqcli.models.layers import Inputs, only
from seqcli.models.masks import real_positions
from seqcli.recipe.embedders import ConvolutionConfig, SpecAugmentConfig


class SpecAugment(nn.Module):
    """Spans of time and bands of channels hidden in training, zero being their mean (Park et al. 2019, without warping)."""

    def __init__(self, config: SpecAugmentConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        if not self.training:
            return x_BTD
        config = self.config
        batch, length, channels = x_BTD.shape
        most_B = torch.clamp(lengths_B * config.time_share, max=config.time_width)
        hidden_BT = _spans(most_B, lengths_B, config.time_masks, length)
        whole_B = torch.full((batch,), channels, device=x_BTD.device)
        most_B = torch.clamp(whole_B - 1, max=config.channel_width)
        hidden_BD = _spans(most_B, whole_B, config.channel_masks, channels)
        return x_BTD.masked_fill(hidden_BT.unsqueeze(2) | hidden_BD.unsqueeze(1), 0.0)


def _spans(most_B: Tensor, sizes_B: Tensor, count: int, size: int) -> Tensor:
    """Mask [B, size], True in ``count`` spans of 0 to ``most_B`` places, each at a random place within ``sizes_B``."""
    like_BN = torch.empty(len(sizes_B), count, device=sizes_B.device)
    widths_BN = (uniform_like(like_BN) * (most_B.unsqueeze(1) + 1)).floor()
    starts_BN = (uniform_like(like_BN) * (sizes_B.unsqueeze(1) - widths_BN + 1)).floor()
    places = torch.arange(size, device=sizes_B.device)
    inside = (places >= starts_BN.unsqueeze(2)) & (places < (starts_BN + widths_BN).unsqueeze(2))
    return inside.any(1)


class ConvolutionEmbedder(ScaledFrames):
    """Frames scaled, layers of convolutions with ReLU, a projection; of T frames ceil(T / subsampling) positions remain.

    Over time alone (all channels of a frame at once), or over time and channels, as over a picture, where each layer
    halves the channels. What is past a sequence's end is zero before each layer, so that padding changes nothing. The
    scaling is part of the model. Inputs: ``frames_BTD`` (NaN: missing).
    """

    def __init__(self, config: ConvolutionConfig, sizes: InputSizes) -> None:
        super().__init__(sizes, config.vary)
        self.flat, self.kernel = config.over == "time", config.kernel
        channels = self.channels
        halvings = config.subsampling.bit_length() - 1
        self.strides = [2] * halvings + [1] * (config.layers - halvings)
        layers: list[nn.Module] = []
        if self.flat:
            widths = [channels] + [config.filters] * (config.layers - 1)
            layers += (
                nn.Conv1d(width, config.filters, config.kernel, stride)
                for width, stride in zip(widths, self.strides, strict=True)
            )
            size = config.filters
        else:
            size = channels
            for number, stride in enumerate(self.strides):
                before = config.filters if number else 1
                layers.append(nn.Conv2d(before, config.filters, config.kernel, (stride, 2)))
                size = -(-size // 2)
            size *= config.filters
        self.layers = nn.ModuleList(layers)
        self.projection = nn.Linear(size, config.dim)
        self.augment = SpecAugment(config.augment) if config.augment is not None else None
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim

    def positions(self, lengths_B: Tensor) -> Tensor:
        for stride in self.strides:
            lengths_B = (lengths_B + stride - 1) // stride
        return lengths_B

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, ceil(T / subsampling), output_dim]."""
        x_BTD = self.scaled(inputs, lengths_B)
        if self.augment is not None:
            x_BTD = self.augment(x_BTD, lengths_B)
        left, right = (self.kernel - 1) // 2, self.kernel // 2
        x = x_BTD.transpose(1, 2) if self.flat else x_BTD.unsqueeze(1)  # [B, D, T] or [B, C, T, D]
        for layer, stride in zip(self.layers, self.strides, strict=True):
            x = self._real(x, lengths_B)
            x = nn.functional.pad(x, (left, right) if self.flat else (left, right, left, right))
            x = torch.relu(layer(x))
            lengths_B = (lengths_B + stride - 1) // stride
        x_BTD = x.transpose(1, 2) if self.flat else x.transpose(1, 2).flatten(2)
        x_BTD = self.projection(x_BTD)
        return self.dropout(x_BTD * real_positions(lengths_B, x_BTD.size(1)).unsqueeze(-1))

    def _real(self, x: Tensor, lengths_B: Tensor) -> Tensor:
        real_B1T = real_positions(lengths_B, x.size(2)).unsqueeze(1)
        return x * (real_B1T if self.flat else real_B1T.unsqueeze(-1))

    def convolutions(self) -> list[nn.Conv1d | nn.Conv2d]:
        return [*only(nn.Conv1d, self.layers), *only(nn.Conv2d, self.layers)]
