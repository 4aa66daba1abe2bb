"""Classification: one label for a sequence of tokens or frames, or several.

Shapes: B sequences, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.arrays import Split
from seqcli.batching.batch import Batch
from seqcli.batching.order import ByLength
from seqcli.errors import data_error, did_you_mean, usage_error
from seqcli.files import atomic_write_text
from seqcli.lines import read_lines
from seqcli.metrics.classes import ClassScorer, SeveralScorer
from seqcli.metrics.paired import compare_right
from seqcli.metrics.score import Score
from seqcli.models.classifier import SequenceClassifier
from seqcli.models.fitted import fit_baseline, load_baseline
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.encoders import BagOfWordsConfig, MajorityConfig, MeanPoolConfig
from seqcli.recipe.schema import ModelConfig, Recipe
from seqcli.recipe.tasks import ClassificationConfig
from seqcli.tasks.base import Carried
from seqcli.tasks.checks import require_network, require_parts
from seqcli.tasks.labelled import LabelledFrames, LabelledText
from seqcli.tasks.sources import FrameSource, Source, TextSource
from seqcli.tasks.tokens import affix_kinds

BASELINES = {"majority": MajorityConfig, "bag-of-words": BagOfWordsConfig, "mean-pool": MeanPoolConfig}
"""Encoders that are whole models, fitted in seconds."""

_SCORES = ("accuracy", "macro_f1", "brier", "calibration_error", "loss")
_ORDINAL_SCORES = ("mean_absolute_error", "kappa")
_SEVERAL_SCORES = ("f1", "precision", "recall", "macro_f1", "exact_match", "brier", "loss")


def new_classification_task(recipe: Recipe) -> ClassificationTask | FittedClassification:
    """The task of a recipe: a network's, or that of a baseline."""
    require_parts(recipe, "encoder")
    require_network(recipe)
    assert recipe.model.encoder is not None
    return (FittedClassification if recipe.model.encoder.kind in BASELINES else ClassificationTask)(recipe)


