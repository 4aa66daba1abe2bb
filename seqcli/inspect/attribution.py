"""Which positions carried a classifier's decision: gradient times input.

The share of a position is the gradient of the logit of a label by the position's vector (of a frame, by its values),
times that vector (the values less their mean). Of labels that exclude each other the logit is taken less
the mean of all logits, which the softmax does not see. Of several networks the logits are averaged.
Shapes: B = 1 sequence, T positions, D values, K labels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.data.batch import Side
from seqcli.models.classifier import EnsembleClassifier, SequenceClassifier
from seqcli.models.frames import ScaledFrames
from seqcli.models.network import Network


def attribution(network: Network, source: Side, label: int, *, exclusive: bool) -> NDArray[np.float32]:
    """The share [T] of each position of one sequence in a label."""
    assert isinstance(network, SequenceClassifier | EnsembleClassifier)
    members = network.networks() if isinstance(network, EnsembleClassifier) else [network]
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        pairs = [_logits(member.eval(), source) for member in members]
        logits_K = torch.stack([logits for logits, _ in pairs]).mean(0)
        if exclusive:
            logits_K = logits_K - logits_K.mean()
        gradients = torch.autograd.grad(logits_K[label], [x_BTD for _, x_BTD in pairs])
    length = int(source.lengths_B[0])
    shares_T = torch.zeros(length)
    for member, (_, x_BTD), gradient in zip(members, pairs, gradients, strict=True):
        values = x_BTD.detach()
        if isinstance(member.embedder, ScaledFrames):
            values = values - member.embedder.mean_D
        shares_T += torch.nan_to_num(gradient * values).sum(-1)[0, :length].cpu()
    return shares_T.numpy()


def _logits(network: SequenceClassifier, source: Side) -> tuple[Tensor, Tensor]:
    """``(logits [K], what the gradient is taken by [1, T, D])``: vectors of tokens, or the frames themselves.

    Frames, so that a position is a frame whatever the stride.
    """
    inputs, lengths_B = network.tensors(source)
    if "frames_BTD" in inputs:
        x_BTD = inputs["frames_BTD"].requires_grad_()
        embedded = network.embedder({"frames_BTD": x_BTD}, lengths_B)
    else:
        x_BTD = embedded = network.embedder(inputs, lengths_B).detach().requires_grad_()
    return network.head.output(network.pool(embedded, lengths_B))[0], x_BTD
