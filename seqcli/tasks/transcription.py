"""Transcription: a text for speech, of which nobody says where each of its letters is. Shapes: B sequences, T frames, S positions, V units."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch, Outputs, Side
from seqcli.data.encode import Apart, Pieces
from seqcli.data.example import Example
from seqcli.data.order import epoch_batches
from seqcli.decode.ctc import Fusion, Hypothesis, align, confidence, forward_score, greedy, needed, prefix_beam
from seqcli.decode.fusion import SPACE, Words
from seqcli.decode.generate import GenerateOptions, generate
from seqcli.decode.joint import Beginnings, JointReader
from seqcli.decode.stepper import Stepper
from seqcli.errors import data_error, plural
from seqcli.fields.frames import FrameField
from seqcli.fields.pairs import TargetText
from seqcli.metrics.paired import Sums, percentage
from seqcli.metrics.score import Score, percent, signature
from seqcli.metrics.wer import error_rate
from seqcli.recipe.fields import FrameFieldConfig, TextTargetConfig
from seqcli.recipe.models import EncoderDecoderConfig, GradientsConfig, MajorityConfig, NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe
from seqcli.recipe.tasks import TranscriptionConfig
from seqcli.tasks.base import Addition, Arrays, Count, CountsEngine, Data, Engine, Measured, Mistake, PairData, Task
from seqcli.tasks.rules import WORDS, head_kind, needs, network, section, selects_by, sides, single
from seqcli.tasks.writing import WRITER_RULES, model

if TYPE_CHECKING:
    from seqcli.models.network import Network

SCORES = ("wer", "cer", "exact", "loss")

MODELS = ("network", "encoder-decoder", "majority")

CTC_WEIGHT = 0.3
"""Share of CTC where a recipe does not say it; Watanabe et al. 2017 take 0.2 to 0.5."""

HEARD = ("log_probs_BSV", "positions_B")
"""The outputs of CTC."""

MAJORITY = "ids_L"
"""The output of the baseline: the units of the most frequent transcript."""


class Spoken(NamedTuple):
    """A word, from which position of the network to which, and how sure the network is of it (0 to 1)."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcribed:
    """What was said: the text and its words, and the scores by which it was chosen.

    Attributes:
        words: with places in the frames of the source, the end not included; empty where nobody asked for them, or knows.
        frames: of the source.
        sure: the geometric mean of the probability of its units, where words have no confidence of their own.
        loss: -ln p of what was said in fact, and how many units that has, where it is known and can be written.
    """

    text: str
    units: Sequence[str]
    words: Sequence[Spoken]
    log_prob: float
    score: float
    frames: int
    sure: float = 1.0
    loss: tuple[float, int] | None = None

    @property
    def confidence(self) -> float:
        """Of the word that is least sure."""
        return min((one.confidence for one in self.words), default=self.sure)


@dataclass(frozen=True)
class Decoding:
    """How the outputs of a network become a text.

    Attributes:
        beam: texts that are followed; 1 and no fusion take the likeliest path.
        fusion: a language model, a lexicon.
        words: also say where each word is.
        ctc: share of CTC in the score, beside a decoder.
    """

    beam: int = 1
    fusion: Fusion | None = None
    words: bool = True
    ctc: float = 1.0


def _config(recipe: Recipe) -> TranscriptionConfig:
    return section(recipe.task, TranscriptionConfig)


def _embedder(recipe: Recipe) -> dict[str, Any]:
    return dict(section(recipe.model, GradientsConfig).embedder or ())


def _ctc_weight(recipe: Recipe) -> float:
    """Share of CTC in the loss of an encoder-decoder."""
    said = _config(recipe).ctc_weight
    return CTC_WEIGHT if said is None else said


def _of_two(name: str) -> Rule:
    """An option that weighs CTC against a decoder."""
    return Rule(
        f"task.{name}",
        lambda r: dict(_config(r)).get(name) is not None and r.model.kind != "encoder-decoder",
        "weighs CTC against a decoder, and this model has none",
        "Leave it out, or set model.kind: encoder-decoder.",
    )


