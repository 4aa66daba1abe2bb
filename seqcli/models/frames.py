"""Embedders of vectors and frames: scaled as in training, varied in training, and projected or seen as pictures.

Shapes: B sequences, T frames, D channels, C values a point or planes of a picture, P positions, H rows, W columns.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.batch import InputSizes
from seqcli.errors import usage_error
from seqcli.models.dropout import SequenceDropout, normal_like, uniform_like
from seqcli.models.layers import Embedder, Inputs, only
from seqcli.models.masks import real_positions
from seqcli.recipe.embedders import FrameCNNConfig, FramesConfig, VaryConfig, VectorConfig


class Vary(nn.Module):
    """What `VaryConfig` asks for, drawn for each sequence of each batch; the identity when not training.

    Args:
        picture: rows and columns of a frame, where it is a picture.
    """

    def __init__(self, config: VaryConfig, picture: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.config, self.picture = config, picture

    @property
    def turns(self) -> bool:
        return bool(self.config.turn or self.config.tilt)

    def forward(self, frames_BTD: Tensor, lengths_B: Tensor, deviation_D: Tensor) -> Tensor:
        if not self.training:
            return frames_BTD
        config = self.config
        if config.warp:
            frames_BTD = self._warped(frames_BTD, lengths_B)
        if self.turns:
            points = frames_BTD.unflatten(2, (-1, 3))
            frames_BTD = torch.einsum("btpc,bdc->btpd", points, self._rotation(frames_BTD[:, 0, 0])).flatten(2)
        if config.scale:
            frames_BTD = frames_BTD * torch.exp(config.scale * normal_like(frames_BTD[:, :1, :1]))
        if config.shift and self.picture is not None:
            frames_BTD = self._shifted(frames_BTD, *self.picture)
        if config.noise:
            frames_BTD = frames_BTD + config.noise * deviation_D * normal_like(frames_BTD)
        return frames_BTD

    def _warped(self, frames_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """A part of each sequence over its frames, faster here and slower there, values between frames interpolated."""
        length, channels = frames_BTD.shape[1:]
        last_B1 = (lengths_B - 1).clamp(min=0).unsqueeze(1)
        before_B1, after_B1, bend_B1 = (uniform_like(frames_BTD[:, :1, 0]) * self.config.warp for _ in range(3))
        bend_B1 = bend_B1 * torch.where(uniform_like(bend_B1) < 0.5, -1, 1)
        share_BT = (torch.arange(length, device=lengths_B.device) / last_B1.clamp(min=1)).clamp(max=1)
        share_BT = share_BT + bend_B1 * share_BT * (1 - share_BT)
        place_BT = (before_B1 + (1 - before_B1 - after_B1) * share_BT) * last_B1
        first_BT = place_BT.floor().long()
        second_BT = torch.minimum(first_BT + 1, last_B1)
        weight_BT1 = (place_BT - first_BT).unsqueeze(2)

        def taken(places_BT: Tensor) -> Tensor:
            return frames_BTD.gather(1, places_BT.unsqueeze(2).expand(-1, -1, channels))

        return taken(first_BT) * (1 - weight_BT1) + taken(second_BT) * weight_BT1

    def _rotation(self, like_B: Tensor) -> Tensor:
        """Rotation matrices [B, 3, 3]: about the second axis by up to ``turn`` degrees, about the others by ``tilt``."""
        matrix_B33 = torch.eye(3, device=like_B.device).expand(len(like_B), 3, 3)
        for axis, most in enumerate((self.config.tilt, self.config.turn, self.config.tilt)):
            angle_B = (2 * uniform_like(like_B) - 1) * math.radians(most)
            one_B33 = torch.eye(3, device=like_B.device).repeat(len(like_B), 1, 1)
            first, second = (place for place in range(3) if place != axis)
            one_B33[:, first, first] = one_B33[:, second, second] = angle_B.cos()
            one_B33[:, first, second], one_B33[:, second, first] = -angle_B.sin(), angle_B.sin()
            matrix_B33 = matrix_B33 @ one_B33
        return matrix_B33

    def _shifted(self, frames_BTD: Tensor, height: int, width: int) -> Tensor:
        """Each sequence's pictures moved by up to ``shift`` pixels; what comes in at an edge is the edge."""
        most = self.config.shift
        pictures = nn.functional.pad(
            frames_BTD.unflatten(2, (-1, height, width)).flatten(1, 2), [most] * 4, "replicate"
        )
        moves = (uniform_like(frames_BTD[:, :2, 0].new_empty(len(frames_BTD), 2)) * (2 * most + 1)).long()
        moved = [
            one[:, row : row + height, column : column + width]
            for one, (row, column) in zip(pictures, moves.tolist(), strict=True)
        ]
        return torch.stack(moved).reshape(frames_BTD.shape)


def _keep_scaling(embedder: nn.Module, sizes: InputSizes) -> None:
    """Mean and deviation of the training data among the weights, 0 and 1 where nothing is scaled."""
    mean_D, deviation_D = sizes.scaling or (np.zeros(sizes.frame_dim), np.ones(sizes.frame_dim))
    embedder.register_buffer("mean_D", torch.tensor(mean_D, dtype=torch.float32))
    embedder.register_buffer("deviation_D", torch.tensor(deviation_D, dtype=torch.float32))


