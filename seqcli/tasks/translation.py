"""Translation: a text for a text of another length. Shapes: B sequences, S source positions, T target positions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch
from seqcli.data.encode import Apart, Pieces
from seqcli.data.example import Example
from seqcli.data.order import Lengths, epoch_batches
from seqcli.decode.generate import GenerateOptions
from seqcli.errors import data_error, plural
from seqcli.fields.base import Progress
from seqcli.fields.pairs import SourceText, TargetText
from seqcli.metrics.bleu_sums import bleu_sums
from seqcli.metrics.paired import Sums, mean, percentage
from seqcli.metrics.score import Score, percent, signature
from seqcli.metrics.translation import TranslationMetric
from seqcli.recipe.base import Component
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.fields import TextFieldConfig, TextTargetConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe
from seqcli.recipe.tasks import TranslationConfig
from seqcli.tasks.base import Data, Engine
from seqcli.tasks.rules import needs, section, selects_by, sides
from seqcli.tasks.writing import (
    WRITER_RULES,
    Generated,
    Texts,
    WritingData,
    WritingTask,
    Written,
    as_json,
    decoder_dim,
    model,
    references_of,
)

SCORES = ("bleu", "chrf", "exact", "token_error_rate")

EXTRA = 10
"""Tokens that a target may always have, beside those that the source's length allows."""

_SENTENCE_END = re.compile(r"[.?!。？！।॥…][\"'”’»)\]]*$")


def _is_plain(embedder: Component | None) -> bool:
    """Whether tokens have vectors, and those alone."""
    return isinstance(embedder, TokensConfig) and bool(
        embedder.dim and not (embedder.characters or embedder.affixes or embedder.vectors)
    )


def _source_dim(recipe: Recipe) -> int:
    embedder = model(recipe).embedder
    return embedder.dim if isinstance(embedder, TokensConfig) else 0


def _ties_sides(recipe: Recipe) -> bool:
    return model(recipe).tied in ("source-target", "all")


def _shares(recipe: Recipe) -> bool:
    return isinstance(recipe.target, TextTargetConfig) and recipe.target.share is not None


def _says(recipe: Recipe, name: str) -> bool:
    """Whether the target has a section of its own that is not what it would be anyhow."""
    target = section(recipe.target, TextTargetConfig)
    return dict(target)[name] != TextTargetConfig.model_fields[name].default


