"""Language models: the next token, given those before it.

Shapes: B sequences, T positions, V rows of the vocabulary.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.batching.batch import Batch
from seqcli.batching.running import IGNORE, SentenceData, StreamData, TokenIds
from seqcli.data.arrays import Split
from seqcli.errors import did_you_mean, usage_error
from seqcli.metrics.perplexity import PerplexityScorer
from seqcli.metrics.score import Score
from seqcli.models.counts.base import Progress, Sizes, Tokens
from seqcli.models.counts.ngram import NGramModel
from seqcli.models.language import LanguageModel
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.encoders import NGramConfig, TransformerConfig
from seqcli.recipe.heads import AdaptiveConfig
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import LanguageModelConfig
from seqcli.tasks.base import Carried
from seqcli.tasks.checks import require_network, require_parts, require_text
from seqcli.tasks.running import END, RunningPieces
from seqcli.text.vocabulary import EOS, UNK, Vocabulary

Data = SentenceData | StreamData

SCORES = ("loss", "perplexity", "word_perplexity", "bits_per_character")

_CAUSAL = ("rnn", "lstm", "gru", "transformer", "window")


MOST_COUNTED = 2 * 10**7
"""Tokens of a training text that are counted for the floor; more would take more than a GB of memory."""


def new_language_task(recipe: Recipe) -> LanguageTask | NGramTask:
    """The task of a recipe: a network's, or that of a model of counts."""
    require_parts(recipe, "encoder")
    require_text(recipe)
    assert recipe.model.encoder is not None
    return NGramTask(recipe) if recipe.model.encoder.kind == "ngram" else LanguageTask(recipe)


class _LanguageTask:
    """What language models of every make share: tokens, vocabulary, data."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.config = cast(LanguageModelConfig, recipe.task)
        self.vocabulary: Vocabulary
        self.tokenizer_model: Path | None = None
        self.select_by = recipe.training.select_by or "loss"
        if self.select_by not in SCORES:
            raise usage_error(
                f"training.select_by: there is no dev score '{self.select_by}'",
                hint=did_you_mean(self.select_by, SCORES) or f"Scores: {', '.join(SCORES)}.",
            )

    @property
    def carries(self) -> bool:
        """Whether the state is carried from one window of a stream to the next."""
        return True

    def pieces(self) -> RunningPieces:
        """Turns an example into its tokens."""
        assert self.recipe.text is not None
        sentences = self.config.unit == "sentences"
        return RunningPieces(
            self.recipe.text.tokenizer,
            self.tokenizer_model,
            self.recipe.data.max_length if sentences else None,
            self.recipe.text.vocabulary.lowercase,
        )

    def fit(self, train: Split) -> None:
        """The vocabulary of the training split: <UNK>, <EOS>, and the most frequent tokens."""
        assert self.recipe.text is not None
        config, tokens = self.recipe.text.vocabulary, train.fields["token"]
        counts: dict[str, int] = {}
        ends = 0
        for symbol, count in zip(tokens.symbols, tokens.counts.tolist(), strict=True):
            if symbol == END:
                ends = count
                continue
            counts[symbol] = count
        built = Vocabulary.build(counts, config.max_size, config.min_count, specials=(UNK, EOS))
        self.vocabulary = Vocabulary(built.tokens, (built.counts[0], ends, *built.counts[2:]), built.specials)

    def save(self, folder: Path) -> list[str]:
        """``vocabulary.txt``, and the tokenizer's model where there is one."""
        self.vocabulary.save(folder / "vocabulary.txt")
        if self.tokenizer_model is None:
            return ["vocabulary.txt"]
        shutil.copyfile(self.tokenizer_model, folder / "tokenizer.model")
        return ["vocabulary.txt", "tokenizer.model"]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.vocabulary = Vocabulary.load(folder / "vocabulary.txt")
        model = folder / "tokenizer.model"
        self.tokenizer_model = model if model.exists() else None

    def data(self, split: Split) -> Data:
        """A split as batches."""
        ids = TokenIds(split.fields["token"], self._ids_of(split.fields["token"].symbols))
        if self.config.unit == "sentences":
            return SentenceData(split, ids, self.eos)
        return StreamData(split, ids, self.eos, bptt=self.config.bptt, carries=self.carries)

    @property
    def eos(self) -> int:
        """Row of <EOS>."""
        return self.vocabulary.id_of(EOS)

    @property
    def unk(self) -> int:
        """Row of <UNK>."""
        return self.vocabulary.id_of(UNK)

    @property
    def sizes(self) -> Sizes:
        return Sizes(words=len(self.vocabulary), bos=self.eos, unk=self.unk)

    def _ids_of(self, symbols: Sequence[str]) -> NDArray[np.int64]:
        ids = np.array(self.vocabulary.encode(symbols), np.int64)
        ends = [number for number, symbol in enumerate(symbols) if symbol == END]
        ids[ends] = self.eos
        return ids

    def new_scorer(self, data: Data) -> PerplexityScorer:
        """A scorer that knows the sequences, words and characters of the whole split; a stream is one sequence."""
        assert self.recipe.text is not None
        scorer = PerplexityScorer(self.recipe.text.tokenizer.kind, self.config.unit, len(self.vocabulary))
        scorer.sequences = 1 if isinstance(data, StreamData) else len(data.split)
        sizes = data.split.fields["size"].values
        for start in range(0, len(sizes), 2**20):
            words, characters = np.asarray(sizes[start : start + 2**20], np.float64).sum(0)
            scorer.words += int(words)
            scorer.characters += int(characters)
        return scorer

    def baselines(self, data: dict[str, Any], measured: dict[str, Any]) -> list[dict[str, Any]]:
        """None."""
        return []

    def describe(self, data: Data, rows: Any) -> list[str]:
        """The tokens of a few examples of a batch, unknown ones as <UNK>."""
        batch = data.batch(np.asarray(rows))
        assert batch.targets is not None
        return [
            " ".join(self.vocabulary.decode(target for target in targets if target >= 0)[:60])
            for targets in batch.targets.tolist()
        ]

    def summary(self) -> dict[str, Any]:
        """Rows of the vocabulary."""
        return {"tokens in the vocabulary": len(self.vocabulary)}


