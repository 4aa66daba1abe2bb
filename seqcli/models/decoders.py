"""Decoders: the target so far and the encoded source -> vectors that predict the next token.

Shapes: B sequences, T target positions, S source positions, D values, H heads, E values a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqcli.models.cells import build_layer, run_layer
from seqcli.models.dropout import SequenceDropout
from seqcli.models.layers import Decoder, Pooling, only
from seqcli.models.masks import real_positions
from seqcli.models.pooling import LastPooling, MeanPooling
from seqcli.models.transformer import attention, feedforward, sinusoids
from seqcli.recipe import registry
from seqcli.recipe.decoders import GRUDecoderConfig, LSTMDecoderConfig, RNNDecoderConfig, TransformerDecoderConfig
from seqcli.recipe.pooling import LastConfig, MeanConfig

RecurrentDecoderConfig = RNNDecoderConfig | LSTMDecoderConfig | GRUDecoderConfig


class Attention(nn.Module):
    """Scores of source positions by a state: ``dot``, ``general`` (Luong et al. 2015, eq. 8) or ``additive`` (Bahdanau
    et al. 2015, appendix A.1.2)."""

    def __init__(self, kind: str, dim: int, source_dim: int) -> None:
        super().__init__()
        self.keys = nn.Identity() if kind == "dot" else nn.Linear(source_dim, dim, bias=False)
        self.queries = nn.Linear(dim, dim, bias=False) if kind == "additive" else None
        self.weights = nn.Linear(dim, 1, bias=False) if kind == "additive" else None

    def forward(self, hidden_BTD: Tensor, keys_BSD: Tensor, penalty_B1S: Tensor) -> Tensor:
        """Weights [B, T, S], each row sums to one; ``keys_BSD`` is ``keys`` of the encoded source."""
        if self.queries is not None and self.weights is not None:
            joint_BTSD = torch.tanh(self.queries(hidden_BTD).unsqueeze(2) + keys_BSD.unsqueeze(1))
            scores_BTS = self.weights(joint_BTSD).squeeze(-1)
        else:
            scores_BTS = hidden_BTD @ keys_BSD.transpose(1, 2)
        return (scores_BTS + penalty_B1S).softmax(-1)


def penalty(lengths_B: Tensor, length: int, like: Tensor) -> Tensor:
    """What is added to scores [B, S]: nothing where a source position is real, else minus infinity."""
    real_BS = real_positions(lengths_B, length)
    return torch.zeros(real_BS.shape, dtype=like.dtype, device=like.device).masked_fill_(~real_BS, -math.inf)


class RecurrentDecoder(Decoder):
    """Layers of RNN, LSTM or GRU that begin with what the encoder's last state says, with or without attention.

    With attention a vector is tanh(W [context; state]) (Luong et al. 2015, eq. 5); with ``input_feeding`` the next
    token's layer reads it too. Without attention the source is its last state alone (Sutskever et al. 2014).
    """

    def __init__(self, config: RecurrentDecoderConfig, source_dim: int, *, bidirectional: bool) -> None:
        super().__init__()
        dim = config.dim
        self.input_dim = self.output_dim = dim
        self.feeds = config.input_feeding
        cell = registry.config_class("encoder", config.kind)(dim=dim, bidirectional=False)
        sizes = [dim * (2 if self.feeds else 1)] + [dim] * (config.layers - 1)
        self.layers = nn.ModuleList(build_layer(cell, size) for size in sizes)
        self.pooling: Pooling = (
            LastPooling(LastConfig(), source_dim, bidirectional=bidirectional)
            if config.begin == "last"
            else MeanPooling(MeanConfig(), source_dim, bidirectional=bidirectional)
        )
        self.width = 2 if config.kind == "lstm" else 1
        self.reads_source = config.begin == "input"
        self.begin = nn.Linear(source_dim, dim if self.reads_source else dim * config.layers * self.width)
        self.attention = None if config.attention == "none" else Attention(config.attention, dim, source_dim)
        self.combine = None if self.attention is None else nn.Linear(source_dim + dim, dim, bias=False)
        self.dropout = SequenceDropout(config.dropout)

    def start(self, encoded_BSD: Tensor, lengths_B: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        begin_BD = self.begin(self.pooling(encoded_BSD, lengths_B))
        if self.reads_source:
            fed_BD = begin_BD.new_zeros(len(begin_BD), self.output_dim if self.feeds else 0)
            _, states = self._layers(torch.cat([begin_BD, fed_BD], -1).unsqueeze(1), [])
        else:
            states = list(torch.tanh(begin_BD).chunk(len(self.layers) * self.width, 1))
        if self.attention is None:
            return [], states
        if self.feeds:
            states.append(torch.zeros_like(states[0]))
        keys_BSD = self.attention.keys(encoded_BSD)
        return [encoded_BSD, keys_BSD, penalty(lengths_B, encoded_BSD.size(1), encoded_BSD)], states

    def stream(
        self, x_BTD: Tensor, source: list[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        x_BTD = self.dropout(x_BTD)
        if not self.feeds:
            hidden_BTD, states = self._layers(x_BTD, states)
            hidden_BTD, weights_BTS = self._attend(hidden_BTD, source)
            return self.dropout(hidden_BTD), states, weights_BTS
        vectors, weights = [], None
        *states, fed_BD = states
        for x_BD in x_BTD.unbind(1):
            hidden_BTD, states = self._layers(torch.cat([x_BD, fed_BD], -1).unsqueeze(1), states)
            hidden_BTD, weights = self._attend(hidden_BTD, source)
            fed_BD = hidden_BTD.squeeze(1)
            vectors.append(fed_BD)
        return self.dropout(torch.stack(vectors, 1)), [*states, fed_BD], weights

    def _layers(self, x_BTD: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        x_TBD = x_BTD.transpose(0, 1).contiguous()  # the layout of the fused kernels
        after: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            if number:
                x_TBD = self.dropout(x_TBD, sequence_dim=0)
            x_TBD, own = run_layer(layer, x_TBD, states[number * self.width : (number + 1) * self.width])
            after += own
        return x_TBD.transpose(0, 1).contiguous(), after

    def _attend(self, hidden_BTD: Tensor, source: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        if self.attention is None or self.combine is None:
            return hidden_BTD, None
        encoded_BSD, keys_BSD, penalty_BS = source
        weights_BTS = self.attention(hidden_BTD, keys_BSD, penalty_BS.unsqueeze(1))
        context_BTD = weights_BTS @ encoded_BSD
        return torch.tanh(self.combine(torch.cat([context_BTD, hidden_BTD], -1))), weights_BTS


class DecoderBlock(nn.Module):
    """Attention to the target so far, attention to the source, a feed-forward network; each x + f(norm(x))."""

    def __init__(self, config: TransformerDecoderConfig, source_dim: int) -> None:
        super().__init__()
        dim = config.dim
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(dim)
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.attention_output = nn.Linear(dim, dim)
        self.source_norm = nn.LayerNorm(dim)
        self.source_queries = nn.Linear(dim, dim)
        self.source_keys_values = nn.Linear(source_dim, 2 * dim)
        self.source_output = nn.Linear(dim, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.feedforward = feedforward(dim, config.feedforward, config.activation)
        self.dropout = SequenceDropout(config.dropout, locked=False)

    def keys_values(self, encoded_BSD: Tensor) -> list[Tensor]:
        """Keys and values [B, H, S, E] of the source, made once for all tokens of the target."""
        return list(self._heads(self.source_keys_values(encoded_BSD), 2))

    def forward(
        self, x_BTD: Tensor, source: list[Tensor], penalty_BS: Tensor, states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """``(same shape, keys and values of the target so far, where it looked [B, 1, S] if it is one position)``."""
        length = x_BTD.size(1)
        q_BHTE, k_BHTE, v_BHTE = self._heads(self.queries_keys_values(self.attention_norm(x_BTD)), 3)
        mask_TP = None
        if states:
            past = states[0].size(2)
            k_BHTE, v_BHTE = torch.cat([states[0], k_BHTE], dim=2), torch.cat([states[1], v_BHTE], dim=2)
            if length > 1:
                places_P = torch.arange(past + length, device=x_BTD.device)
                mask_TP = places_P <= places_P[past:].unsqueeze(1)
        mixed = attention(q_BHTE, k_BHTE, v_BHTE, mask=mask_TP, is_causal=not states and length > 1)
        x_BTD = x_BTD + self.dropout(self.attention_output(mixed.transpose(1, 2).flatten(2))).to(x_BTD.dtype)
        (q_BHTE,) = self._heads(self.source_queries(self.source_norm(x_BTD)), 1)
        weights = None
        if length == 1 and not self.training:
            scores_BHTS = q_BHTE @ source[0].transpose(2, 3) * q_BHTE.size(-1) ** -0.5
            weights_BHTS = (scores_BHTS + penalty_BS[:, None, None]).softmax(-1)
            mixed, weights = weights_BHTS @ source[1], weights_BHTS.mean(1)
        else:
            mixed = attention(q_BHTE, source[0], source[1], mask=penalty_BS[:, None, None])
        x_BTD = x_BTD + self.dropout(self.source_output(mixed.transpose(1, 2).flatten(2))).to(x_BTD.dtype)
        x_BTD = x_BTD + self.dropout(self.feedforward(self.feedforward_norm(x_BTD))).to(x_BTD.dtype)
        return x_BTD, [k_BHTE, v_BHTE], weights

    def _heads(self, x_BTD: Tensor, parts: int) -> tuple[Tensor, ...]:
        """A projection as so many tensors [B, H, T, E]."""
        batch, length, dim = x_BTD.shape
        shape = (batch, length, parts, self.heads, dim // parts // self.heads)
        return x_BTD.view(shape).permute(2, 0, 3, 1, 4).unbind(0)


class TransformerDecoder(Decoder):
    """Positions by sinusoids, blocks, a last normalisation."""

    def __init__(self, config: TransformerDecoderConfig, source_dim: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.input_dim = self.output_dim = config.dim
        self.dropout = SequenceDropout(config.dropout, locked=False)
        self.blocks = nn.ModuleList(DecoderBlock(config, source_dim) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)

    def start(self, encoded_BSD: Tensor, lengths_B: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Keeps of the source its penalty [B, S], and keys and values [B, H, S, E] of each block."""
        kept = [penalty(lengths_B, encoded_BSD.size(1), encoded_BSD)]
        for block in only(DecoderBlock, self.blocks):
            kept += block.keys_values(encoded_BSD)
        return kept, []

    def stream(
        self, x_BTD: Tensor, source: list[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        past = states[0].size(2) if states else 0
        places_TD = sinusoids(past + x_BTD.size(1), x_BTD.size(2), x_BTD.device)[past:]
        x_BTD = self.dropout(x_BTD + places_TD.to(x_BTD.dtype))
        after: list[Tensor] = []
        weights = None
        for number, block in enumerate(only(DecoderBlock, self.blocks)):
            own = states[2 * number : 2 * number + 2]
            x_BTD, own, weights = block(x_BTD, source[1 + 2 * number : 3 + 2 * number], source[0], own)
            after += own
        return self.norm(x_BTD), after, weights
