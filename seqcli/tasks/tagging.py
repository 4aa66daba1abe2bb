"""Tagging: one tag for each token. Shapes: B sequences, T positions, K labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Batch, Outputs, Side
from seqcli.data.example import Example
from seqcli.decode import chain
from seqcli.errors import data_error, usage_error
from seqcli.fields.tags import TagField, TagView
from seqcli.fields.text import TextField
from seqcli.metrics.accuracy import AccuracyScorer
from seqcli.metrics.paired import Sums, f1, percentage
from seqcli.metrics.schemes import Span, spans
from seqcli.metrics.score import Score
from seqcli.metrics.spans import SpanScorer, span_errors
from seqcli.models.counts.base import Labelled, Sizes
from seqcli.models.counts.most_frequent_tag import MostFrequentTag
from seqcli.recipe.fields import TagFieldConfig, TextFieldConfig
from seqcli.recipe.heads import SoftmaxConfig
from seqcli.recipe.models import MostFrequentTagConfig, NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import Addition, Arrays, Count, CountsEngine, Data, Engine, Mistake, PairData, Task
from seqcli.tasks.rules import (
    SPELLING,
    WORDS,
    beside,
    head_kind,
    needs,
    network,
    pooled,
    section,
    selects_by,
    sides,
    token_embedder,
    unless_network,
)
from seqcli.text.tokenizers import Offsets

if TYPE_CHECKING:
    from seqcli.models.labeller import EnsembleLabeller, Labeller


MOST_COUNTED = 2**26
"""Pairs of a word and a tag up to which a report has a baseline, which holds a number for each."""


class Tagged(NamedTuple):
    """One sentence, tagged.

    Where they were asked for: ``chances_T``, the probabilities of the tags; ``nats``, the loss; ``offsets``, where in
    the line each token stands, which tokens that came without a line do not know.
    """

    tokens: list[str]
    tags: list[str]
    chances_T: NDArray[np.floating[Any]]
    nats: float = 0.0
    offsets: Sequence[Offsets] | None = None


def _target(recipe: Recipe) -> TagFieldConfig:
    return section(recipe.target, TagFieldConfig)


def _scores(recipe: Recipe) -> Sequence[str]:
    spans = ("f1", "precision", "recall") if _target(recipe).scheme else ()
    return (*spans, "accuracy", "loss")


class TaggingTask(Task[Tagged]):
    """One tag for each token: parts of speech, named entities."""

    rules = (
        *sides(("text",), ("tags",)),
        unless_network("tagging", "most-frequent-tag"),
        *needs("embedder", "encoder", "head"),
        selects_by(_scores),
        pooled("tagging"),
        beside(),
        Rule(
            "model.head",
            lambda r: head_kind(r) in ("adaptive", "sigmoid"),
            lambda r: (
                f"{head_kind(r)} is for "
                + {"adaptive": "language models", "sigmoid": "the task classification"}[head_kind(r)]
            ),
            "For tags: softmax or crf.",
        ),
        Rule(
            "model.embedder",
            lambda r: (embedder := network(r).embedder) is not None and embedder.kind not in WORDS,
            "a tag belongs to a token, and frames have none",
            "Set embedder: {kind: tokens}.",
        ),
        Rule(
            "model.head.tied",
            lambda r: isinstance(head := network(r).head, SoftmaxConfig) and head.tied,
            "tags are no words, so no word vectors are their output weights",
            "Set tied: false.",
        ),
        Rule(
            "target.model_scheme",
            lambda r: _target(r).scheme is None and _target(r).model_scheme is not None,
            "needs target.scheme, the scheme of the data",
            "Without a scheme tags are labels of single tokens, not of spans.",
        ),
        Rule(
            "target.labels",
            lambda r: _target(r).scheme is None and _target(r).labels == "binary",
            "binary needs target.scheme, the scheme of the data",
            "Without a scheme tags are labels of single tokens, not of spans.",
        ),
        SPELLING,
    )
    source: TextField
    target: TagField
    output = "logits_BTK"
    output_formats = ("inline", "conll", "tsv", "jsonl")
    error_columns = ("place", "kind", "gold", "predicted", "gold_text", "predicted_text", "sentence")

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.source, TextFieldConfig)
        flat = not isinstance(recipe.model, NetworkConfig)
        self.source = TextField(recipe.source, token_embedder(recipe), flat=flat)
        self.target = TagField(_target(recipe))
        super().__init__(recipe)

    @property
    def score_names(self) -> Sequence[str]:
        return _scores(self.recipe)

    @property
    def learned(self) -> str:
        scheme = self.target.model_scheme
        return f"as {scheme}, which the model learns" if scheme and scheme != self.target.scheme else ""

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """Tokens and their tags; a long sequence is cut between spans, so that each piece is valid in the scheme.

        Raises:
            UserError: no tags, an empty token or tag, or a tag that breaks the scheme (65), with file and line.
        """
        tokens = example.source
        if not isinstance(tokens, list):
            raise data_error(
                "tagging needs tokens with a tag each", file=example.at, hint="Check data.format and data.columns."
            )
        if "" in tokens:
            raise data_error(f"token {tokens.index('') + 1} is empty", file=example.at)
        tags = self.target.read(example.target, example.at, tokens)
        pieces = self.target.pieces(tags, self.max_length) if tokens else []
        for piece in pieces:
            yield {"source": tokens[piece], "target": self.target.whole(tags[piece]) if len(pieces) > 1 else tags}

    def unseen(self, data: Data) -> list[str]:
        assert isinstance(data, PairData)
        assert isinstance(data.target, TagView)
        return data.target.unseen

    def network(self) -> Labeller | EnsembleLabeller:
        from seqcli.models.labeller import new_labeller

        return new_labeller(network(self.recipe), self.source.sizes(), self.target.space())

    def _sizes(self) -> Sizes:
        return Sizes(words=len(self.source.words), classes=len(self.target.labels))

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        assert isinstance(train, PairData)
        assert isinstance(train.target, TagView)
        assert isinstance(self.recipe.model, MostFrequentTagConfig)
        rows = np.arange(len(train.columns))
        source = train.source.side(rows)
        examples = Labelled(source.arrays["values"], np.cumsum([0, *source.lengths_B]), train.target.ids(rows))
        return MostFrequentTag.fit(self.recipe.model, examples, self._sizes(), progress).arrays()

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        assert isinstance(self.recipe.model, MostFrequentTagConfig)
        return TagCounts(MostFrequentTag.from_arrays(self.recipe.model, arrays, self._sizes(), file))

    def differences(self, other: Task[Any], name: str) -> list[str]:
        """Models whose tags are counted otherwise are refused; one that knows other tags is said."""
        assert isinstance(other, TaggingTask)
        mine, theirs = (
            (one.target.scheme is None, one.target.config.labels, one.target.config.merge) for one in (self, other)
        )
        if mine != theirs:
            raise usage_error(f"{name} reads other tags of the same data, so the two cannot be compared")
        if not (odd := {*self.target.kinds} ^ {*other.target.kinds}):
            return []
        return [f"{name} knows other tags: {', '.join(sorted(odd)[:10])} only one of the two"]

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[Tagged]]]:
        if not self.is_network or len(self.source.words) * len(self.target.labels) > MOST_COUNTED:
            return []
        model = MostFrequentTagConfig()
        training = self.recipe.training.model_copy(update={"select_by": None})
        recipe = self.recipe.model_copy(update={"model": model, "training": training})
        return [(MostFrequentTag.title(model), TaggingTask(recipe))]

    def pieces(self, raw: list[str]) -> list[list[str]]:
        return [raw[start : start + self.max_length] for start in range(0, len(raw), self.max_length)]

    def lengths(self, predictions: Sequence[Tagged]) -> Sequence[int]:
        return [len(one.tokens) for one in predictions]

    @property
    def long_input(self) -> str:
        return f"a line of more than {self.max_length} tokens was tagged in pieces of that length"

    def join(self, raw: list[str], parts: Sequence[Tagged]) -> Tagged:
        if len(parts) == 1:
            return parts[0]
        chances = np.concatenate([np.zeros(0), *(part.chances_T for part in parts)])
        return Tagged(raw, [tag for part in parts for tag in part.tags], chances)

    def located(self, items: Sequence[Any], predictions: Sequence[Tagged]) -> list[Tagged]:
        return [
            one._replace(offsets=self.source.tokenizer.offsets(item)) if isinstance(item, str) else one
            for item, one in zip(items, predictions, strict=True)
        ]

    def predict(self, outputs: Outputs, raws: Sequence[list[str]], *, scores: bool = False) -> list[Tagged]:
        lengths_B = np.array([len(tokens) for tokens in raws], np.int64)
        logits_BTK = outputs["logits_BTK"]
        is_crf = "transitions_KK" in outputs
        ids_BT = chain.viterbi(logits_BTK, *_steps(outputs), lengths_B) if is_crf else logits_BTK.argmax(-1)
        tags = [self.target.decode(ids[: len(tokens)]) for tokens, ids in zip(raws, ids_BT.tolist(), strict=True)]
        if not scores:
            return [Tagged(tokens, one, _NONE) for tokens, one in zip(raws, tags, strict=True)]
        if is_crf:
            chances_BTK = chain.posteriors(logits_BTK, *_steps(outputs), lengths_B)
        else:
            chances_BTK = np.exp(chain.log_softmax(logits_BTK))
        chances_BT = np.take_along_axis(chances_BTK, ids_BT[:, :, None], 2)[:, :, 0]
        return [
            Tagged(tokens, one, row[: len(tokens)]) for tokens, one, row in zip(raws, tags, chances_BT, strict=True)
        ]

    def predict_batch(self, outputs: Outputs, batch: Batch) -> list[Tagged]:
        lengths_B = batch.source.lengths_B
        blanks = [[""] * length for length in lengths_B.tolist()]
        nats_B = _nats(outputs, batch.target.arrays["ids_BT"], lengths_B)
        return [
            one._replace(nats=nats) for one, nats in zip(self.predict(outputs, blanks), nats_B.tolist(), strict=True)
        ]

    def gold(self, data: PairData, rows: NDArray[np.int64]) -> list[list[str]]:
        assert isinstance(data.target, TagView)
        return [data.target.gold(row) for row in rows.tolist()]

    def scorer(self) -> TaggingScorer:
        return TaggingScorer(self.target.scheme)

    def writer(self, form: str, *, scores: bool = False, top: int | None = None) -> Callable[[Sequence[Tagged]], str]:
        scheme = self.target.scheme
        if form == "inline":
            self._fits_inline()
        write: Callable[[Tagged], str] = {
            "inline": lambda one: inline(one, scores),
            "conll": lambda one: conll(one, scores),
            "tsv": lambda one: tsv(one, scores),
            "jsonl": lambda one: json.dumps(document(one, scores, scheme), ensure_ascii=False) + "\n",
        }[form]
        return lambda predictions: "".join(map(write, predictions))

    def _fits_inline(self) -> None:
        """Refuse (2) inline where a tag holds its separator: the tag is what follows the last one."""
        if odd := [label for label in self.target.labels if SEPARATOR in label]:
            raise usage_error(
                f"--format inline: this model has the tag '{odd[0]}', and '{SEPARATOR}' stands before a tag there",
                hint="Take --format conll, tsv or jsonl.",
            )

    def addition(self, form: str, *, scores: bool = False, top: int | None = None) -> Addition[Tagged]:
        """To CoNLL columns of tags (and scores), to JSON an object, to other tables a cell of ``token/tag``."""
        scheme = self.target.scheme
        if form in ("conll", "conllu"):
            names = ["", "_score"] if scores else [""]
            return Addition(names, lambda one: [one.tags, [f"{chance:.4f}" for chance in one.chances_T]][: len(names)])
        if form == "jsonl":
            return Addition([""], lambda one: [document(one, scores, scheme)])
        self._fits_inline()
        return Addition([""], lambda one: [inline(one, scores).rstrip("\n")])

    def error_rows(self, mistakes: Sequence[Mistake[Tagged]]) -> Iterator[tuple[str, ...]]:
        """Each wrong span by kind, or each wrong tag, in the order of the data."""
        scheme = self.target.scheme
        for one in sorted(mistakes, key=lambda mistake: mistake.row):
            tokens, tags = one.source.split(" "), one.prediction.tags
            if scheme is None:
                for token, gold, tag in zip(tokens, one.gold, tags, strict=True):
                    if gold != tag:
                        yield one.at, "tag", gold, tag, token, token, one.source
                continue
            for error in span_errors(spans(one.gold, scheme), spans(tags, scheme)):
                sides = [
                    ("", "") if span is None else (span.label, " ".join(tokens[span.start : span.end]))
                    for span in (error.gold, error.predicted)
                ]
                yield one.at, error.kind, sides[0][0], sides[1][0], sides[0][1], sides[1][1], one.source

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        """``token/tag`` lines, an unknown word as ``<UNK>``."""
        assert isinstance(data, PairData)
        assert isinstance(data.target, TagView)
        words = [self.source.readable(data.columns["source"], row, as_seen=True).split(" ") for row in rows]
        return [
            " ".join(map("/".join, zip(tokens, data.target.gold(row), strict=True)))
            for tokens, row in zip(words, rows, strict=True)
        ]


class TagCounts(CountsEngine):
    """A tagger that was counted."""

    def __init__(self, model: MostFrequentTag) -> None:
        self.model = model

    def outputs(self, source: Side) -> Outputs:
        lengths_B = source.lengths_B
        log_p_NK = self.model.log_probs(source.arrays["values"])
        logits_BTK = np.zeros((len(lengths_B), max(1, int(lengths_B.max(initial=0))), log_p_NK.shape[1]), np.float32)
        logits_BTK[np.arange(logits_BTK.shape[1]) < lengths_B[:, None]] = log_p_NK
        return {"logits_BTK": logits_BTK}


_NONE = np.zeros(0)


def _steps(outputs: Outputs) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return outputs["transitions_KK"], outputs["start_K"], outputs["end_K"]


def _nats(outputs: Outputs, ids_BT: NDArray[np.int64], lengths_B: NDArray[np.int64]) -> NDArray[np.float64]:
    """-ln p of the tags of each sentence [B]; not a number where one of them is unknown to the model."""
    logits_BTK = outputs["logits_BTK"]
    real_BT = np.arange(ids_BT.shape[1]) < lengths_B[:, None]
    known_BT = np.where(ids_BT < 0, 0, ids_BT)
    if "transitions_KK" in outputs:
        steps = _steps(outputs)
        nats_B = chain.log_partition(logits_BTK, *steps, lengths_B)
        nats_B = nats_B - chain.path_score(logits_BTK, *steps, known_BT, lengths_B)
    else:
        log_probs_BT = np.take_along_axis(chain.log_softmax(logits_BTK), known_BT[:, :, None], 2)[:, :, 0]
        nats_B = -np.where(real_BT, log_probs_BT, 0.0).sum(1, dtype=np.float64)
    return np.where(((ids_BT < 0) & real_BT).any(1), np.nan, nats_B)


class TaggingScorer:
    """Span F1 where there is a scheme, else accuracy; the loss where every tag is one that the model knows."""

    def __init__(self, scheme: str | None) -> None:
        self.spans = SpanScorer(scheme) if scheme else None
        self.accuracy = AccuracyScorer()
        self.nats, self.tokens = 0.0, 0
        self._adds: list[tuple[int, ...]] = []

    def add(self, gold: Sequence[list[str]], predictions: Sequence[Tagged]) -> list[bool]:
        for tags, one in zip(gold, predictions, strict=True):
            right = self.accuracy.add(tags, one.tags)
            self._adds.append((right, len(tags)) if self.spans is None else self.spans.add(tags, one.tags))
            self.nats += one.nats
            self.tokens += len(tags)
        return [tags == one.tags for tags, one in zip(gold, predictions, strict=True)]

    def scores(self) -> dict[str, float]:
        """F1, precision, recall, accuracy in percent; loss in nats a token."""
        values = {"accuracy": self.accuracy.score().value}
        if self.spans is not None:
            total = self.spans.total
            values = {"f1": total.f1, "precision": total.precision, "recall": total.recall, **values}
        if self.tokens and np.isfinite(self.nats):
            values["loss"] = self.nats / self.tokens
        return values

    def score(self) -> Score:
        return (self.spans or self.accuracy).score()

    def sums(self) -> Sums:
        if self.spans is None:
            return Sums("accuracy", np.array(self._adds, np.float64).reshape(-1, 2), percentage)
        return Sums("F1", np.array(self._adds, np.float64).reshape(-1, 3), f1)


def marks(one: Tagged, scheme: str | None) -> list[Span]:
    """The spans that the tags write; without a scheme each token with its tag."""
    if scheme is not None:
        return spans(one.tags, scheme)
    return [Span(place, place + 1, tag) for place, tag in enumerate(one.tags)]


def conll(one: Tagged, scores: bool) -> str:
    """A token, its tag (and its score) a line, tabs between; a blank line ends the sentence."""
    columns: list[Sequence[str]] = [one.tokens, one.tags]
    if scores:
        columns.append([f"{chance:.4f}" for chance in one.chances_T])
    return "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)) + "\n"


SEPARATOR = "/"
"""What stands between a token and its tag in the format ``inline``; the last of an item does, so a token may hold it."""


def inline(one: Tagged, scores: bool) -> str:
    """``token/tag`` (or ``token/tag/score``) with spaces between, one line a line."""
    return " ".join(inline_items(one, scores)) + "\n"


def inline_items(one: Tagged, scores: bool) -> list[str]:
    """What stands between the spaces of an inline line.

    Raises:
        UserError: a token with a space, which would be two (65).
    """
    columns: list[Sequence[str]] = [_without_space(one.tokens), one.tags]
    if scores:
        columns.append([f"{chance:.4f}" for chance in one.chances_T])
    return [SEPARATOR.join(row) for row in zip(*columns, strict=True)]


def tsv(one: Tagged, scores: bool) -> str:
    """Tokens, a tab, tags (a tab, scores): one line a line."""
    columns = [" ".join(_without_space(one.tokens)), " ".join(one.tags)]
    if scores:
        columns.append(" ".join(f"{chance:.4f}" for chance in one.chances_T))
    return ("\t".join(columns) if one.tokens else "") + "\n"


def _without_space(tokens: Sequence[str]) -> Sequence[str]:
    for token in tokens:
        if " " in token:
            raise data_error(f"the token '{token[:40]}' holds a space", hint="Take --format conll or jsonl.")
    return tokens


def document(one: Tagged, scores: bool, scheme: str | None) -> dict[str, Any]:
    """As JSON: tokens, tags, the spans they make, scores.

    ``start`` and ``end`` of a span count tokens, ``start_char`` and ``end_char`` characters of the line.
    """
    value: dict[str, Any] = {"tokens": one.tokens, "tags": one.tags}
    if scheme is not None:
        value["spans"] = [
            {
                "start": start,
                "end": end,
                **_characters(one.offsets, start, end),
                "label": label,
                "text": " ".join(one.tokens[start:end]),
            }
            for start, end, label in spans(one.tags, scheme)
        ]
    if scores:
        value["scores"] = [round(float(chance), 4) for chance in one.chances_T]
    return value


def _characters(offsets: Sequence[Offsets] | None, start: int, end: int) -> dict[str, int]:
    return {} if offsets is None else {"start_char": offsets[start][0], "end_char": offsets[end - 1][1]}
