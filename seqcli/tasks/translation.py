"""Translation: a text for a text of another length. Shapes: B sequences, S source positions, T target positions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch, Side
from seqcli.data.encode import Apart, Pieces
from seqcli.data.example import Example
from seqcli.data.order import ByLength, Lengths, epoch_batches, sorted_batches
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.errors import data_error, plural
from seqcli.fields.base import Progress
from seqcli.fields.pairs import SourceText, TargetText
from seqcli.metrics.score import Score, percent, signature
from seqcli.metrics.translation import MetricName, TranslationMetric
from seqcli.recipe.base import Component
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.fields import TextFieldConfig, TextTargetConfig
from seqcli.recipe.heads import SoftmaxConfig
from seqcli.recipe.models import EncoderDecoderConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe
from seqcli.recipe.tasks import TranslationConfig
from seqcli.tasks.base import Data, Engine, Measured, Mistake, Task
from seqcli.tasks.rules import needs, section, selects_by, sides

if TYPE_CHECKING:
    from seqcli.models.encoder_decoder import EncoderDecoder

SCORES = ("bleu", "chrf", "exact", "token_error_rate")

EXTRA = 10
"""Tokens that a target may always have, beside those that the source's length allows."""

_SENTENCE_END = re.compile(r"[.?!。？！।॥…][\"'”’»)\]]*$")


@dataclass(frozen=True)
class Written:
    """One translation: its tokens and text, ln p, what it was ranked by, and where each token looked [T, S].

    ln p and score are NaN where nobody asked for them.
    """

    tokens: list[str]
    text: str
    log_prob: float
    score: float
    ended: bool
    attention_TS: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Translated:
    """A source in tokens, and what was written for it, the best first."""

    source: Sequence[str]
    hypotheses: Sequence[Written]

    @property
    def text(self) -> str:
        return self.hypotheses[0].text


def model(recipe: Recipe) -> EncoderDecoderConfig:
    """The model section, if it is an encoder-decoder."""
    return section(recipe.model, EncoderDecoderConfig)


def _is_plain(embedder: Component | None) -> bool:
    """Whether tokens have vectors, and those alone."""
    return isinstance(embedder, TokensConfig) and bool(
        embedder.dim and not (embedder.characters or embedder.affixes or embedder.vectors)
    )


def _encoded(recipe: Recipe) -> int:
    """Values of a position behind the encoder; 0 where the recipe does not say them."""
    encoder = dict(model(recipe).encoder or ())
    if "filters" in encoder:
        return int(encoder["filters"]) * len(encoder["widths"])
    return int(encoder.get("dim", 0)) * (2 if encoder.get("bidirectional") else 1)


def _source_dim(recipe: Recipe) -> int:
    embedder = model(recipe).embedder
    return embedder.dim if isinstance(embedder, TokensConfig) else 0


def _decoder_dim(recipe: Recipe) -> int:
    return int(dict(model(recipe).decoder or ()).get("dim", 0))


def _ties_sides(recipe: Recipe) -> bool:
    return model(recipe).tied in ("source-target", "all")


def _shares(recipe: Recipe) -> bool:
    return isinstance(recipe.target, TextTargetConfig) and recipe.target.share is not None


def _says(recipe: Recipe, name: str) -> bool:
    """Whether the target has a section of its own that is not what it would be anyhow."""
    target = section(recipe.target, TextTargetConfig)
    return dict(target)[name] != TextTargetConfig.model_fields[name].default


