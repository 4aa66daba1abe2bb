"""The last layer of a language model and its loss, made together.

Shapes: N positions, D values, V rows of the vocabulary.

A softmax over ten thousand words is memory before it is arithmetic: the logits of a batch are larger than the model.
So they are made some rows at a time, and the gradient is taken while they are still in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seqcli.data.batch import IGNORE

_VALUES = 2**20
"""Logits made at a time."""


_MANY = 1000
"""Rows of the vocabulary from which it pays."""


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, smoothing: float
    ) -> Tensor:
        rows = max(16, _VALUES // len(weight_VD))
        low = torch.bfloat16 if torch.is_autocast_enabled("cpu") else weight_VD.dtype  # of the products
        low_VD = weight_VD.to(low)
        grad_hidden = torch.empty_like(hidden_ND)
        grad_weight = torch.zeros_like(weight_VD)
        grad_bias = None if bias_V is None else torch.zeros_like(bias_V)
        loss = hidden_ND.new_zeros((), dtype=torch.float64)
        for start in range(0, len(hidden_ND), rows):
            part_ND, targets = hidden_ND[start : start + rows].to(low), targets_N[start : start + rows]
            counted = targets != IGNORE
            index = targets.clamp(min=0).unsqueeze(1)
            logits_NV = (part_ND @ low_VD.t()).to(weight_VD.dtype)
            if bias_V is not None:
                logits_NV += bias_V
            top = logits_NV.amax(1, keepdim=True)
            logits_NV.sub_(top)
            chosen = logits_NV.gather(1, index).squeeze(1)
            if smoothing:
                chosen = (1 - smoothing) * chosen + smoothing * logits_NV.mean(1)
            total = logits_NV.exp_().sum(1, keepdim=True)
            loss += ((total.squeeze(1).log() - chosen) * counted).sum()
            # from here on the buffer holds the gradient: probabilities less what the target gives each row
            counted_N1 = counted.unsqueeze(1).to(logits_NV.dtype)
            logits_NV.mul_(counted_N1 / total)
            logits_NV.scatter_add_(1, index, (smoothing - 1) * counted_N1)
            if smoothing:
                logits_NV.sub_(counted_N1 * (smoothing / len(weight_VD)))
            if grad_bias is not None:
                grad_bias += logits_NV.sum(0)
            logits_NV = logits_NV.to(low)
            grad_hidden[start : start + rows] = logits_NV @ low_VD
            grad_weight += logits_NV.t() @ part_ND
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return loss.to(weight_VD.dtype)

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        scale = outputs[0]
        hidden, weight, bias = ctx.saved_tensors
        return hidden * scale, weight * scale, None if bias is None else bias * scale, None, None


def linear_cross_entropy(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of ``softmax(hidden W' + b)``, in nats, summed over the positions whose target is not `IGNORE`.

    ``smoothing``: share of each target that is spread evenly over all rows (Szegedy et al. 2016, section 7).
    """
    many = len(weight_VD) >= _MANY
    if many and torch.is_grad_enabled() and hidden_ND.device.type == "cpu":
        return _LinearCrossEntropy.apply(hidden_ND, weight_VD, bias_V, targets_N, smoothing)
    logits_NV = nn.functional.linear(hidden_ND, weight_VD, bias_V).float()
    return nn.functional.cross_entropy(
        logits_NV, targets_N, reduction="sum", ignore_index=IGNORE, label_smoothing=smoothing
    )
