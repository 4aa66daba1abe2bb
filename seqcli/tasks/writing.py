"""What tasks share whose model writes text for a source: searching, references, scoring, printing.

Shapes: S source positions, T target positions. Such a task gives the source field, how an example is read, and scores.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column, Columns
from seqcli.data.batch import Batch, Side
from seqcli.data.example import Example
from seqcli.data.order import ByLength, Lengths, sorted_batches
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.errors import data_error
from seqcli.fields.base import FieldView, SourceField
from seqcli.fields.pairs import TargetText
from seqcli.metrics.score import Score
from seqcli.metrics.translation import TranslationMetric
from seqcli.recipe.heads import SoftmaxConfig
from seqcli.recipe.models import EncoderDecoderConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import WritingConfig
from seqcli.tasks.base import Data, Engine, Measured, Mistake, Task
from seqcli.tasks.rules import section

if TYPE_CHECKING:
    from seqcli.models.encoder_decoder import EncoderDecoder


@dataclass(frozen=True)
class Written:
    """One text that was written: its tokens, ln p, what it was ranked by, and where each token looked [T, S].

    ln p and score are NaN where nobody asked for them.
    """

    tokens: list[str]
    text: str
    log_prob: float
    score: float
    ended: bool
    attention_TS: NDArray[np.float32] | None = None

    @classmethod
    def plain(cls, text: str) -> Written:
        """A text of which nobody knows how likely it is."""
        return cls(text.split(), text, math.nan, math.nan, True)


@dataclass(frozen=True)
class Generated:
    """A source as it was read, and what was written for it, the best first."""

    source: Any
    hypotheses: Sequence[Written]

    @property
    def text(self) -> str:
        return self.hypotheses[0].text


def model(recipe: Recipe) -> EncoderDecoderConfig:
    """The model section, if it is an encoder-decoder."""
    return section(recipe.model, EncoderDecoderConfig)


def encoded(recipe: Recipe) -> int:
    """Values of a position behind the encoder; 0 where the recipe does not say them."""
    encoder = dict(model(recipe).encoder or model(recipe).embedder or ())
    if "filters" in encoder:
        return int(encoder["filters"]) * len(encoder["widths"])
    return int(encoder.get("dim", 0)) * (2 if encoder.get("bidirectional") else 1)


def decoder_dim(recipe: Recipe) -> int:
    return int(dict(model(recipe).decoder or ()).get("dim", 0))


WRITER_RULES = (
    Rule(
        "model.head",
        lambda r: (head := model(r).head) is not None and not isinstance(head, SoftmaxConfig),
        lambda r: f"a {dict(model(r).head or ())['kind']} head cannot write text",
        lambda r: f"For {r.task.kind}: softmax.",
    ),
    Rule(
        "model.head.tied",
        lambda r: isinstance(head := model(r).head, SoftmaxConfig) and head.tied,
        "an encoder-decoder has several tables that may be tied",
        "Set model.tied: target-output instead.",
    ),
    Rule(
        "model.decoder.attention",
        lambda r: dict(model(r).decoder or ()).get("attention") == "dot" and encoded(r) not in (0, decoder_dim(r)),
        lambda r: f"dot compares vectors of {encoded(r)} and of {decoder_dim(r)} values",
        "Make them equal, or set attention: general.",
    ),
)
"""Of every encoder-decoder that writes text."""


class WritingData(ByLength):
    """A split of such a task.

    Attributes:
        source: its sources.
        source_lengths: positions of each.
    """

    source: FieldView
    source_lengths: Lengths

    def __init__(self, target: TargetText, columns: Columns) -> None:
        self.target_field, self.columns = target, columns

    @abstractmethod
    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The examples of these rows."""

    def measuring_order(self, tokens: int) -> Sequence[NDArray[np.int64]]:
        return sorted_batches(self.source_lengths + 1, tokens=tokens)

    @abstractmethod
    def raw(self, row: int) -> Any:
        """The source of a row, as its field's `read` gave it."""

    def references(self, row: int) -> list[str]:
        """What may be written for a row, as it stands in the data."""
        if "references" in self.columns.columns:
            column = self.columns["references"]
            return [column.symbols[number] for number in column.sequence(row)]
        return [self.target_text(self.columns["target"], row)]

    def target_text(self, column: Column, row: int) -> str:
        """A row of a column of target tokens as text."""
        return self.target_field.tokenizer.detokenize([column.symbols[number] for number in column.sequence(row)])


