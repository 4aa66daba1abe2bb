"""Text: a tokenizer cuts it, a vocabulary gives the tokens rows, their spelling more of them.

Shapes: B sequences, T positions, U different tokens (row 0 is padding), N positions in all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Column
from seqcli.data.batch import InputSizes, Ints, Side, affix_table, pad_ids
from seqcli.errors import UserError, data_error, io_error, usage_error
from seqcli.fields.base import Progress, SourceField, rows_in
from seqcli.files import cache_folder, remove_whatever, sha256_file, user_path
from seqcli.recipe.dump import format_value
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.fields import TextFieldConfig
from seqcli.recipe.tokenizers import SentencePieceConfig
from seqcli.text.case import lower
from seqcli.text.fast_ids import FastIds
from seqcli.text.features import AffixKind, TokenFeatures, TypeArrays
from seqcli.text.pieces import SentencePieces, TooManyPieces, train_sentencepiece
from seqcli.text.tokenizers import Lowercased, Tokenized, Tokenizer, tokenizer_of
from seqcli.text.vectors import read_vectors
from seqcli.text.vocabulary import EOS, UNK, Vocabulary

MAX_REMEMBERED = 2**16
"""Tokens whose spelling is remembered before the memory starts anew, which keeps an endless stream flat."""

END = "\n"
"""How the end of a line stands among the tokens of a running text: no token of a text can spell it."""

_CUT_BEFORE_LOWERING = ("whitespace", "words")
"""Tokenizers that cut text as it is: a word keeps its case, which its characters and affixes tell, to the end."""

TOKENIZER_MODEL = "tokenizer.model"
"""What the file of a subword model is called in a run."""


class TextField(SourceField):
    """Tokens with a row each in the vocabulary, and beside it characters and affixes where an embedder asks for them.

    Args:
        spelling: the embedder's section, which says what of a token's spelling is wanted.
        flat: see `SourceField`.

    Attributes:
        lowers_text: the tokenizer gives tokens in lower case; ``lowers_words``: words are looked up in lower case.
        vectors: pretrained ones ``(rows [M], vectors [M, D])`` that a new network starts from; a trained one has its own.
    """

    unit = "tokens"
    side_name = "source"
    """Its section in a recipe, for messages."""
    prefix = ""
    """What the names of its files begin with."""

    def __init__(self, config: TextFieldConfig, spelling: TokensConfig | None = None, *, flat: bool = False) -> None:
        self.config, self.flat = config, flat
        self.spelling = spelling or TokensConfig.model_validate({})
        lowercase, kind = config.vocabulary.lowercase, config.tokenizer.kind
        self.lowers_text, self.lowers_words = lowercase and kind not in _CUT_BEFORE_LOWERING, lowercase
        self.tokenizer_model: Path | None = None
        self.features: TokenFeatures
        self.vectors: tuple[Ints, NDArray[np.float32]] | None = None
        self._tokenizer: Tokenizer | None = None
        self._memory: _Memory | None = None
        self._fast: FastIds | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what a worker, which only reads, builds anew or does not need."""
        return {**self.__dict__, "vectors": None, "_tokenizer": None, "_memory": None, "_fast": None, "start": None}

    @property
    def words(self) -> Vocabulary:
        return self.features.words

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            tokenizer = tokenizer_of(self.config.tokenizer, self.tokenizer_model)
            self._tokenizer = Lowercased(tokenizer) if self.lowers_text else tokenizer
        return self._tokenizer

    def read_tokens(self) -> None:
        """From now on lines come in tokens, spaces between them, and are not cut otherwise."""
        self._tokenizer = Tokenized()

    def prepare(self, values: Callable[[], Iterable[tuple[Any, str]]], key: str, progress: Progress | None) -> None:
        """Find or train the model of a ``sentencepiece`` tokenizer (kept in the cache).

        Raises:
            UserError: a size that the text cannot fill or that cannot hold its characters (2); a model file that cannot
                be read (74) or is none (65); bad data (65).
        """
        config = self.config.tokenizer
        if not isinstance(config, SentencePieceConfig) or self.tokenizer_model is not None:
            return
        if config.model is not None:
            path = user_path(config.model)
            SentencePieces(path)
        else:
            options = f"{key} {config.size} {config.algorithm} {self.lowers_text}"
            path = cache_folder() / "pieces" / f"{hashlib.sha256(options.encode()).hexdigest()[:32]}.model"
            if not _sound(path, progress):
                if progress is not None:
                    progress("training the tokenizer", 0, None)
                self._train_pieces(config, values, path)
        self.tokenizer_model = path

    def _train_pieces(
        self, config: SentencePieceConfig, values: Callable[[], Iterable[tuple[Any, str]]], path: Path
    ) -> None:
        """Train on the sources of the training examples, and on nothing else that stands in the files."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=path.parent) as folder:
                text = Path(folder) / "train.txt"
                with text.open("w", encoding="utf-8", newline="\n") as handle:
                    for value, at in values():
                        if not isinstance(value, str | list):
                            raise data_error("a tokenizer is trained on text", file=at, hint="Check data.format.")
                        handle.write((value if isinstance(value, str) else " ".join(value)) + "\n")
                train = partial(
                    train_sentencepiece,
                    [text],
                    out=path,
                    model_type=config.algorithm,
                    lowercase=self.lowers_text,
                    max_line=text.stat().st_size + 1,
                )
                try:
                    train(vocab_size=config.size)
                except TooManyPieces as error:
                    train(vocab_size=error.most)
        except OSError as error:
            raise io_error(
                f"cannot keep the tokenizer: {error.strerror or error}",
                file=path.parent,
                hint="Make room, or set SEQCLI_CACHE to another folder.",
            ) from error
        except UserError as error:
            error.hint = error.hint and error.hint.replace("--size ", f"{self.side_name}.tokenizer.size=").replace(
                ", or a lower --coverage", ""
            )
            raise

    def notes(self) -> list[str]:
        config = self.config.tokenizer
        if not isinstance(config, SentencePieceConfig) or config.model is not None or self.tokenizer_model is None:
            return []
        pieces = len(SentencePieces(self.tokenizer_model).pieces())
        if pieces >= config.size or self.start is not None:
            return []
        return [f"{self.side_name}.tokenizer.size {config.size:,} -> {pieces:,}: the text gives no more pieces"]

    def start_from(self, trained: Self) -> None:
        """Take over the subword model; the tokenizer must be the same, and so must what becomes of capitals."""
        for key, mine, theirs in (
            ("tokenizer", _cutting(self.config), _cutting(trained.config)),
            ("vocabulary.lowercase", self.config.vocabulary.lowercase, trained.config.vocabulary.lowercase),
        ):
            if mine != theirs:
                raise usage_error(
                    f"{self.side_name}.{key} is {format_value(mine)} in the recipe and {format_value(theirs)} in the model"
                )
        self.start, self.tokenizer_model = trained, trained.tokenizer_model

    def read(self, value: Any, at: str) -> list[str]:
        """Tokens of a line, or those that the data comes in."""
        if isinstance(value, str):
            return self.tokenizer.tokenize(value)
        if not isinstance(value, list):
            raise data_error(
                "this recipe reads text, and here is none", file=at, hint="Check data.format and data.columns."
            )
        return value

    def fit(self, column: Column, files: Sequence[str]) -> None:
        """Raises UserError: pretrained vectors that cannot be read (74) or are none of this size (65)."""
        vocabulary, spelling = self.config.vocabulary, self.spelling
        extra: Sequence[str] = ()
        if spelling.vectors is not None and spelling.vectors.extend:
            extra = list(read_vectors(Path(spelling.vectors.file), spelling.dim, None))
        self.features = TokenFeatures.fit(
            dict(zip(column.symbols, column.counts.tolist(), strict=True)),
            lowercase=self.lowers_words,
            max_size=vocabulary.max_size,
            min_count=vocabulary.min_count,
            characters=spelling.characters is not None,
            affix_kinds=affix_kinds(spelling),
            affix_min_count=spelling.affixes.min_count if spelling.affixes else 1,
            extra_words=extra,
            start=self.start.features if self.start else None,
        )
        if spelling.vectors is not None:
            row_of = {word: row for row, word in enumerate(self.words.tokens) if row > 1}
            table = read_vectors(Path(spelling.vectors.file), spelling.dim, row_of)
            matrix = np.array([*table.values()], np.float32).reshape(len(table), spelling.dim)
            self.vectors = np.array([row_of[word] for word in table], np.int64), matrix

    def known_rows(self) -> dict[str, Ints]:
        if self.start is None:
            return {}
        mine, theirs = self.features, self.start.features
        known = {"words": rows_in(mine.words.tokens, theirs.words.tokens)}
        if mine.characters is not None and theirs.characters is not None:
            known["characters"] = rows_in(mine.characters.tokens, theirs.characters.tokens)
        for column, (one, other) in enumerate(zip(mine.affixes.items(), theirs.affixes.items(), strict=False)):
            if one[0] == other[0]:
                known[affix_table(column)] = rows_in(one[1].tokens, other[1].tokens)
        return known

    def encode(self, tokens: Sequence[str]) -> TypeArrays:
        """Rows of tokens: THE way to numbers, in training and in prediction."""
        return self.features.encode(tokens)

    def over(self, column: Column, files: Sequence[str]) -> TextView:
        return TextView(self, column)

    def side(self, raws: Sequence[list[str]]) -> Side:
        if self._memory is None:
            self._memory = _Memory(self.encode)
        lengths = np.array([len(tokens) for tokens in raws], np.int64)
        return self.collate(self._memory.numbers(raws), lengths, self._memory.types)

    def lines(self, lines: Sequence[str]) -> Side:
        """Lines of text for a flat model: `read` and `side` in one pass over all of them."""
        if self._fast is None:
            self._fast = FastIds(self.tokenizer, self.features.rows)
        ids, offsets = self._fast.ids_of(lines)
        return Side({"values": ids}, np.diff(offsets))

    def collate(self, numbers_N: NDArray[Any], lengths_B: Ints, types: TypeArrays) -> Side:
        """Positions given as numbers of ``types``: joined ids for a flat model, else each different token once."""
        if self.flat:
            return Side({"values": types.words[numbers_N]}, lengths_B)
        used, index_N = np.unique(numbers_N, return_inverse=True)
        arrays = {"words_U": _padded(types.words[used]), "index_BT": pad_ids(index_N + 1, lengths_B)}
        if types.characters is not None:
            characters_UC = types.characters[used]
            longest = max(1, int((characters_UC != 0).sum(1).max(initial=1)))
            arrays["characters_UC"] = _padded(characters_UC[:, :longest])
        if types.affixes is not None:
            arrays["affixes_UA"] = _padded(types.affixes[used])
        return Side(arrays, lengths_B)

    def sizes(self) -> InputSizes:
        features = self.features
        return InputSizes(
            words=len(self.words),
            characters=len(features.characters) if features.characters is not None else 0,
            affixes=tuple(len(vocabulary) for vocabulary in features.affixes.values()),
            word_counts=(0, 0, *self.words.counts[2:]),
            vectors=self.vectors,
        )

    def tables(self) -> dict[str, int]:
        features = self.features
        tables = {"words": len(features.words)}
        if features.characters is not None:
            tables["characters"] = len(features.characters)
        return tables | {affix_table(column): len(one) for column, one in enumerate(features.affixes.values())}

    def key(self) -> list[Any]:
        model = None if self.tokenizer_model is None else sha256_file(self.tokenizer_model)
        options = self.config.tokenizer.model_dump(mode="json", exclude={"model"} if model else None)
        return ["text", options, self.lowers_text, model]

    def save(self, folder: Path) -> list[str]:
        """The vocabularies, and the tokenizer's model where there is one."""
        names = self.features.save(folder, self.prefix)
        if self.tokenizer_model is None:
            return names
        model = f"{self.prefix}{TOKENIZER_MODEL}"
        with suppress(shutil.SameFileError):  # a training that goes on, by the recipe that its run keeps
            shutil.copyfile(self.tokenizer_model, folder / model)
        return [*names, model]

    def load(self, folder: Path) -> None:
        self.features = TokenFeatures.load(
            folder,
            lowercase=self.lowers_words,
            characters=self.spelling.characters is not None,
            affix_kinds=affix_kinds(self.spelling),
            prefix=self.prefix,
        )
        model = folder / f"{self.prefix}{TOKENIZER_MODEL}"
        self.tokenizer_model = model if model.exists() else None

    def readable(self, column: Column, row: int, *, as_seen: bool = False) -> str:
        tokens = [column.symbols[number] for number in column.sequence(row)]
        if as_seen:
            tokens = self.words.decode(self.encode(tokens).words.tolist())
        return " ".join(tokens)

    def summary(self) -> dict[str, int]:
        return {"words": len(self.words)}


