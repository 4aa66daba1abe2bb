"""Tagging: one tag for each token.

Shapes: B sequences, T positions, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.batch import Batch, pad_ids
from seqcli.data.arrays import Split
from seqcli.data.order import ByLength
from seqcli.errors import did_you_mean, usage_error
from seqcli.files import atomic_write_text
from seqcli.lines import read_lines
from seqcli.metrics.accuracy import AccuracyScorer
from seqcli.metrics.schemes import Span, convert, legal_step, split_tag, write_tags
from seqcli.metrics.score import Score
from seqcli.metrics.spans import SpanScorer
from seqcli.models.heads import LabelSpace
from seqcli.models.sequence import SequenceModel
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import TaggingConfig
from seqcli.tasks.aligned import TaggedPieces
from seqcli.tasks.base import Carried
from seqcli.tasks.checks import require_network, require_parts
from seqcli.tasks.tokens import TokenEncoder, TokenInputs, affix_kinds, load_vectors

_OTHER_HEADS = {"adaptive": "language models", "sigmoid": "the task classification"}


class TaggingTask:
    """The task ``tagging``; see `seqcli.tasks.base.Task` for the methods."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.config = cast(TaggingConfig, recipe.task)
        require_parts(recipe, "embedder", "encoder", "head")
        require_network(recipe)
        self.embedder_config = cast(TokensConfig, recipe.model.embedder)
        self.encoder: TokenEncoder
        self.labels: list[str] = []
        self.select_by = recipe.training.select_by or ("f1" if self.config.scheme else "accuracy")
        self._check()

    def _check(self) -> None:
        """Refuse, before any data is read, what the sections of the recipe cannot mean together."""
        config, embedder, head = self.config, self.embedder_config, self.recipe.model.head
        if head is not None and head.kind in _OTHER_HEADS:
            raise usage_error(
                f"model.head: {head.kind} is for {_OTHER_HEADS[head.kind]}", hint="For tags: softmax or crf."
            )
        if getattr(self.recipe.model.embedder, "kind", "") == "frames":
            raise usage_error(
                "model.embedder: a tag belongs to a token, and frames have none", hint="Set embedder: {kind: tokens}."
            )
        if getattr(head, "tied", False):
            raise usage_error(
                "model.head.tied: tags are no words, so no word vectors are their output weights",
                hint="Set tied: false.",
            )
        if config.scheme is None and (config.model_scheme is not None or config.labels == "binary"):
            what = "model_scheme" if config.model_scheme is not None else "labels: binary"
            raise usage_error(
                f"task.{what} needs task.scheme, the scheme of the data",
                hint="Without a scheme tags are labels of single tokens, not of spans.",
            )
        if not embedder.dim and embedder.characters is None and not affix_kinds(embedder):
            raise usage_error(
                "model.embedder.dim: 0 leaves words to their spelling, but there are neither characters nor affixes",
                hint="Set model.embedder.characters, or a dim of at least 1.",
            )
        known = ["f1", "precision", "recall"] * (config.scheme is not None) + ["accuracy", "loss"]
        if self.select_by not in known:
            raise usage_error(
                f"training.select_by: there is no dev score '{self.select_by}'",
                hint=did_you_mean(self.select_by, known) or f"Scores: {', '.join(known)}.",
            )

    @property
    def model_scheme(self) -> str | None:
        """The scheme of `labels`."""
        return self.config.model_scheme or self.config.scheme

    @property
    def scheme(self) -> str | None:
        """The scheme of the tags that come in and go out."""
        return self.config.scheme

    def pieces(self) -> TaggedPieces:
        """Turns an example into its tokens and tags."""
        return TaggedPieces(self.config, self.recipe.data.max_length)

    def fit(self, train: Split) -> None:
        """Words, spellings and labels of the training split."""
        assert self.recipe.text is not None
        self.encoder = TokenEncoder.fit(self.recipe.text, self.embedder_config, train.fields["token"])
        tags = train.fields["tag"]
        # most frequent first, so that the ids do not depend on the order of the file
        order = sorted(range(len(tags.symbols)), key=lambda index: (-int(tags.counts[index]), tags.symbols[index]))
        seen = [tags.symbols[index] for index in order]
        self.labels = seen + [tag for tag in all_tags(seen, self.model_scheme) if tag not in seen]

    def save(self, folder: Path) -> list[str]:
        """``labels.txt`` (a label a line) and the vocabularies."""
        atomic_write_text(folder / "labels.txt", "".join(f"{label}\n" for label in self.labels))
        return ["labels.txt", *self.encoder.save(folder)]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        assert self.recipe.text is not None
        self.labels = [line for _, line in read_lines(folder / "labels.txt")]
        self.encoder = TokenEncoder.load(self.recipe.text, self.embedder_config, folder)

    def build_model(self) -> nn.Module:
        """Embedder, encoder and head of the recipe; pretrained vectors copied in."""
        model = SequenceModel(self.recipe.model, self.encoder.sizes(), self._label_space())
        if self.embedder_config.vectors is not None:
            load_vectors(self.embedder_config, self.encoder, model.embedder.words.weight)
            model.embedder.words.weight.requires_grad_(not self.embedder_config.vectors.freeze)
        return model

    def empty_model(self) -> nn.Module:
        """The same without pretrained vectors: its weights are about to be loaded."""
        return SequenceModel(self.recipe.model, self.encoder.sizes(), self._label_space())

    def data(self, split: Split) -> TaggingData:
        """A split as batches."""
        return TaggingData(self, split)

    def loss(self, model: nn.Module, batch: Batch, carried: Carried | None = None) -> tuple[Tensor, int]:
        """Cross-entropy or CRF likelihood summed over the tokens, and their number."""
        assert batch.targets is not None
        hidden_BTD = model(batch.inputs, batch.lengths_B)
        return model.head.loss(hidden_BTD, batch.targets, batch.lengths_B)  # type: ignore[operator, union-attr, no-any-return]

    def scorer(self, data: TaggingData) -> TaggingScorer:
        """Span F1 where the recipe names a scheme, else accuracy."""
        return TaggingScorer(self, data)

    def baselines(self, data: dict[str, Any], measured: dict[str, Any]) -> list[dict[str, Any]]:
        """None."""
        return []

    def describe(self, data: TaggingData, rows: Sequence[int]) -> list[str]:
        """``token/tag`` lines, an unknown word as ``<UNK>``."""
        words = self.encoder.features.words
        lines = []
        for row in rows:
            tokens = data.tokens.tokens.sequence(row)
            known = words.decode(data.tokens.arrays.words[tokens].tolist())
            lines.append(" ".join(f"{word}/{tag}" for word, tag in zip(known, data.gold_tags(row), strict=True)))
        return lines

    def summary(self) -> dict[str, Any]:
        """Words and labels."""
        return {"words": len(self.encoder.features.words), "labels": len(self.labels)}

    def written(self, label_ids: Sequence[int]) -> list[str]:
        """Label ids of one sentence as tags of the data's own scheme.

        A softmax head may give a sequence its scheme forbids; it is then read as conlleval reads it.
        """
        tags = [self.labels[label] for label in label_ids]
        if self.scheme is None or self.model_scheme is None or self.scheme == self.model_scheme:
            return tags
        return convert(tags, self.model_scheme, self.scheme, repair=True)

    def _label_space(self) -> LabelSpace:
        scheme = self.model_scheme
        if scheme is None:
            return LabelSpace(len(self.labels))
        steps = [[legal_step(before, after, scheme) for after in self.labels] for before in self.labels]
        return LabelSpace(
            len(self.labels),
            torch.tensor(steps),
            torch.tensor([legal_step(None, tag, scheme) for tag in self.labels]),
            torch.tensor([legal_step(tag, None, scheme) for tag in self.labels]),
        )


