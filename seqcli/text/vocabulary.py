"""The vocabulary: which token has which row.

The file is readable text. Its first line names the format and the special tokens; then comes one row a line,
``token<TAB>count``, so the id of a row is its line number minus 2::

    #seqcli-vocabulary 1<TAB><UNK><TAB><EOS>
    <UNK><TAB>12
    <EOS><TAB>0
    the<TAB>4096

A tab, line feed, carriage return, NUL or backslash in a token is written ``\\t \\n \\r \\0 \\\\``.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seqcli.errors import UserError, data_error, usage_error
from seqcli.files import atomic_write
from seqcli.lines import read_lines

PAD, UNK, BOS, EOS = "<PAD>", "<UNK>", "<BOS>", "<EOS>"
DEFAULT_SPECIALS = (PAD, UNK, BOS, EOS)

_HEADER = "#seqcli-vocabulary 1"


class Vocabulary:
    """Tokens by id: the special tokens first, then the others, most frequent first.

    Special tokens are the program's, never the text's: a token of the text that spells one (``<EOS>``) is unknown,
    it gets no row of its own and `encode` gives it the id of ``<UNK>``, so that no text can forge the end of a
    sentence. ``<unk>``, as prepared corpora write a rare word, is unknown too, in any case. `id_of` is the way to the id of a special token.

    Attributes:
        tokens: the token of each row.
        counts: how often each row was seen when the vocabulary was built; for ``<UNK>`` the occurrences of all
            tokens that got no row.
        specials: the special tokens, ids 0 to ``len(specials) - 1``.
        unk_id: row of the special token ``<UNK>`` (or ``[UNK]``, in any case), or None.
    """

    def __init__(self, tokens: Sequence[str], counts: Sequence[int], specials: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self.counts = tuple(counts)
        self.specials = tuple(specials)
        _check_specials(self.specials)
        if self.tokens[: len(self.specials)] != self.specials or len(self.counts) != len(self.tokens):
            raise ValueError("rows must start with the special tokens, and each must have a count")
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise ValueError("a token has two rows")
        self._text_ids = {token: number for token, number in self._ids.items() if number >= len(self.specials)}
        self.unk_id = next((row for row, token in enumerate(self.specials) if _is_unk(token)), None)

    @classmethod
    def build(
        cls,
        counts: Mapping[str, int] | Iterable[str],
        max_size: int | None = None,
        min_count: int = 1,
        specials: Sequence[str] = DEFAULT_SPECIALS,
    ) -> Vocabulary:
        """The vocabulary of a text, ordered by count, then by token, so that the same text gives the same ids.

        Args:
            counts: occurrences of each token, or the tokens themselves.
            max_size: most rows besides the special tokens: 10,000 with ``("<UNK>", "<EOS>")`` gives 10,002 rows.
            min_count: fewest occurrences that earn a row.
            specials: the special tokens, in the order of their ids; may be empty.

        Raises:
            UserError: special tokens that repeat or hold white space, a negative size (2).
        """
        if (max_size is not None and max_size < 0) or min_count < 0:
            raise usage_error("the sizes of a vocabulary cannot be negative")
        counted = counts if isinstance(counts, Mapping) else Counter(counts)
        special = set(specials)
        if any(map(_is_unk, specials)):
            special.update(filter(_is_unk, counted))
        rows = [item for item in counted.items() if item[1] >= min_count and item[0] not in special]
        rows.sort(key=lambda item: (-item[1], item[0]))
        del rows[len(rows) if max_size is None else max_size :]
        unknown = sum(counted.values()) - sum(count for _, count in rows)
        rows[:0] = [(token, unknown if _is_unk(token) else 0) for token in specials]
        return cls([token for token, _ in rows], [count for _, count in rows], specials)

    def extended(self, counts: Mapping[str, int], max_size: int | None = None, min_count: int = 1) -> Vocabulary:
        """These rows, then rows for the new tokens of a text by the rules of `build`; the counts of both add up.

        ``max_size`` holds for both together; no row that is there is taken away.
        """
        first = len(self.specials)
        room = None if max_size is None else max(0, max_size - (len(self) - first))
        new = Vocabulary.build(self.unknown(counts), room, min_count, self.specials)
        seen = [*new.counts[:first], *(counts.get(token, 0) for token in self.tokens[first:])]
        summed = [before + now for before, now in zip(self.counts, seen, strict=True)]
        return Vocabulary([*self.tokens, *new.tokens[first:]], [*summed, *new.counts[first:]], self.specials)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.tokens, self.counts, self.specials) == (other.tokens, other.counts, other.specials)

    def __hash__(self) -> int:
        return hash(self.tokens)

    def id_of(self, token: str) -> int:
        """The row of a token, special tokens included; the row of ``<UNK>`` for one that has none.

        Raises:
            UserError: the token has no row, and there is no ``<UNK>`` (65).
        """
        number = self._ids.get(token, self.unk_id)
        if number is None:
            raise _unknown(token)
        return number

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of the tokens of a text; see the class for tokens that spell a special one.

        Raises:
            UserError: a token has no row, and there is no ``<UNK>`` (65).
        """
        get, unknown = self._text_ids.get, self.unk_id
        if unknown is not None:
            return [get(token, unknown) for token in tokens]
        try:
            return [self._text_ids[token] for token in tokens]
        except KeyError as error:
            raise _unknown(error.args[0]) from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids.

        Raises:
            UserError: an id without a row (65).
        """
        tokens, size = self.tokens, len(self.tokens)
        decoded = []
        for number in ids:
            if not 0 <= number < size:
                raise data_error(f"id {number} has no row: the vocabulary has ids 0 to {size - 1:,}")
            decoded.append(tokens[number])
        return decoded

    def unknown(self, counts: Mapping[str, int]) -> Counter[str]:
        """Those tokens of a text, with their counts, that have no row (a spelled special has none)."""
        return Counter({token: count for token, count in counts.items() if token not in self._text_ids})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            UserError: the file cannot be written (74).
        """
        with atomic_write(path) as handle:
            handle.write(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a file that `save` wrote, or that was edited by hand.

        Raises:
            UserError: the file cannot be read (74); a wrong header, a row that is no ``token<TAB>count``, a token
                with two rows, special tokens that are not the first rows (65, with the line).
        """
        specials: tuple[str, ...] | None = None
        rows: dict[str, int] = {}
        line = 1
        for line, text in read_lines(path):
            try:
                if specials is None:
                    specials = _read_header(text)
                    continue
                token, count = _read_row(text)
                if token in rows:
                    raise data_error(f"'{token}' has a row already", hint="Each token has one row.")
                if len(rows) < len(specials) and token != specials[len(rows)]:
                    raise data_error(f"row of special token '{specials[len(rows)]}' expected, '{token}' found")
                rows[token] = count
            except UserError as error:
                raise data_error(error.message, file=path, line=line, hint=error.hint) from None
        if specials is None:
            raise data_error("empty file, not a vocabulary", file=path, line=1)
        if len(rows) < len(specials):
            raise data_error(f"row of special token '{specials[len(rows)]}' is missing", file=path, line=line + 1)
        return cls(list(rows), list(rows.values()), specials)

    def to_bytes(self) -> bytes:
        lines = ["\t".join([_HEADER, *map(_escape, self.specials)])]
        lines += [f"{_escape(token)}\t{count}" for token, count in zip(self.tokens, self.counts, strict=True)]
        return ("\n".join(lines) + "\n").encode("utf-8")

    def content_hash(self) -> str:
        """SHA-256 of the file's bytes, as 64 hexadecimal digits: what ``sha256sum`` says of the saved file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def _is_unk(token: str) -> bool:
    return token.casefold() in {"<unk>", "[unk]"}


def _check_specials(specials: Sequence[str]) -> None:
    for at, token in enumerate(specials):
        if not token or any(character.isspace() for character in token):
            raise usage_error(f"special token {token!r} is empty or holds white space")
        if token in specials[:at]:
            raise usage_error(f"special token '{token}' is named twice")


def _unknown(token: str) -> UserError:
    return data_error(
        f"'{token}' is not in the vocabulary, which has no <UNK>", hint="Build it with <UNK> among its special tokens."
    )


_NEEDS_ESCAPE = re.compile(r"[\t\n\r\0\\]")
_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\\": "\\\\"}
_UNESCAPES = {escape: character for character, escape in _ESCAPES.items()}
_COUNT = re.compile(r"[0-9]{1,18}")
_ESCAPED = re.compile(r"\\.?", re.DOTALL)


def _escape(token: str) -> str:
    return _NEEDS_ESCAPE.sub(lambda match: _ESCAPES[match.group()], token)


def _unescape(text: str) -> str:
    def undo(match: re.Match[str]) -> str:
        if match.group() not in _UNESCAPES:
            raise data_error(f"'{match.group()}' is not an escape", hint="A backslash is written \\\\.")
        return _UNESCAPES[match.group()]

    return _ESCAPED.sub(undo, text) if "\\" in text else text


def _read_header(text: str) -> tuple[str, ...]:
    name, *specials = text.split("\t")
    if name != _HEADER:
        raise data_error(
            f"not a vocabulary: the first line must start with '{_HEADER}'", hint="'seqcli vocab build' writes one."
        )
    tokens = tuple(_unescape(token) for token in specials)
    _check_specials(tokens)
    return tokens


def _read_row(text: str) -> tuple[str, int]:
    fields = text.split("\t")
    if len(fields) != 2 or not fields[0] or not _COUNT.fullmatch(fields[1]):
        raise data_error("a row is a token, a tab and a count")
    return _unescape(fields[0]), int(fields[1])


_COUNT_AT_ONCE = 2**16


def count_tokens(lines: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each token occurs; memory grows with the number of types, not with the text."""
    counts: Counter[str] = Counter()
    waiting: list[str] = []
    for tokens in lines:
        waiting += tokens
        if len(waiting) >= _COUNT_AT_ONCE:  # counting in batches is twice as fast as counting each line
            counts.update(waiting)
            waiting.clear()
    counts.update(waiting)
    return counts
