"""Tokenizers: one interface, five kinds.

A token never holds white space, whatever the kind, so a line of tokens is the tokens with one space between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seqcli.errors import data_error, did_you_mean, usage_error
from seqcli.text.case import lower
from seqcli.text.marks import JOINER, mark, needs_marks, unmark
from seqcli.text.pieces import SentencePieces
from seqcli.text.words import Words

if TYPE_CHECKING:
    from seqcli.recipe.base import Component


class Tokenizer(Protocol):
    """Cuts one line of text into tokens and puts it together again.

    ``reversible``: ``detokenize(tokenize(text)) == text`` for every line of text.
    """

    kind: str
    reversible: bool

    def tokenize(self, text: str) -> list[str]: ...
    def detokenize(self, tokens: Sequence[str]) -> str: ...
    def offsets(self, text: str) -> list[Offsets]:
        """Where in the text each token of `tokenize` stands."""


Offsets = tuple[int, int]
"""``(start, end)`` in characters (code points) of a text, ``end`` not included."""

_TOKEN = re.compile("[^ \t]+")


def split_tokens(line: str) -> list[str]:
    """The tokens of a line that comes in tokens: what stands between spaces and tabs, and nowhere else."""
    return _TOKEN.findall(line)


class Tokenized:
    """For lines that come in tokens, see `split_tokens`."""

    kind = "tokens"
    reversible = False

    def tokenize(self, text: str) -> list[str]:
        return split_tokens(text)

    def detokenize(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)

    def offsets(self, text: str) -> list[Offsets]:
        return [match.span() for match in _TOKEN.finditer(text)]


class Whitespace:
    """Tokens are what white space separates: for text that is tokenized already. Runs of white space are lost."""

    kind = "whitespace"
    reversible = False

    def tokenize(self, text: str) -> list[str]:
        return text.split()

    def detokenize(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)

    def offsets(self, text: str) -> list[Offsets]:
        spans, end = [], 0
        for token in text.split():
            start = text.index(token, end)
            end = start + len(token)
            spans.append((start, end))
        return spans


class Characters:
    """Grapheme clusters (UAX 29): a letter with its accents, a flag or an emoji with its parts is one token.

    A space is the token ``▁``; other white space, and a literal ``▁``, are written as in `seqcli.text.marks`.
    """

    kind = "characters"
    reversible = True

    def tokenize(self, text: str) -> list[str]:
        if text.isascii() and text.isprintable():
            return list(mark(text))
        clusters = _clusters(text)
        return [mark(cluster) for cluster in clusters] if needs_marks(text) else clusters

    def detokenize(self, tokens: Sequence[str]) -> str:
        return unmark("".join(tokens))

    def offsets(self, text: str) -> list[Offsets]:
        return _side_by_side(map(len, _clusters(text)))


BYTE_TOKENS = tuple(f"<0x{value:02X}>" for value in range(256))
"""The 256 tokens of the kind ``bytes``, by value."""

_BYTE_VALUES = {token: value for value, token in enumerate(BYTE_TOKENS)}


class Bytes:
    """The bytes of the UTF-8 text, written ``<0x00>`` ... ``<0xFF>``: 256 tokens cover every text."""

    kind = "bytes"
    reversible = True

    def tokenize(self, text: str) -> list[str]:
        return [BYTE_TOKENS[value] for value in text.encode("utf-8")]

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The exact text; bytes that are no UTF-8 (a model may write them) become U+FFFD.

        Raises:
            UserError: a token that is no byte (65).
        """
        try:
            return bytes([_BYTE_VALUES[token] for token in tokens]).decode("utf-8", errors="replace")
        except KeyError as error:
            raise data_error(f"'{error.args[0]}' is not a byte token (<0x00> to <0xFF>)") from None

    def offsets(self, text: str) -> list[Offsets]:
        """Each byte stands where its character does."""
        sizes = [len(character.encode("utf-8")) for character in text]
        return [(place, place + 1) for place, size in enumerate(sizes) for _ in range(size)]


