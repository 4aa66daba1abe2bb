"""Word vectors: skip-gram and CBOW with negative sampling (Mikolov et al. 2013), trained by gensim.

Shapes: V rows of the vocabulary, D values a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.batch import Batch, Outputs, Side
from seqcli.data.example import Example
from seqcli.data.order import Lengths
from seqcli.errors import data_error, usage_error
from seqcli.fields.text import TextField
from seqcli.recipe.fields import TextFieldConfig
from seqcli.recipe.models import CBOWConfig, SkipGramConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import BatchConfig, Recipe, TrainingConfig
from seqcli.tasks.base import Arrays, Count, CountsEngine, Data, Engine, Task
from seqcli.tasks.rules import sides
from seqcli.text.word_vectors import WORD_TABLE

WORDS_AT_ONCE = 200_000
"""Words handed to the trainer together; bounds the memory, and is how often progress is told."""

LONGEST_SENTENCE = 10_000
"""Words; of a longer sentence gensim would leave the rest out."""

FINAL_RATE = 1e-4
"""Learning rate at the end, as a share of that at the start (that of the authors' own program)."""

USED = ("seed", "epochs")
"""Options of the training section that have an effect."""

_SPECIALS = 2


def idle_options(recipe: Recipe, used: Sequence[str]) -> list[str]:
    """Options of the training section that say something and are not among those that have an effect."""
    return [
        name
        for name, field in TrainingConfig.model_fields.items()
        if name not in used and dict(recipe.training)[name] != field.default
    ]


class WordVectorsTask(Task[None]):
    """Word vectors from the company words keep: neighbours and analogies.

    No loss and no batches, a table of vectors out of `fit_counts`, whose rows are ``<PAD>`` (zeros), ``<UNK>`` (the
    mean of all words), then the words. Words that are too rare for a row are left out of the sentences.
    """

    rules = (
        *sides(("text",), ()),
        Rule(
            "model.kind",
            lambda r: not isinstance(r.model, SkipGramConfig | CBOWConfig),
            lambda r: f"{r.model.kind} makes no word vectors",
            "model: {kind: skip-gram, dim: 100}, or cbow.",
        ),
        Rule(
            "training",
            lambda r: idle_options(r, USED),
            lambda r: f"{idle_options(r, USED)[0]} has no effect in the task word-vectors",
            "It uses training.seed and training.epochs; the rate is model.lr.",
        ),
    )
    plain_text = True
    source: TextField

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.source, TextFieldConfig)
        assert isinstance(recipe.model, SkipGramConfig | CBOWConfig)
        self.config = recipe.model
        self.source, self.target = TextField(recipe.source), None
        super().__init__(recipe)

    @property
    def score_names(self) -> Sequence[str]:
        return ()

    def read(self, example: Example) -> Iterator[Mapping[str, Any]]:
        tokens = self.source.read(example.source, example.at)
        for start in range(0, len(tokens), self.max_length):
            yield {"source": tokens[start : start + self.max_length]}

    def fit(self, train: Columns) -> None:
        """Raises UserError: gensim is not installed (2); fewer than two words are frequent enough (65)."""
        if find_spec("gensim") is None:
            raise usage_error(
                "the task word-vectors needs gensim, which is not installed",
                hint="Install it: pip install 'seqcli[embedding]'",
            )
        super().fit(train)
        if len(self.source.words) < _SPECIALS + 2:
            raise data_error(
                "fewer than two different words to learn vectors of",
                file=", ".join(train.files),
                hint="Give more text, or lower source.vocabulary.min_count.",
            )

    def data(self, columns: Columns) -> SentencesOfWords:
        return SentencesOfWords(self.source, columns)

    def summary(self) -> dict[str, int]:
        return {"words": len(self.source.words) - _SPECIALS}

    def describe(self, data: Data, rows: Sequence[int]) -> list[str]:
        assert isinstance(data, SentencesOfWords)
        return [" ".join(data.words(data.columns["source"].sequence(row))) for row in rows]

    def fit_counts(self, train: Data, progress: Count) -> Arrays:
        """``embedder.words.weight`` [V, D], in the order of the vocabulary.

        One thread of gensim does the work, because only then the same seed gives the same vectors. ``progress`` is told
        (words done, words in all), all epochs counted, a few times a second.
        """
        assert isinstance(train, SentencesOfWords)
        model = self._new_model(train)
        epochs, total, rate = self.recipe.training.epochs, train.known, self.config.lr
        done = 0
        for _ in range(epochs):
            for sentences, size in train.blocks():
                begin, done = done, done + size
                first, last = (rate * max(FINAL_RATE, 1 - words / (epochs * total)) for words in (begin, done))
                model.train(sentences, total_words=size, epochs=1, start_alpha=first, end_alpha=last)
                progress(done, epochs * total)
        return {WORD_TABLE: self._table(model.wv)}

    def _new_model(self, train: SentencesOfWords) -> Any:
        from gensim.models import Word2Vec

        config, words = self.config, self.source.words
        model = Word2Vec(
            vector_size=config.dim,
            sg=config.kind == "skip-gram",
            window=config.window,
            negative=config.negative,
            sample=config.subsample,
            min_count=1,
            workers=1,
            hs=0,
            seed=self.recipe.training.seed,
            hashfxn=_stable_hash,
        )
        known = zip(words.tokens[_SPECIALS:], words.counts[_SPECIALS:], strict=True)
        model.build_vocab_from_freq(dict(known), corpus_count=len(train.columns))
        return model

    def _table(self, vectors: Any) -> NDArray[np.float32]:
        words = self.source.words.tokens[_SPECIALS:]
        learned = np.asarray(vectors[list(words)], np.float32)
        table = np.zeros((_SPECIALS + len(words), learned.shape[1]), np.float32)
        table[_SPECIALS:] = learned
        table[1] = learned.mean(axis=0, dtype=np.float64)
        return table

    def counts_engine(self, arrays: Arrays, file: object = None) -> Engine:
        shape = (len(self.source.words), self.config.dim)
        if {name: array.shape for name, array in arrays.items()} != {WORD_TABLE: shape}:
            raise data_error(f"no table of {shape[0]} x {shape[1]} vectors, which this recipe needs", file=file)
        return VectorEngine()


