"""The partition function of a linear chain and its gradient.

Shapes: B sequences, T positions, K labels.

Autograd through T log-sum-exps over K x K is slow. Here the forward and backward recursions run on probabilities in
float64, rescaled at each step, as small matrix products; the gradient of log Z is the posterior they give.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, emissions_BTK: Tensor, transitions_KK: Tensor, start_K: Tensor, end_K: Tensor, lengths_B: Tensor
    ) -> Tensor:
        log_z_B, marginals_BTK, steps_BKK = _forward_backward(
            emissions_BTK.detach(), transitions_KK.detach(), start_K.detach(), end_K.detach(), lengths_B
        )
        ctx.save_for_backward(marginals_BTK, steps_BKK, lengths_B)
        ctx.kind = emissions_BTK.dtype
        return log_z_B.to(emissions_BTK.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_B,) = gradients
        marginals_BTK, steps_BKK, lengths_B = ctx.saved_tensors
        scaled_BTK = marginals_BTK * gradient_B.view(-1, 1, 1)
        last_BK = scaled_BTK[torch.arange(len(lengths_B), device=lengths_B.device), lengths_B - 1]
        steps_KK = torch.einsum("b,bij->ij", gradient_B.to(steps_BKK.dtype), steps_BKK)
        return (
            scaled_BTK.to(ctx.kind),
            steps_KK.to(ctx.kind),
            scaled_BTK[:, 0].sum(0).to(ctx.kind),
            last_BK.sum(0).to(ctx.kind),
            None,
        )


def log_partition(
    emissions_BTK: Tensor, transitions_KK: Tensor, start_K: Tensor, end_K: Tensor, lengths_B: Tensor
) -> Tensor:
    """log Z of each sequence [B] (Lafferty et al. 2001), differentiable in the four scores; lengths are at least 1."""
    return _LogPartition.apply(emissions_BTK, transitions_KK, start_K, end_K, lengths_B)


def _forward_backward(
    emissions_BTK: Tensor, transitions_KK: Tensor, start_K: Tensor, end_K: Tensor, lengths_B: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """``(log Z [B], label posteriors [B, T, K], expected steps [B, K, K])``, in float64; zero past a length."""
    batch, length, labels = emissions_BTK.shape
    wide = torch.float32 if emissions_BTK.device.type == "mps" else torch.float64  # MPS has no float64
    emissions = emissions_BTK.to(wide).transpose(0, 1)
    peak_TB1 = emissions.amax(-1, keepdim=True)
    evidence_TBK = (emissions - peak_TB1).exp()
    shift = transitions_KK.to(wide).amax()
    step_KK = (transitions_KK.to(wide) - shift).exp()
    first_K, last_K = start_K.to(wide).exp(), end_K.to(wide).exp()
    inside_TB1 = (torch.arange(length, device=lengths_B.device).unsqueeze(1) < lengths_B).unsqueeze(-1)

    forward_TBK = torch.empty_like(evidence_TBK)
    scale_TB1 = torch.ones_like(peak_TB1)
    alpha = evidence_TBK[0] * first_K
    for step in range(length):
        if step:
            alpha = torch.where(inside_TB1[step], (alpha @ step_KK) * evidence_TBK[step], alpha)
        scale = alpha.sum(-1, keepdim=True)
        alpha = alpha / scale
        scale_TB1[step] = scale
        forward_TBK[step] = alpha
    ended = (alpha * last_K).sum(-1, keepdim=True)
    real = inside_TB1.squeeze(-1)
    log_z_B = ((scale_TB1.log() + peak_TB1).squeeze(-1) * real).sum(0) + shift * (lengths_B - 1)
    log_z_B = log_z_B + ended.log().squeeze(-1)

    back_KK = step_KK.t().contiguous()
    marginals_TBK = torch.zeros_like(evidence_TBK)
    evidence_beta = []
    beta = last_K.expand(batch, labels) / ended
    for step in range(length - 1, -1, -1):
        marginals_TBK[step] = forward_TBK[step] * beta * inside_TB1[step]
        if step:
            seen = evidence_TBK[step] * beta * inside_TB1[step] / scale_TB1[step]
            evidence_beta.append(seen)
            beta = torch.where(inside_TB1[step], seen @ back_KK, beta)
    steps_BKK = emissions.new_zeros(batch, labels, labels)
    if length > 1:
        seen_TBK = torch.stack(evidence_beta[::-1])
        steps_BKK = torch.einsum("tbi,tbj->bij", forward_TBK[:-1], seen_TBK) * step_KK
    return log_z_B, marginals_TBK.transpose(0, 1), steps_BKK


def path_score(
    emissions_BTK: Tensor, transitions_KK: Tensor, start_K: Tensor, end_K: Tensor, labels_BT: Tensor, lengths_B: Tensor
) -> Tensor:
    """Score [B] of the given label paths: starts, emissions, steps and ends summed."""
    length = labels_BT.size(1)
    inside_BT = torch.arange(length, device=lengths_B.device) < lengths_B.unsqueeze(1)
    emitted = (emissions_BTK.gather(2, labels_BT.unsqueeze(2)).squeeze(2) * inside_BT).sum(1)
    # where, not a product: a step in the padding may be a forbidden one, and -inf times 0 is NaN
    steps = torch.where(inside_BT[:, 1:], transitions_KK[labels_BT[:, :-1], labels_BT[:, 1:]], 0.0).sum(1)
    last_B = labels_BT.gather(1, (lengths_B - 1).unsqueeze(1)).squeeze(1)
    return emitted + steps + start_K[labels_BT[:, 0]] + end_K[last_B]