class TextView:
    """The tokens of a split; the rows of its different tokens are computed once."""

    def __init__(self, field: TextField, column: Column) -> None:
        self.field, self.column = field, column
        self.types = field.encode(column.symbols)

    def side(self, rows: NDArray[np.int64]) -> Side:
        return self.field.collate(self.column.gather(rows), self.column.lengths_of(rows), self.types)


class RunningTextField(TextField):
    """Text that a language model reads on and on: <UNK> and <EOS>, no padding row, an `END` after each example.

    Its tokens are shown to people as the model knows them, so they are in lower case where the vocabulary is.
    """

    def __init__(self, config: TextFieldConfig) -> None:
        super().__init__(config)
        self.lowers_text, self.lowers_words = config.vocabulary.lowercase, False

    def read(self, value: Any, at: str) -> list[str]:
        """Tokens of a line, without the end.

        Raises:
            UserError: no text, or a token that is empty or a line break (65).
        """
        if isinstance(value, str):
            return self.tokenizer.tokenize(value)
        if not isinstance(value, list):
            raise data_error(
                f"the {self.side_name} is no text, and this recipe needs it",
                file=at,
                hint="Check data.format and data.columns.",
            )
        if "" in value or END in value:
            raise data_error("a token is empty or a line break", file=at)
        return [lower(token) for token in value] if self.lowers_text else value

    def fit(self, column: Column, files: Sequence[str]) -> None:
        """<UNK>, <EOS>, and the most frequent tokens."""
        self.fit_counts(dict(zip(column.symbols, column.counts.tolist(), strict=True)))

    def fit_counts(self, counts: dict[str, int]) -> None:
        """`fit`, of how often each token occurs."""
        config = self.config.vocabulary
        ends = counts.pop(END, 0)
        if self.start is not None:
            built = self.start.words.extended(counts, config.max_size, config.min_count)
        else:
            built = Vocabulary.build(counts, config.max_size, config.min_count, specials=(UNK, EOS))
        words = Vocabulary(built.tokens, (built.counts[0], built.counts[1] + ends, *built.counts[2:]), built.specials)
        self.features = TokenFeatures(words, lowercase=self.lowers_words, characters=None, affixes={})

    @property
    def eos(self) -> int:
        return self.words.id_of(EOS)

    @property
    def unk(self) -> int:
        return self.words.id_of(UNK)

    def ids(self, symbols: Sequence[str]) -> Ints:
        """Rows of the symbols of a column."""
        ids = self.encode(symbols).words.astype(np.int64)
        ids[[number for number, symbol in enumerate(symbols) if symbol == END]] = self.eos
        return ids

    def sizes(self) -> InputSizes:
        return InputSizes(words=len(self.words), word_counts=self.words.counts, unknown=self.unk, padded=False)

    def key(self) -> list[Any]:
        return [*super().key(), "running"]

    def summary(self) -> dict[str, int]:
        return {"tokens in the vocabulary": len(self.words)}


