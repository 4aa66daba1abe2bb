"""Where each position looked: the weights softmax(q k / sqrt(E)) of attention, head by head.

Of a Transformer (Vaswani et al. 2017, eq. 1) the weights are computed anew from the queries, keys and mask that a layer
gives to torch's fused kernel, and what they make of the values is compared with the kernel's output. Of the attention
of a recurrent decoder (Luong et al. 2015, Bahdanau et al. 2015) and of an attentive pooling (Yang et al. 2016) they are
the layer's own. Shapes: B = 1 sequence, H heads, T positions that look, S positions that are looked at, E values a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from seqcli.data.batch import Side
from seqcli.inspect.gates import labels, run
from seqcli.models.decoders import Attention, DecoderBlock
from seqcli.models.network import Network
from seqcli.models.pooling import AttentionPooling
from seqcli.models.transformer import Block


@dataclass(frozen=True)
class Looked:
    """The weights [H, T, S] of a layer; each row sums to one.

    Attributes:
        rows: what stands at the positions that look; ``columns``: at those that are looked at.
        difference: the largest one to what the layer itself made of its values; 0 where the weights are its own.
    """

    layer: str
    rows: list[str]
    columns: list[str]
    weights: NDArray[np.float64]
    difference: float


class _Kernel(TorchFunctionMode):
    """Keeps the weights of every call of the fused kernel, in order, and its difference to them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, float]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is nn.functional.scaled_dot_product_attention:
            weights_BHTS = weights(args[0], args[1], **(kwargs or {}))
            self.calls.append((weights_BHTS, float((weights_BHTS @ args[2] - made).abs().max())))
        return made


def weights(q_BHTE: Tensor, k_BHSE: Tensor, *, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
    """softmax(q k / sqrt(E) + mask) [B, H, T, S]; of a boolean mask True may be seen."""
    scores_BHTS = q_BHTE @ k_BHSE.transpose(2, 3) * q_BHTE.size(-1) ** -0.5
    if is_causal:
        attn_mask = torch.ones(scores_BHTS.shape[-2:], dtype=torch.bool, device=q_BHTE.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores_BHTS = scores_BHTS.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores_BHTS = scores_BHTS + attn_mask
    return scores_BHTS.softmax(-1)


def attention(
    network: Network,
    source: Side,
    target: Side | None,
    positions: Sequence[str],
    read: Sequence[str],
    written: Sequence[str],
) -> list[Looked]:
    """Every attention of a network over one sequence, in the order of its layers; empty where it has none.

    Args:
        positions: what stands at each position of the source.
        read: what a decoder reads at each step; ``written``: what it writes there.
    """
    kernel, own = _Kernel(), dict[nn.Module, list[Tensor]]()
    hooks = [
        layer.register_forward_hook(
            lambda layer, inputs, made: own.setdefault(layer, []).append(_own(layer, inputs, made))
        )
        for layer in network.modules()
        if isinstance(layer, Attention | AttentionPooling)
    ]
    steps = None if target is None else target.arrays["words_BT"].shape[1] if "words_BT" in target.arrays else None
    try:
        with torch.no_grad(), kernel:
            run(network.eval(), source, None if target is None or steps is None else _longer(target))
    finally:
        for hook in hooks:
            hook.remove()
    found, calls = [], iter(kernel.calls)
    for path, layer in network.named_modules():
        if isinstance(layer, Block):
            found.append(_looked(_name(path, "self"), next(calls), positions, positions))
        elif isinstance(layer, DecoderBlock):
            for kind, columns in (("self", read), ("source", positions)):
                call = next(calls, None)
                if call is not None and steps is not None:
                    cut = call[0][:, :, :steps, : steps if kind == "self" else None]
                    rows = read if kind == "self" else written
                    found.append(_looked(_name(path, kind), (cut, call[1]), rows, columns))
        elif layer in own:
            rows = written if isinstance(layer, Attention) else ["(sequence)"]
            joined = torch.cat(own[layer], 1)[:, : steps if isinstance(layer, Attention) else 1].unsqueeze(1)
            found.append(_looked(_name(path, "source"), (joined, 0.0), rows, positions))
    return found


def attends(network: Network) -> bool:
    """Whether it has an attention of any kind."""
    kinds = (Attention, AttentionPooling, Block, DecoderBlock)
    return any(isinstance(layer, kinds) for layer in network.modules())


def _own(layer: nn.Module, inputs: tuple[Any, ...], made: Tensor) -> Tensor:
    """The weights [B, T, S] that a layer's forward made or used."""
    if isinstance(layer, Attention):
        return made
    assert isinstance(layer, AttentionPooling)
    hidden_BTD, lengths_B = inputs
    scores_BT = layer.score(torch.tanh(layer.hidden(hidden_BTD))).squeeze(-1)
    past_BT = torch.arange(hidden_BTD.size(1), device=lengths_B.device) >= lengths_B.unsqueeze(1)
    return scores_BT.masked_fill(past_BT, -torch.inf).softmax(-1).unsqueeze(1)


def _longer(target: Side) -> Side:
    """With one more step at the end, which no other sees: a decoder block that reads a single one has no kernel."""
    words_BT = target.arrays["words_BT"]
    return Side({"words_BT": np.concatenate([words_BT, words_BT[:, -1:]], 1)}, target.lengths_B + 1)


def _looked(layer: str, call: tuple[Tensor, float], rows: Sequence[str], columns: Sequence[str]) -> Looked:
    weights_HTS = call[0][0].double().cpu().numpy()
    _, steps, places = weights_HTS.shape
    return Looked(layer, labels(rows, steps), labels(columns, places), weights_HTS, call[1])


def _name(path: str, kind: str) -> str:
    """``encoder.blocks.1`` is ``encoder layer 2``; a decoder block has two attentions."""
    parts = path.split(".")
    if "blocks" in parts:
        name = f"{parts[-3]} layer {int(parts[-1]) + 1}"
        name = f"{name} to the {'source' if kind == 'source' else 'target'}" if parts[-3] == "decoder" else name
    else:
        name = "decoder to the source" if parts[-1] == "attention" else "pooling"
    return f"member {int(parts[1]) + 1}, {name}" if parts[0] == "members" else name