class TranslationTask(Task[Translated]):
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
        Rule(
            "model.head",
            lambda r: (head := model(r).head) is not None and not isinstance(head, SoftmaxConfig),
            lambda r: f"a {dict(model(r).head or ())['kind']} head cannot write text",
            "For translation: softmax.",
        ),
        Rule(
            "model.head.tied",
            lambda r: isinstance(head := model(r).head, SoftmaxConfig) and head.tied,
            "an encoder-decoder has several tables that may be tied",
            "Set model.tied: target-output instead.",
        ),
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
            lambda r: _ties_sides(r) and _source_dim(r) != _decoder_dim(r),
            lambda r: f"vectors of {_source_dim(r)} and of {_decoder_dim(r)} values cannot be the same",
            "Set model.embedder.dim and model.decoder.dim to one number.",
        ),
        Rule(
            "model.decoder.attention",
            lambda r: (
                dict(model(r).decoder or ()).get("attention") == "dot" and _encoded(r) not in (0, _decoder_dim(r))
            ),
            lambda r: f"dot compares vectors of {_encoded(r)} and of {_decoder_dim(r)} values",
            "Make them equal, or set attention: general.",
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
    output_formats = ("lines", "jsonl")
    error_columns = ("place", "chrf", "source", "reference", "translation")
    generates = True
    output = "log_probs_NV"
    source: SourceText
    target: TargetText

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.task, TranslationConfig)
        assert isinstance(recipe.source, TextFieldConfig)
        assert isinstance(recipe.target, TextTargetConfig)
        self.config = recipe.task
        self.source = SourceText(recipe.source)
        self.target = TargetText(recipe.target, self.source)
        super().__init__(recipe)
        self.options = GenerateOptions(
            beam=self.config.beam,
            length_penalty=self.config.length_penalty,
            max_length=int(self.config.max_length * self.max_length) + EXTRA,
        )

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

    def reader(self, split: str) -> Pieces:
        return self.read if split == "train" else self.read_measured

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """A pair of tokens for each target of the example.

        Raises:
            UserError: a side is empty (65).
        """
        source = self._tokens("source", example.source, example.at)
        for reference in references_of(example):
            yield Apart(source=source, target=self._tokens("target", reference, example.at))

    def read_measured(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """A pair of tokens with the first target, and all targets as they are written."""
        references = references_of(example)
        targets = [self._tokens("target", one, example.at) for one in references]
        yield {
            "source": self._tokens("source", example.source, example.at),
            "target": targets[0],
            "references": [one if isinstance(one, str) else " ".join(one) for one in references],
        }

    def _tokens(self, side: str, value: Any, at: str) -> list[str]:
        if value is None:
            raise data_error(f"there is no {side}", file=at, hint="Check data.format and data.columns.")
        tokens = (self.source if side == "source" else self.target).read(value, at)
        if not tokens:
            raise data_error(f"the {side} is empty", file=at, hint="Fill it, or take the pair out.")
        return tokens

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

    # -- the model

    @property
    def eos(self) -> int:
        return self.target.eos

    def network(self) -> EncoderDecoder:
        from seqcli.models.encoder_decoder import EncoderDecoder

        shared = self.target.shared is not None
        return EncoderDecoder(model(self.recipe), self.source.sizes(), self.target.sizes(), shared=shared)

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

    def ask(self, engine: Engine, side: Side, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Translated]:
        return self.translate(engine, side, raws, self.options, scores=scores)

    def translate(
        self,
        engine: Engine,
        side: Side,
        raws: Sequence[Sequence[str]],
        options: GenerateOptions,
        *,
        prefixes: Sequence[Sequence[int]] | None = None,
        attention: bool = False,
        numbers: Sequence[int] | None = None,
        scores: bool = True,
    ) -> list[Translated]:
        """Translations of some sources; ``numbers`` of the sources are for the seeds of samples.

        Without ``scores`` those may be NaN, which is faster where the engine is CTranslate2.
        """
        limits = [self.limit(len(raw), options) for raw in raws]
        found = engine.generate(
            side,
            options,
            eos=self.target.eos,
            forbidden=(self.target.unk,),
            prefixes=prefixes,
            limits=limits,
            attention=attention,
            numbers=numbers,
            scores=scores,
        )
        return [Translated(raw, [*map(self.written, own)]) for raw, own in zip(raws, found, strict=True)]

    def limit(self, length: int, options: GenerateOptions) -> int:
        """Most tokens of the target of a source of so many."""
        return min(options.max_length, int(self.config.max_length * length) + EXTRA)

    def written(self, one: Hypothesis) -> Written:
        tokens = self.target.words.decode(one.ids)
        text = self.target.tokenizer.detokenize(tokens)
        return Written(tokens, text, one.log_prob, one.score, one.ended, one.attention_TS)

    def lengths(self, predictions: Sequence[Translated]) -> Sequence[int]:
        return [len(one.source) for one in predictions]

    @property
    def long_input(self) -> str:
        return f"a line of more than {self.max_length} tokens is translated in parts, cut where a sentence ends"

    def join(self, raw: Sequence[str], parts: Sequence[Translated]) -> Translated:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Translated(raw, [Written([], "", 0.0, 0.0, True)])
        best = [part.hypotheses[0] for part in parts]
        return Translated(
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

    def measure(
        self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False
    ) -> Measured[Translated]:
        assert isinstance(data, TranslationData)
        scorer = self.scorer()
        right = np.zeros(len(data.columns), bool)
        options = replace(self.options, beam=self.config.dev_beam, best=1) if quick else self.options
        found: list[tuple[int, list[str], Translated]] = []
        for rows in data.measuring_order(engine.positions):
            written = self._of_rows(engine, data, rows, options)
            found += zip(rows.tolist(), map(data.references, rows.tolist()), written, strict=True)
        found.sort(key=lambda one: one[0])
        right[:] = scorer.add([gold for _, gold, _ in found], [one for _, _, one in found])
        wrong = [
            Mistake(data.columns.place(row), row, self.source.tokenizer.detokenize(one.source), gold, one)
            for row, gold, one in found
            if mistakes and not right[row]
        ]
        return Measured(scorer, right, wrong)

    def error_rows(self, mistakes: Sequence[Mistake[Translated]]) -> Iterator[tuple[str, ...]]:
        """What is not as a reference has it, the worst by chrF first."""
        pairs = ((one.prediction.text, one.gold) for one in mistakes)
        scored = zip(TranslationMetric("chrf").sentence_scores(pairs), mistakes, strict=True)
        for score, one in sorted(scored, key=lambda pair: pair[0].value):
            yield one.at, f"{score.value:.2f}", one.source, one.gold[0], one.prediction.text

    def _of_rows(
        self, engine: Engine, data: TranslationData, rows: NDArray[np.int64], options: GenerateOptions
    ) -> list[Translated]:
        """Translations of some rows of a split, the long ones in parts, as a line is translated."""
        raws = [data.tokens(row) for row in rows.tolist()]
        if data.source_lengths[rows].max(initial=0) <= self.max_length:
            return self.translate(engine, data.source.side(rows), raws, options, scores=False)
        parts = [self.pieces(raw) for raw in raws]
        pieces = [*map(list, chain(*parts))]
        written = iter(self.translate(engine, self.source.side(pieces), pieces, options, scores=False))
        return [self.join(raw, [*islice(written, len(own))]) for raw, own in zip(raws, parts, strict=True)]

    def writer(
        self, form: str, *, scores: bool = False, top: int | None = None
    ) -> Callable[[Sequence[Translated]], str]:
        def line(one: Written) -> str:
            return f"{one.score:.4f}\t{one.text}\n" if scores else f"{one.text}\n"

        if form == "jsonl":
            return lambda some: "".join(f"{json.dumps(self.document(one), ensure_ascii=False)}\n" for one in some)
        return lambda some: "".join(line(one) for translated in some for one in translated.hypotheses)

    def document(self, translated: Translated) -> dict[str, Any]:
        """A translation as JSON: with ln p and score where they are known, with alignments where attention is."""
        return {
            "tokens": list(translated.source),
            "translations": [
                {
                    "text": one.text,
                    **({} if math.isnan(one.score) else {"score": one.score}),
                    **({} if math.isnan(one.log_prob) else {"log_prob": one.log_prob}),
                    "tokens": one.tokens,
                    "ended": one.ended,
                    **({} if one.attention_TS is None else {"alignment": alignment(translated.source, one)}),
                }
                for one in translated.hypotheses
            ],
        }


def alignment(source: Sequence[str], one: Written) -> list[tuple[int, int]]:
    """``(source token, target token)``: where each token looked most; <EOS> is left out."""
    if one.attention_TS is None:
        return []
    places = one.attention_TS[: len(one.tokens), : len(source)].argmax(axis=1)
    return [(place, number) for number, place in enumerate(places.tolist())]


def references_of(example: Example) -> list[Any]:
    """The targets of an example, one at least: a list beside a text is several texts, beside tokens it is tokens."""
    target = example.target
    return target or [None] if isinstance(target, list) and isinstance(example.source, str) else [target]


class TranslationData(ByLength):
    """Pairs of a split, batched by their longer side; those that the recipe's limits leave out are not trained on.

    Attributes:
        chosen: rows that are trained on.
    """

    def __init__(self, task: TranslationTask, columns: Columns) -> None:
        self.columns = columns
        self.source = task.source.over(columns["source"], columns.files)
        self.target = task.target.over(columns["target"], columns.files)
        self._target_field = task.target
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

    def measuring_order(self, tokens: int) -> Sequence[NDArray[np.int64]]:
        return sorted_batches(self.source_lengths + 1, tokens=tokens)

    def tokens(self, row: int) -> list[str]:
        """The source of a row."""
        column = self.columns["source"]
        return [column.symbols[number] for number in column.sequence(row)]

    def references(self, row: int) -> list[str]:
        """What a row may be translated to, as it is written."""
        if "references" in self.columns.columns:
            column = self.columns["references"]
            return [column.symbols[number] for number in column.sequence(row)]
        column = self.columns["target"]
        return [self._target_field.tokenizer.detokenize([column.symbols[number] for number in column.sequence(row)])]


class TranslationScorer:
    """BLEU and chrF of texts, the share that is exactly right, and edits of tokens to the nearest reference.

    Where lines have several references they count as sacrebleu counts them; a line is right when it equals one of them.
    """

    def __init__(self, name: str, target: TargetText) -> None:
        self.name, self.target = name, target
        self.texts: list[str] = []
        self.golds: list[Sequence[str]] = []
        self.right = self.edits = self.tokens = 0

    def add(self, gold: Sequence[Sequence[str]], predictions: Sequence[Translated]) -> Sequence[bool]:
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
            self.edits, self.tokens, self.right = self.edits + edits, self.tokens + tokens, self.right + (edits == 0)
            self.texts.append(one.text)
            self.golds.append(references)
        return verdicts

    def scores(self) -> dict[str, float]:
        return {
            "bleu": self._sacrebleu("bleu").value,
            "chrf": self._sacrebleu("chrf").value,
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
            "bleu": self._sacrebleu("bleu"),
            "bleu_lc": self._sacrebleu("bleu", lowercase=True),
            "chrf": self._sacrebleu("chrf"),
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

    def _sacrebleu(self, name: MetricName, **options: Any) -> Score:
        most = max(map(len, self.golds), default=1)
        streams = [[own[at] if at < len(own) else None for own in self.golds] for at in range(most)]
        return TranslationMetric(name, **options).score(self.texts, streams)
