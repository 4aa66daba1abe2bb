"""Transformer encoder-decoders on CTranslate2: translating needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from seqcli.data.batch import Ints, Outputs, Side
from seqcli.data.order import sorted_batches
from seqcli.decode.generate import GenerateOptions, Hypothesis
from seqcli.decode.stepper import Stepper
from seqcli.errors import data_error, reading, usage_error
from seqcli.machine import cores
from seqcli.store.manifest import read_bounded
from seqcli.tasks.base import Task
from seqcli.tasks.translation import TranslationTask

_MAX_ABOUT = 2**16

NO_HYPOTHESIS = -1e8
"""CTranslate2 fills up its hypotheses with some of about -1e9 where there are fewer than were asked for."""


@dataclass(frozen=True)
class About:
    """What CTranslate2 must know beside the weights, and which network they are of.

    Attributes:
        weights: SHA-256 of the file of weights that it was made from.
        model: SHA-256 of CTranslate2's own file.
        source, target: sizes of the vocabularies, whose tokens are called by their numbers.
        eos: row of <EOS>, which a source ends in and a target begins after.
        positions: longest source and longest target, <EOS> counted.
        layer_norm_epsilon: what normalisation adds to the variance.
    """

    weights: str
    model: str
    precision: str
    source: int
    target: int
    eos: int
    unk: int
    positions: int
    layer_norm_epsilon: float

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> About:
        """Raises ValueError or TypeError where it is no such document."""
        told = cls(**json.loads(data))
        for name, kind in cls.__annotations__.items():
            if type(getattr(told, name)).__name__ != kind:
                raise TypeError(name)
        return told

    def files(self, model: bytes) -> dict[str, bytes]:
        """What CTranslate2 loads, by the names that it knows."""
        eos, unk = str(self.eos), str(self.unk)
        config = {
            "unk_token": unk,
            "bos_token": eos,
            "eos_token": eos,
            "decoder_start_token": eos,
            "add_source_bos": False,
            "add_source_eos": False,
            "layer_norm_epsilon": self.layer_norm_epsilon,
        }
        return {
            "model.bin": model,
            "config.json": json.dumps(config).encode(),
            "source_vocabulary.json": json.dumps(names(self.source)).encode(),
            "target_vocabulary.json": json.dumps(names(self.target)).encode(),
        }


def names(size: int) -> list[str]:
    """The tokens of a vocabulary as CTranslate2 knows them."""
    return [str(number) for number in range(size)]


@dataclass(frozen=True)
class CTranslate2Model:
    """A model as CTranslate2 stores it."""

    model: bytes
    about: About

    def engine(self) -> CTranslate2Engine:
        return CTranslate2Engine(self.model, self.about)


class CTranslate2Engine:
    """A model written by `seqcli.engines.ctranslate2_export`; a large input is cut into batches, one for each core.

    Raises, at the start:
        ValueError, RuntimeError: not a model that CTranslate2 can run.
    """

    flat = False
    parallel = False
    positions = 2**16
    batch = 2048  # tokens of sources

    def __init__(self, model: bytes, about: About) -> None:
        self.about = about
        self.names = np.array(names(max(about.source, about.target)), object)
        self.ids = {name: number for number, name in enumerate(self.names[: about.target])}
        self.translator = ctranslate2.Translator(
            "model", "cpu", inter_threads=cores(), intra_threads=1, files=about.files(model)
        )

    def outputs(self, source: Side) -> Outputs:
        raise usage_error("an encoder-decoder is asked token by token")

    def stepper(self, source: Side | None = None, outputs: Outputs | None = None) -> Stepper:
        raise usage_error("CTranslate2 gives whole sequences only", hint="Say --engine torch.")

    def score(self, source: Side, targets: Sequence[Ints]) -> list[NDArray[np.float64]]:
        self._check_lengths("source", source.lengths_B)
        self._check_lengths("target", [len(target) for target in targets])
        return self.log_probs(self.sources(source), [target.tolist() for target in targets])

    def generate(
        self,
        source: Side,
        options: GenerateOptions,
        *,
        eos: int,
        forbidden: Sequence[int] = (),
        prefixes: Sequence[Sequence[int]] | None = None,
        limits: Sequence[int] | None = None,
        attention: bool = False,
        numbers: Sequence[int] | None = None,
        scores: bool = True,
    ) -> list[list[Hypothesis]]:
        if options.sampling is not None:
            raise usage_error("CTranslate2 searches, it draws no samples", hint="Say --engine torch.")
        count = len(source.lengths_B)
        if not count:
            return []
        limits_B = np.minimum(options.max_length, [options.max_length] * count if limits is None else limits)
        limits_B = np.maximum(limits_B, [max(1, len(prefix)) for prefix in prefixes or [()] * count])
        self._check_lengths("source", source.lengths_B)
        self._check_lengths("target", limits_B)
        search = _Search(self, source, options, forbidden, prefixes, attention, scores)
        search.run(limits_B)
        return search.hypotheses()

    def _check_lengths(self, side: str, lengths: Any) -> None:
        if (longest := max(lengths, default=0)) > self.about.positions:
            raise data_error(
                f"a {side} of {longest:,} tokens, but this model was exported for at most {self.about.positions:,}",
                hint="Say --engine torch.",
            )

    def sources(self, source: Side) -> list[list[str]]:
        """Tokens of each source."""
        return [
            self.names[row[:length]].tolist()
            for row, length in zip(source.arrays["words_BT"], source.lengths_B.tolist(), strict=True)
        ]

    def log_probs(self, sources: list[list[str]], targets: list[list[int]]) -> list[NDArray[np.float64]]:
        """ln p of each token of each target, which may end in <EOS> or not."""
        eos = self.about.eos
        bare = [target[:-1] if target and target[-1] == eos else target for target in targets]
        found = self.translator.score_batch(
            sources,
            [self.names[target].tolist() for target in bare],
            max_batch_size=self.batch // 4,  # the logits of all positions are there at once
            batch_type="tokens",
            max_input_length=0,
        )  # <EOS> is scored after each
        return [np.array(one.log_probs[: len(target)], np.float64) for one, target in zip(found, targets, strict=True)]


class _Found(NamedTuple):
    """What CTranslate2 found for a source, the best first: read once, as it makes these lists anew each time."""

    hypotheses: list[list[str]]
    scores: list[float]
    attention: list[list[list[float]]]


class _Search:
    """The sources of one call, and what was found for them."""

    def __init__(
        self,
        engine: CTranslate2Engine,
        source: Side,
        options: GenerateOptions,
        forbidden: Sequence[int],
        prefixes: Sequence[Sequence[int]] | None,
        attention: bool,
        scores: bool,
    ) -> None:
        self.engine, self.options, self.attention, self.scores = engine, options, attention, scores
        self.lengths_B, self.width = source.lengths_B, source.arrays["words_BT"].shape[1]
        self.sources = engine.sources(source)
        self.prefixes = None if prefixes is None else [engine.names[list(prefix)].tolist() for prefix in prefixes]
        self.found = [_Found([], [], [])] * len(self.sources)
        self.how = {
            "beam_size": options.beam,
            "length_penalty": options.length_penalty,
            "coverage_penalty": options.coverage_penalty,
            "no_repeat_ngram_size": options.no_repeat,
            "suppress_sequences": [[str(number)] for number in forbidden] or None,
            "return_scores": scores or options.beam > 1,
            "return_attention": attention,
            "return_end_token": True,
            "max_input_length": 0,
            "asynchronous": True,
        }

    def run(self, limits_B: Ints) -> None:
        """Search with a greatest length for each source, of which CTranslate2 takes only one for each batch.

        So a batch of sources of like length runs to the greatest of its limits. Whatever was done before its own limit
        is as it would be with that one; the others are searched again.
        """
        options = self.options
        if options.beam == 1 or options.length_penalty or options.coverage_penalty:
            again = self._search(self._batches(np.arange(len(limits_B))), limits_B)
        else:  # hypotheses do not tell when the search was over
            again = np.arange(len(limits_B))
        alike = [again[limits_B[again] == limit] for limit in np.unique(limits_B[again])]
        self._search([rows for some in alike for rows in self._batches(some)], limits_B)

    def _batches(self, rows: Ints) -> list[Ints]:
        """Batches of like length, enough for all cores, the longest first.

        In a beam search CTranslate2 (4.8) takes where the first token looks from another source of the batch, so where
        that counts each source is searched for by itself.
        """
        if self.options.beam > 1 and (self.attention or self.options.coverage_penalty):
            return [*rows[:, None]]
        lengths_N = self.lengths_B[rows]
        share = int(lengths_N.sum()) // cores() + 1
        tokens = min(self.engine.batch, max(self.engine.batch // 8, share))
        return [rows[some] for some in reversed([*sorted_batches(lengths_N, tokens=tokens)])]

    def _search(self, batches: list[Ints], limits_B: Ints) -> Ints:
        """Search for the sources of each batch; returns those that might have found something else with their own limit."""
        running = []
        for rows in batches:
            most = int(limits_B[rows].max())
            # all hypotheses tell when the search was over
            best = self.options.best if (limits_B[rows] == most).all() else self.options.beam
            numbers = rows.tolist()
            running.append(
                self.engine.translator.translate_batch(
                    [self.sources[row] for row in numbers],
                    None if self.prefixes is None else [self.prefixes[row] for row in numbers],
                    num_hypotheses=best,
                    min_decoding_length=min(self.options.min_length, most),
                    max_decoding_length=most,
                    **self.how,
                )
            )
        cut = []
        for rows, results in zip(batches, running, strict=True):
            most = limits_B[rows].max()
            for row, waiting in zip(rows.tolist(), results, strict=True):
                result = waiting.result()
                self.found[row] = one = _Found(result.hypotheses, result.scores, result.attention)
                if limits_B[row] < most and max(map(len, one.hypotheses)) >= limits_B[row]:
                    cut.append(row)
        return np.array(cut, np.int64)

    def hypotheses(self) -> list[list[Hypothesis]]:
        found = [
            [self._hypothesis(row, one, number) for number in self._real(one)] for row, one in enumerate(self.found)
        ]
        return self._scored(found) if self.scores else found

    def _real(self, found: _Found) -> Sequence[int]:
        count = min(self.options.best, len(found.hypotheses))
        return [number for number in range(count) if not found.scores or found.scores[number] > NO_HYPOTHESIS]

    def _hypothesis(self, row: int, found: _Found, number: int) -> Hypothesis:
        ids = [*map(self.engine.ids.__getitem__, found.hypotheses[number])]
        ended = len(ids) > self._forced(row) and ids[-1] == self.engine.about.eos
        attention_TS = None
        if self.attention:
            attention_TS = np.zeros((len(ids), self.width), np.float32)
            attention_TS[:, : self.lengths_B[row]] = found.attention[number]
        score = found.scores[number] if found.scores else math.nan
        return Hypothesis(ids[:-1] if ended else ids, math.nan, score, ended, [], attention_TS)

    def _forced(self, row: int) -> int:
        return 0 if self.prefixes is None else len(self.prefixes[row])

    def _scored(self, found: list[list[Hypothesis]]) -> list[list[Hypothesis]]:
        """Hypotheses with the model's own ln p: the search knows only that of tokens that may come, renormalised."""
        eos = [self.engine.about.eos]
        rows = [row for row, own in enumerate(found) for _ in own]
        targets = [one.ids + eos if one.ended else one.ids for own in found for one in own]
        scored = iter(self.engine.log_probs([self.sources[row] for row in rows], targets))
        return [[self._with(one, next(scored), self._forced(row)) for one in own] for row, own in enumerate(found)]

    def _with(self, one: Hypothesis, log_probs_T: NDArray[np.float64], forced: int) -> Hypothesis:
        log_probs_T[:forced] = 0
        log_probs = log_probs_T.tolist()
        return replace(one, log_probs=log_probs, log_prob=math.fsum(log_probs))


