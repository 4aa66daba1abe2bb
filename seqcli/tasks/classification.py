"""Classification: one label for a sequence of tokens or frames, or several; with a network.

Shapes: B sequences, D values, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqcli.batching.batch import Batch
from seqcli.errors import usage_error
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.ensemble import EnsembleClassifier
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import Carried
from seqcli.tasks.baselines import BASELINES, FittedClassification, baseline_scores
from seqcli.tasks.checks import require_network, require_parts
from seqcli.tasks.class_base import ClassificationBase
from seqcli.tasks.class_data import ClassificationData
from seqcli.tasks.class_scorers import NetworkScorer
from seqcli.tasks.sources import FrameSource, TextSource
from seqcli.tasks.tokens import affix_kinds

Classifier = SequenceClassifier | EnsembleClassifier


def new_classification_task(recipe: Recipe) -> ClassificationTask | FittedClassification:
    """The task of a recipe: a network's, or that of a baseline.

    Raises:
        UserError: sections that cannot be meant together (2).
    """
    require_parts(recipe, "encoder")
    assert recipe.model.encoder is not None
    if recipe.model.encoder.kind in BASELINES:
        return FittedClassification(recipe)
    require_network(recipe)
    return ClassificationTask(recipe)


class ClassificationTask(ClassificationBase):
    """The task ``classification`` with a network; see `seqcli.tasks.base.Task` for the methods."""

    def __init__(self, recipe: Recipe) -> None:
        require_parts(recipe, "embedder", "encoder", "pooling", "head")
        assert recipe.model.embedder is not None
        text = recipe.model.embedder.kind == "tokens"
        super().__init__(recipe, TextSource(recipe) if text else FrameSource(recipe))
        self._check()

    def _check(self) -> None:
        """Refuse, before any data is read, what the sections of the recipe cannot mean together."""
        embedder, head = self.recipe.model.embedder, self.recipe.model.head
        assert head is not None
        wanted = "sigmoid" if self.several else "softmax"
        if head.kind != wanted:
            why = "an example may have several labels" if self.several else "an example has one label"
            raise usage_error(
                f"model.head: {head.kind} does not fit, since {why}",
                hint=f"Set head: {{kind: {wanted}}}"
                + (", or task.separator." if wanted == "softmax" and head.kind == "sigmoid" else "."),
            )
        if getattr(head, "tied", False):
            raise usage_error(
                "model.head.tied: labels are no words, so no word vectors are their output weights",
                hint="Set tied: false.",
            )
        if (
            isinstance(embedder, TokensConfig)
            and not embedder.dim
            and embedder.characters is None
            and not affix_kinds(embedder)
        ):
            raise usage_error(
                "model.embedder.dim: 0 leaves words to their spelling, but there are neither characters nor affixes",
                hint="Set model.embedder.characters, or a dim of at least 1.",
            )
        encoder = self.recipe.model.encoder
        if getattr(encoder, "inputs", True) is False:
            raise usage_error(
                "model.encoder.inputs: without input every sequence is the same", hint="Set inputs: true."
            )

    def build_model(self) -> Classifier:
        """Embedder, encoder, pooling and head of the recipe; pretrained vectors or the scaling of frames put in."""
        model = self.empty_model()
        for network in model.networks():
            self.source.initialise(network.embedder)
        return model

    def empty_model(self) -> Classifier:
        """The same without what comes from the training data: its weights are about to be loaded."""
        make = EnsembleClassifier if self.recipe.model.members > 1 else SequenceClassifier
        return make(self.recipe.model, self.source.sizes(), len(self.labels))

    def loss(self, model: nn.Module, batch: Batch, carried: Carried | None = None) -> tuple[Tensor, float]:
        """Cross-entropy in nats summed over the sequences, and their number (or the sum of their weights)."""
        pooled_BD = model(batch.inputs, batch.lengths_B)
        weights = None if self.weights_K is None else torch.from_numpy(self.weights_K).to(pooled_BD.device)
        return model.head.sequence_loss(pooled_BD, batch.targets, weights)  # type: ignore[operator, union-attr, no-any-return]

    def scorer(self, data: ClassificationData) -> NetworkScorer:
        """Accuracy, macro F1, calibration; for several labels micro F1."""
        return NetworkScorer(self, data)

    def baselines(self, data: Mapping[str, ClassificationData], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `seqcli.tasks.baselines.baseline_scores`."""
        return baseline_scores(self, data, measured)
