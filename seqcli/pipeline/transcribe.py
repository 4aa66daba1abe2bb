"""Recordings written down by a trained model: cut at silences, in memory that stays flat however long they are.

Shapes: N samples, T frames, D channels. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.data.formats import Reading, guess_format, read_examples
from seqcli.decode.ctc import Fusion
from seqcli.decode.fusion import Lexicon, TextFusion
from seqcli.errors import UserError, usage_error
from seqcli.fields.text import TextField
from seqcli.lines import read_lines
from seqcli.media.audio import Samples, Spectrum, read_blocks
from seqcli.pipeline.language import LanguageModel
from seqcli.pipeline.model import Model
from seqcli.recipe.features import SpectrumConfig
from seqcli.tasks.transcription import Decoding, Spoken, Transcribed, TranscriptionTask

LONGEST_SECONDS = 20.0
"""Longest piece of a recording that goes through the network at once, where the recipe allows so much."""

SILENT = 1e-4
"""A piece whose samples are all below this (-80 dB) is not asked about: there is nothing in it."""

_AT_ONCE_SECONDS = 120.0
"""Seconds of sound that are written down together: enough for batches, few enough for memory."""

_READ_SECONDS = 10.0
_STEP, _WIDTH = 0.02, 15
"""How finely the loudness is looked at when a place to cut is looked for, and steps that must be quiet together."""


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording; the words with the seconds where they begin and end (of numbers: with frames)."""

    name: str
    seconds: float
    text: str
    words: Sequence[Spoken]


def pieces_of(blocks: Iterable[Samples], rate: int, longest: float) -> Iterator[tuple[float, Samples]]:
    """``(where it begins, samples)`` of pieces of at most so many seconds, cut at the quietest place of the later part."""
    most, least = max(1, round(longest * rate)), max(1, round(longest * rate / 3))
    waiting, at = np.zeros(0, np.float32), 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) > most:
            cut = least + quietest(waiting[least:most], rate)
            yield at / rate, waiting[:cut]
            waiting, at = waiting[cut:], at + cut
    if len(waiting):
        yield at / rate, waiting


