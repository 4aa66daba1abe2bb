"""Windows of series: levelled, cut into segments, projected; and the levels given back to what is predicted.

Shapes: B windows, L steps read, K steps predicted, C columns read, M columns predicted, F features of a step, R rows (B
windows, or B x M where columns go apart), N positions (segments), W steps a segment, D values of a position.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqcli.data.batch import SeriesSizes
from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Embedder, Inputs
from seqcli.recipe.embedders import SeriesConfig

EPSILON = 1e-5
"""Added to a variance, so that a constant window has a deviation (Kim et al. 2022)."""


class Window(NamedTuple):
    """A window less its level: values [B, L, C], 0 where one is missing; what was taken off [B, C], and divided by.

    ``missing_BLC``: 1 where a value is missing; None where none can be.
    """

    values_BLC: Tensor
    missing_BLC: Tensor | None
    level_BC: Tensor
    scale_BC: Tensor


class SeriesEmbedder(Embedder):
    """Segments of a window as vectors; the oldest segment is filled up with zeros.

    Inputs: ``values_BLC`` (NaN: missing), ``features_BSF`` of the steps read and then of those to come.
    """

    def __init__(self, config: SeriesConfig, sizes: SeriesSizes) -> None:
        super().__init__()
        self.normalize, self.decompose = config.normalize, config.decompose
        self.apart, self.gaps, self.features = config.channels == "apart", sizes.gaps, sizes.features
        self.segment, self.stride = config.segment, config.stride or config.segment
        self.look_back, self.targets = sizes.look_back, list(sizes.targets)
        self.count = -(-max(0, sizes.look_back - self.segment) // self.stride) + 1
        self.padding = (self.count - 1) * self.stride + self.segment - sizes.look_back
        self.columns = 1 if self.apart else sizes.columns
        width = self.columns * (1 + (self.decompose is not None) + self.gaps) + self.features
        self.output_dim = config.dim or self.segment * width
        self.projection = None if config.dim is None else nn.Linear(self.segment * width, config.dim)
        self.activation = torch.relu if config.activation == "relu" else None
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.log_factor_C = nn.Parameter(torch.zeros(sizes.columns)) if config.affine else None
        self.addend_C = nn.Parameter(torch.zeros(sizes.columns)) if config.affine else None

    def positions(self, lengths_B: Tensor) -> Tensor:
        return torch.full_like(lengths_B, self.count)

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [R, N, output_dim]."""
        return self.embed(self.window(inputs["values_BLC"]), inputs["features_BSF"])

    def window(self, values_BLC: Tensor) -> Window:
        """A window less its level."""
        if self.gaps:
            missing_BLC = values_BLC.isnan()
            values_BLC = values_BLC.masked_fill(missing_BLC, 0)
            there_BLC = (~missing_BLC).to(values_BLC.dtype)
        else:
            there_BLC = torch.ones_like(values_BLC)
        level_BC = self._level(values_BLC, there_BLC)
        scale_BC = torch.ones_like(level_BC)
        values_BLC = (values_BLC - level_BC.unsqueeze(1)) * there_BLC
        if self.normalize == "standard":
            counts_BC = there_BLC.sum(1)
            deviation_BC = ((values_BLC**2).sum(1) / counts_BC.clamp(min=1) + EPSILON).sqrt()
            scale_BC = torch.where(counts_BC > 1, deviation_BC, scale_BC)  # of one value there is none
            values_BLC = values_BLC / scale_BC.unsqueeze(1)
        if self.log_factor_C is not None and self.addend_C is not None:
            values_BLC = (values_BLC * self.log_factor_C.exp() + self.addend_C) * there_BLC
        return Window(values_BLC, 1 - there_BLC if self.gaps else None, level_BC, scale_BC)

    def embed(self, window: Window, features_BSF: Tensor) -> Tensor:
        """Vectors [R, N, output_dim]."""
        parts = [self._rows(window.values_BLC)]
        if self.decompose is not None:
            trend_RLC = self._trend(parts[0])
            parts = [trend_RLC, parts[0] - trend_RLC]
        if window.missing_BLC is not None:
            parts.append(self._rows(window.missing_BLC))
        if self.features:
            parts.append(self.each_row(features_BSF[:, : self.look_back]))
        x_RLD = nn.functional.pad(torch.cat(parts, -1), (0, 0, self.padding, 0))
        x_RND = x_RLD.unfold(1, self.segment, self.stride).transpose(2, 3).flatten(2)
        if self.projection is not None:
            x_RND = self.projection(x_RND)
        return self.dropout(x_RND if self.activation is None else self.activation(x_RND))

    def each_row(self, x_BSF: Tensor) -> Tensor:
        """What holds for a window, for each of its rows."""
        return x_BSF.repeat_interleave(len(self.targets), 0) if self.apart else x_BSF

    def levelled(self, values_BKM: Tensor, window: Window) -> Tensor:
        """Values of predicted columns as the network sees them, in the scale of their window."""
        level_B1M, scale_B1M = (one[:, self.targets].unsqueeze(1) for one in (window.level_BC, window.scale_BC))
        values_BKM = (values_BKM - level_B1M) / scale_B1M
        if self.log_factor_C is not None and self.addend_C is not None:
            values_BKM = values_BKM * self.log_factor_C[self.targets].exp() + self.addend_C[self.targets]
        return values_BKM

    def undo(self, values_BKMQ: Tensor, window: Window) -> Tensor:
        """What was taken off a window given back to what is predicted [B, K, M, Q]."""
        if self.log_factor_C is not None and self.addend_C is not None:
            addend_M1, factor_M1 = (one[self.targets].unsqueeze(1) for one in (self.addend_C, self.log_factor_C.exp()))
            values_BKMQ = (values_BKMQ - addend_M1) / factor_M1
        level, scale = (one[:, self.targets].view(-1, 1, len(self.targets), 1) for one in window[2:])
        return values_BKMQ * scale + level

    def _level(self, values_BLC: Tensor, there_BLC: Tensor) -> Tensor:
        if self.normalize == "none":
            return torch.zeros_like(values_BLC[:, 0])
        if self.normalize == "last":
            steps_L1 = torch.arange(values_BLC.size(1), device=values_BLC.device).unsqueeze(1)
            last_B1C = (steps_L1 * there_BLC).amax(1, keepdim=True).long()
            return values_BLC.gather(1, last_B1C).squeeze(1)  # where none is there: the first, which then is 0
        return values_BLC.sum(1) / there_BLC.sum(1).clamp(min=1)

    def _rows(self, x_BLC: Tensor) -> Tensor:
        """[B, L, C] -> [R, L, columns]; where columns go apart those that are not predicted stay behind."""
        if not self.apart:
            return x_BLC
        return x_BLC[:, :, self.targets].transpose(1, 2).reshape(-1, x_BLC.size(1), 1)

    def _trend(self, x_RLC: Tensor) -> Tensor:
        """The mean over ``decompose`` steps around each; beyond the ends stand the first and the last value."""
        assert self.decompose is not None
        half = self.decompose // 2
        padded_RCL = nn.functional.pad(x_RLC.transpose(1, 2), (half, half), "replicate")
        return nn.functional.avg_pool1d(padded_RCL, self.decompose, 1).transpose(1, 2)