class VectorEngine(CountsEngine):
    """Word vectors predict nothing; they are looked up."""

    def outputs(self, source: Side) -> Outputs:
        raise usage_error("word vectors predict nothing")


class SentencesOfWords:
    """A split as sentences of known words. ``known``: words that have a vector, repetitions counted."""

    def __init__(self, field: TextField, columns: Columns) -> None:
        self.columns = columns
        column = columns["source"]
        self.lengths = column.lengths
        row_of = field.encode(column.symbols).words
        self._known = row_of >= _SPECIALS
        self._word_of = np.array([field.words.tokens[row] for row in row_of.tolist()], object)
        self.known = int(column.counts[self._known].sum())

    def words(self, symbols: NDArray[Any]) -> list[str]:
        """The known words of a sentence."""
        return self._word_of[symbols[self._known[symbols]]].tolist()

    def blocks(self) -> Iterator[tuple[list[list[str]], int]]:
        """The sentences in order, in blocks, with the number of words in each; read from the disk every time."""
        block: list[list[str]] = []
        size = 0
        for row in range(len(self.columns)):
            words = self.words(self.columns["source"].sequence(row))
            block += [words[start : start + LONGEST_SENTENCE] for start in range(0, len(words), LONGEST_SENTENCE)]
            size += len(words)
            if size >= WORDS_AT_ONCE:
                yield block, size
                block, size = [], 0
        if size:
            yield block, size

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        raise usage_error("word vectors are trained on sentences, not on batches")

    def widths(self, rows: NDArray[np.int64]) -> Lengths:
        return self.lengths[rows]

    def training_order(self, batch: BatchConfig, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        return ()

    def places(self, rows: NDArray[np.int64]) -> list[str]:
        return [self.columns.place(int(row)) for row in rows]


def _stable_hash(word: str) -> int:
    """Unlike ``hash`` the same in every process, whatever PYTHONHASHSEED says."""
    return crc32(word.encode())
