"""Captioning: a sentence for an image, of which there may be several. Shapes: B images, S places, D values, C captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column, Columns
from seqcli.data.batch import Batch, Side
from seqcli.data.encode import Pieces
from seqcli.data.example import Example
from seqcli.data.order import Lengths, epoch_batches
from seqcli.decode.generate import GenerateOptions
from seqcli.errors import data_error, plural
from seqcli.fields.base import Progress
from seqcli.fields.frames import FrameField
from seqcli.fields.pairs import TargetText
from seqcli.fields.vector import GridField, VectorField
from seqcli.metrics.captions import CiderD, rouge_l
from seqcli.metrics.paired import Sums, mean
from seqcli.metrics.score import Score, percent, signature
from seqcli.metrics.translation import TranslationMetric
from seqcli.models.counts.captions import CaptionModel, Captions, Reranker
from seqcli.recipe import registry
from seqcli.recipe.fields import FrameFieldConfig, GridFieldConfig, TextTargetConfig, VectorFieldConfig
from seqcli.recipe.models import ConsensusCaptionConfig, EncoderDecoderConfig, NearestCaptionConfig, RandomCaptionConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe
from seqcli.recipe.tasks import CaptioningConfig
from seqcli.store.weights import load_arrays, save_arrays
from seqcli.tasks.base import Arrays, Count, CountsEngine, Data, Engine, Task
from seqcli.tasks.rules import needs, section, selects_by, sides
from seqcli.tasks.writing import (
    WRITER_RULES,
    Generated,
    Texts,
    WritingData,
    WritingTask,
    Written,
    as_json,
    model,
    references_of,
)

SOURCES = ("vector", "grid", "frames")
SCORES = ("bleu", "cider", "rouge_l", "exact", "bleu_3", "bleu_2", "bleu_1")
BASELINES = ("random-caption", "nearest-caption", "consensus-caption")
"""Models that write what somebody wrote of a training image, to compare others with."""

CAPTIONS_FILE = "captions.safetensors"
"""Where a run keeps the captions that choose among those it writes."""

_SECTIONS = {
    "random-caption": RandomCaptionConfig,
    "nearest-caption": NearestCaptionConfig,
    "consensus-caption": ConsensusCaptionConfig,
}


def _config(recipe: Recipe) -> CaptioningConfig:
    return section(recipe.task, CaptioningConfig)


def _embedder_of(recipe: Recipe) -> str:
    return "vector" if recipe.source.kind == "vector" else "frames"


class CaptioningTask(WritingTask):
    """A sentence for an image, given as a vector, as a grid of vectors or as frames."""

    rules = (
        *sides(SOURCES, ("text",)),
        Rule(
            "model.kind",
            lambda r: r.model.kind not in ("encoder-decoder", *BASELINES),
            lambda r: f"{r.model.kind} cannot do the task captioning",
            f"It does encoder-decoder, {', '.join(BASELINES[:-1])} or {BASELINES[-1]}.",
        ),
        *needs("embedder", "head"),
        Rule(
            "model.decoder",
            lambda r: isinstance(r.model, EncoderDecoderConfig) and r.model.decoder is None,
            "is missing; the task captioning needs it",
            "'seqcli components' lists the kinds of decoder.",
        ),
        selects_by(lambda r: SCORES),
        *WRITER_RULES,
        Rule(
            "model.embedder",
            lambda r: (one := model(r).embedder) is not None and one.kind != _embedder_of(r),
            lambda r: f"the source is {r.source.kind}, so an embedder of that is needed",
            lambda r: f"embedder: {{kind: {_embedder_of(r)}}} is one.",
        ),
        Rule(
            "model.tied",
            lambda r: model(r).tied in ("source-target", "all"),
            lambda r: f"{model(r).tied}: an image has no vocabulary that the target could share",
            "Set model.tied: target-output.",
        ),
        Rule(
            "task.rerank",
            lambda r: _config(r).rerank is not None and _config(r).beam == 1,
            "there is nothing to choose from: task.beam is 1",
            "Set task.beam, such as 20, or leave rerank out.",
        ),
        Rule(
            "target.share",
            lambda r: section(r.target, TextTargetConfig).share,
            "source: an image has neither tokenizer nor vocabulary",
            "Leave it out.",
        ),
    )
    error_columns = ("place", "chrf", "image", "reference", "caption")
    source: FrameField
    config: CaptioningConfig

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.target, TextTargetConfig)
        self.config = _config(recipe)
        if isinstance(recipe.source, VectorFieldConfig):
            self.source = VectorField(recipe.source)
        elif isinstance(recipe.source, GridFieldConfig):
            self.source = GridField(recipe.source)
        else:
            assert isinstance(recipe.source, FrameFieldConfig)
            self.source = FrameField(recipe.source)
        self.target = TargetText(recipe.target)
        self._reranker: Reranker | None = None
        self._folder: Path | None = None
        super().__init__(recipe)

    def longest(self, length: int) -> int:
        return self.config.max_length

    @property
    def score_names(self) -> Sequence[str]:
        return SCORES

    # -- from examples to batches

    def prepare(self, examples: Any, key: str, progress: Progress | None) -> None:
        def captions() -> Iterator[tuple[Any, str]]:
            return ((caption, example.at) for example in examples() for caption in references_of(example))

        self.source.prepare(lambda: ((example.source, example.at) for example in examples()), key, progress)
        self.target.prepare(captions, f"{key} target", progress)

    def reader(self, split: str, *, shared: bool = False) -> Pieces:
        return self.read if split == "train" else self.read_measured

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """An image and its captions: their tokens one after the other in ``target``, how many each has in ``lengths``.

        An image with several captions is kept once. Past `max_length` places (frames) are left out.

        Raises:
            UserError: no image or no caption (65).
        """
        yield self._columns(example)

    def read_measured(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """`read`, with ``references`` beside it: the captions as text, which scores compare with."""
        written = [one if isinstance(one, str) else " ".join(one) for one in references_of(example)]
        yield {**self._columns(example), "references": written}

    def _columns(self, example: Example) -> dict[str, Any]:
        source = self.read_side("source", example.source, example.at)
        captions = [self.read_side("target", one, example.at) for one in references_of(example)]
        return {
            "source": source[: self.max_length],
            "target": [token for tokens in captions for token in tokens],
            "lengths": np.array([[len(tokens)] for tokens in captions], np.float32),
        }

    def data(self, columns: Columns) -> CaptionData:
        return CaptionData(self, columns)

    def notices(self, name: str, data: Data) -> list[str]:
        assert isinstance(data, CaptionData)
        if name != "train":
            return []
        dropped = len(data.lengths) - len(data.chosen)
        texts = [f"{len(data.columns):,} images with {len(data.lengths):,} captions, each trained on"]
        if dropped:
            texts.append(
                f"{plural(dropped, 'caption')} left out: over task.max_length = {self.config.max_length} tokens"
            )
        return texts

    def fit(self, train: Columns) -> None:
        super().fit(train)
        if self._reranks:
            self._reranker = Reranker.of(CaptionData(self, train).pictures())

    def save(self, folder: Path) -> list[str]:
        names = super().save(folder)
        if self._reranker is None:
            return names
        save_arrays(folder / CAPTIONS_FILE, self._reranker.arrays())
        return [*names, CAPTIONS_FILE]

    def load(self, folder: Path) -> None:
        super().load(folder)
        self._folder = folder

    @property
    def _reranks(self) -> bool:
        return self.is_network and self.config.rerank is not None

    @property
    def reranker(self) -> Reranker:
        """Of a model that has one; it is read when it is first asked."""
        if self._reranker is None:
            assert self._folder is not None
            path = self._folder / CAPTIONS_FILE
            self._reranker = Reranker.from_arrays(load_arrays(path), self.source.channels, path)
        return self._reranker

    # -- the model

    @property
    def _counts(self) -> type[CaptionModel]:
        kind: type[CaptionModel] = registry.implementation("model", self.recipe.model.kind)
        return kind

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        assert isinstance(train, CaptionData)
        seed = self.recipe.training.seed
        return self._counts.fit(self.recipe.model, train.pictures(), seed, progress).arrays()

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        return CaptionCounts(self._counts.from_arrays(self.recipe.model, arrays, self.source.channels, file))

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[Generated]]]:
        if not self.is_network:
            return []
        found: list[tuple[str, Task[Generated]]] = []
        for kind in BASELINES if self.config.baselines is None else self.config.baselines:
            config = _SECTIONS[kind]()
            training = self.recipe.training.model_copy(update={"select_by": self.select_by})
            recipe = self.recipe.model_copy(update={"model": config, "training": training})
            title: str = registry.implementation("model", kind).title(config)
            found.append((title, CaptioningTask(recipe)))
        return found

    # -- captions and scores

    def pieces(self, raw: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [raw[: self.max_length]]

    def join(self, raw: Any, parts: Sequence[Generated]) -> Generated:
        return Generated(raw, parts[0].hypotheses)

    def generate(
        self, engine: Engine, side: Side, raws: Sequence[Any], options: GenerateOptions, **how: Any
    ) -> list[Generated]:
        if isinstance(engine, CaptionCounts):
            texts = engine.model.captions(_means(side))
            return [Generated(raw, [Written.plain(text)]) for raw, text in zip(raws, texts, strict=True)]
        if not self._reranks or options.beam == 1:
            return super().generate(engine, side, raws, options, **how)
        assert self.config.rerank is not None
        found = super().generate(engine, side, raws, replace(options, best=options.beam), **how)
        return [
            Generated(one.source, self._reranked(one.hypotheses, vector_D, self.config.rerank)[: options.best])
            for one, vector_D in zip(found, _means(side), strict=True)
        ]

    def _reranked(self, hypotheses: Sequence[Written], vector_D: NDArray[np.float32], neighbours: int) -> list[Written]:
        """Hypotheses ranked, and scored, by their agreement with the captions of the nearest training images."""
        scores = self.reranker.agreement(vector_D, [one.text for one in hypotheses], neighbours)
        return [
            replace(hypotheses[place], score=float(scores[place]))
            for place in np.argsort(-scores, kind="stable").tolist()
        ]

    def scorer(self) -> CaptionScorer:
        return CaptionScorer(self.select_by)

    def source_text(self, source: Any) -> str:
        return ""

    def document(self, generated: Generated) -> dict[str, Any]:
        return {"captions": [as_json(one) for one in generated.hypotheses]}


def _means(side: Side) -> NDArray[np.float32]:
    """One vector [B, D] an image: that of a grid, or of frames, is their mean."""
    if "vector_BD" in side.arrays:
        vectors_BD: NDArray[np.float32] = side.arrays["vector_BD"]
        return vectors_BD
    means_BD: NDArray[np.float32] = side.arrays["frames_BTD"].sum(1) / side.lengths_B[:, None].astype(np.float32)
    return means_BD


class CaptionCounts(CountsEngine):
    """Captions taken from training images."""

    flat = False

    def __init__(self, found: CaptionModel) -> None:
        self.model = found


class CaptionData(WritingData):
    """Images of a split with their captions. What is trained on, batch by batch, is a caption; what is measured an image.

    Attributes:
        lengths: positions of each caption; ``chosen``: the captions that are trained on.
    """

    def __init__(self, task: CaptioningTask, columns: Columns) -> None:
        super().__init__(task.target, columns)
        tokens, counts = columns["target"], columns["lengths"]
        self.lengths: Lengths = np.asarray(counts.values[:]).reshape(-1).astype(np.int64) + 1
        self.owners = np.repeat(np.arange(len(columns)), counts.lengths)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths - 1)])
        self.captions = Column(tokens.values, ends, tokens.symbols, tokens.counts)
        self.source = task.source.over(columns["source"], columns.files)
        self.target = task.target.over(self.captions, columns.files)
        self.source_lengths: Lengths = columns["source"].lengths
        self.chosen = np.flatnonzero(self.lengths - 1 <= task.config.max_length)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """``rows`` are those of captions."""
        return Batch(self.source.side(self.owners[rows]), self.target.side(rows), rows)

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """Raises UserError (65): no caption is short enough."""
        if not len(self.chosen):
            raise data_error("every caption is over task.max_length", hint="Raise it, or give other data.")
        lengths = self.lengths[self.chosen]
        order = epoch_batches(lengths, tokens=batch.tokens, sequences=batch.sequences, seed=seed, epoch=epoch)
        order.order = self.chosen[order.order].astype(np.int32)
        return order

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        return [self.columns.place(int(row)) for row in self.owners[rows]]

    def raw(self, row: int) -> NDArray[np.float32]:
        return np.asarray(self.columns["source"].sequence(row), np.float32)

    def references(self, row: int) -> list[str]:
        if "references" in self.columns.columns:
            return super().references(row)
        return [self.target_text(self.captions, caption) for caption in np.flatnonzero(self.owners == row).tolist()]

    def pictures(self) -> Captions:
        """All of them as baselines take them."""
        vectors = [self.raw(row).mean(0) for row in range(len(self.columns))]
        texts = [self.target_text(self.captions, caption) for caption in range(len(self.lengths))]
        return Captions(np.stack(vectors), texts, self.owners)


class CaptionScorer(Texts):
    """BLEU of lower-cased tokens, CIDEr-D and ROUGE-L; a caption is right when it equals a reference."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.right = 0

    def add(self, gold: Sequence[Sequence[str]], predictions: Sequence[Generated]) -> Sequence[bool]:
        verdicts = []
        for references, one in zip(gold, predictions, strict=True):
            self.put(one.text.lower(), [text.lower() for text in references])
            verdicts.append(self.texts[-1] in self.golds[-1])
        self.right += sum(verdicts)
        return verdicts

    def cider(self) -> tuple[Score, NDArray[np.float64]]:
        """CIDEr-D of all, and of each image."""
        return CiderD(self.golds).score(self.texts)

    def sums(self) -> Sums:
        return mean("CIDEr-D", self.cider()[1])

    def _bleu(self, order: int) -> Score:
        metric = TranslationMetric("bleu", lowercase=True, tokenize="none", max_ngram_order=order)
        found = self.sacrebleu(metric)
        return Score(f"BLEU-{order}", found.value, found.signature, found.counts)

    def _all(self) -> dict[str, Score]:
        return {
            "bleu": self._bleu(4),
            "cider": self.cider()[0],
            "rouge_l": rouge_l(self.texts, self.golds),
            "exact": Score(
                "exact match",
                percent(self.right, len(self.texts)),
                signature("exact", case="lc", references="any"),
                {"right": self.right},
            ),
            **{f"bleu_{order}": self._bleu(order) for order in (3, 2, 1)},
        }

    def scores(self) -> dict[str, float]:
        return {name: score.value for name, score in self._all().items()}

    def score(self) -> Score:
        """The score that the recipe selects by; ``also`` among its counts are the others, each with its signature."""
        scores = self._all()
        chosen = scores.pop(self.name)
        also = [{"name": one.name, "value": one.value, "signature": one.signature} for one in scores.values()]
        counts = {**chosen.counts, "right": self.right, "lines": len(self.texts), "also": also}
        return Score(chosen.name, chosen.value, chosen.signature, counts)