class LanguageTask(_LanguageTask):
    """The task ``language-model`` with a network; see `seqcli.tasks.base.Task` for the methods."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        require_parts(recipe, "embedder", "encoder", "head")
        self._check()

    def _check(self) -> None:
        model = self.recipe.model
        embedder, encoder, head = model.embedder, model.encoder, model.head
        assert encoder is not None
        assert head is not None
        require_network(self.recipe)
        if encoder.kind in ("bag", "cnn"):
            raise usage_error(
                f"model.encoder: a {encoder.kind} sees the token it should predict",
                hint=f"For a language model: {', '.join(_CAUSAL)}, ngram.",
            )
        if getattr(encoder, "bidirectional", False):
            raise usage_error(
                "model.encoder.bidirectional: a language model reads forwards only, or it would see the "
                "token it should predict",
                hint="Set bidirectional: false.",
            )
        if getattr(encoder, "right", 0):
            raise usage_error("model.encoder.right: a language model sees nothing to the right", hint="Set right: 0.")
        if other := {"crf": "tagging", "sigmoid": "the task classification"}.get(head.kind):
            raise usage_error(
                f"model.head: {head.kind} is for {other}", hint="For a language model: softmax or adaptive."
            )
        if getattr(head, "label_smoothing", 0):
            raise usage_error(
                "model.head.label_smoothing: a language model has none, its loss is the log-probability",
                hint="Set label_smoothing: 0.",
            )
        if isinstance(head, AdaptiveConfig) and getattr(encoder, "dim", 1) < head.shrink ** len(head.cutoffs):
            raise usage_error(
                "model.head.shrink: nothing is left of a vector in the last cluster",
                hint="Lower it, or take fewer cutoffs.",
            )
        if not isinstance(embedder, TokensConfig) or embedder.characters or embedder.affixes or embedder.vectors:
            raise usage_error(
                "model.embedder: a language model takes plain token vectors: no frames, characters, "
                "affixes or pretrained vectors",
                hint="embedder: {kind: tokens, dim: 128} is one.",
            )
        if not embedder.dim:
            raise usage_error("model.embedder.dim: a language model needs token vectors", hint="Set 1 or more.")
        if (
            isinstance(encoder, TransformerConfig)
            and encoder.positions == "learned"
            and self._longest > encoder.max_positions
        ):
            raise usage_error(
                f"model.encoder.max_positions: {encoder.max_positions} positions are learned, but a "
                f"sequence may have {self._longest}",
                hint=f"Set max_positions: {self._longest}.",
            )

    @property
    def _longest(self) -> int:
        return self.config.bptt if self.config.unit == "stream" else self.recipe.data.max_length

    @property
    def carries(self) -> bool:
        """A transformer's windows are on their own."""
        return not isinstance(self.recipe.model.encoder, TransformerConfig)

    @property
    def context(self) -> int | None:
        """Tokens that the model can look back on, None for all: a transformer knows no longer text than in training."""
        return None if self.carries else self._longest

    def build_model(self) -> nn.Module:
        """Embedder, encoder and head of the recipe."""
        return LanguageModel(self.recipe.model, self.vocabulary.counts)

    empty_model = build_model

    def loss(self, model: nn.Module, batch: Batch, carried: Carried | None = None) -> tuple[Tensor, int]:
        """Cross-entropy in nats summed over the tokens, and their number.

        ``carried`` is read unless the batch starts anew, and left as the state after it, without its history.
        """
        assert batch.targets is not None
        states = carried.states if carried is not None and "fresh" not in batch.inputs else []
        hidden_BTD, states = model(batch.inputs["ids_BT"], states)
        if carried is not None and self.config.unit == "stream" and self.carries:
            carried.states = [state.detach() for state in states]
        targets = int((batch.targets != IGNORE).sum())
        return model.loss(hidden_BTD, batch.targets), targets  # type: ignore[operator]

    def scorer(self, data: Data) -> LanguageScorer:
        """Loss, perplexity, bits a character."""
        return LanguageScorer(self, data)

    def baselines(self, data: dict[str, Any], measured: dict[str, Any]) -> list[dict[str, Any]]:
        """Scores of an n-gram model of the same tokens on the splits that are measured, ready for JSON.

        No model where the recipe asks for none, or the training text is too long to be counted in memory.
        """
        if self.config.floor is None or len(data["train"].ids) > MOST_COUNTED:
            return []
        counts = NGramConfig(order=self.config.floor, prune=[])
        model = fit_ngram(counts, data["train"], self.sizes)
        found: dict[str, Any] = {"model": model.title(counts)}
        for name in measured:
            scorer = NGramScorer(self.new_scorer(data[name]), data[name], self.eos, self.unk)
            for rows in data[name].measuring_order(2**16):
                scorer.add(model, data[name].batch(rows))
            found[name] = scorer.score().as_json()
        return [found]


