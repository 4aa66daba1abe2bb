"""Classification: one label for a sequence of tokens or frames, or several. Shapes: B sequences, T positions, K labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch, Outputs, Side
from seqcli.data.example import Example
from seqcli.errors import did_you_mean, usage_error
from seqcli.fields.base import SourceField
from seqcli.fields.frames import FrameField
from seqcli.fields.labels import LabelField, LabelView
from seqcli.fields.text import TextField
from seqcli.metrics.classes import ClassScorer, MultilabelScorer
from seqcli.metrics.paired import Sums, f1
from seqcli.metrics.score import Score
from seqcli.models.counts.base import CountsClassifier, Labelled, Sizes
from seqcli.recipe import registry
from seqcli.recipe.encoders import RNNConfig
from seqcli.recipe.fields import FrameFieldConfig, LabelFieldConfig, TextFieldConfig
from seqcli.recipe.heads import SigmoidConfig, SoftmaxConfig
from seqcli.recipe.models import BagOfWordsConfig, MajorityConfig, MeanPoolConfig, NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import ClassificationConfig
from seqcli.tasks.base import Addition, Arrays, Count, CountsEngine, Data, Engine, Mistake, PairData, Task, shortened
from seqcli.tasks.mixture import flat
from seqcli.tasks.rules import (
    SPELLING,
    WORDS,
    beside,
    head_kind,
    needs,
    network,
    section,
    selects_by,
    sides,
    token_embedder,
    unless_network,
)

if TYPE_CHECKING:
    from seqcli.models.classifier import Classifier

BASELINES = ("majority", "bag-of-words", "mean-pool")
"""Models that are fitted in seconds, on their own or to compare others with."""

MOST_COMPARED = 2**26
"""Values of a training split (tokens, numbers in frames) up to which a report has baselines that need all in memory."""

_READS = {"bag-of-words": "text", "mean-pool": "frames"}


class Classified(NamedTuple):
    """The labels given to one sequence, and the probability of every label in the order of ``names``.

    ``length``: positions that the sequence has; those past the model's ``max_length`` were not looked at.
    """

    labels: list[str]
    probs_K: NDArray[np.floating[Any]]
    names: Sequence[str]
    length: int

    def ranked(self, most: int | None = None) -> list[tuple[str, float]]:
        """``(label, probability)``, the most probable first; of equal ones the one more frequent in training."""
        order = np.argsort(-self.probs_K, kind="stable")[:most]
        return [(self.names[number], float(self.probs_K[number])) for number in order.tolist()]


class Classifications(Sequence[Classified]):
    """Those of several sequences in columns; each is put together when it is asked for."""

    def __init__(
        self, labels: Sequence[list[str]], probs_BK: NDArray[Any], names: Sequence[str], lengths: Sequence[int]
    ) -> None:
        self.labels, self.probs_BK, self.names, self.lengths = labels, probs_BK, names, lengths

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, row: int) -> Classified: ...
    @overload
    def __getitem__(self, row: slice) -> list[Classified]: ...
    def __getitem__(self, row: int | slice) -> Classified | list[Classified]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        return Classified(self.labels[row], self.probs_BK[row], self.names, self.lengths[row])


def _target(recipe: Recipe) -> LabelFieldConfig:
    return section(recipe.target, LabelFieldConfig)


def _config(recipe: Recipe) -> ClassificationConfig:
    assert isinstance(recipe.task, ClassificationConfig)
    return recipe.task


def _scores(recipe: Recipe) -> Sequence[str]:
    if _target(recipe).separator:
        return ("f1", "precision", "recall", "macro_f1", "exact_match", "brier", "loss")
    grades = ("mean_absolute_error", "kappa") if _target(recipe).ordinal else ()
    return ("accuracy", "macro_f1", "brier", "calibration_error", "loss", *grades)


def _wrong_head(recipe: Recipe) -> bool:
    head = network(recipe).head
    return head is not None and head.kind != ("sigmoid" if _target(recipe).separator else "softmax")


def _foreign_baselines(recipe: Recipe) -> list[str]:
    return [
        kind for kind in _config(recipe).baselines or () if _READS.get(kind, recipe.source.kind) != recipe.source.kind
    ]


class ClassificationTask(Task[Classified]):
    """One label for a whole sequence: sentiment, the language of a name, an activity; or several labels."""

    rules = (
        *sides(("text", "frames"), ("labels",)),
        unless_network("classification", *BASELINES),
        *needs("embedder", "encoder", "pooling", "head"),
        selects_by(_scores),
        Rule(
            "model.embedder",
            lambda r: (
                (embedder := network(r).embedder) is not None
                and ("text" if embedder.kind in WORDS else "frames") != r.source.kind
            ),
            lambda r: f"the source is {r.source.kind}, so an embedder of that is needed",
            "source: {kind: text} goes with embedder: {kind: tokens}, source: {kind: frames} with {kind: frames} or "
            "{kind: frame-cnn}.",
        ),
        Rule(
            "model.kind",
            lambda r: _READS.get(r.model.kind, r.source.kind) != r.source.kind,
            lambda r: f"{r.model.kind} is for {_READS[r.model.kind]}, and this recipe reads {r.source.kind}",
            "Set source.kind, or take another model.",
        ),
        Rule(
            "model.head",
            _wrong_head,
            lambda r: (
                f"{head_kind(r)} does not fit, since "
                + ("an example may have several labels" if _target(r).separator else "an example has one label")
            ),
            "softmax gives one label; sigmoid several, and goes with target.separator.",
        ),
        Rule(
            "model.head.tied",
            lambda r: isinstance(head := network(r).head, SoftmaxConfig) and head.tied,
            "labels are no words, so no word vectors are their output weights",
            "Set tied: false.",
        ),
        SPELLING,
        beside("bag-of-words"),
        Rule(
            "model.encoder.inputs",
            lambda r: isinstance(encoder := network(r).encoder, RNNConfig) and not encoder.inputs,
            "without input every sequence is the same",
            "Set inputs: true.",
        ),
        Rule(
            "target.ordinal",
            lambda r: _target(r).separator is not None and _target(r).ordinal,
            "is for examples with one label each, and target.separator allows several",
        ),
        Rule(
            "task.class_weights",
            lambda r: (
                _target(r).separator is not None
                and (_config(r).class_weights == "balanced" or (_config(r).class_weights and r.model.kind in BASELINES))
            ),
            "balances or weighs whole examples, and target.separator allows several labels in one",
            "Take task.class_weights out.",
        ),
        Rule(
            "task.baselines",
            _foreign_baselines,
            lambda r: (
                f"{(kind := _foreign_baselines(r)[0])} is for {_READS[kind]}, and this recipe reads {r.source.kind}"
            ),
            "Take it out.",
        ),
    )
    target: LabelField
    output = "log_probs_BK"
    output_formats = ("tsv", "jsonl")
    reads_lengths = True
    error_columns = ("place", "gold", "predicted", "confidence", "source")

    def __init__(self, recipe: Recipe) -> None:
        flat = not isinstance(recipe.model, NetworkConfig)
        self.config = _config(recipe)
        self.source: SourceField
        if isinstance(recipe.source, FrameFieldConfig):
            self.source = FrameField(recipe.source, flat=flat)
        else:
            assert isinstance(recipe.source, TextFieldConfig)
            self.source = TextField(recipe.source, token_embedder(recipe), flat=flat)
        self.target = LabelField(_target(recipe))
        self.weights_K: NDArray[np.float32] | None = None
        head = network(recipe).head
        self.threshold = head.threshold if isinstance(head, SigmoidConfig) else 0.5
        super().__init__(recipe)

    @property
    def score_names(self) -> Sequence[str]:
        return _scores(self.recipe)

    @property
    def too_long(self) -> tuple[str, str]:
        return (f"cut to the first {self.max_length}",) * 2

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """The first positions of the source, and the labels."""
        source = self.source.read(example.source, example.at)
        yield shortened({"source": source, "target": self.target.read(example.target, example.at)}, self.max_length)

    def fit(self, train: Columns) -> None:
        """Raises UserError (2): a class weight for a label that the training data lacks."""
        super().fit(train)
        weights, labels, counts = self.config.class_weights, self.target.labels, self.target.counts
        if weights == "balanced":
            total = sum(counts)
            self.weights_K = np.array([total / (len(counts) * count) for count in counts], np.float32)
        elif weights is not None:
            if alien := [label for label in weights if label not in labels]:
                raise usage_error(
                    f"task.class_weights: no training example has the label '{alien[0]}'",
                    hint=did_you_mean(alien[0], labels) or f"Labels: {', '.join(labels)}.",
                )
            self.weights_K = np.array([weights.get(label, 1.0) for label in labels], np.float32)

    def unseen(self, data: Data) -> list[str]:
        return _labels(data).unseen

    # -- the model

    def network(self) -> Classifier:
        from seqcli.models.classifier import new_classifier

        return new_classifier(network(self.recipe), self.source.sizes(), self.target.space(), self.weights_K)

    def _sizes(self) -> Sizes:
        source, target = self.source, self.target
        words = len(source.words) if isinstance(source, TextField) else 0
        channels = source.channels if isinstance(source, FrameField) else 0
        return Sizes(words=words, classes=len(target.labels), multilabel=target.multilabel, channels=channels)

    @property
    def _counts(self) -> type[CountsClassifier]:
        model: type[CountsClassifier] = registry.implementation("model", self.recipe.model.kind)
        return model

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        batch = _pairs(train).batch(np.arange(len(train.columns)))
        (gold,) = batch.target.arrays.values()
        weights = None if self.weights_K is None else self.weights_K[gold]
        examples = Labelled(*_joined(batch.source), gold.astype(bool) if self.target.multilabel else gold, weights)
        return self._counts.fit(self.recipe.model, examples, self._sizes(), progress).arrays()

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        return LabelCounts(self._counts.from_arrays(self.recipe.model, arrays, self._sizes(), file))

    def beside(self) -> list[Task[Classified]]:
        others = super().beside()
        for other in others:
            assert isinstance(other, ClassificationTask)
            other.weights_K = self.weights_K
        return others

    def target_log_probs(self, engine: Engine, data: Data) -> NDArray[np.float64]:
        """Of the labels; of several labels an example those of each, there or not."""
        pairs, found = _pairs(data), list[NDArray[np.float64]]()
        for rows in pairs.measuring_order(2**14):
            batch = pairs.batch(rows)
            source = flat(batch.source) if engine.flat else batch.source
            log_probs_BK = engine.outputs(source)["log_probs_BK"].astype(np.float64)
            (gold,) = batch.target.arrays.values()
            if self.target.multilabel:
                found.append(np.where(gold > 0, log_probs_BK, np.log1p(-np.exp(log_probs_BK))).ravel())
            else:
                known = np.flatnonzero(gold >= 0)
                found.append(log_probs_BK[known, gold[known]])
        return np.concatenate(found)

    # -- predictions and scores

    def predict(self, outputs: Outputs, raws: Sequence[Any], *, scores: bool = False) -> Classifications:
        return self.classified(outputs, [*map(len, raws)])

    def classified(self, outputs: Outputs, lengths: Sequence[int]) -> Classifications:
        probs_BK = np.exp(outputs["log_probs_BK"])
        names = self.target.labels
        if self.target.multilabel:
            given = [[names[number] for number in np.flatnonzero(row).tolist()] for row in probs_BK >= self.threshold]
        else:
            singles = [[name] for name in names]
            given = [singles[number] for number in probs_BK.argmax(1).tolist()]
        return Classifications(given, probs_BK, names, lengths)

    def lengths(self, predictions: Sequence[Classified]) -> Sequence[int]:
        return _columns(predictions)[1]

    @property
    def empty_input(self) -> str:
        what = "an empty text has no tokens" if self.source.unit == "tokens" else "a sequence has no frames"
        return f"{what}: it is given what the model says of nothing at all"

    def join(self, raw: Any, parts: Sequence[Classified]) -> Classified:
        return parts[0]._replace(length=len(raw))

    def predict_batch(self, outputs: Outputs, batch: Batch) -> Classifications:
        wide = {"log_probs_BK": outputs["log_probs_BK"].astype(np.float64)}
        return self.classified(wide, batch.source.lengths_B.tolist())

    def gold(self, data: PairData, rows: NDArray[np.int64]) -> list[list[str]]:
        return [_labels(data).gold(row) for row in rows.tolist()]

    def scorer(self) -> ClassificationScorer:
        return ClassificationScorer(self.target, self.threshold)

    def confidence(self, one: Classified) -> float:
        """Of several labels the least sure decision counts."""
        if not self.target.multilabel:
            return float(one.probs_K.max())
        return float(np.where(one.probs_K >= self.threshold, one.probs_K, 1 - one.probs_K).min())

    def error_rows(self, mistakes: Sequence[Mistake[Classified]]) -> Iterator[tuple[str, ...]]:
        """The most confident mistake first."""
        ranked = sorted(mistakes, key=lambda mistake: (-self.confidence(mistake.prediction), mistake.row))
        for one in ranked:
            confidence = f"{self.confidence(one.prediction):.4f}"
            yield one.at, self.target.join(one.gold), self.target.join(one.prediction.labels), confidence, one.source

    def writer(
        self, form: str, *, scores: bool = False, top: int | None = None
    ) -> Callable[[Sequence[Classified]], str]:
        if form == "tsv" and top is None and not scores:
            join = self.target.join
            return lambda predictions: "".join([f"{join(labels)}\n" for labels in _columns(predictions)[0]])

        def line(one: Classified) -> str:
            if form == "jsonl":
                return json.dumps(self.document(one, scores=scores, top=top), ensure_ascii=False)
            if top is None and self.target.multilabel:
                return "\t".join(f"{name}\t{dict(one.ranked())[name]:.4f}" for name in one.labels)
            return ranked(one, top or 1)

        return lambda predictions: "".join([f"{line(one)}\n" for one in predictions])

    def document(self, one: Classified, *, scores: bool, top: int | None) -> dict[str, Any]:
        """The labels of one sequence with the probabilities asked for, as JSON."""
        value: dict[str, Any] = {"labels": one.labels} if self.target.multilabel else {"label": one.labels[0]}
        if scores or top is not None:
            value["scores"] = {label: round(chance, 6) for label, chance in one.ranked(top)}
        return value

    def addition(self, form: str, *, scores: bool = False, top: int | None = None) -> Addition[Classified]:
        """To JSON the label, or a list where there may be several, and an object of scores; to other tables cells.

        The cells are the label and its probability, and those of the next ``top`` - 1; of several labels all in one.
        """
        with_scores = scores or top is not None
        if form == "jsonl":
            return Addition(
                ["", "_scores"][: 1 + with_scores],
                lambda one: [*self.document(one, scores=with_scores, top=top).values()],
            )
        if top is not None:
            places = range(2, min(top, len(self.target.labels)) + 1)
            names = ["", "_probability", *(f"_{place}{part}" for place in places for part in ("", "_probability"))]
            return Addition(names, lambda one: ranked(one, top).split("\t"))
        join = self.target.join
        if not scores:
            return Addition([""], lambda one: [join(one.labels)])

        def with_probability(one: Classified) -> list[str]:
            chance_of = dict(one.ranked())
            return [join(one.labels), " ".join(f"{chance_of[label]:.4f}" for label in one.labels)]

        return Addition(["", "_probability"], with_probability)

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """The labels of an example, and its tokens as the model sees them."""
        gold = [self.target.join(_labels(data).gold(row)) or "(no label)" for row in rows]
        return [f"{labels}: {text}" for labels, text in zip(gold, super().describe(data, rows), strict=True)]

    # -- baselines

    def differences(self, other: Task[Any], name: str) -> list[str]:
        """Models of other labels are refused."""
        assert isinstance(other, ClassificationTask)
        if {*self.target.labels} != {*other.target.labels}:
            mine, theirs = (", ".join(sorted(one.target.labels)[:10]) for one in (self, other))
            raise usage_error(f"{name} has other labels, so the two cannot be compared: {theirs}, not {mine}")
        return []

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[Classified]]]:
        """Those that the recipe asks for, without the kind that it trains itself.

        A training split too large to be held in memory is left to the model alone.
        """
        wanted = self.config.baselines
        if wanted is None:
            wanted = ["majority", "bag-of-words" if isinstance(self.source, TextField) else "mean-pool"]
        values = data["train"].columns["source"].values
        size = len(values) * int(np.prod(np.asarray(values[:1]).shape[1:]))
        others: list[tuple[str, Task[Classified]]] = []
        for kind in dict.fromkeys(wanted):
            if kind != self.recipe.model.kind and (kind == "majority" or size <= MOST_COMPARED):
                task = ClassificationTask(self._recipe_of(kind))
                others.append((task._counts.title(task.recipe.model), task))
        return others

    def _recipe_of(self, kind: str) -> Recipe:
        """The recipe of a baseline: the same fields, the weights of the classes only where they mean something."""
        sections: dict[str, Any] = {
            "majority": MajorityConfig,
            "bag-of-words": BagOfWordsConfig,
            "mean-pool": MeanPoolConfig,
        }
        config = self.config
        if self.target.multilabel or kind == "majority":  # the majority is that of the data, whatever the loss counts
            config = config.model_copy(update={"class_weights": None})
        training = self.recipe.training.model_copy(update={"select_by": None})
        update = {"model": sections[kind].model_validate({}), "task": config, "training": training}
        return self.recipe.model_copy(update=update)


class ClassificationScorer:
    """Accuracy, macro F1, calibration; for several labels micro F1."""

    def __init__(self, target: LabelField, threshold: float) -> None:
        self.labels, self.threshold = target.labels, threshold
        self.multilabel = MultilabelScorer(target.labels) if target.multilabel else None
        self.single = ClassScorer(target.labels, ordinal=target.config.ordinal)
        self._ids = {label: number for number, label in enumerate(target.labels)}
        self._adds = [np.zeros((0, 3))]

    def add(self, gold: Sequence[list[str]], predictions: Sequence[Classified]) -> Sequence[bool]:
        probs_BK = np.stack([one.probs_K for one in predictions]).astype(np.float64)
        if self.multilabel is not None:
            gold_BK = np.array([[label in labels for label in self.labels] for labels in gold], bool)
            unknown_B = np.array([sum(label not in self._ids for label in labels) for labels in gold], np.int64)
            self.multilabel.add(gold_BK, probs_BK, self.threshold, unknown_B)
            said_BK = probs_BK >= self.threshold
            exact_B = (said_BK == gold_BK).all(1) & (unknown_B == 0)
            counts = (said_BK & gold_BK).sum(1), gold_BK.sum(1) + unknown_B, said_BK.sum(1)
            self._adds.append(np.stack(counts, axis=1).astype(np.float64))
            return [bool(right) for right in exact_B]
        ids_B = np.array([self._ids.get(labels[0], -1) for labels in gold], np.int64)
        self.single.add(ids_B, probs_BK, [labels[0] for labels in gold if labels[0] not in self._ids])
        return [bool(right) for right in probs_BK.argmax(1) == ids_B]

    def scores(self) -> dict[str, float]:
        return (self.multilabel or self.single).scores()

    def sums(self) -> Sums | None:
        return None if self.multilabel is None else Sums("F1", np.concatenate(self._adds), f1)

    def score(self) -> Score:
        return (self.multilabel or self.single).score()


class LabelCounts(CountsEngine):
    """A classifier that was fitted in one go."""

    def __init__(self, model: CountsClassifier) -> None:
        self.model = model

    def outputs(self, source: Side) -> Outputs:
        return {"log_probs_BK": self.model.log_probs(*_joined(source))}


def _joined(source: Side) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """``(values of all examples one after the other, where each begins and the last one ends)``."""
    return source.arrays["values"], np.concatenate([np.zeros(1, np.int64), np.cumsum(source.lengths_B)])


def _pairs(data: Data) -> PairData:
    assert isinstance(data, PairData)
    return data


def _labels(data: Data) -> LabelView:
    target = _pairs(data).target
    assert isinstance(target, LabelView)
    return target


def _columns(predictions: Sequence[Classified]) -> tuple[Sequence[list[str]], Sequence[int]]:
    """``(labels, length)`` of each."""
    if isinstance(predictions, Classifications):
        return predictions.labels, predictions.lengths
    return [one.labels for one in predictions], [one.length for one in predictions]


def ranked(one: Classified, most: int) -> str:
    return "\t".join(f"{label}\t{chance:.4f}" for label, chance in one.ranked(most))