class Joined:
    """Another tokenizer whose tokens say where the text has no space, so that the text comes back exactly.

    ``￭`` on one side of a token means no space on that side (``Hello ￭, world``). White space that is not one plain
    space becomes a token of its own, spelled as in `seqcli.text.marks` (two spaces: ``￭▁▁￭``).
    """

    reversible = True

    def __init__(self, base: Whitespace | Words) -> None:
        self.base = base
        self.kind = base.kind

    def tokenize(self, text: str) -> list[str]:
        return self._marked(text)[0]

    def offsets(self, text: str) -> list[Offsets]:
        return self._marked(text)[1]

    def _marked(self, text: str) -> tuple[list[str], list[Offsets]]:
        spell: Callable[[str], str] = mark if needs_marks(text.replace(" ", "")) else str
        marked: list[str] = []
        places: list[Offsets] = []
        end = 0
        left_is_word = True  # a joiner goes to the side that is no word: Hello ￭, and (￭ hello
        for start, stop in self.base.offsets(text):
            token = spell(text[start:stop])
            if start == end and marked:
                if token[0].isalnum() and not left_is_word:
                    marked[-1] += JOINER
                else:
                    token = JOINER + token
            elif start > end and not (start == end + 1 and text[end] == " " and marked):
                marked.append(f"{JOINER if marked else ''}{mark(text[end:start])}{JOINER}")
                places.append((end, start))
            marked.append(token)
            places.append((start, stop))
            left_is_word = text[stop - 1].isalnum()
            end = stop
        if end < len(text):
            marked.append(f"{JOINER if marked else ''}{mark(text[end:])}")
            places.append((end, len(text)))
        return marked, places

    def detokenize(self, tokens: Sequence[str]) -> str:
        line = " ".join(tokens).replace(f" {JOINER}", "").replace(f"{JOINER} ", "")
        return unmark(line.replace(JOINER, ""))


class Lowercased:
    """Another tokenizer on lower-cased text; case does not come back."""

    reversible = False

    def __init__(self, base: Tokenizer) -> None:
        self.base = base
        self.kind = base.kind
        # Words are cut before they are lower-cased (Mr. is an abbreviation, mr. is not); pieces and bytes after.
        self._cut_first = base.kind in {Words.kind, Whitespace.kind}

    def tokenize(self, text: str) -> list[str]:
        if self._cut_first:
            return [*map(lower, self.base.tokenize(text))]
        return self.base.tokenize(lower(text))

    def detokenize(self, tokens: Sequence[str]) -> str:
        return self.base.detokenize(tokens)

    def offsets(self, text: str) -> list[Offsets]:
        return self.base.offsets(text if self._cut_first else lower(text))  # of the same length


_PLAIN: dict[str, Callable[[], Tokenizer]] = {
    "whitespace": Whitespace,
    "words": Words,
    "characters": Characters,
    "bytes": Bytes,
}
KINDS = (*_PLAIN, "sentencepiece")


def build_tokenizer(
    kind: str, model: Path | None = None, *, joiner: bool = False, lowercase: bool = False
) -> Tokenizer:
    """The tokenizer of a kind.

    Args:
        model: the model file, for ``sentencepiece`` and no other kind.
        joiner: mark where tokens had no space between (``words`` and ``whitespace``): makes them reversible.

    Raises:
        UserError: an unknown kind, or an option that the kind does not take (2); a model that cannot be read (74) or
            is none (65).
    """
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"Choose one of {', '.join(KINDS)}."
        raise usage_error(f"unknown tokenizer kind '{kind}'", hint=hint)
    if (kind == "sentencepiece") != (model is not None):
        raise usage_error(
            "sentencepiece needs a model file" if model is None else f"tokenizer kind '{kind}' takes no model file",
            hint="Train one: seqcli vocab train-pieces CORPUS -o sp.model" if model is None else None,
        )
    if joiner and kind not in {"words", "whitespace"}:
        raise usage_error(f"tokenizer kind '{kind}' takes no joiner", hint="It marks spaces by itself.")
    tokenizer: Tokenizer = _PLAIN[kind]() if model is None else SentencePieces(model)
    if joiner and isinstance(tokenizer, Words | Whitespace):
        tokenizer = Joined(tokenizer)
    return Lowercased(tokenizer) if lowercase else tokenizer


def tokenizer_of(config: Component, model: Path | None = None) -> Tokenizer:
    """The tokenizer of a recipe's section; ``model`` is where its model file is, for ``sentencepiece``."""
    return build_tokenizer(config.kind, model if config.kind == "sentencepiece" else None)


def _side_by_side(sizes: Iterable[int]) -> list[Offsets]:
    ends = [0, *accumulate(sizes)]
    return [*pairwise(ends)]


_ASCII_CLUSTERS = re.compile(r"\r\n|.", re.DOTALL)


def _clusters(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_CLUSTERS.findall(text)
    import regex

    clusters: list[str] = regex.findall(r"\X", text)
    return clusters