class _Classification:
    """What classifiers of every make share: the source, the labels, the data."""

    def __init__(self, recipe: Recipe, source: Source) -> None:
        self.recipe, self.source = recipe, source
        self.config = cast(ClassificationConfig, recipe.task)
        self.labels: list[str] = []
        if self.several and (self.config.ordinal or self.config.class_weights == "balanced"):
            what = "ordinal" if self.config.ordinal else "class_weights: balanced"
            raise usage_error(f"task.{what} is for examples with one label each, and task.separator allows several")
        self.select_by = recipe.training.select_by or ("f1" if self.several else "accuracy")
        known = _SEVERAL_SCORES if self.several else _SCORES + _ORDINAL_SCORES * self.config.ordinal
        if self.select_by not in known:
            raise usage_error(f"training.select_by: there is no dev score '{self.select_by}'",
                              hint=did_you_mean(self.select_by, known) or f"Scores: {', '.join(known)}.")

    @property
    def several(self) -> bool:
        """Whether an example may have several labels, or none."""
        return self.config.separator is not None

    @property
    def tokenizer_model(self) -> Path | bool | None:
        """The tokenizer's model file: None where one is not there yet, False where there is no text."""
        return self.source.tokenizer_model if isinstance(self.source, TextSource) else False

    @tokenizer_model.setter
    def tokenizer_model(self, path: Path | None) -> None:
        assert isinstance(self.source, TextSource)
        self.source.tokenizer_model = path

    def pieces(self) -> LabelledText | LabelledFrames:
        """Turns an example into its tokens or frames, and its labels."""
        return self.source.pieces(self.config.separator)

    def fit(self, train: Split) -> None:
        """What the source needs, and the labels of the training split.

        Raises:
            UserError: fewer than two labels, or grades that are no numbers (65); a class weight for no label (2).
        """
        self.source.fit(train)
        labels = train.fields["label"]
        counts = dict(zip(labels.symbols, labels.counts.tolist(), strict=True))
        # most frequent first, so that the ids do not depend on the order of the file
        self.labels = sorted(counts, key=lambda label: (-counts[label], label))
        if self.config.ordinal:
            self.labels = sorted(counts, key=lambda label: _grade(label, train.files))
        if len(counts) < 2 and not (self.several and counts):
            found = f"one label only, '{self.labels[0]}'" if counts else "no labels"
            raise data_error(f"the training data has {found}: there is nothing to tell apart",
                             file=", ".join(train.files))
        weights = self.config.class_weights
        if isinstance(weights, Mapping) and (alien := [label for label in weights if label not in counts]):
            raise usage_error(f"task.class_weights: no training example has the label '{alien[0]}'",
                              hint=did_you_mean(alien[0], self.labels) or f"Labels: {', '.join(self.labels)}.")
        self.weights_K = self._weights(counts)

    def _weights(self, counts: Mapping[str, int]) -> NDArray[np.float32] | None:
        weights = self.config.class_weights
        if weights is None:
            return None
        if weights == "balanced":
            total = sum(counts.values())
            return np.array([total / (len(counts) * counts[label]) for label in self.labels], np.float32)
        return np.array([weights.get(label, 1.0) for label in self.labels], np.float32)

    def save(self, folder: Path) -> list[str]:
        """``labels.txt`` (a label a line), and what the source learned."""
        atomic_write_text(folder / "labels.txt", "".join(f"{label}\n" for label in self.labels))
        return ["labels.txt", *self.source.save(folder)]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.labels = [line for _, line in read_lines(folder / "labels.txt")]
        self.source.load(folder)
        self.weights_K = None  # are for training alone

    def data(self, split: Split) -> ClassificationData:
        """A split as batches."""
        return ClassificationData(self, split)

    def new_scorer(self) -> ClassScorer | SeveralScorer:
        """A scorer that has counted nothing."""
        if self.several:
            return SeveralScorer(self.labels)
        return ClassScorer(self.labels, ordinal=self.config.ordinal)

    def describe(self, data: ClassificationData, rows: Sequence[int]) -> list[str]:
        """The labels of an example, and its tokens as the model sees them."""
        return [f"{' '.join(data.gold(row)) or '(no label)'}: {self.source.readable(data.split, row, known=True)}"
                for row in rows]

    def summary(self) -> dict[str, Any]:
        """Sizes of the source, and the labels."""
        return {**self.source.summary(), "labels": len(self.labels)}

    def baselines(self, data: Mapping[str, ClassificationData], measured: Mapping[str, Any],
                  told: Callable[[int, int], None] = lambda done, total: None) -> list[dict[str, Any]]:
        """Scores of each baseline on the splits measured, and how the model compares, ready for JSON."""
        found = []
        for config in self._baseline_configs():
            model = config.model_validate({})
            sections = ModelConfig.model_construct(embedder=None, encoder=model, pooling=None, head=None)
            other = FittedClassification(self.recipe.model_copy(update={"model": sections}))
            train = other.data_of(data["train"].split)
            fitted = other.model_of(other.fit_weights({"train": train}, told))
            entry: dict[str, Any] = {"model": other.title}
            for name, scorer in measured.items():
                theirs = other.scorer(other.data(data[name].split))
                theirs.add_all(fitted)
                entry[name] = {**theirs.score().as_json(), "paired": compare_right(scorer.right, theirs.right)}
            found.append(entry)
        return found

    def _baseline_configs(self) -> list[Any]:
        own = self.recipe.model.encoder
        usual = ["majority", "bag-of-words" if isinstance(self.source, TextSource) else "mean-pool"]
        wanted = usual if self.config.baselines is None else self.config.baselines
        return [BASELINES[kind] for kind in wanted if own is None or kind != own.kind]


class ClassificationTask(_Classification):
    """The task ``classification`` with a network; see `seqcli.tasks.base.Task` for the methods."""

    def __init__(self, recipe: Recipe) -> None:
        require_parts(recipe, "embedder", "encoder", "pooling", "head")
        super().__init__(recipe, TextSource(recipe) if recipe.model.embedder.kind == "tokens"  # type: ignore[union-attr]
                         else FrameSource(recipe))
        self._check()

    def _check(self) -> None:
        """Refuse, before any data is read, what the sections of the recipe cannot mean together."""
        embedder, head = self.recipe.model.embedder, self.recipe.model.head
        assert head is not None
        wanted = "sigmoid" if self.several else "softmax"
        if head.kind != wanted:
            why = "an example may have several labels" if self.several else "an example has one label"
            raise usage_error(f"model.head: {head.kind} does not fit, since {why}", hint=f"Set head: {{kind: {wanted}}}"
                              + (", or task.separator." if wanted == "softmax" and head.kind == "sigmoid" else "."))
        if getattr(head, "tied", False):
            raise usage_error("model.head.tied: labels are no words, so no word vectors are their output weights",
                              hint="Set tied: false.")
        if isinstance(embedder, TokensConfig) and not embedder.dim and embedder.characters is None \
                and not affix_kinds(embedder):
            raise usage_error("model.embedder.dim: 0 leaves words to their spelling, but there are neither characters "
                              "nor affixes", hint="Set model.embedder.characters, or a dim of at least 1.")
        encoder = self.recipe.model.encoder
        if getattr(encoder, "inputs", True) is False:
            raise usage_error("model.encoder.inputs: without input every sequence is the same",
                              hint="Set inputs: true.")

    def build_model(self) -> nn.Module:
        """Embedder, encoder, pooling and head of the recipe; pretrained vectors or the scaling of frames put in."""
        model = self.empty_model()
        self.source.initialise(cast(nn.Module, model.embedder))
        return model

    def empty_model(self) -> nn.Module:
        """The same without what comes from the training data: its weights are about to be loaded."""
        return SequenceClassifier(self.recipe.model, self.source.sizes(), len(self.labels))

    def loss(self, model: nn.Module, batch: Batch, carried: Carried | None = None) -> tuple[Tensor, float]:
        """Cross-entropy in nats summed over the sequences, and their number (or the sum of their weights)."""
        pooled_BD = model(batch.inputs, batch.lengths_B)
        weights = None if self.weights_K is None else torch.from_numpy(self.weights_K).to(pooled_BD.device)
        return model.head.sequence_loss(pooled_BD, batch.targets, weights)  # type: ignore[operator, union-attr, no-any-return]

    def scorer(self, data: ClassificationData) -> NetworkScorer:
        """Accuracy, macro F1, calibration; for several labels micro F1."""
        return NetworkScorer(self, data)


