"""The best path through a linear chain. Shapes: B sequences, T positions, K labels."""

from __future__ import annotations

import torch
from torch import Tensor


def viterbi(emissions_BTK: Tensor, transitions_KK: Tensor, start_K: Tensor, end_K: Tensor, lengths_B: Tensor) -> Tensor:
    """Label ids [B, T] of the best-scoring path of each sequence (Viterbi 1967); 0 past a sequence's length.

    Args:
        emissions_BTK: score of each label at each position.
        transitions_KK: score of stepping from the row's label to the column's; -inf forbids the step.
        start_K, end_K: score of starting and of ending with a label.
        lengths_B: real positions, at least 1 each.
    """
    length = emissions_BTK.size(1)
    score_BK = emissions_BTK[:, 0] + start_K
    into_KK = transitions_KK.t().contiguous()  # [to, from]: the maximum then runs along memory
    pointers = []
    for step in range(1, length):
        best = (score_BK.unsqueeze(1) + into_KK).max(dim=2)
        inside_B1 = (lengths_B > step).unsqueeze(1)
        score_BK = torch.where(inside_B1, best.values + emissions_BTK[:, step], score_BK)
        pointers.append(best.indices)
    label_B = (score_BK + end_K).argmax(dim=1)
    path = [label_B]
    for step in range(length - 1, 0, -1):
        previous_B = pointers[step - 1].gather(1, label_B.unsqueeze(1)).squeeze(1)
        label_B = torch.where(lengths_B > step, previous_B, label_B)
        path.append(label_B)
    path_BT = torch.stack(path[::-1], dim=1)
    return path_BT.masked_fill(torch.arange(length, device=path_BT.device) >= lengths_B.unsqueeze(1), 0)