class LanguageScorer:
    """Runs a network over a split and counts."""

    def __init__(self, task: LanguageTask, data: Data) -> None:
        self.task, self.data = task, data
        self.counted = task.new_scorer(data)
        self._carried: list[Tensor] = []

    def add(self, model: nn.Module, batch: Batch) -> None:
        """Run the model over one batch; batches of a stream come in order."""
        assert batch.targets is not None
        states = [] if "fresh" in batch.inputs or not self.data.carries else self._carried
        hidden_BTD, self._carried = model(batch.inputs["ids_BT"], states)
        counted_BT = batch.targets != IGNORE
        targets_N = batch.targets[counted_BT]
        hidden_ND = hidden_BTD[counted_BT]
        rows = max(16, 2**22 // len(self.task.vocabulary))
        log_probs = [
            model.log_probs(hidden_ND[at : at + rows]).gather(1, targets_N[at : at + rows, None])  # type: ignore[operator]
            for at in range(0, len(targets_N), rows)
        ]
        if log_probs:
            count(
                self.counted,
                torch.cat(log_probs).squeeze(1).cpu().double().numpy(),
                targets_N.cpu().numpy(),
                self.task.eos,
                self.task.unk,
            )

    def scores(self) -> dict[str, float]:
        """Nats a token, perplexities, bits a character."""
        return scores_of(self.counted)

    def score(self) -> Score:
        """The score a report shows."""
        return self.counted.score()


def scores_of(scorer: PerplexityScorer) -> dict[str, float]:
    """The figures a recipe can select by; not numbers before anything was counted."""
    if not scorer.tokens:
        return dict.fromkeys(SCORES, float("nan"))
    return {name: value for name, value in scorer.scores().items() if name in SCORES}


def count(
    scorer: PerplexityScorer, log_probs: NDArray[np.float64], targets: NDArray[np.int64], eos: int, unk: int
) -> None:
    """Count some tokens with a scorer that knows the sequences, words and characters already."""
    scorer.add(log_probs, words=0, characters=0, unknown=targets == unk, ends=int((targets == eos).sum()), sequences=0)


class NGramTask(_LanguageTask):
    """The task ``language-model`` with counts: nothing is trained by gradients."""

    used = frozenset({"seed", "select_by"})

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        for part in ("embedder", "head"):
            if getattr(recipe.model, part) is not None:
                raise usage_error(f"model.{part}: an n-gram has none", hint=f"Take model.{part} out.")
        self.encoder = cast(NGramConfig, recipe.model.encoder)

    def fit_weights(self, data: dict[str, Any], progress: Progress) -> dict[str, Tensor]:
        """Count the training split."""
        model = fit_ngram(self.encoder, data["train"], self.sizes, progress)
        return {name: torch.from_numpy(values) for name, values in model.arrays().items()}

    def model_of(self, weights: dict[str, Tensor]) -> NGramModel:
        """The model of stored weights."""
        arrays = {name: value.numpy() for name, value in weights.items()}
        return NGramModel.from_arrays(self.encoder, arrays, self.sizes)

    def scorer(self, data: Data) -> NGramScorer:
        """Loss, perplexity, bits a character."""
        return NGramScorer(self.new_scorer(data), data, self.eos, self.unk)


def fit_ngram(config: NGramConfig, train: Data, sizes: Sizes, progress: Progress | None = None) -> NGramModel:
    """An n-gram model of the training data of a language model."""
    tokens = Tokens(train.ids, train.ids.offsets, stream=isinstance(train, StreamData))
    return NGramModel.fit(config, tokens, sizes, progress)


class NGramScorer:
    """Runs an n-gram model over a split and counts."""

    def __init__(self, counted: PerplexityScorer, data: Data, eos: int, unk: int) -> None:
        self.counted, self.data, self.eos, self.unk = counted, data, eos, unk

    def add(self, model: NGramModel, batch: Batch) -> None:
        """Score one batch. What is read before the first token that counts is longer than any n-gram."""
        assert batch.targets is not None
        assert batch.rows is not None
        if isinstance(self.data, SentenceData):
            sequences = self.data.sequences(batch.rows)
            for targets, log_probs in zip(sequences, model.score(sequences), strict=True):
                count(self.counted, log_probs, targets, self.eos, self.unk)
            return
        for start, end, _, first in batch.rows.tolist():
            begin = max(0, max(start, first) - CONTEXT_OF_COUNTS)
            if end > max(start, first):
                sequence = self.data.ids.ring(begin, end)
                keep = end - max(start, first)
                count(self.counted, model.score([sequence])[0][-keep:], sequence[-keep:], self.eos, self.unk)

    def scores(self) -> dict[str, float]:
        """Nats a token, perplexities, bits a character."""
        return scores_of(self.counted)

    def score(self) -> Score:
        """The score a report shows."""
        return self.counted.score()


CONTEXT_OF_COUNTS = 16
"""More tokens than the longest n-gram has."""
