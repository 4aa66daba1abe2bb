"""Word vectors: skip-gram and CBOW with negative sampling (Mikolov et al. 2013), trained by gensim.

Shapes: V rows of the vocabulary, D values a vector.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.data.arrays import Field, Split
from seqcli.errors import data_error, usage_error
from seqcli.models.embedders import InputSizes, TokenEmbedder
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.schema import Recipe
from seqcli.recipe.tasks import EmbeddingConfig
from seqcli.tasks.checks import idle_options, require_parts, require_text
from seqcli.tasks.sentences import SentenceTokens
from seqcli.tasks.tokens import TokenEncoder
from seqcli.text.word_vectors import WORD_TABLE

WORDS_AT_ONCE = 200_000
"""Words handed to the trainer together; bounds the memory, and is how often progress is told."""

LONGEST_SENTENCE = 10_000
"""Words; of a longer sentence gensim would leave the rest out."""

FINAL_RATE = 1e-4
"""Learning rate at the end, as a share of that at the start (that of the authors' own program)."""

_SPECIALS = 2
_TOKENIZER_MODEL = "tokenizer.model"


class EmbeddingTask:
    """The task ``embedding``: no loss and no batches, a table of vectors out of `fit_weights`.

    See `seqcli.tasks.base.Task` for the other methods. Rows of the table: ``<PAD>`` (zeros), ``<UNK>`` (the mean of
    all words), then the words. Words that are too rare for a row are left out of the sentences.
    """

    select_by = ""
    used = frozenset({"seed", "epochs"})

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.config = cast(EmbeddingConfig, recipe.task)
        require_parts(recipe, "embedder")
        require_text(recipe)
        self.encoder: TokenEncoder
        self.tokenizer_model: Path | None = None
        self._check()
        self.embedder_config = cast(TokensConfig, recipe.model.embedder)

    def _check(self) -> None:
        """Refuse, before any data is read, what the trainer does not do, so that no option is without effect."""
        model = self.recipe.model
        for part in ("encoder", "pooling", "head"):
            if getattr(model, part) is not None:
                raise usage_error(f"model.{part}: the task embedding has none", hint="Leave it out.")
        plain = TokensConfig.model_validate({"dim": getattr(model.embedder, "dim", 0)})
        if model.embedder != plain or not plain.dim:
            raise usage_error(
                "model.embedder: the task embedding learns the vectors of words and nothing else",
                hint="Write embedder: {kind: tokens, dim: 100}, with a dim of at least 1.",
            )
        if idle := idle_options(self.recipe, self.used):
            raise usage_error(
                f"training.{idle[0]} has no effect in the task embedding",
                hint="It uses training.seed and training.epochs; the rate is task.lr.",
            )

    def pieces(self) -> SentenceTokens:
        """Turns an example into its tokens."""
        assert self.recipe.text is not None
        return SentenceTokens(self.recipe.text.tokenizer, self.tokenizer_model, self.recipe.data.max_length)

    def fit(self, train: Split) -> None:
        """The words of the training split.

        Raises:
            UserError: gensim is not installed (2); fewer than two words are frequent enough (65).
        """
        if find_spec("gensim") is None:
            raise usage_error(
                "the task embedding needs gensim, which is not installed",
                hint="Install it: pip install 'seqcli[embedding]'",
            )
        assert self.recipe.text is not None
        self.encoder = TokenEncoder.fit(self.recipe.text, self.embedder_config, train.fields["token"])
        if len(self.encoder.features.words) < _SPECIALS + 2:
            raise data_error(
                "fewer than two different words to learn vectors of",
                file=", ".join(train.files),
                hint="Give more text, or lower text.vocabulary.min_count.",
            )

    def save(self, folder: Path) -> list[str]:
        """``vocabulary.txt``, and the tokenizer's model where there is one."""
        names = self.encoder.save(folder)
        if self.tokenizer_model is None:
            return names
        shutil.copyfile(self.tokenizer_model, folder / _TOKENIZER_MODEL)
        return [*names, _TOKENIZER_MODEL]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        assert self.recipe.text is not None
        self.encoder = TokenEncoder.load(self.recipe.text, self.embedder_config, folder)
        model = folder / _TOKENIZER_MODEL
        self.tokenizer_model = model if model.exists() else None

    def model_of(self, weights: dict[str, Tensor]) -> WordTable:
        """A model that holds the table.

        Raises:
            UserError: the weights are no table of this vocabulary (65).
        """
        model = WordTable(self.embedder_config, self.encoder.sizes())
        wanted, given = (
            {name: tuple(value.shape) for name, value in table.items()} for table in (model.state_dict(), weights)
        )
        if wanted != given:
            raise data_error(f"the weights are {given}, but this recipe and vocabulary need {wanted}")
        model.load_state_dict(weights)
        return model.eval()

    def data(self, split: Split) -> EmbeddingData:
        """A split as sentences."""
        return EmbeddingData(self, split)

    def baselines(self, data: Mapping[str, Any], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
        """None."""
        return []

    def describe(self, data: EmbeddingData, rows: Sequence[int]) -> list[str]:
        """Sentences as the trainer sees them."""
        return [" ".join(data.words(data.tokens.sequence(row))) for row in rows]

    def summary(self) -> dict[str, Any]:
        """Words that get a vector."""
        return {"words": len(self.encoder.features.words) - _SPECIALS}

    def fit_weights(self, data: Mapping[str, Any], told: Callable[[int, int], None]) -> dict[str, Tensor]:
        """Train on ``data["train"]`` and return ``embedder.words.weight`` [V, D], in the order of the vocabulary.

        One thread of gensim does the work, because only then the same seed gives the same vectors.

        Args:
            data: what `data` made of each split.
            told: called in this thread with (words done, words in all), all epochs counted, a few times a second.
        """
        train: EmbeddingData = data["train"]
        model = self._new_model(train)
        epochs, total, rate = self.recipe.training.epochs, train.known, self.config.lr
        done = 0
        for _ in range(epochs):
            for sentences, size in train.blocks():
                begin, done = done, done + size
                first, last = (rate * max(FINAL_RATE, 1 - words / (epochs * total)) for words in (begin, done))
                model.train(sentences, total_words=size, epochs=1, start_alpha=first, end_alpha=last)
                told(done, epochs * total)
        return {WORD_TABLE: self._table(model.wv)}

    def _new_model(self, train: EmbeddingData) -> Any:
        from gensim.models import Word2Vec

        config = self.config
        model = Word2Vec(
            vector_size=self.embedder_config.dim,
            sg=config.algorithm == "skip-gram",
            window=config.window,
            negative=config.negative,
            sample=config.subsample,
            min_count=1,
            workers=1,
            hs=0,
            seed=self.recipe.training.seed,
            hashfxn=_stable_hash,
        )
        words = self.encoder.features.words
        known = zip(words.tokens[_SPECIALS:], words.counts[_SPECIALS:], strict=True)
        model.build_vocab_from_freq(dict(known), corpus_count=len(train.split))
        return model

    def _table(self, vectors: Any) -> Tensor:
        words = self.encoder.features.words.tokens[_SPECIALS:]
        learned = np.asarray(vectors[list(words)], np.float32)
        table = np.zeros((_SPECIALS + len(words), learned.shape[1]), np.float32)
        table[_SPECIALS:] = learned
        table[TokenEmbedder.UNKNOWN] = learned.mean(axis=0, dtype=np.float64)
        return torch.from_numpy(table)


class WordTable(nn.Module):
    """The vectors, where every model with word vectors has them: ``embedder.words.weight``."""

    def __init__(self, config: TokensConfig, sizes: InputSizes) -> None:
        super().__init__()
        self.embedder = TokenEmbedder(config, sizes)


class EmbeddingData:
    """A split as sentences of known words.

    Attributes:
        known: words of the split that have a vector, repetitions counted.
    """

    def __init__(self, task: EmbeddingTask, split: Split) -> None:
        self.split = split
        self.tokens: Field = split.fields["token"]
        self.lengths = self.tokens.lengths
        vocabulary = task.encoder.features.words
        row_of = task.encoder.types(self.tokens.symbols).words
        self._known = row_of >= _SPECIALS
        self._word_of = np.array([vocabulary.tokens[row] for row in row_of.tolist()], object)
        self.known = int(self.tokens.counts[self._known].sum())

    def words(self, symbols: NDArray[Any]) -> list[str]:
        """The known words of a sentence."""
        return cast("list[str]", self._word_of[symbols[self._known[symbols]]].tolist())

    def blocks(self) -> Iterator[tuple[list[list[str]], int]]:
        """The sentences in order, in blocks, with the number of words in each; read from the disk every time."""
        block: list[list[str]] = []
        size = 0
        for row in range(len(self.split)):
            words = self.words(self.tokens.sequence(row))
            block += [words[start : start + LONGEST_SENTENCE] for start in range(0, len(words), LONGEST_SENTENCE)]
            size += len(words)
            if size >= WORDS_AT_ONCE:
                yield block, size
                block, size = [], 0
        if size:
            yield block, size


def _stable_hash(word: str) -> int:
    """Unlike ``hash`` the same in every process, whatever PYTHONHASHSEED says."""
    return crc32(word.encode())