class FittedClassification(_Classification):
    """The task ``classification`` with a baseline, which is fitted in seconds and in one go."""

    used = frozenset({"seed", "select_by"})

    def __init__(self, recipe: Recipe) -> None:
        assert recipe.model.encoder is not None
        self.encoder = recipe.model.encoder
        frames = self.encoder.kind == "mean-pool" or (self.encoder.kind == "majority" and recipe.text is None)
        for part in ("embedder", "pooling", "head"):
            if getattr(recipe.model, part) is not None:
                raise usage_error(f"model.{part}: {self.encoder.kind} has none", hint=f"Take model.{part} out.")
        super().__init__(recipe, FrameSource(recipe) if frames else TextSource(recipe))

    @property
    def title(self) -> str:
        """The model as a report names it."""
        if isinstance(self.encoder, BagOfWordsConfig):
            longest = self.encoder.ngrams
            return f"bag of {'words' if longest == 1 else f'1-{longest}-grams'}, logistic regression"
        return "majority" if isinstance(self.encoder, MajorityConfig) else "mean of the frames, logistic regression"

    def data_of(self, train: Split) -> ClassificationData:
        """Fit to a training split and give it as batches."""
        self.fit(train)
        return self.data(train)

    def fit_weights(self, data: Mapping[str, Any], told: Callable[[int, int], None]) -> dict[str, Tensor]:
        """Fit on the training split."""
        train: ClassificationData = data["train"]
        gold = train.gold_ids(np.arange(len(train.split)))
        weights = None if self.weights_K is None or self.several else self.weights_K[gold]
        model = fit_baseline(self.encoder, *train.all_values(), gold, words=self.rows, classes=len(self.labels),
                             weights=weights, several=self.several, told=told)
        return {name: torch.from_numpy(array) for name, array in model.arrays().items()}

    def model_of(self, weights: dict[str, Tensor]) -> Any:
        """The model of stored weights."""
        return load_baseline(self.encoder, {name: value.numpy() for name, value in weights.items()}, words=self.rows,
                             classes=len(self.labels), several=self.several)

    @property
    def rows(self) -> int:
        """Rows of the vocabulary; 0 for frames."""
        return len(self.source.encoder.features.words) if isinstance(self.source, TextSource) else 0

    def scorer(self, data: ClassificationData) -> FittedScorer:
        """Accuracy, macro F1, calibration; for several labels micro F1."""
        return FittedScorer(self, data)


def _grade(label: str, files: Sequence[str]) -> float:
    try:
        return float(label)
    except ValueError:
        raise data_error(f"task.ordinal: the label '{label}' is no number, so it has no place on a scale",
                         file=", ".join(files), hint="Set ordinal: false, or give grades such as 1 to 5.") from None