def all_tags(seen: Sequence[str], scheme: str | None) -> list[str]:
    """Every tag that spans of the labels in ``seen`` can need, so that a length that training lacks can be written."""
    if scheme is None:
        return []
    needed = {"O": None}
    for label in sorted({split_tag(tag)[1] for tag in seen if tag != "O"}):
        for length in (1, 2, 3):
            touching = [Span(0, length, label), Span(length, 2 * length, label)]
            needed |= dict.fromkeys(write_tags(touching, 2 * length, scheme))
    return list(needed)


class TaggingData(ByLength):
    """A split as batches. ``unseen``: labels that training lacks; each of them is an honest miss when measuring."""

    def __init__(self, task: TaggingTask, split: Split) -> None:
        self.task, self.split = task, split
        self.tokens = TokenInputs(task.encoder, split.fields["token"])
        self.tags = split.fields["tag"]
        self.lengths = self.tokens.tokens.lengths
        ids = {label: number for number, label in enumerate(task.labels)}
        self.unseen = [tag for tag in self.tags.symbols if tag not in ids]
        self._label_of = np.array([ids.get(tag, -1) for tag in self.tags.symbols], np.int64)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Inputs and label ids of these rows."""
        inputs, lengths = self.tokens.inputs(rows)
        labels = self._label_of[self.tags.gather(rows)]
        return Batch(inputs, torch.from_numpy(lengths), pad_ids(labels, lengths), rows)

    def gold_tags(self, row: int) -> list[str]:
        """The tags of one example in the data's own scheme."""
        symbols = self.tags.symbols
        tags = [symbols[tag] for tag in self.tags.sequence(row)]
        scheme, model_scheme = self.task.scheme, self.task.model_scheme
        if scheme is None or model_scheme is None or scheme == model_scheme:
            return tags
        return convert(tags, model_scheme, scheme)


class TaggingScorer:
    """Decodes batches and counts."""

    def __init__(self, task: TaggingTask, data: TaggingData) -> None:
        self.task, self.data = task, data
        self.spans = SpanScorer(task.scheme) if task.scheme else None
        self.accuracy = AccuracyScorer()
        self.loss_sum, self.targets = 0.0, 0

    def add(self, model: nn.Module, batch: Batch) -> None:
        """Run the model, decode, count."""
        hidden_BTD = model(batch.inputs, batch.lengths_B)
        if not self.data.unseen:
            loss, count = model.head.loss(hidden_BTD, batch.targets, batch.lengths_B)  # type: ignore[operator, union-attr]
            self.loss_sum += float(loss)
            self.targets += count
        predicted = model.head.decode(hidden_BTD, batch.lengths_B).tolist()  # type: ignore[operator, union-attr]
        assert batch.rows is not None
        for row, length, labels in zip(batch.rows.tolist(), batch.lengths_B.tolist(), predicted, strict=True):
            gold, found = self.data.gold_tags(row), self.task.written(labels[:length])
            self.accuracy.add(gold, found)
            if self.spans is not None:
                self.spans.add(gold, found)

    def scores(self) -> dict[str, float]:
        """F1, precision, recall, accuracy in percent; loss in nats a token."""
        values = {"accuracy": self.accuracy.score().value}
        if self.spans is not None:
            total = self.spans.total
            values = {"f1": total.f1, "precision": total.precision, "recall": total.recall, **values}
        if self.targets:
            values["loss"] = self.loss_sum / self.targets
        return values

    def score(self) -> Score:
        """The score a report shows."""
        return (self.spans or self.accuracy).score()
