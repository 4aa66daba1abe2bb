"""Language models: the next token, given those before it. Shapes: B sequences, T positions, V rows of the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Outputs, Side
from seqcli.data.example import Example
from seqcli.data.streams import SentenceData, StreamData, TokenIds
from seqcli.decode.stepper import Stepper
from seqcli.errors import usage_error
from seqcli.fields.text import END, RunningTextField
from seqcli.metrics.paired import Sums, ratio
from seqcli.metrics.perplexity import PerplexityScorer
from seqcli.metrics.score import Score
from seqcli.models.counts.base import Sizes, Tokens
from seqcli.models.counts.ngram import NGramModel
from seqcli.recipe.encoders import TransformerConfig, WindowConfig
from seqcli.recipe.fields import TextFieldConfig
from seqcli.recipe.heads import AdaptiveConfig, SoftmaxConfig
from seqcli.recipe.models import NGramConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import LanguageModelConfig
from seqcli.tasks.base import Arrays, Count, CountsEngine, Data, Engine, Measured, Task
from seqcli.tasks.rules import (
    causal_encoders,
    encoder_kind,
    head_kind,
    needs,
    network,
    selects_by,
    sides,
    single,
    token_embedder,
    unless_network,
)

if TYPE_CHECKING:
    from seqcli.models.language import LanguageModel

MOST_COUNTED = 2 * 10**7
"""Tokens of a training text that are counted for the floor; more would take more than a GB of memory."""

_AT_ONCE = 2**10
"""Sentences scored together."""


def _config(recipe: Recipe) -> LanguageModelConfig:
    assert isinstance(recipe.task, LanguageModelConfig)
    return recipe.task


def longest(recipe: Recipe) -> int:
    """Tokens in the longest sequence that training sees."""
    config = _config(recipe)
    return config.bptt if config.unit == "stream" else recipe.data.max_length


def _smallest_cluster(recipe: Recipe) -> bool:
    head, encoder = network(recipe).head, network(recipe).encoder
    if not isinstance(head, AdaptiveConfig) or encoder is None:
        return False
    return dict(encoder).get("dim", 1) < head.shrink ** len(head.cutoffs)


def _more_than_tokens(recipe: Recipe) -> bool:
    config = token_embedder(recipe)
    if network(recipe).embedder is None:
        return False
    return config is None or bool(config.characters or config.affixes or config.vectors)


def _scores(recipe: Recipe) -> Sequence[str]:
    return ("loss", "perplexity", "word_perplexity", "bits_per_character")


class LanguageModelTask(Task[float]):
    """The next token given those before it: words, characters, notes."""

    rules = (
        *sides(("text",), ()),
        unless_network("language-model", "ngram"),
        *needs("embedder", "encoder", "head"),
        selects_by(_scores),
        *single("language-model", "ngram"),
        Rule(
            "model.encoder",
            lambda r: encoder_kind(r) not in ("", *causal_encoders()),
            lambda r: f"a {encoder_kind(r)} sees the token it should predict",
            lambda r: f"For a language model: {', '.join(causal_encoders())}, or model: {{kind: ngram}}.",
        ),
        Rule(
            "model.encoder.bidirectional",
            lambda r: (encoder := network(r).encoder) is not None and dict(encoder).get("bidirectional", False),
            "a language model reads forwards only, or it would see the token it should predict",
            "Set bidirectional: false.",
        ),
        Rule(
            "model.encoder.right",
            lambda r: isinstance(encoder := network(r).encoder, WindowConfig) and encoder.right,
            "a language model sees nothing to the right",
            "Set right: 0.",
        ),
        Rule(
            "model.head",
            lambda r: head_kind(r) in ("crf", "sigmoid"),
            lambda r: (
                f"{head_kind(r)} is for " + {"crf": "tagging", "sigmoid": "the task classification"}[head_kind(r)]
            ),
            "For a language model: softmax or adaptive.",
        ),
        Rule(
            "model.head.label_smoothing",
            lambda r: isinstance(head := network(r).head, SoftmaxConfig) and head.label_smoothing,
            "a language model has none, its loss is the log-probability",
            "Set label_smoothing: 0.",
        ),
        Rule(
            "model.head.shrink",
            _smallest_cluster,
            "nothing is left of a vector in the last cluster",
            "Lower it, or take fewer cutoffs.",
        ),
        Rule(
            "model.embedder",
            _more_than_tokens,
            "a language model takes plain token vectors: no frames, characters, affixes or pretrained vectors",
            "embedder: {kind: tokens, dim: 128} is one.",
        ),
        Rule(
            "model.embedder.dim",
            lambda r: (embedder := token_embedder(r)) is not None and not embedder.dim,
            "a language model needs token vectors",
            "Set 1 or more.",
        ),
        Rule(
            "model.encoder.max_positions",
            lambda r: (
                isinstance(encoder := network(r).encoder, TransformerConfig)
                and encoder.positions == "learned"
                and longest(r) > encoder.max_positions
            ),
            lambda r: (
                f"{dict(network(r).encoder or ())['max_positions']} positions are learned, but a sequence may have "
                f"{longest(r)}"
            ),
            "Raise it, or lower data.max_length (of a stream task.bptt).",
        ),
    )
    generates = True
    exact = True
    output = "log_probs_NV"
    plain_text = True
    source: RunningTextField

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.source, TextFieldConfig)
        self.config = _config(recipe)
        self.source = RunningTextField(recipe.source)
        self.target = None
        super().__init__(recipe)

    @property
    def score_names(self) -> Sequence[str]:
        return _scores(self.recipe)

    @property
    def carries(self) -> bool:
        """Whether the state is carried from one window of a stream to the next; a transformer's are on their own."""
        return not isinstance(network(self.recipe).encoder, TransformerConfig)

    @property
    def eos(self) -> int:
        return self.source.eos

    @property
    def context(self) -> int | None:
        """Tokens that the model can look back on, None for all: a transformer knows no longer text than in training."""
        return None if self.carries else longest(self.recipe)

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """Tokens and an `END`, and ``size`` ([words, characters] of the text).

        In ``sentences`` a sequence over ``max_length`` is cut into pieces, of which the last one has the end.
        """
        tokens = [*self.source.read(example.source, example.at), END]
        text = example.source if isinstance(example.source, str) else " ".join(tokens[:-1])
        size = np.array([[len(text.split()) if isinstance(example.source, str) else len(tokens) - 1, len(text)]])
        limit = self.max_length if self.config.unit == "sentences" else len(tokens)
        for start in range(0, len(tokens), limit):
            yield {
                "source": tokens[start : start + limit],
                "size": (size if start == 0 else 0 * size).astype(np.float32),
            }

    def key(self) -> list[Any]:
        return [*super().key(), self.config.unit]

    def data(self, columns: Columns) -> SentenceData | StreamData:
        ids = TokenIds(columns["source"], self.source.ids(columns["source"].symbols))
        if self.config.unit == "sentences":
            return SentenceData(columns, ids, self.source.eos)
        return StreamData(columns, ids, self.source.eos, bptt=self.config.bptt, carries=self.carries)

    # -- the model

    def network(self) -> LanguageModel:
        from seqcli.models.language import LanguageModel

        carries = self.config.unit == "stream" and self.carries
        return LanguageModel(network(self.recipe), self.source.sizes(), carries=carries)

    def _sizes(self) -> Sizes:
        return Sizes(words=len(self.source.words), bos=self.source.eos, unk=self.source.unk)

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        assert isinstance(self.recipe.model, NGramConfig)
        assert isinstance(train, SentenceData | StreamData)
        text = Tokens(train.ids, train.ids.offsets, stream=isinstance(train, StreamData))
        return NGramModel.fit(self.recipe.model, text, self._sizes(), progress).arrays()

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        assert isinstance(self.recipe.model, NGramConfig)
        return TokenCounts(NGramModel.from_arrays(self.recipe.model, arrays, self._sizes(), file))

    # -- scores

    def measure(self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False) -> Measured[float]:
        """ln p of every token, each once; a stream is one sequence."""
        assert isinstance(data, SentenceData | StreamData)
        counted = PerplexityScorer(self.source.config.tokenizer.kind, self.config.unit, len(self.source.words))
        counted.sequences = 1 if isinstance(data, StreamData) else len(data.columns)
        sizes = data.columns["size"].values
        for start in range(0, len(sizes), 2**20):
            words, characters = np.asarray(sizes[start : start + 2**20], np.float64).sum(0)
            counted.words += int(words)
            counted.characters += int(characters)
        scorer, whole = LanguageScorer(counted, self.score_names), list[bool]()
        for ids, log_probs in self._scored(engine, data):
            self._count(scorer, ids, log_probs)
            if not isinstance(data, StreamData):
                whole.append(bool(ids[-1] == self.source.eos))
        scorer.add_sizes(sizes, whole or None)
        return Measured(scorer, np.zeros(0, bool), [])

    def target_log_probs(self, engine: Engine, data: Data) -> NDArray[np.float64]:
        return np.concatenate([log_probs for _, log_probs in self._scored(engine, data)])

    def _scored(self, engine: Engine, data: Data) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """The tokens of a split and ln p of each, sequence by sequence; of a stream part by part."""
        stepper = engine.stepper()
        if isinstance(data, StreamData):
            parts = data.parts()
            scored = stepper.score([ids for ids, _ in parts], headed=True)
            for (ids, read), log_probs in zip(parts, scored, strict=True):
                yield ids[1 + read :], log_probs[read:]
            return
        assert isinstance(data, SentenceData)
        for start in range(0, len(data.columns), _AT_ONCE):
            sequences = data.sequences(np.arange(start, min(start + _AT_ONCE, len(data.columns))))
            yield from zip(sequences, stepper.score(sequences), strict=True)

    def _count(self, scorer: LanguageScorer, ids: NDArray[np.int64], log_probs: NDArray[np.float64]) -> None:
        ends = ids == self.source.eos
        unknown = ids == self.source.unk
        scorer.counted.add(log_probs, words=0, characters=0, unknown=unknown, ends=int(ends.sum()), sequences=0)
        scorer.add_lines(ends, log_probs)

    def differences(self, other: Task[Any], name: str) -> list[str]:
        """Other tokens, and another vocabulary of the same, the user is told of."""
        assert isinstance(other, LanguageModelTask)
        if other.source.key() != self.source.key():
            return [f"{name} cuts text into other tokens: only the figures a character and a word compare"]
        if other.source.words.tokens == self.source.words.tokens:
            return []
        return [f"{name} has another vocabulary: its figures compare only as far as <UNK> means the same"]

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[float]]]:
        """An n-gram model of the same tokens.

        None where the recipe asks for none, trains one that counts as much, or the text is too long to be counted.
        """
        if self.config.floor is None or len(data["train"].columns["source"].values) > MOST_COUNTED:
            return []
        if isinstance(self.recipe.model, NGramConfig) and self.recipe.model.order <= self.config.floor:
            return []
        counts = NGramConfig(order=self.config.floor, prune=[])
        floor = LanguageModelTask(self.recipe.model_copy(update={"model": counts}))
        floor.source.start = self.source.start  # both must know the same tokens
        return [(NGramModel.title(counts), floor)]

    def describe(self, data: Data, rows: Any) -> list[str]:
        """The tokens of a few examples of a batch, unknown ones as <UNK>."""
        targets_BT = data.batch(np.asarray(rows)).target.arrays["ids_BT"]
        return [
            " ".join(self.source.words.decode(target for target in row if target >= 0)[:60])
            for row in targets_BT.tolist()
        ]