class ClassificationData(ByLength):
    """A split as batches. ``unseen``: labels that training lacks; each of them is an honest miss when measuring."""

    def __init__(self, task: _Classification, split: Split) -> None:
        self.task, self.split = task, split
        self.inputs = task.source.inputs(split)
        self.values = split.fields[task.source.field]
        self.lengths = self.values.lengths
        self.label_field = split.fields["label"]
        ids = {label: number for number, label in enumerate(task.labels)}
        self.unseen = [label for label in self.label_field.symbols if label not in ids]
        self._label_of = np.array([ids.get(label, -1) for label in self.label_field.symbols], np.int64)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Inputs and targets of these rows: label ids [B], or 0 and 1 [B, K]."""
        inputs, lengths = self.inputs.inputs(rows)
        gold = self.gold_ids(rows)
        targets = torch.from_numpy(gold.astype(np.float32) if self.task.several else gold)
        return Batch(inputs, torch.from_numpy(lengths), targets, rows)

    def gold_ids(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Label ids [B] (-1: one the model does not know), or for several labels booleans [B, K]."""
        found = self._label_of[self.label_field.gather(rows)]
        if not self.task.several:
            return found
        table = np.zeros((len(rows), len(self.task.labels) + 1), bool)  # what it does not know falls into the last one
        table[np.repeat(np.arange(len(rows)), self.label_field.lengths_of(rows)), found] = True
        return table[:, :-1]

    def unknown_labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many labels of each example the model does not know [B]."""
        return self.label_field.lengths_of(rows) - self.gold_ids(rows).sum(1)

    def gold(self, row: int) -> list[str]:
        """The labels of one example."""
        return [self.label_field.symbols[label] for label in self.label_field.sequence(row)]

    def all_values(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """``(word ids or frames of all examples joined, offsets)``."""
        return self.ids_of(np.asarray(self.values.values[:])), np.asarray(self.values.offsets[:])

    def some_values(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The same of some examples."""
        lengths = self.values.lengths_of(rows)
        return self.ids_of(self.values.gather(rows)), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def ids_of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Word ids of a text's symbols; frames as they are."""
        arrays = getattr(self.inputs, "arrays", None)
        return values if arrays is None else arrays.words[values]


class _Scorer:
    """Counts what a model says; ``right`` [examples of the split] tells which it has right throughout."""

    def __init__(self, task: _Classification, data: ClassificationData) -> None:
        self.task, self.data = task, data
        self.counted = task.new_scorer()
        self.right = np.zeros(len(data.split), bool)
        self.threshold = getattr(task.recipe.model.head, "threshold", 0.5)

    def log_probs(self, model: Any, batch: Batch) -> NDArray[np.float32]:
        """Log-probabilities [B, K] of a batch."""
        raise NotImplementedError

    def add(self, model: Any, batch: Batch) -> None:
        """Run the model over one batch and count."""
        assert batch.rows is not None
        self.count(batch.rows, self.log_probs(model, batch))

    def count(self, rows: NDArray[np.int64], log_probs_BK: NDArray[np.floating[Any]]) -> None:
        """Count the examples of these rows."""
        probs = np.exp(log_probs_BK.astype(np.float64))
        gold = self.data.gold_ids(rows)
        if isinstance(self.counted, SeveralScorer):
            unknown = self.data.unknown_labels(rows)
            self.counted.add(gold, probs, self.threshold, unknown)
            self.right[rows] = ((probs >= self.threshold) == gold).all(1) & (unknown == 0)
        else:
            self.counted.add(gold, probs, [self.data.gold(int(row))[0] for row in rows[gold < 0]])
            self.right[rows] = probs.argmax(1) == gold

    def given(self, probs_K: NDArray[np.floating[Any]]) -> tuple[list[str], float]:
        """``(labels given, confidence)`` of one example; of several labels the least sure decision counts."""
        if self.task.several:
            chosen = probs_K >= self.threshold
            names = [label for label, wanted in zip(self.task.labels, chosen, strict=True) if wanted]
            return names, float(np.where(chosen, probs_K, 1 - probs_K).min())
        return [self.task.labels[int(probs_K.argmax())]], float(probs_K.max())

    def scores(self) -> dict[str, float]:
        """Everything a recipe can select by."""
        return self.counted.scores()

    def score(self) -> Score:
        """The score a report shows."""
        return self.counted.score()


class NetworkScorer(_Scorer):
    """Runs a network over batches."""

    def log_probs(self, model: nn.Module, batch: Batch) -> NDArray[np.float32]:
        """Log-probabilities [B, K]."""
        log_probs_BK = model.head.sequence_log_probs(model(batch.inputs, batch.lengths_B))  # type: ignore[operator, union-attr]
        return cast("NDArray[np.float32]", log_probs_BK.cpu().numpy())


class FittedScorer(_Scorer):
    """Runs a baseline over a split."""

    def log_probs(self, model: Any, batch: Batch) -> NDArray[np.float32]:
        """Log-probabilities [B, K]."""
        assert batch.rows is not None
        return cast("NDArray[np.float32]", model.log_probs(*self.data.some_values(batch.rows)))

    def add_all(self, model: Any) -> None:
        """Run the model over the whole split and count."""
        size = len(self.data.split)
        for start in range(0, size, 2**14):
            rows = np.arange(start, min(start + 2**14, size))
            self.count(rows, model.log_probs(*self.data.some_values(rows)))