def _sound(model: Path, progress: Progress | None) -> bool:
    """Whether the cache has a tokenizer's model; one that is damaged is removed."""
    if not os.path.lexists(model):
        return False
    try:
        SentencePieces(model)
    except UserError as error:
        if progress is not None:
            progress(f"{error}; training it anew", 0, None)
        remove_whatever(model)
        return False
    return True


class _Memory:
    """Rows of tokens met before, so that a spelling is looked at once."""

    def __init__(self, encode: Callable[[Sequence[str]], TypeArrays]) -> None:
        self.encode = encode
        self._numbers: dict[str, int] = {}
        self.types = encode([])

    def numbers(self, raws: Sequence[Sequence[str]]) -> Ints:
        """The number in `types` of every token of all sequences, one after the other."""
        known = self._numbers
        try:
            numbers = [known[token] for tokens in raws for token in tokens]
        except KeyError:
            needed = dict.fromkeys(token for tokens in raws for token in tokens)
            new = [token for token in needed if token not in known]
            if len(known) + len(new) > MAX_REMEMBERED:
                known.clear()
                self.types, new = self.encode([]), list(needed)
            known.update(zip(new, range(len(known), len(known) + len(new)), strict=True))
            self.types = self.types.joined(self.encode(new))
            numbers = [known[token] for tokens in raws for token in tokens]
        return np.array(numbers, np.int64)


def _cutting(config: TextFieldConfig) -> dict[str, Any]:
    """How a text is cut, wherever the file of a subword model lies."""
    return config.tokenizer.model_dump(mode="json", exclude={"model"})


def affix_kinds(config: TokensConfig) -> list[AffixKind]:
    """The affix tables that an embedder section asks for, in the order of their columns."""
    if config.affixes is None:
        return []
    kinds = [AffixKind("prefix", length) for length in config.affixes.prefixes]
    kinds += [AffixKind("suffix", length) for length in config.affixes.suffixes]
    return kinds + [AffixKind("shape")] * config.affixes.shape


def _padded(values: NDArray[Any]) -> Ints:
    """The padding row in front."""
    padded = np.zeros((len(values) + 1, *values.shape[1:]), np.int64)
    padded[1:] = values
    return padded
