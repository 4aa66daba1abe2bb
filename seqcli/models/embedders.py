"""Embedders: a batch's inputs -> vectors x_BTD, zero on padding.

Shapes: B sequences, T positions, D values, U different tokens in the batch, C characters, A affix tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqcli.models.dropout import SequenceDropout, keep_mask, uniform_like
from seqcli.models.masks import real_positions
from seqcli.recipe import registry
from seqcli.recipe.embedders import FramesConfig, TokensConfig

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class InputSizes:
    """What an embedder must know of its inputs: sizes only, no words.

    ``words``, ``characters``: rows of the vocabularies; ``affixes``: rows of each affix table; ``word_counts``: how
    often each word was seen in training (for word dropout); ``frame_dim``: values a frame.
    """

    words: int = 0
    characters: int = 0
    affixes: tuple[int, ...] = ()
    word_counts: tuple[int, ...] = ()
    frame_dim: int = 0


class TokenEmbedder(nn.Module):
    """Word vectors, character vectors and affix vectors, side by side.

    Everything that depends on a token's spelling alone is computed once for each different token of the batch
    (row 0 is padding) and then spread over the positions.

    Inputs: ``index_BT`` (row of each position), ``words_U``, ``characters_UC``, ``affixes_UA``.
    """

    UNKNOWN = 1
    """Row of <UNK> in the word table (0 is <PAD>)."""

    def __init__(self, config: TokensConfig, sizes: InputSizes) -> None:
        super().__init__()
        self.words = nn.Embedding(sizes.words, config.dim, padding_idx=0) if config.dim else None
        if self.words is not None:
            nn.init.normal_(self.words.weight, std=config.dim**-0.5)
            with torch.no_grad():
                self.words.weight[0].zero_()
        self.characters: nn.Module | None = None
        if config.characters is not None:
            build = registry.implementation("characters", config.characters.kind)
            self.characters = build(config.characters, sizes.characters)
        affix_dim = config.affixes.dim if config.affixes else 0
        self.affixes = nn.ModuleList(nn.Embedding(rows, affix_dim) for rows in sizes.affixes)
        for table in self.affixes:
            nn.init.normal_(table.weight, std=affix_dim**-0.5)  # type: ignore[arg-type]
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = (
            config.dim + (self.characters.output_dim if self.characters else 0) + affix_dim * len(sizes.affixes)  # type: ignore[operator]
        )
        counts = torch.tensor(sizes.word_counts or [0] * sizes.words, dtype=torch.float32)
        chance = torch.where(counts > 0, config.word_dropout / counts.clamp(min=1), torch.zeros_like(counts))
        self.register_buffer("unknown_chance", chance, persistent=False)
        self.word_dropout, self.token_dropout = config.word_dropout, config.token_dropout

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, T, output_dim]."""
        types_UD = self.embed_types(inputs)
        index_BT = inputs["index_BT"]
        x_BTD = types_UD.index_select(0, index_BT.flatten()).view(*index_BT.shape, -1)
        if self.training and self.token_dropout:
            x_BTD = x_BTD * keep_mask([*index_BT.shape, 1], self.token_dropout, x_BTD)
        return self.dropout(x_BTD)

    def positions(self, lengths_B: Tensor) -> Tensor:
        """Vectors that come of so many tokens."""
        return lengths_B

    def embed_types(self, inputs: Inputs) -> Tensor:
        """Vectors [U, output_dim] of the different tokens; row 0 is zero."""
        parts = []
        if self.words is not None:
            parts.append(self.words(self._forget_rare(inputs["words_U"])))
        if self.characters is not None:
            parts.append(self.characters(inputs["characters_UC"]))
        for column, table in enumerate(self.affixes):
            parts.append(table(inputs["affixes_UA"][:, column]))
        types_UD = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return types_UD * (inputs["words_U"] != 0).unsqueeze(1)

    def _forget_rare(self, words_U: Tensor) -> Tensor:
        if not self.training or self.word_dropout == 0:
            return words_U
        chance_U = self.unknown_chance[words_U]  # type: ignore[index]
        return torch.where(uniform_like(chance_U) < chance_U, self.UNKNOWN, words_U)


class FrameEmbedder(nn.Module):
    """Frames of real numbers scaled and projected, by a convolution over time where the kernel is longer than one.

    The scaling is part of the model, so that frames go in as they come. Inputs: ``frames_BTD`` (NaN: missing).
    """

    mean_D: Tensor
    deviation_D: Tensor

    def __init__(self, config: FramesConfig, sizes: InputSizes) -> None:
        super().__init__()
        self.kernel, self.stride, self.masked = config.kernel, config.stride, config.missing == "mask"
        self.register_buffer("mean_D", torch.zeros(sizes.frame_dim))
        self.register_buffer("deviation_D", torch.ones(sizes.frame_dim))
        channels = sizes.frame_dim * (2 if self.masked else 1)
        self.projection = nn.Linear(config.kernel * channels, config.dim)
        self.activation = torch.relu if config.activation == "relu" else None
        self.dropout = SequenceDropout(config.dropout)
        self.output_dim = config.dim

    def scale_by(self, mean_D: Tensor, deviation_D: Tensor) -> None:
        """Take over the mean and the standard deviation of each channel of the training data."""
        self.mean_D.copy_(mean_D)
        self.deviation_D.copy_(deviation_D)

    def positions(self, lengths_B: Tensor) -> Tensor:
        """Vectors that come of so many frames."""
        return (lengths_B + self.stride - 1) // self.stride

    def forward(self, inputs: Inputs, lengths_B: Tensor) -> Tensor:
        """Vectors [B, ceil(T / stride), output_dim]."""
        frames_BTD = inputs["frames_BTD"]
        x_BTD = (frames_BTD - self.mean_D) / self.deviation_D
        if self.masked:
            missing_BTD = frames_BTD.isnan()
            x_BTD = torch.cat([x_BTD.masked_fill(missing_BTD, 0), missing_BTD.to(x_BTD.dtype)], dim=-1)
        x_BTD = x_BTD * real_positions(lengths_B, x_BTD.size(1)).unsqueeze(-1)
        if self.kernel > 1 or self.stride > 1:
            left = (self.kernel - 1) // 2
            padded = nn.functional.pad(x_BTD, (0, 0, left, self.kernel - 1 - left))
            x_BTD = padded.unfold(1, self.kernel, self.stride).transpose(2, 3).flatten(2)
        x_BTD = self.projection(x_BTD)
        if self.activation is not None:
            x_BTD = self.activation(x_BTD)
        real_BT = real_positions(self.positions(lengths_B), x_BTD.size(1))
        return self.dropout(x_BTD * real_BT.unsqueeze(-1))