class TranscriptionTask(Task[Transcribed]):
    """A text for speech: recordings, or frames made of them."""

    rules = (
        *sides(("frames",), ("text",)),
        Rule(
            "model.kind",
            lambda r: r.model.kind not in MODELS,
            lambda r: f"{r.model.kind} cannot do the task transcription",
            f"It does {', '.join(MODELS[:-1])} or {MODELS[-1]}.",
        ),
        *needs("embedder", "encoder", "head"),
        Rule(
            "model.decoder",
            lambda r: isinstance(r.model, EncoderDecoderConfig) and r.model.decoder is None,
            "is missing; an encoder-decoder needs it",
            "'seqcli components' lists the kinds of decoder.",
        ),
        *single("transcription"),
        selects_by(lambda r: SCORES),
        Rule(
            "model.embedder",
            lambda r: _embedder(r).get("kind") in WORDS,
            "the source is frames, so an embedder of frames is needed",
            "embedder: {kind: convolution, subsampling: 2} is one.",
        ),
        Rule(
            "model.head",
            lambda r: head_kind(r) not in ("", "ctc"),
            lambda r: f"a {head_kind(r)} head cannot write text for frames",
            "For transcription by a network: ctc.",
        ),
        *WRITER_RULES,
        Rule(
            "model.tied",
            lambda r: model(r).tied in ("source-target", "all"),
            lambda r: f"{model(r).tied}: speech has no vocabulary that the text could share",
            "Set model.tied: target-output.",
        ),
        *map(_of_two, ("ctc_weight", "ctc_score")),
        Rule(
            "task.ctc_score",
            lambda r: bool(_config(r).ctc_score) and _ctc_weight(r) == 0,
            "there is no CTC to be asked: task.ctc_weight is 0",
            "Leave it out, or train with a task.ctc_weight above 0.",
        ),
        Rule(
            "target.share",
            lambda r: section(r.target, TextTargetConfig).share is not None,
            "frames and text have no vocabulary in common",
            "Leave it out.",
        ),
    )
    output = HEARD[0]
    output_formats = ("lines", "jsonl")
    error_columns = ("place", "cer", "reference", "transcript", "confidence")
    source: FrameField
    target: TargetText

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.source, FrameFieldConfig)
        assert isinstance(recipe.target, TextTargetConfig)
        self.config = _config(recipe)
        self.source = FrameField(recipe.source, flat=not isinstance(recipe.model, GradientsConfig))
        self.target = TargetText(recipe.target)
        self.generates = isinstance(recipe.model, EncoderDecoderConfig)
        self.has_ctc = isinstance(recipe.model, NetworkConfig)
        score = 1.0
        if self.generates:
            self.ctc_weight = _ctc_weight(recipe)
            self.has_ctc = self.ctc_weight > 0
            score = self.ctc_weight if self.config.ctc_score is None else self.config.ctc_score
            self.output, self.encoder_outputs = "log_probs_NV", HEARD if self.has_ctc else ()
        self.decoding = Decoding(self.config.beam, ctc=score)
        super().__init__(recipe)

    @property
    def score_names(self) -> Sequence[str]:
        return SCORES

    # -- from examples to batches

    def prepare(
        self,
        examples: Callable[[], Iterator[Example]],
        key: str,
        progress: Callable[[str, int, int | None], None] | None,
    ) -> None:
        super().prepare(examples, key, progress)
        self.target.prepare(lambda: ((one.target, one.at) for one in examples()), f"{key} target", progress)

    def reader(self, split: str, *, shared: bool = False) -> Pieces:
        return self.read if split == "train" else self.read_measured

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        """Frames and units, once for each speed.

        Raises:
            UserError: no text, or no frames (65).
        """
        (columns,) = self.read_measured(example)
        for speed in self.config.speeds:
            yield Apart({**columns, "source": stretched(columns["source"], speed)})

    def read_measured(self, example: Example) -> Iterator[Mapping[str, Any]]:
        frames = self.source.read(example.source, example.at)
        if example.target is None:
            raise data_error("there is no text", file=example.at, hint="Check data.format and data.columns.")
        value = " ".join(example.target.split()) if isinstance(example.target, str) else example.target
        units = self.target.read(value, example.at)
        if not units:
            raise data_error("the text is empty", file=example.at, hint="Fill it, or take the line out.")
        yield {"source": frames, "target": units}

    def key(self) -> list[Any]:
        return [*super().key(), *self.config.speeds]

    def data(self, columns: Columns) -> TranscriptionData:
        return TranscriptionData(self, columns)

    def notices(self, name: str, data: Data) -> list[str]:
        assert isinstance(data, TranscriptionData)
        told = []
        if name == "train" and len(data.chosen) < len(data.columns):
            told.append(f"{plural(len(data.columns) - len(data.chosen), 'train recording')} left out: {data.why_not()}")
        if name != "train" and data.unseen_units:
            shown = " ".join(sorted(data.unseen_units)[:20])
            told.append(f"{name} has units that the training data lacks, so that they cannot be written: {shown}")
        return told

    # -- the model

    @property
    def blank(self) -> int:
        """The row of the blank: that of <EOS>, which CTC has no use for."""
        return self.target.eos

    @property
    def subsampling(self) -> int:
        """Frames that become one position of the network."""
        embedder = _embedder(self.recipe)
        return int(embedder.get("subsampling", embedder.get("stride", 1)))

    def positions(self, frames: Any) -> Any:
        """How many positions come of so many frames."""
        return -(-frames // self.subsampling)

    @property
    def eos(self) -> int:
        return self.target.eos

    def network(self) -> Network:
        from seqcli.models.ctc import JointTranscriber, Transcriber
        from seqcli.models.encoder_decoder import EncoderDecoder

        source, target = self.source.sizes(), self.target.sizes()
        if not self.generates:
            return Transcriber(network(self.recipe), source, target, blank=self.blank)
        config = model(self.recipe)
        if not self.has_ctc:
            return EncoderDecoder(config, source, target, shared=False)
        return JointTranscriber(config, source, target, blank=self.blank, weight=self.ctc_weight)

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        """The most frequent transcript (of several the first in the alphabet), as units."""
        column = train.columns["target"]
        counts: dict[tuple[int, ...], int] = {}
        for row in range(len(train.columns)):
            key = tuple(column.sequence(row).tolist())
            counts[key] = counts.get(key, 0) + 1
        names = column.symbols
        best = min(counts, key=lambda key: (-counts[key], [names[number] for number in key]))
        progress(1, 1)
        return {"ids": self.target.ids([names[number] for number in best])}

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        ids = arrays.get("ids")
        if set(arrays) != {"ids"} or ids is None or ids.ndim != 1 or ids.dtype.kind != "i":
            raise data_error("not the arrays of a most frequent transcript", file=file)
        if len(ids) and not 0 <= ids.min() <= ids.max() < len(self.target.words):
            raise data_error("a unit that is not in the vocabulary", file=file)
        return MostFrequent(ids)

    def baselines(self, data: Mapping[str, Data]) -> list[tuple[str, Task[Transcribed]]]:
        if not self.is_network:
            return []
        task = TranscriptionTask(self.recipe.model_copy(update={"model": MajorityConfig()}))
        task.target.tokenizer_model = self.target.tokenizer_model
        return [("most frequent transcript", task)]

    # -- from a model to texts and scores

    def pieces(self, raw: Any) -> list[Any]:
        """A recording whole; one that is longer than `max_length` is cut at silences before it comes here."""
        return [raw]

    @property
    def long_input(self) -> str:
        return f"a sequence of more than {self.max_length} frames is longer than any that the model has learned from"

    @property
    def too_long(self) -> tuple[str, str]:
        return "left out", "measured whole"

    def ask(self, engine: Engine, side: Side, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Transcribed]:
        return self.transcribe(engine, side, self.decoding)

    def predict(self, outputs: Outputs, raws: Sequence[Any], *, scores: bool = False) -> Sequence[Transcribed]:
        return self.transcribed(outputs, [*map(len, raws)], self.decoding)

    def transcribe(self, engine: Engine, side: Side, decoding: Decoding) -> list[Transcribed]:
        """What a model says of some sources."""
        outputs, frames = engine.outputs(side), side.lengths_B.tolist()
        if not self.generates:
            return self.transcribed(outputs, frames, decoding)
        return self._searched(engine.stepper(side, outputs), outputs, frames, decoding)

    def ask_batch(self, engine: Engine, batch: Batch) -> Sequence[Transcribed]:
        if not self.generates:
            return super().ask_batch(engine, batch)
        outputs = engine.outputs(batch.source)
        stepper = engine.stepper(batch.source, outputs)
        ids_BT, lengths_B = batch.target.arrays["ids_BT"], batch.target.lengths_B.tolist()
        targets = [ids_T[:length] for ids_T, length in zip(ids_BT, lengths_B, strict=True)]
        written = [-float(one.sum()) for one in stepper.score(targets)]
        found = self._searched(stepper, outputs, batch.source.lengths_B.tolist(), self.decoding)
        heard: Sequence[NDArray[Any] | None] = self._heard(outputs) if self.has_ctc else [None] * len(found)
        return [
            replace(one, loss=self._joint_loss(loss, ids_T, log_probs_SV))
            for one, loss, ids_T, log_probs_SV in zip(found, written, targets, heard, strict=True)
        ]

    def _joint_loss(
        self, written: float, ids_T: NDArray[np.int64], log_probs_SV: NDArray[Any] | None
    ) -> tuple[float, int] | None:
        """As training weighs it, of a text with <EOS> after it."""
        if self.target.unk in ids_T:
            return None
        spoken = self._loss(log_probs_SV, ids_T[:-1]) if log_probs_SV is not None else (0.0, 0)
        return None if spoken is None else ((1 - self.ctc_weight) * written + self.ctc_weight * spoken[0], len(ids_T))

    def predict_batch(self, outputs: Outputs, batch: Batch) -> Sequence[Transcribed]:
        found = self.transcribed(outputs, batch.source.lengths_B.tolist(), self.decoding)
        if MAJORITY in outputs:
            return found
        ids_BL, lengths_B = batch.target.arrays["ids_BT"], batch.target.lengths_B - 1
        return [
            replace(one, loss=self._loss(log_probs_SV[: int(positions)], ids_L[:length]))
            for one, log_probs_SV, positions, ids_L, length in zip(
                found, outputs["log_probs_BSV"], outputs["positions_B"], ids_BL, lengths_B, strict=True
            )
        ]

    def _loss(self, log_probs_SV: NDArray[Any], ids_L: NDArray[np.int64]) -> tuple[float, int] | None:
        score = forward_score(log_probs_SV, ids_L.tolist(), self.blank)
        return (-score, len(ids_L)) if np.isfinite(score) and self.target.unk not in ids_L else None

    def transcribed(self, outputs: Outputs, frames: Sequence[int], decoding: Decoding) -> list[Transcribed]:
        """What the outputs of a network for sources of so many frames say."""
        if MAJORITY in outputs:
            units = self.target.words.decode(outputs[MAJORITY].tolist())
            return [Transcribed(self._text(units), units, [], 0.0, 0.0, length) for length in frames]
        return [
            self._transcribed(log_probs_SV, length, decoding)
            for log_probs_SV, length in zip(self._heard(outputs), frames, strict=True)
        ]

    def _heard(self, outputs: Outputs) -> list[NDArray[np.float64]]:
        """What CTC says of each source [S, V]."""
        return [
            log_probs_SV[:positions].astype(np.float64)
            for log_probs_SV, positions in zip(
                outputs["log_probs_BSV"], outputs["positions_B"].astype(np.int64).tolist(), strict=True
            )
        ]

    def _searched(
        self, stepper: Stepper, outputs: Outputs, frames: Sequence[int], decoding: Decoding
    ) -> list[Transcribed]:
        """The texts that a decoder and CTC find best together; the decoder alone ranks by the mean ln p of a unit."""
        beginnings = None
        if self.has_ctc and decoding.ctc:
            beginnings = Beginnings(outputs["log_probs_BSV"], outputs["positions_B"], self.blank)
        joint = JointReader(
            stepper, beginnings, decoding.ctc, eos=self.eos, forbidden=(self.target.unk,), fusion=decoding.fusion
        )
        options = GenerateOptions(
            beam=decoding.beam,
            length_penalty=0.0 if beginnings is not None else 1.0,
            max_length=max(1, *map(self.positions, frames)),
            grows=decoding.fusion is not None,
        )
        found = generate(joint, len(frames), options, eos=self.eos, limits=[*map(self.positions, frames)])
        heard: Sequence[NDArray[Any] | None] = self._heard(outputs) if self.has_ctc else [None] * len(frames)
        texts = []
        for (best,), length, log_probs_SV in zip(found, frames, heard, strict=True):
            units = self.target.words.decode(best.ids)
            words: list[Spoken] = []
            if log_probs_SV is not None and decoding.words and best.ids:
                aligned = align(log_probs_SV, best.ids, self.blank)
                words = self._words(log_probs_SV, best.ids, units, aligned.spans if aligned else [], length)
            sure = float(np.exp(best.log_prob / len(best.log_probs)))
            texts.append(Transcribed(self._text(units), units, words, best.log_prob, best.score, length, sure))
        return texts

    def _transcribed(self, log_probs_SV: NDArray[Any], frames: int, decoding: Decoding) -> Transcribed:
        unk, blank = self.target.unk, self.blank
        log_probs_SV[:, unk] = -np.inf
        spans: Sequence[tuple[int, int]] | None = None
        if decoding.beam == 1 and decoding.fusion is None:
            path = greedy(log_probs_SV, blank)
            found, spans = Hypothesis(path.ids, path.score, path.score), path.spans
        else:
            several = prefix_beam(log_probs_SV, blank, decoding.beam, fusion=decoding.fusion, forbidden=(unk,))
            found = several[0] if several else Hypothesis([], 0.0, 0.0)
        units = self.target.words.decode(found.ids)
        words: list[Spoken] = []
        if decoding.words and found.ids:
            if spans is None:
                aligned = align(log_probs_SV, found.ids, blank)
                spans = aligned.spans if aligned is not None else []
            words = self._words(log_probs_SV, found.ids, units, spans, frames)
        return Transcribed(self._text(units), units, words, found.log_prob, found.score, frames)

    def _words(
        self,
        log_probs_SV: NDArray[Any],
        ids: Sequence[int],
        units: Sequence[str],
        spans: Sequence[tuple[int, int]],
        frames: int,
    ) -> list[Spoken]:
        spelled = self.spelling()
        groups: list[list[int]] = []
        for place, number in enumerate(ids[: len(spans)]):
            if spelled.begins(number) or not groups:
                groups.append([])
            groups[-1].append(place)
        words = []
        for group in groups:
            text = self._text([units[place] for place in group])
            own = [place for place in group if spelled.letters(ids[place])]  # the silence of a space is not the word's
            if text and own:
                sure = confidence(log_probs_SV, [ids[place] for place in own], [spans[place] for place in own])
                start, end = (spans[own[0]][0], spans[own[-1]][1])
                words.append(Spoken(text, start * self.subsampling, min(end * self.subsampling, frames), sure))
        return words

    def spelling(self) -> Words:
        """How the units make words."""
        kind = self.target.tokenizer.kind
        names = [SPACE if name == "<0x20>" and kind == "bytes" else name for name in self.target.words.tokens]
        return Words(names, whole=kind in ("whitespace", "words"))

    def _text(self, units: Sequence[str]) -> str:
        return " ".join(self.target.tokenizer.detokenize(units).split())

    def lengths(self, predictions: Sequence[Transcribed]) -> Sequence[int]:
        return [one.frames for one in predictions]

    def gold(self, data: PairData, rows: NDArray[np.int64]) -> list[str]:
        column = data.columns["target"]
        return [self._text([column.symbols[number] for number in column.sequence(row)]) for row in rows.tolist()]

    def scorer(self) -> TranscriptionScorer:
        loss = "joint-loss" if self.generates else "ctc-loss"
        told = {"ctc": f"{self.ctc_weight:g}"} if self.generates else {}
        return TranscriptionScorer(self.select_by, signature(loss, **told, unit="nats-a-unit"))

    def measure(
        self, engine: Engine, data: Data, *, mistakes: bool = False, quick: bool = False
    ) -> Measured[Transcribed]:
        before = self.decoding
        self.decoding = Decoding(words=False, ctc=before.ctc) if quick else replace(before, words=mistakes)
        try:
            return super().measure(engine, data, mistakes=mistakes)
        finally:
            self.decoding = before

    def error_rows(self, mistakes: Sequence[Mistake[Transcribed]]) -> Iterator[tuple[str, ...]]:
        """The worst by CER first."""
        scored = ((error_rate([one.prediction.text], [one.gold], characters=True).value, one) for one in mistakes)
        for rate, one in sorted(scored, key=lambda pair: (-pair[0], pair[1].row)):
            yield one.at, f"{rate:.2f}", one.gold, one.prediction.text, f"{one.prediction.confidence:.4f}"

    def writer(
        self, form: str, *, scores: bool = False, top: int | None = None
    ) -> Callable[[Sequence[Transcribed]], str]:
        def line(one: Transcribed) -> str:
            if form == "jsonl":
                return json.dumps(self.document(one), ensure_ascii=False)
            return f"{one.confidence:.4f}\t{one.text}" if scores else one.text

        return lambda some: "".join(f"{line(one)}\n" for one in some)

    def addition(self, form: str, *, scores: bool = False, top: int | None = None) -> Addition[Transcribed]:
        return Addition([""], lambda one: [one.text])

    def document(self, one: Transcribed) -> dict[str, Any]:
        """A transcript as JSON; words with the frames where they begin and end."""
        words = [
            {"word": word, "start": start, "end": end, "confidence": round(sure, 4)}
            for word, start, end, sure in one.words
        ]
        return {"text": one.text, "log_prob": round(one.log_prob, 4), "frames": one.frames, "words": words}


class MostFrequent(CountsEngine):
    """One and the same transcript, whatever comes."""

    def __init__(self, ids_L: NDArray[np.int64]) -> None:
        self.ids_L = ids_L

    def outputs(self, source: Side) -> Outputs:
        return {MAJORITY: self.ids_L}


def stretched(frames_TD: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Frames of the same speech so many times as fast, by linear interpolation."""
    if speed == 1:
        return frames_TD
    length = max(1, round(len(frames_TD) / speed))
    places = np.minimum(np.arange(length) * speed, len(frames_TD) - 1)
    before = places.astype(np.int64)
    after = np.minimum(before + 1, len(frames_TD) - 1)
    share = (places - before)[:, None]
    return ((1 - share) * frames_TD[before] + share * frames_TD[after]).astype(np.float32)


class TranscriptionData(PairData):
    """Recordings of a split; those that nothing can be learned from are not trained on.

    Attributes:
        chosen: rows that are trained on.
        unseen_units: those of the texts that are not in the vocabulary.
    """

    def __init__(self, task: TranscriptionTask, columns: Columns) -> None:
        super().__init__(task, columns)
        target = columns["target"]
        ids = task.target.ids(target.symbols)
        self.unseen_units = [
            name for name, number in zip(target.symbols, ids.tolist(), strict=True) if number == task.target.unk
        ]
        frames = np.asarray(self.lengths)
        positions = task.positions(frames)
        need = needed if task.has_ctc else len
        wanted = np.array([need(target.sequence(row).tolist()) for row in range(len(columns))], np.int64)
        long, short = frames > task.max_length, positions < wanted
        self.chosen = np.flatnonzero(~long & ~short)
        self._left_out = []
        if long.any():
            self._left_out.append(f"{long.sum():,} over data.max_length = {task.max_length} frames")
        if (short & ~long).any():
            first = int(np.flatnonzero(short & ~long)[0])
            self._left_out.append(
                f"{(short & ~long).sum():,} shorter than the text needs (the first at {columns.place(first)}: "
                f"{wanted[first]} positions, and {frames[first]} frames are {positions[first]})"
            )

    def why_not(self) -> str:
        return ", ".join(self._left_out)

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """Raises UserError (65): no recording is left to be trained on."""
        if not len(self.chosen):
            raise data_error(
                f"no train recording is left to learn from: {self.why_not()}",
                hint="Raise data.max_length, lower model.embedder.subsampling, or check the texts.",
            )
        order = epoch_batches(
            np.asarray(self.lengths)[self.chosen],
            tokens=batch.tokens,
            sequences=batch.sequences,
            seed=seed,
            epoch=epoch,
        )
        order.order = self.chosen[order.order].astype(np.int32)
        return order


class TranscriptionScorer:
    """Word and character error rates by jiwer, the share of texts that are right throughout, and the loss a unit."""

    def __init__(self, name: str, loss: str) -> None:
        """``loss``: its signature."""
        self.name, self.loss = name, loss
        self.texts: list[str] = []
        self.golds: list[str] = []
        self.nats, self.units = 0.0, 0

    def add(self, gold: Sequence[str], predictions: Sequence[Transcribed]) -> Sequence[bool]:
        self.golds += gold
        self.texts += [one.text for one in predictions]
        for one in predictions:
            if one.loss is not None:
                self.nats, self.units = self.nats + one.loss[0], self.units + one.loss[1]
        return [one.text == text for one, text in zip(predictions, gold, strict=True)]

    def scores(self) -> dict[str, float]:
        return {name: score.value for name, score in self._all().items()}

    def score(self) -> Score:
        """The score that the recipe selects by (WER where that is the loss), the others ``also`` among its counts."""
        scores = self._all()
        scores.pop("loss", None)
        chosen = scores.pop(self.name if self.name in scores else "wer")
        also = [{"name": one.name, "value": one.value, "signature": one.signature} for one in scores.values()]
        counts = {**chosen.counts, "right": self._right, "lines": len(self.texts), "also": also}
        return replace(chosen, counts=counts)

    def sums(self) -> Sums:
        """WER of the words of each text."""
        from rapidfuzz.distance import Levenshtein

        pairs = [(gold.split(), text.split()) for gold, text in zip(self.golds, self.texts, strict=True)]
        adds = [(Levenshtein.distance(gold, text), len(gold)) for gold, text in pairs]
        return Sums("WER", np.array(adds, np.float64).reshape(-1, 2), percentage, less_is_better=True)

    @property
    def _right(self) -> int:
        return sum(map(str.__eq__, self.texts, self.golds))

    def _all(self) -> dict[str, Score]:
        right = self._right
        loss = {}
        if self.units:
            loss = {"loss": Score("loss", self.nats / self.units, self.loss, {"nats": self.nats, "units": self.units})}
        return {
            **loss,
            "wer": error_rate(self.texts, self.golds),
            "cer": error_rate(self.texts, self.golds, characters=True),
            "exact": Score(
                "exact match", percent(right, len(self.texts)), signature("exact", unit="text"), {"right": right}
            ),
        }
