"""From lines of text to ids of words at full speed, many lines in one pass.

White space cuts a line into chunks, and both ``whitespace`` and ``words`` cut inside of chunks alone, whatever stands
around them (but for an abbreviation's dot, which looks ahead). So each chunk is cut once, and from then on found by
its bytes: all chunks of a block of lines at once, by array operations, in a table that grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.text.chunk_table import LONGEST, ChunkTable, contents
from seqcli.text.tokenizers import Lowercased, Tokenizer, Whitespace, Words
from seqcli.text.vocabulary import Vocabulary

Ints = NDArray[np.int64]

_LINES = 2048
"""Lines in one pass: their bytes, and what is found of them, stay near the processor."""
_MOST_CHUNKS = 2**18
"""Chunks remembered; past that all are forgotten, so that an endless text takes no endless memory."""

_ODD_SPACES = "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
# In front of a space these may keep their dot or not, by what comes next: No. 5, J. Smith.
_LOOKS_AHEAD = re.compile(rb"(?:[A-Z\x80-\xff]|[Nn]os?|[Pp]p?|[Vv]ols?|[Ff]igs?|[Cc]h|[Ss]ec|[Aa]rt|[Ee]q)\.\Z")
_IS_SPACE = np.zeros(256, np.bool_)
_IS_SPACE[[*range(9, 14), *range(28, 33)]] = True


class FastIds:
    """``tokenizer.tokenize`` and ``vocabulary.encode`` of many lines; it remembers what it has seen, so keep it."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        """Any tokenizer will do; ``whitespace`` and ``words``, lower-cased or not, are fast."""
        self._tokenizer, self._vocabulary = tokenizer, vocabulary
        base = tokenizer.base if isinstance(tokenizer, Lowercased) else tokenizer
        self._by_chunks = isinstance(base, Whitespace | Words)
        self._looks_ahead = isinstance(base, Words)
        self._forget()

    def ids_of(self, lines: Sequence[str]) -> tuple[NDArray[np.int32], Ints]:
        """``(ids, offsets)``: the ids of all lines one after the other; line i is ``ids[offsets[i]:offsets[i + 1]]``.

        Raises:
            UserError: a token has no row, and the vocabulary has no ``<UNK>`` (65).
        """
        ids, sizes = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
        read = self._read if self._by_chunks else self._one_by_one
        for begin in range(0, len(lines), _LINES):
            found = read(lines[begin : begin + _LINES])
            ids.append(found[0])
            sizes.append(found[1])
        return np.concatenate(ids), np.cumsum(np.concatenate(sizes))

    def _one_by_one(self, lines: Sequence[str]) -> tuple[NDArray[np.int32], Ints]:
        found = [self._encoded(line) for line in lines]
        ids = np.array([number for line in found for number in line], np.int32)
        return ids, np.fromiter(map(len, found), np.int64, len(found))

    def _encoded(self, text: str) -> list[int]:
        return self._vocabulary.encode(self._tokenizer.tokenize(text))

    def _read(self, lines: Sequence[str]) -> tuple[NDArray[np.int32], Ints]:
        """The ids of some lines, and how many each has."""
        if len(self._numbers) > _MOST_CHUNKS:
            self._forget()
        text = _bytes_of(lines)
        starts, sizes, ends = _chunks(text)
        chunks = self._table.find(*contents(text, starts, sizes))
        unseen = np.flatnonzero(chunks < 0)
        if len(unseen):
            chunks[unseen] = self._read_unseen(text, starts, sizes, unseen)
        chunk_ends = np.searchsorted(starts, ends)  # chunks up to the end of each line
        if self._all_single:
            return self._ids.take(chunks), np.diff(chunk_ends, prepend=0)
        counts = self._counts.take(chunks)
        before = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(before[-1]) - np.repeat(before[:-1], counts)
        return (self._ids.take(np.repeat(self._firsts.take(chunks), counts) + within),
                np.diff(before[chunk_ends], prepend=0))

    def _read_unseen(self, text: bytes, starts: Ints, sizes: Ints, at: Ints) -> list[int]:
        """The numbers of these chunks, which the table does not hold: long, new, or ones that look ahead."""
        begins = starts.take(at).tolist()
        stops = (starts.take(at) + sizes.take(at)).tolist()
        following = np.append(starts, len(text))[at + 1].tolist()
        known, numbers = len(self._numbers), []
        for begin, stop, after in zip(begins, stops, following, strict=True):
            chunk = text[begin:stop]
            if self._looks_ahead and chunk[-1] == 46 and _LOOKS_AHEAD.search(chunk):
                chunk = _with_next(text, begin, stop, after)
            number = self._numbers.get(chunk)
            numbers.append(self._learn(chunk, stop - begin) if number is None else number)
        if len(self._numbers) > known:
            self._firsts = np.concatenate([self._firsts, np.array(self._new_firsts, np.int64)])
            self._ids = np.concatenate([self._ids, np.array(self._new_ids, np.int32)])
            self._counts = np.diff(self._firsts, append=len(self._ids))
            self._all_single = len(self._ids) == len(self._firsts) and bool((self._counts == 1).all())
            self._new_firsts, self._new_ids = [], []
            if len(self._short) > 1.25 * self._table.size:
                self._table = ChunkTable(self._short, [self._numbers[chunk] for chunk in self._short])
        return numbers

    def _learn(self, chunk: bytes, size: int) -> int:
        """Cut a new chunk, which may have something of the next one behind it; its number."""
        ids = self._encoded(chunk.decode("utf-8", "surrogatepass"))
        if len(chunk) > size:
            del ids[-1]
        elif size <= LONGEST and not (self._looks_ahead and _LOOKS_AHEAD.search(chunk)):
            self._short.append(chunk)
        number = self._numbers[chunk] = len(self._numbers)
        self._new_firsts.append(len(self._ids) + len(self._new_ids))
        self._new_ids += ids
        return number

    def _forget(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._short: list[bytes] = []
        self._table = ChunkTable([], [])
        self._firsts, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._ids = np.zeros(0, np.int32)
        self._new_firsts: list[int] = []
        self._new_ids: list[int] = []
        self._all_single = True


def _bytes_of(lines: Sequence[str]) -> bytes:
    """The lines with a space in front and a line feed after each, without other line feeds or spaces beyond ASCII."""
    text = "\n".join(lines)
    if text.count("\n") >= len(lines):
        text = "\n".join(line.replace("\n", " ") for line in lines)
    if not text.isascii():
        for space in _ODD_SPACES:
            text = text.replace(space, " ")
    return b" " + text.encode("utf-8", "surrogatepass") + b"\n"


def _chunks(text: bytes) -> tuple[Ints, Ints, Ints]:
    """``(where each chunk begins, how many bytes it has, where each line ends)``."""
    values = np.frombuffer(text, np.uint8)
    spaces = values <= 32
    line_ends = np.flatnonzero(values == 10)
    if np.count_nonzero(values < 32) > len(line_ends):  # control characters: some are white space, others are not
        spaces = _IS_SPACE.take(values)
    edges = np.flatnonzero(spaces[1:] != spaces[:-1]) + 1
    starts = edges[::2]
    return starts, edges[1::2] - starts, line_ends


def _with_next(text: bytes, begin: int, stop: int, after: int) -> bytes:
    """A chunk, the white space behind it and the first character of the next chunk of its line, if there is one."""
    if b"\n" in text[stop:after]:
        return text[begin:stop]
    size = 1 if text[after] < 0x80 else 2 if text[after] < 0xE0 else 3 if text[after] < 0xF0 else 4
    return text[begin : after + size]