class LanguageScorer:
    """The figures of a text whose tokens were scored; not numbers before anything was counted."""

    def __init__(self, counted: PerplexityScorer, names: Sequence[str]) -> None:
        self.counted, self.names = counted, names
        self._characters_L = np.zeros(0)
        self._nats: list[NDArray[np.float64]] = [np.zeros(1)]

    def add_lines(self, ends_N: NDArray[np.bool_], log_probs_N: NDArray[np.float64]) -> None:
        """Tokens that follow those before, and which of them end a line."""
        nats_L = np.bincount(np.cumsum(ends_N) - ends_N, weights=-log_probs_N, minlength=int(ends_N.sum()) + 1).astype(
            np.float64
        )
        self._nats[-1][-1] += nats_L[0]
        self._nats += [nats_L[1:]] * (len(nats_L) > 1)

    def add_sizes(self, sizes_R2: Any, ends_R: list[bool] | None) -> None:
        """Words and characters of the rows of a split; ``ends_R``: which end a line, where not all of them do."""
        characters_R = np.asarray(sizes_R2[:], np.float64)[:, 1]
        if ends_R is not None:
            ends = np.array(ends_R)
            characters_R = np.bincount(np.cumsum(ends) - ends, weights=characters_R, minlength=1).astype(np.float64)[
                : ends.sum()
            ]
        self._characters_L = characters_R

    def add(self, gold: Sequence[Any], predictions: Sequence[float]) -> Sequence[bool]:
        raise usage_error("a language model is measured by the tokens of a text")

    def scores(self) -> dict[str, float]:
        if not self.counted.tokens:
            return dict.fromkeys(self.names, float("nan"))
        return {name: value for name, value in self.counted.scores().items() if name in self.names}

    def score(self) -> Score:
        return self.counted.score()

    def sums(self) -> Sums | None:
        """Bits and characters of each line, its end a character; the same lines for every tokenizer."""
        bits_L = np.concatenate(self._nats)[:-1] / np.log(2)
        if len(self._characters_L) != len(bits_L):
            return None
        adds_L2 = np.stack([bits_L, self._characters_L + 1], axis=1)
        return Sums("bits a character", adds_L2, ratio, less_is_better=True)


class TokenCounts(CountsEngine):
    """A language model of counts."""

    def __init__(self, model: Stepper) -> None:
        self.model = model

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        return self.model