def quietest(samples: Samples, rate: int) -> int:
    """The middle of the quietest 0.3 seconds; of several alike the last."""
    step = max(1, round(_STEP * rate))
    count = len(samples) // step
    if count <= _WIDTH:
        return len(samples)
    power = (samples[: count * step].astype(np.float64).reshape(count, step) ** 2).sum(1)
    windows = np.convolve(power, np.ones(_WIDTH), "valid")
    place = len(windows) - 1 - int(windows[::-1].argmin())
    return (place + _WIDTH // 2) * step


@dataclass
class _Recording:
    """A recording on its way: its pieces so far, in their order."""

    name: str
    seconds: float
    parts: list[tuple[float, Transcribed]]


class Transcriber:
    """Writes down recordings, or sequences of frames where the model reads those.

    Args:
        longest: seconds of a piece; None for what the recipe and `LONGEST_SECONDS` allow.
        skipped: takes what is wrong with a recording, which is then left out; None raises it.
    """

    def __init__(
        self,
        model: Model[Transcribed],
        decoding: Decoding,
        *,
        longest: float | None = None,
        skipped: Callable[[UserError], None] | None = None,
    ) -> None:
        assert isinstance(model.task, TranscriptionTask)
        self.model, self.task, self.decoding, self.skipped = model, model.task, decoding, skipped
        features = self.task.source.media.extractor
        self.spectrum = features if isinstance(features, Spectrum) else None
        if self.spectrum is not None:
            config = self.spectrum.config
            assert isinstance(config, SpectrumConfig)
            self.frame = config.hop / 1000
            self.longest = longest or min(LONGEST_SECONDS, self.task.max_length * self.frame)

    @property
    def reads_sound(self) -> bool:
        """Whether it makes its frames of recordings; else it is given frames."""
        return self.spectrum is not None

    def recordings(self, files: Sequence[tuple[Any, str]]) -> Iterator[Transcript]:
        """The transcript of each ``(file, name)``, in their order, as soon as it is there.

        Raises:
            UserError: a recording that cannot be read (65, 74), a package that is not installed (2).
        """
        assert self.spectrum is not None
        open_ones: list[_Recording] = []
        waiting: list[tuple[_Recording, float, NDArray[np.float32]]] = []
        length = 0.0
        for file, name in files:
            one = _Recording(name, 0.0, [])
            own: list[tuple[_Recording, float, NDArray[np.float32]]] = []
            try:
                for start, samples in self._pieces(MediaFile(file)):
                    one.seconds = start + len(samples) / self.spectrum.config.rate
                    length += len(samples) / self.spectrum.config.rate
                    if np.abs(samples).max(initial=0) >= SILENT:
                        frames = self.spectrum.of(samples)
                        own += [(one, start, frames)] if len(frames) else []
                    if length >= _AT_ONCE_SECONDS:
                        self._write([*waiting, *own])
                        yield from map(self._done, open_ones)
                        open_ones, waiting, own, length = [], [], [], 0.0
            except UserError as error:
                if self.skipped is None:
                    raise
                self.skipped(error)
                continue
            open_ones.append(one)
            waiting += own
        self._write(waiting)
        yield from map(self._done, open_ones)

    def _pieces(self, file: MediaFile) -> Iterator[tuple[float, Samples]]:
        assert self.spectrum is not None
        rate = self.spectrum.config.rate
        return pieces_of(read_blocks(file, rate, _READ_SECONDS), rate, self.longest)

    def _write(self, waiting: Sequence[tuple[_Recording, float, NDArray[np.float32]]]) -> None:
        found = self._ask([frames for _, _, frames in waiting])
        for (one, start, _), written in zip(waiting, found, strict=True):
            one.parts.append((start, written))

    def _done(self, one: _Recording) -> Transcript:
        words = [
            Spoken(word.word, start + word.start * self.frame, start + word.end * self.frame, word.confidence)
            for start, part in one.parts
            for word in part.words
        ]
        text = " ".join(part.text for _, part in one.parts if part.text)
        return Transcript(one.name, one.seconds, text, words)

    def sequences(self, file: str) -> Iterator[Transcript]:
        """Those of the sequences of frames in a file: an index, a ``.npy``; times are frames."""
        from seqcli.pipeline.frames import frame_batches

        for number, block in enumerate(frame_batches(self.model, file, on_invalid="strict", max_line=2**26)):
            for place, one in enumerate(self._ask(block)):
                yield Transcript(f"{file}:{number * len(block) + place + 1}", one.frames, one.text, one.words)

    def _ask(self, sequences: Sequence[NDArray[np.float32]]) -> Sequence[Transcribed]:
        if not sequences:
            return []

        def ask(side: Any, some: Sequence[Any], rows: Sequence[int]) -> Sequence[Transcribed]:
            return self.task.transcribe(self.model.engine, side, self.decoding)

        return self.model.predict_block(sequences, ask=ask)


def fusion_of(
    task: TranscriptionTask,
    language: LanguageModel | None = None,
    *,
    weight: float = 0.5,
    bonus: float = 0.0,
    lexicon: str | None = None,
) -> Fusion | None:
    """What has a say beside the network: a language model of the same units or of words, the words of a file.

    Raises:
        UserError: a language model of other units (2); a file that cannot be read (74) or has no words (65).
    """
    words = Lexicon(word for _, line in read_lines(lexicon) for word in line.split()) if lexicon is not None else None
    if words is not None and not words.words:
        raise usage_error("a lexicon without words", file=lexicon)
    spelling = task.spelling()
    if language is None:
        return None if words is None else TextFusion(spelling, lexicon=words)
    units, kind = task.target, language.tokenizer.kind
    same = kind == units.tokenizer.kind and (kind != "sentencepiece" or _same_pieces(units, language))
    if not same and kind not in ("whitespace", "words"):
        raise usage_error(
            f"{language.run} is a model of {kind}, and this one writes {units.tokenizer.kind}",
            hint="Take a language model of words (tokenizer whitespace or words), or of the same units.",
        )
    vocabulary = language.vocabulary
    return TextFusion(
        spelling,
        model=language.engine,
        weight=weight,
        bonus=bonus,
        tokens=vocabulary.encode([*units.words.tokens]) if same else None,
        word_ids=None if same else {word: number for number, word in enumerate(vocabulary.tokens)},
        unknown=language.unk,
        eos=language.eos,
        lexicon=words,
    )


def _same_pieces(units: TextField, language: LanguageModel) -> bool:
    return set(language.vocabulary.tokens) >= set(units.words.tokens)


def is_list(file: str) -> bool:
    """Whether a file names recordings, or holds frames, rather than being a recording."""
    return file.lower().endswith((".tsv", ".jsonl", ".npy", ".npz", ".ts"))


def named_in(file: str) -> list[tuple[Any, str]]:
    """``(recording, name)`` of those that a manifest names; parts of recordings are not among them.

    Raises:
        UserError: no manifest (2), bad data (65).
    """
    form = "manifest" if file.lower().endswith(".jsonl") else guess_format(file)
    if form != "manifest":
        raise usage_error(f"{file} looks like {form}, not like a list of recordings", hint="A line is 'path TAB text'.")
    found = read_examples(file, Reading(form))
    return [(one.source.path, one.source.path.name) for one in found]
