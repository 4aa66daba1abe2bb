"""Subword pieces by sentencepiece: train a model from text files, apply it. Imported only when it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

from seqcli.errors import ExitCode, UserError, data_error, plural, reading, usage_error
from seqcli.files import atomic_write
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid, read_lines
from seqcli.text.case import lower


class TooManyPieces(UserError):
    """More pieces were asked for than the text gives; ``most`` are what it does."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            f"the corpus is too small for {plural(size, 'piece')}: it gives {most:,} at most",
            code=ExitCode.USAGE,
            hint=f"Use --size {most} or less, or more text.",
        )
        self.most = most


MODEL_TYPES = ("unigram", "bpe")

LONGEST_SENTENCE = 2**20
"""Bytes; sentencepiece leaves longer lines out of training (4,192 is its own default, and it says nothing)."""

MOST_SENTENCES = 5_000_000
"""Lines that training holds in memory; of a larger corpus a seeded sample is taken."""

_GOES_ON = re.compile("<0x[89AB][0-9A-F]>")
"""The piece of a byte that is not the first of its character."""

_CONTROL = 3
_SEED = 1
_THREADS = 4  # fixed, because the sums of unigram training depend on how many threads share them


class SentencePieces:
    """A trained sentencepiece model. ``▁`` in front of a piece stands for the space before it.

    Text is normalized by the model (NFKC unless it was trained otherwise), so that ``detokenize`` returns the
    normalized text. A piece that the model does not know comes out as it stands in the text.

    Raises:
        UserError: the file cannot be read (74) or is no sentencepiece model (65).
    """

    kind = "sentencepiece"
    reversible = False

    def __init__(self, model: Path) -> None:
        import sentencepiece

        self.model = model
        with reading(model):
            serialized = model.read_bytes()
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(serialized)
        except RuntimeError as error:
            raise data_error("not a sentencepiece model", file=model) from error

    def tokenize(self, text: str) -> list[str]:
        return self._processor.EncodeAsPieces(text)

    def detokenize(self, tokens: Sequence[str]) -> str:
        return self._processor.DecodePieces(list(tokens))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """What of the text each piece was made of, without the space that its ``▁`` stands for."""
        normal, origins = self._processor.Normalize(text, with_offsets=True)
        places, at = [], 0
        for piece in self.tokenize(text):
            begin = at
            if normal.startswith(piece, at):
                at += len(piece)
            elif _GOES_ON.fullmatch(piece):
                begin -= 1
            else:
                at += 1  # the first byte of a character that a model with byte_fallback does not know
            start, end = origins[begin], origins[at]
            places.append((start + len(text[start:end]) - len(text[start:end].lstrip()), end))
        return places

    def pieces(self) -> list[str]:
        """Every piece of the model by id, its control pieces (``<unk> <s> </s>``) included."""
        return [self._processor.IdToPiece(number) for number in range(self._processor.GetPieceSize())]


@dataclass(frozen=True)
class PiecesReport:
    """What `train_sentencepiece` did: rows of the model, lines used, lines left out because they were too long."""

    pieces: int
    lines: int
    left_out: int


def train_sentencepiece(
    files: Iterable[str | PathLike[str] | None],
    vocab_size: int,
    out: Path,
    model_type: str = "unigram",
    *,
    character_coverage: float = 1.0,
    lowercase: bool = False,
    on_invalid: OnInvalid = "strict",
    max_line: int = DEFAULT_MAX_LINE,
) -> PiecesReport:
    """Train a model on lines of text; the same text and options give the same bytes.

    Args:
        files: text files, one sentence a line (None or ``-``: standard input).
        vocab_size: pieces in the model, its ``<unk> <s> </s>`` included.
        out: the model file, written whole or not at all.
        character_coverage: share of the text's characters that get a piece of their own
            (0.9995 for Chinese or Japanese).
        lowercase: train on lower-cased text (and apply the model to such text).

    Raises:
        UserError: vocabulary size that the text cannot fill or that cannot hold its characters (2); no text, or
            invalid text (65); a file that cannot be read or written (74).
    """
    import sentencepiece

    if model_type not in MODEL_TYPES:
        raise usage_error(f"unknown model type '{model_type}'", hint=f"Choose one of {', '.join(MODEL_TYPES)}.")
    if vocab_size <= _CONTROL:
        raise usage_error(
            f"a vocabulary of {plural(vocab_size, 'piece')} is too small", hint="It holds <unk>, <s> and </s> too."
        )
    feed = _Feed(files, lowercase, on_invalid, max_line)
    model = BytesIO()
    if hasattr(sentencepiece, "set_random_generator_seed"):
        sentencepiece.set_random_generator_seed(_SEED)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(feed),
            model_writer=model,
            vocab_size=vocab_size,
            model_type=model_type,
            character_coverage=character_coverage,
            max_sentence_length=LONGEST_SENTENCE,
            input_sentence_size=MOST_SENTENCES,
            shuffle_input_sentence=True,
            num_threads=_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise feed.error or _plain_error(str(error), vocab_size) from error
    if feed.error:
        raise feed.error
    with atomic_write(out) as handle:
        handle.write(model.getvalue())
    return PiecesReport(len(SentencePieces(out).pieces()), feed.lines, feed.left_out)


class _Feed:
    """The lines for the trainer; an error is kept here, because sentencepiece turns it into its own."""

    def __init__(self, files: Iterable[Any], lowercase: bool, on_invalid: OnInvalid, max_line: int) -> None:
        self.files, self.lowercase, self.on_invalid, self.max_line = files, lowercase, on_invalid, max_line
        self.lines = self.left_out = 0
        self.error: UserError | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for file in self.files:
                for _, line in read_lines(file, on_invalid=self.on_invalid, max_line=self.max_line):
                    if len(line.encode()) > LONGEST_SENTENCE:
                        self.left_out += 1
                    elif line.strip():
                        self.lines += 1
                        # a NUL would end the training; white space carries nothing here either
                        yield (lower(line) if self.lowercase else line).replace("\0", " ")
        except UserError as error:
            self.error = error


_TOO_HIGH = re.compile(r"Vocabulary size too high .*<= (\d+)")
_TOO_LOW = re.compile(r"required_chars\. \d+ vs (\d+)")


def _plain_error(message: str, vocab_size: int) -> UserError:
    """Say in plain words what sentencepiece says in terms of its source files."""
    if match := _TOO_HIGH.search(message):
        return TooManyPieces(vocab_size, int(match[1]))
    if match := _TOO_LOW.search(message):
        return usage_error(
            f"a vocabulary of {plural(vocab_size, 'piece')} is too small: the characters of the corpus alone need {int(match[1]):,}",
            hint=f"Use --size {match[1]} or more, or a lower --coverage.",
        )
    if "sentences_.empty()" in message:
        return data_error("no text to train on: every line is blank")
    return data_error(f"sentencepiece cannot train on this text: {message}")
