"""Classifying sequences at full speed. Shapes: N sequences in all, B of a batch, T positions, D values, K labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.data.order import sorted_batches
from seqcli.engines.projected import ProjectedLSTM
from seqcli.engines.token_table import TokenTable, cpu_pool, spread
from seqcli.models.classifier import SequenceClassifier
from seqcli.tasks.classification import ClassificationTask, Classifier
from seqcli.tasks.labelled import check_channels
from seqcli.tasks.sources import TextSource, pad_frames

POSITIONS = 4096
"""Positions a batch, padding counted."""


class ClassificationEngine:
    """A trained network for sequences as they come: lists of tokens, or frames [T, channels]."""

    def __init__(self, task: ClassificationTask, model: nn.Module, device: torch.device) -> None:
        self.task, self.device = task, device
        self.model = cast(Classifier, model.to(device).eval().requires_grad_(False))
        self._pool = cpu_pool(device)
        self._table: TokenTable | None = None
        self._vectors: TokenTable | None = None
        self._projected: ProjectedLSTM | None = None
        if isinstance(task.source, TextSource):
            embedder = cast(nn.Module, self.model.embedder)
            self._projected = ProjectedLSTM.of(self.model, device)
            self._vectors = TokenTable(task.source.encoder, embedder, device)
            self._table = TokenTable(task.source.encoder, embedder, device, self._projected)

    def probabilities(self, sources: Sequence[Any]) -> NDArray[np.float32]:
        """Probability of each label [N, K], in the order of the sequences.

        Raises:
            UserError: frames of another number of channels than the model's (65).
        """
        result = np.empty((len(sources), len(self.task.labels)), np.float32)
        lengths = np.array([len(source) for source in sources], np.int64)
        batches = [rows for rows in sorted_batches(lengths, tokens=POSITIONS)]
        with torch.inference_mode():
            jobs = [self._job([sources[row] for row in rows], lengths[rows], self._table) for rows in batches]
        found = self._pool.map(self._run, jobs) if self._pool and len(jobs) > 1 else map(self._run, jobs)
        for rows, probs_BK in zip(batches, found, strict=True):
            result[rows] = probs_BK
        return result

    def attribution(self, source: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``(probabilities [K], share [T] of each position in the logit of the most probable label)``.

        The share is gradient times input: of a position's vector (of a frame, of its values less their mean). Of labels
        that exclude each other the logit is taken less the mean of all logits, which the softmax does not see.
        """
        with torch.inference_mode():  # the memory of tokens keeps no history
            index, table, lengths_B = self._job([source], np.array([len(source)], np.int64), self._vectors)
            x_BTD = self._inputs(index, table)
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            x_BTD, lengths_B = x_BTD.clone().requires_grad_(), lengths_B.clone()  # no tensors of inference any more
            if table is None:  # from the frames themselves, so that a position is a frame whatever the stride
                embedded = self.model.embedder({"frames_BTD": x_BTD}, lengths_B)
                positions_B = self.model.embedder.positions(lengths_B)
            else:
                embedded, positions_B = x_BTD, lengths_B
            logits_K = self.model.head.output(self.model.pool(embedded, positions_B))[0]
            if self.task.config.separator is None:
                logits_K = logits_K - logits_K.mean()
            (gradient,) = torch.autograd.grad(logits_K.max(), x_BTD)
        probs_K = self._probabilities(embedded.detach(), positions_B)[0]
        inputs = x_BTD.detach()
        if table is None:
            inputs = torch.nan_to_num(inputs - self.model.embedder.mean_D)
            gradient = torch.nan_to_num(gradient)
        shares_T = (gradient * inputs).sum(-1)[0, : len(source)]
        return probs_K, shares_T.cpu().numpy()

    def _job(
        self, sources: list[Any], lengths: NDArray[np.int64], table: TokenTable | None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        if table is not None:
            index_BT, vectors = table.numbers(sources, lengths)
            return index_BT, vectors, torch.from_numpy(lengths).to(self.device)
        for frames in sources:
            check_channels(frames.shape[1], self.task.source.sizes().frame_dim, "")
        return pad_frames(sources), None, torch.from_numpy(lengths).to(self.device)

    def _inputs(self, index: Tensor, table: Tensor | None) -> Tensor:
        """Vectors of tokens [B, T, D], or frames as they are."""
        return index.to(self.device) if table is None else spread(table, index)

    @torch.inference_mode()
    def _run(self, job: tuple[Tensor, Tensor | None, Tensor]) -> NDArray[np.float32]:
        index, table, lengths_B = job
        if self._projected is not None and table is not None:
            states_BTD = self._projected(index, table, lengths_B.clamp(min=1))
            return self._from_pooled(cast(SequenceClassifier, self.model).pool_states(states_BTD, lengths_B))
        x_BTD = self._inputs(index, table)
        if table is None:
            x_BTD = self.model.embedder({"frames_BTD": x_BTD}, lengths_B)
            lengths_B = self.model.embedder.positions(lengths_B)
        return self._probabilities(x_BTD, lengths_B)

    @torch.inference_mode()
    def _probabilities(self, x_BTD: Tensor, lengths_B: Tensor) -> NDArray[np.float32]:
        return self._from_pooled(self.model.pool(x_BTD, lengths_B))

    def _from_pooled(self, pooled_BD: Tensor) -> NDArray[np.float32]:
        log_probs_BK = self.model.head.sequence_log_probs(pooled_BD)
        return cast("NDArray[np.float32]", log_probs_BK.exp().cpu().numpy())