class VectorEmbedder(Embedder):
    """A vector scaled and projected, as a sequence of one position; the scaling is part of the model.

    Inputs: ``vector_BD``.
    """

    mean_D: Tensor
    deviation_D: Tensor

    def __init__(self, config: VectorConfig, sizes: InputSizes) -> None:
        super().__init__()
        _keep_scaling(self, sizes)
        self.input_dropout = SequenceDropout(config.input_dropout, locked=False)
        self.projection = nn.Linear(sizes.frame_dim, config.dim)
        self.activation = torch.relu if config.activation == "relu" else None
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.output_dim = config.dim

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        x_B1D = ((inputs["vector_BD"] - self.mean_D) / self.deviation_D).unsqueeze(1)
        x_B1D = self.projection(self.input_dropout(x_B1D))
        return self.dropout(x_B1D if self.activation is None else self.activation(x_B1D))


class ScaledFrames(Embedder):
    """Frames of real numbers. The scaling is part of the model, so that they go in as they come.

    Inputs: ``frames_BTD`` (NaN: missing).

    Raises:
        UserError: frames of no points where points are turned (2).
    """

    mean_D: Tensor
    deviation_D: Tensor

    def __init__(self, sizes: InputSizes, vary: VaryConfig | None, picture: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.masked = sizes.frame_gaps
        _keep_scaling(self, sizes)
        self.vary = Vary(vary, picture) if vary is not None else None
        if self.vary is not None and self.vary.turns and sizes.frame_dim % 3:
            raise usage_error(
                f"model.embedder.vary: turn and tilt are for points x, y, z, and frames of {sizes.frame_dim} channels are "
                "none",
                hint="Take them out.",
            )
        self.channels = sizes.frame_dim * (2 if self.masked else 1)

    def scaled(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Frames [B, T, channels] with mean 0, a second half that says where values are missing, zero on padding."""
        frames_BTD = inputs["frames_BTD"]
        if self.vary is not None:
            frames_BTD = self.vary(frames_BTD, lengths_B, self.deviation_D)
        x_BTD = (frames_BTD - self.mean_D) / self.deviation_D
        if self.masked:
            missing_BTD = frames_BTD.isnan()
            x_BTD = torch.cat([x_BTD.masked_fill(missing_BTD, 0), missing_BTD.to(x_BTD.dtype)], dim=-1)
        return x_BTD * real_positions(lengths_B, x_BTD.size(1)).unsqueeze(-1)


class _StridedFrames(ScaledFrames):
    """Of T frames T / stride positions remain, rounded up."""

    def __init__(
        self, config: FramesConfig | FrameCNNConfig, sizes: InputSizes, picture: tuple[int, int] | None = None
    ) -> None:
        super().__init__(sizes, config.vary, picture)
        self.stride, self.output_dim = config.stride, config.dim
        self.dropout = SequenceDropout(config.dropout)

    def positions(self, lengths_B: Tensor) -> Tensor:
        return (lengths_B + self.stride - 1) // self.stride

    def finished(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        real_BT = real_positions(self.positions(lengths_B), x_BTD.size(1))
        return self.dropout(x_BTD * real_BT.unsqueeze(-1))


class FrameEmbedder(_StridedFrames):
    """Frames projected, by a convolution over time where the kernel is longer than one."""

    def __init__(self, config: FramesConfig, sizes: InputSizes) -> None:
        super().__init__(config, sizes)
        self.kernel = config.kernel
        self.projection = nn.Linear(config.kernel * self.channels, config.dim)
        self.activation = torch.relu if config.activation == "relu" else None

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, ceil(T / stride), output_dim]."""
        x_BTD = self.scaled(inputs, lengths_B)
        if self.kernel > 1 or self.stride > 1:
            left = (self.kernel - 1) // 2
            padded = nn.functional.pad(x_BTD, (0, 0, left, self.kernel - 1 - left))
            x_BTD = padded.unfold(1, self.kernel, self.stride).transpose(2, 3).flatten(2)
        x_BTD = self.projection(x_BTD)
        if self.activation is not None:
            x_BTD = self.activation(x_BTD)
        return self.finished(x_BTD, lengths_B)


class FrameCNN(_StridedFrames):
    """Each frame a picture of one plane or more: convolutions with ReLU that halve it, then a dense layer, ReLU.

    Raises:
        UserError: frames that are no such pictures (2).
    """

    def __init__(self, config: FrameCNNConfig, sizes: InputSizes) -> None:
        super().__init__(config, sizes, (config.height, config.width))
        self.height, self.width, pixels = config.height, config.width, config.height * config.width
        if self.channels % pixels:
            raise usage_error(
                f"model.embedder: pictures of {self.height} x {self.width} are {pixels:,} channels or a multiple, and the "
                f"frames have {self.channels:,}",
                hint="Set height and width to those of the data.",
            )
        self.planes = self.channels // pixels
        layers: list[nn.Conv2d | nn.Linear] = []
        planes, height, width = self.planes, self.height, self.width
        for filters in config.filters:
            layers.append(nn.Conv2d(planes, filters, config.kernel, stride=2, padding=config.kernel // 2))
            planes, height, width = filters, -(-height // 2), -(-width // 2)
        self.layers = nn.ModuleList(layers)
        self.dense = nn.Linear(planes * height * width, config.dim)
        for layer in (*layers, self.dense):  # He et al. 2015: torch's own beginning fades from layer to layer
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def convolutions(self) -> list[nn.Conv2d]:
        return only(nn.Conv2d, self.layers)

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, ceil(T / stride), output_dim]."""
        x_BTD = self.scaled(inputs, lengths_B)[:, :: self.stride]
        x_PCHW = x_BTD.reshape(-1, self.planes, self.height, self.width)
        for layer in self.convolutions():
            x_PCHW = torch.relu(layer(x_PCHW))
        x_BTD = torch.relu(self.dense(x_PCHW.flatten(1))).unflatten(0, x_BTD.shape[:2])
        return self.finished(x_BTD, lengths_B)