def ctranslate2_engine(task: Task[Any], model: Path, about: Path, weights: str, model_sum: str) -> CTranslate2Engine:
    """The engine of a fitted task, of the two files of its export.

    Args:
        weights, model_sum: SHA-256 of the run's file of weights and of ``model``.

    Raises:
        UserError: nothing that seqcli wrote, an export for another task, of other sizes or of other weights (65); a file
            that cannot be read (74).
    """
    again = f"Make it again: seqcli models export {model.parent}"
    try:
        told = About.from_bytes(read_bounded(about, _MAX_ABOUT))
    except (ValueError, TypeError) as error:
        raise data_error("not what seqcli writes beside an export for CTranslate2", file=about, hint=again) from error
    if (wrong := _misfit(task, told, weights)) is not None:
        raise data_error(wrong, file=about, hint=again)
    if told.model != model_sum:
        raise data_error(f"not the model that {about.name} tells of", file=model, hint=again)
    with reading(model):
        data = model.read_bytes()
    try:
        return CTranslate2Engine(data, told)
    except (ValueError, RuntimeError) as error:
        raise data_error(f"not a model that CTranslate2 can run: {error}", file=model, hint=again) from error


def _misfit(task: Task[Any], told: About, weights: str) -> str | None:
    """Why an export is not that of a task and of its weights, in words."""
    if not isinstance(task, TranslationTask):
        return f"an export for translation, but the model is for {task.kind}"
    for side, found, size in (
        ("source", told.source, task.source.sizes().words),
        ("target", told.target, task.target.sizes().words),
    ):
        if found != size:
            return f"the export is for {found:,} {side} tokens, but the model has {size:,}"
    if told.weights != weights:
        return f"the export was made from other weights ({told.weights[:12]}) than those in the model ({weights[:12]})"
    return None