class TranslationTask(WritingTask):
    """A text for a text: translation, spelling to sound."""

    rules = (
        *sides(("text",), ("text",)),
        Rule(
            "model.kind",
            lambda r: r.model.kind != "encoder-decoder",
            lambda r: f"{r.model.kind} cannot do the task {r.task.kind}",
            "It does encoder-decoder.",
        ),
        *needs("embedder", "encoder", "decoder", "head"),
        selects_by(lambda r: SCORES),
        *WRITER_RULES,
        Rule(
            "model.embedder",
            lambda r: model(r).embedder is not None and not _is_plain(model(r).embedder),
            "translation takes plain token vectors: no characters, affixes or pretrained vectors",
            "embedder: {kind: tokens, dim: 256} is one.",
        ),
        Rule(
            "model.tied",
            lambda r: _ties_sides(r) and not _shares(r),
            lambda r: f"{model(r).tied} needs one vocabulary for both sides",
            "Set target: {kind: text, share: source}.",
        ),
        Rule(
            "model.tied",
            lambda r: _ties_sides(r) and _source_dim(r) != decoder_dim(r),
            lambda r: f"vectors of {_source_dim(r)} and of {decoder_dim(r)} values cannot be the same",
            "Set model.embedder.dim and model.decoder.dim to one number.",
        ),
        Rule(
            "target.tokenizer",
            lambda r: _shares(r) and _says(r, "tokenizer"),
            "share: source has the tokenizer of the source",
            "Leave it out, or leave out share.",
        ),
        Rule(
            "target.vocabulary",
            lambda r: _shares(r) and _says(r, "vocabulary"),
            "share: source has the vocabulary of the source",
            "Leave it out, or leave out share.",
        ),
    )
    error_columns = ("place", "chrf", "source", "reference", "translation")
    source: SourceText
    config: TranslationConfig

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.task, TranslationConfig)
        assert isinstance(recipe.source, TextFieldConfig)
        assert isinstance(recipe.target, TextTargetConfig)
        self.config = recipe.task
        self.source = SourceText(recipe.source)
        self.target = TargetText(recipe.target, self.source)
        super().__init__(recipe)

    def is_like(self, other: WritingTask) -> bool:
        return isinstance(other, TranslationTask) and self.source.words == other.source.words and super().is_like(other)

    def longest(self, length: int) -> int:
        return int(self.config.max_length * length) + EXTRA

    @property
    def score_names(self) -> Sequence[str]:
        return SCORES

    # -- from examples to batches

    def prepare(self, examples: Callable[[], Iterator[Example]], key: str, progress: Progress | None) -> None:
        """Subword models: of both sides together where they share one."""

        def values(*sides: str) -> Iterator[tuple[Any, str]]:
            for example in examples():
                for side in sides:
                    for value in [example.source] if side == "source" else references_of(example):
                        yield value, example.at

        if self.target.shared is not None:
            self.source.prepare(lambda: values("source", "target"), f"{key} both", progress)
            self.target.tokenizer_model = self.source.tokenizer_model
        else:
            self.source.prepare(lambda: values("source"), key, progress)
            self.target.prepare(lambda: values("target"), f"{key} target", progress)

    def reader(self, split: str, *, shared: bool = False) -> Pieces:
        return self.read if split == "train" else self.read_measured

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """A pair of tokens for each target of the example.

        Raises:
            UserError: a side is empty (65).
        """
        source = self.read_side("source", example.source, example.at)
        for reference in references_of(example):
            yield Apart(source=source, target=self.read_side("target", reference, example.at))

    def read_measured(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """A pair of tokens with the first target, and all targets as they are written."""
        references = references_of(example)
        targets = [self.read_side("target", one, example.at) for one in references]
        yield {
            "source": self.read_side("source", example.source, example.at),
            "target": targets[0],
            "references": [one if isinstance(one, str) else " ".join(one) for one in references],
        }

    def fit(self, train: Columns) -> None:
        if self.target.shared is None:
            self.source.fit(train["source"], train.files)
        self.target.fit_sides(train["source"], train["target"])

    def data(self, columns: Columns) -> TranslationData:
        return TranslationData(self, columns)

    def notices(self, name: str, data: Data) -> list[str]:
        assert isinstance(data, TranslationData)
        if name != "train":
            return []
        dropped = len(data.columns) - len(data.chosen)
        return [f"{plural(dropped, 'train pair')} left out: {data.why_not()}"] if dropped else []

    # -- from a model to translations and scores

    def pieces(self, raw: Sequence[str]) -> list[Sequence[str]]:
        """Parts of at most `max_length` tokens: cut where a sentence ends, else before a word, else anywhere."""
        parts = []
        in_pieces = any(token.startswith("▁") for token in raw)
        while len(raw) > self.max_length:
            places = range(1, self.max_length + 1)
            words = [place for place in places if not in_pieces or raw[place].startswith("▁")]
            ends = [place for place in words if _SENTENCE_END.search("".join(raw[max(0, place - 2) : place]))]
            end = (ends or words or places)[-1]
            parts.append(raw[:end])
            raw = raw[end:]
        return [*parts, raw] if raw else parts

    def lengths(self, predictions: Sequence[Generated]) -> Sequence[int]:
        return [len(one.source) for one in predictions]

    @property
    def long_input(self) -> str:
        return f"a line of more than {self.max_length} tokens is translated in parts, cut where a sentence ends"

    def join(self, raw: Sequence[str], parts: Sequence[Generated]) -> Generated:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Generated(raw, [Written([], "", 0.0, 0.0, True)])
        best = [part.hypotheses[0] for part in parts]
        return Generated(
            raw,
            [
                Written(
                    [token for one in best for token in one.tokens],
                    " ".join(one.text for one in best),
                    sum(one.log_prob for one in best),
                    sum(one.score for one in best),
                    all(one.ended for one in best),
                )
            ],
        )

    def scorer(self) -> TranslationScorer:
        return TranslationScorer(self.select_by, self.target)

    def source_text(self, source: Sequence[str]) -> str:
        return self.source.tokenizer.detokenize(source)

    def of_rows(
        self, engine: Engine, data: WritingData, rows: NDArray[np.int64], options: GenerateOptions
    ) -> list[Generated]:
        """Translations of some rows of a split, the long ones in parts, as a line is translated."""
        if data.source_lengths[rows].max(initial=0) <= self.max_length:
            return super().of_rows(engine, data, rows, options)
        raws = [data.raw(row) for row in rows.tolist()]
        parts = [self.pieces(raw) for raw in raws]
        pieces = [*map(list, chain(*parts))]
        written = iter(self.generate(engine, self.source.side(pieces), pieces, options, scores=False))
        return [self.join(raw, [*islice(written, len(own))]) for raw, own in zip(raws, parts, strict=True)]

    def document(self, generated: Generated) -> dict[str, Any]:
        """A translation as JSON: with alignments where attention is."""
        source = generated.source
        return {
            "tokens": list(source),
            "translations": [
                {**as_json(one), **({} if one.attention_TS is None else {"alignment": alignment(source, one)})}
                for one in generated.hypotheses
            ],
        }


def alignment(source: Sequence[str], one: Written) -> list[tuple[int, int]]:
    """``(source token, target token)``: where each token looked most; <EOS> is left out."""
    if one.attention_TS is None:
        return []
    places = one.attention_TS[: len(one.tokens), : len(source)].argmax(axis=1)
    return [(place, number) for number, place in enumerate(places.tolist())]


class TranslationData(WritingData):
    """Pairs of a split, batched by their longer side; those that the recipe's limits leave out are not trained on.

    Attributes:
        chosen: rows that are trained on.
    """

    def __init__(self, task: TranslationTask, columns: Columns) -> None:
        super().__init__(task.target, columns)
        self.source = task.source.over(columns["source"], columns.files)
        self.target = task.target.over(columns["target"], columns.files)
        source, target = columns["source"].lengths, columns["target"].lengths
        longer, shorter = np.maximum(source, target), np.minimum(source, target)
        self.lengths: Lengths = longer + 1
        self.source_lengths: Lengths = source
        config, chosen = task.config, np.ones(len(columns), bool)
        self._left_out: list[tuple[int, str]] = []
        for bad, why in (
            (longer > task.max_length, f"over data.max_length = {task.max_length} tokens"),
            (shorter < config.min_tokens, f"under task.min_tokens = {config.min_tokens}"),
            (longer > (config.max_ratio or np.inf) * shorter, f"beyond task.max_ratio = {config.max_ratio or 0:g}"),
        ):
            self._left_out.append((int((chosen & bad).sum()), why))
            chosen &= ~bad
        self.chosen = np.flatnonzero(chosen)

    def why_not(self) -> str:
        """How many rows are not trained on, for each reason; a row counts for the first that it has."""
        return ", ".join(f"{count:,} {why}" for count, why in self._left_out if count)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        return Batch(self.source.side(rows), self.target.side(rows), rows)

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """Raises UserError (65): no pair is left to be trained on."""
        if not len(self.chosen):
            raise data_error(
                f"no train pair is left to learn from: {self.why_not()}", hint="Raise those limits, or give other data."
            )
        order = epoch_batches(
            self.lengths[self.chosen], tokens=batch.tokens, sequences=batch.sequences, seed=seed, epoch=epoch
        )
        order.order = self.chosen[order.order].astype(np.int32)
        return order

    def raw(self, row: int) -> list[str]:
        """The source of a row in tokens."""
        column = self.columns["source"]
        return [column.symbols[number] for number in column.sequence(row)]


class TranslationScorer(Texts):
    """BLEU and chrF of texts, the share that is exactly right, and edits of tokens to the nearest reference.

    Where lines have several references they count as sacrebleu counts them; a line is right when it equals one of them.
    """

    def __init__(self, name: str, target: TargetText) -> None:
        super().__init__()
        self.name, self.target = name, target
        self.right = self.edits = self.tokens = 0
        self._adds: list[tuple[int, int]] = []

    def add(self, gold: Sequence[Sequence[str]], predictions: Sequence[Generated]) -> Sequence[bool]:
        from rapidfuzz.distance import Levenshtein

        verdicts = []
        for references, one in zip(gold, predictions, strict=True):
            written = self.target.read(one.text, "")
            distances = [
                (Levenshtein.distance(written, tokens), len(tokens))
                for tokens in (self.target.read(text, "") for text in references)
            ]
            edits, tokens = min(distances)
            verdicts.append(edits == 0)
            self._adds.append((edits, tokens))
            self.edits, self.tokens, self.right = self.edits + edits, self.tokens + tokens, self.right + (edits == 0)
            self.put(one.text, references)
        return verdicts

    def sums(self) -> Sums:
        """Of the score that the recipe selects by; of BLEU where that is chrF."""
        adds_N2 = np.array(self._adds, np.float64).reshape(-1, 2)
        if self.name == "exact":
            return mean("exact match", 100.0 * (adds_N2[:, 0] == 0))
        if self.name == "token_error_rate":
            return Sums("token error rate", adds_N2, percentage, less_is_better=True)
        return bleu_sums(self.texts, self.golds)

    def scores(self) -> dict[str, float]:
        return {
            "bleu": self.sacrebleu(TranslationMetric("bleu")).value,
            "chrf": self.sacrebleu(TranslationMetric("chrf")).value,
            "exact": percent(self.right, len(self.texts)),
            "token_error_rate": percent(self.edits, self.tokens),
        }

    def score(self) -> Score:
        """The score that the recipe selects by; ``also`` among its counts are others, each with its signature.

        Beside BLEU stands that of lower case, which papers of small corpora report.
        """
        choices = {"tokens": self.target.config.tokenizer.kind, "references": "nearest"}
        edits = {"edits": self.edits, "reference_tokens": self.tokens}
        scores = {
            "bleu": self.sacrebleu(TranslationMetric("bleu")),
            "bleu_lc": self.sacrebleu(TranslationMetric("bleu", lowercase=True)),
            "chrf": self.sacrebleu(TranslationMetric("chrf")),
            "exact": Score(
                "exact match",
                percent(self.right, len(self.texts)),
                signature("exact", **choices),
                {"right": self.right},
            ),
            "token_error_rate": Score(
                "token error rate", percent(self.edits, self.tokens), signature("token-error-rate", **choices), edits
            ),
        }
        chosen = scores.pop(self.name)
        wanted = ("bleu_lc", "chrf", "bleu") if self.name in ("bleu", "chrf") else ("exact", "token_error_rate")
        also = [scores[name] for name in wanted if name in scores]
        counts = {**chosen.counts, **edits, "right": self.right, "lines": len(self.texts)}
        return replace(
            chosen,
            counts={**counts, "also": [{"name": s.name, "value": s.value, "signature": s.signature} for s in also]},
        )