class WritingTask(Task[Generated]):
    """A text, token by token, for a source of any kind."""

    output_formats = ("lines", "jsonl")
    generates = True
    output = "log_probs_NV"
    source: SourceField
    target: TargetText
    config: WritingConfig

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.options = GenerateOptions(
            beam=self.config.beam, length_penalty=self.config.length_penalty, max_length=self.longest(self.max_length)
        )

    @abstractmethod
    def longest(self, length: int) -> int:
        """Most tokens of a target whose source has so many positions."""

    @property
    def eos(self) -> int:
        return self.target.eos

    def network(self) -> EncoderDecoder:
        from seqcli.models.encoder_decoder import EncoderDecoder

        shared = self.target.shared is not None
        return EncoderDecoder(model(self.recipe), self.source.sizes(), self.target.sizes(), shared=shared)

    def is_like(self, other: WritingTask) -> bool:
        """Whether both read and write the same numbers, so that two models can write together."""
        here, there = self.source, other.source
        same_source = type(here) is type(there) and here.sizes().frame_dim == there.sizes().frame_dim
        return same_source and self.target.words == other.target.words

    def read_side(self, side: str, value: Any, at: str) -> Any:
        """A side of an example as its field reads it.

        Raises:
            UserError: it is missing or empty (65).
        """
        if value is None:
            raise data_error(f"there is no {side}", file=at, hint="Check data.format and data.columns.")
        raw = (self.source if side == "source" else self.target).read(value, at)
        if not len(raw):
            raise data_error(f"the {side} is empty", file=at, hint="Fill it, or take it out.")
        return raw

    # -- from a model to texts and scores

    def ask(self, engine: Engine, side: Side, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Generated]:
        return self.generate(engine, side, raws, self.options, scores=scores)

    def generate(
        self,
        engine: Engine,
        side: Side,
        raws: Sequence[Any],
        options: GenerateOptions,
        *,
        prefixes: Sequence[Sequence[int]] | None = None,
        attention: bool = False,
        numbers: Sequence[int] | None = None,
        scores: bool = True,
    ) -> list[Generated]:
        """What is written for some sources; ``numbers`` of the sources are for the seeds of samples.

        Without ``scores`` those may be NaN, which is faster where the engine is CTranslate2.
        """
        found = engine.generate(
            side,
            options,
            eos=self.target.eos,
            forbidden=(self.target.unk,),
            prefixes=prefixes,
            limits=[min(options.max_length, self.longest(len(raw))) for raw in raws],
            attention=attention,
            numbers=numbers,
            scores=scores,
        )
        return [Generated(raw, [*map(self.written, own)]) for raw, own in zip(raws, found, strict=True)]

    def written(self, one: Hypothesis) -> Written:
        tokens = self.target.words.decode(one.ids)
        text = self.target.tokenizer.detokenize(tokens)
        return Written(tokens, text, one.log_prob, one.score, one.ended, one.attention_TS)

    def measure(
        self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False
    ) -> Measured[Generated]:
        assert isinstance(data, WritingData)
        scorer = self.scorer()
        right = np.zeros(len(data.columns), bool)
        options = replace(self.options, beam=self.config.dev_beam, best=1) if quick else self.options
        found: list[tuple[int, list[str], Generated]] = []
        for rows in data.measuring_order(engine.positions):
            written = self.of_rows(engine, data, rows, options)
            found += zip(rows.tolist(), map(data.references, rows.tolist()), written, strict=True)
        found.sort(key=lambda one: one[0])
        right[:] = scorer.add([gold for _, gold, _ in found], [one for _, _, one in found])
        wrong = [
            Mistake(data.columns.place(row), row, self.source_text(one.source), gold, one)
            for row, gold, one in found
            if mistakes and not right[row]
        ]
        return Measured(scorer, right, wrong)

    def of_rows(
        self, engine: Engine, data: WritingData, rows: NDArray[np.int64], options: GenerateOptions
    ) -> list[Generated]:
        """What is written for some rows of a split."""
        raws = [data.raw(row) for row in rows.tolist()]
        return self.generate(engine, data.source.side(rows), raws, options, scores=False)

    @abstractmethod
    def source_text(self, source: Any) -> str:
        """A source as a line, for a list of mistakes."""

    def error_rows(self, mistakes: Sequence[Mistake[Generated]]) -> Iterator[tuple[str, ...]]:
        """What is not as a reference has it, the worst by chrF first."""
        pairs = ((one.prediction.text, one.gold) for one in mistakes)
        scored = zip(TranslationMetric("chrf").sentence_scores(pairs), mistakes, strict=True)
        for score, one in sorted(scored, key=lambda pair: pair[0].value):
            yield one.at, f"{score.value:.2f}", one.source, one.gold[0], one.prediction.text

    def writer(
        self, form: str, *, scores: bool = False, top: int | None = None
    ) -> Callable[[Sequence[Generated]], str]:
        def line(one: Written) -> str:
            return f"{one.score:.4f}\t{one.text}\n" if scores else f"{one.text}\n"

        if form == "jsonl":
            return lambda some: "".join(f"{json.dumps(self.document(one), ensure_ascii=False)}\n" for one in some)
        return lambda some: "".join(line(one) for generated in some for one in generated.hypotheses)

    @abstractmethod
    def document(self, generated: Generated) -> dict[str, Any]:
        """What was written, as JSON."""


def as_json(one: Written) -> dict[str, Any]:
    """A text that was written, with ln p and score where they are known."""
    return {
        "text": one.text,
        **({} if math.isnan(one.score) else {"score": one.score}),
        **({} if math.isnan(one.log_prob) else {"log_prob": one.log_prob}),
        "tokens": one.tokens,
        "ended": one.ended,
    }


def references_of(example: Example) -> list[Any]:
    """The targets of an example, one at least: a list is several texts, beside a source of tokens it is tokens."""
    target = example.target
    return target or [None] if isinstance(target, list) and not isinstance(example.source, list) else [target]


class Texts:
    """Texts that were written and the references of each, as sacrebleu takes them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.golds: list[Sequence[str]] = []

    def put(self, text: str, references: Sequence[str]) -> None:
        self.texts.append(text)
        self.golds.append(references)

    def sacrebleu(self, metric: TranslationMetric) -> Score:
        """The score of all of them; a line may have fewer references than others."""
        most = max(map(len, self.golds), default=1)
        streams = [[own[at] if at < len(own) else None for own in self.golds] for at in range(most)]
        return metric.score(self.texts, streams)
