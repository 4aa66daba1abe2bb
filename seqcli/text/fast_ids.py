"""From lines of text to ids of words at full speed, many lines in one pass.

White space cuts a line into chunks, and both ``whitespace`` and ``words`` cut inside of chunks alone, whatever stands
around them (but for an abbreviation's dot, which looks ahead). So each chunk is cut once, and from then on found by
its bytes: all chunks of a block of lines at once, by array operations, in a table that grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.text.chunk_table import LONGEST, ChunkTable, contents
from seqcli.text.tokenizers import Lowercased, Tokenizer, Whitespace
from seqcli.text.words import Words

Ints = NDArray[np.int64]

_LINES = 2048
"""Lines in one pass: their bytes, and what is found of them, stay near the processor."""
_MOST_CHUNKS = 2**18
"""Chunks remembered; past that all are forgotten, so that an endless text takes no endless memory."""

_ODD_SPACES = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
# In front of a space these may keep their dot or not, by what comes next: No. 5, J. Smith.
_LOOKS_AHEAD = re.compile(rb"(?:[A-Z\x80-\xff]|[Nn]os?|[Pp]p?|[Vv]ols?|[Ff]igs?|[Cc]h|[Ss]ec|[Aa]rt|[Ee]q)\.\Z")
_IS_SPACE = np.zeros(256, np.bool_)
_IS_SPACE[[*range(9, 14), *range(28, 33)]] = True


class FastIds:
    """``tokenizer.tokenize`` and ``vocabulary.encode`` of many lines; it remembers what it has seen, so keep it."""

    def __init__(self, tokenizer: Tokenizer, encode: Callable[[list[str]], list[int]]) -> None:
        """Any tokenizer will do; ``whitespace`` and ``words``, lower-cased or not, are fast."""
        self._tokenizer, self._encode = tokenizer, encode
        base = tokenizer.base if isinstance(tokenizer, Lowercased) else tokenizer
        self._by_chunks = isinstance(base, Whitespace | Words)
        self._looks_ahead = isinstance(base, Words)
        self._known = _Known()

    def ids_of(self, lines: Sequence[str]) -> tuple[NDArray[np.int32], Ints]:
        """``(ids, offsets)``: the ids of all lines one after the other; line i is ``ids[offsets[i]:offsets[i + 1]]``.

        Raises:
            UserError: a token has no row, and the vocabulary has no ``<UNK>`` (65).
        """
        ids, sizes = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
        read = self._read if self._by_chunks else self._one_by_one
        for begin in range(0, len(lines), _LINES):
            block_ids, block_sizes = read(lines[begin : begin + _LINES])
            ids.append(block_ids)
            sizes.append(block_sizes)
        return np.concatenate(ids), np.cumsum(np.concatenate(sizes))

    def _one_by_one(self, lines: Sequence[str]) -> tuple[NDArray[np.int32], Ints]:
        encoded = [self._encoded(line) for line in lines]
        ids = np.array([number for line in encoded for number in line], np.int32)
        return ids, np.fromiter(map(len, encoded), np.int64, len(encoded))

    def _encoded(self, text: str) -> list[int]:
        return self._encode(self._tokenizer.tokenize(text))

    def _read(self, lines: Sequence[str]) -> tuple[NDArray[np.int32], Ints]:
        """The ids of some lines, and how many each has."""
        if len(self._known.numbers) > _MOST_CHUNKS:
            self._known = _Known()
        known, text = self._known, _bytes_of(lines)
        starts, sizes, ends = _chunks(text)
        chunks = known.table.find(*contents(text, starts, sizes))
        unseen = np.flatnonzero(chunks < 0)
        if len(unseen):
            chunks[unseen] = self._read_unseen(text, starts, sizes, unseen)
        chunk_ends = np.searchsorted(starts, ends)  # chunks up to the end of each line
        if known.all_single:
            return known.ids.take(chunks), np.diff(chunk_ends, prepend=0)
        counts = known.counts.take(chunks)
        before = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(before[-1]) + np.repeat(known.firsts.take(chunks) - before[:-1], counts)
        return known.ids.take(at), np.diff(before[chunk_ends], prepend=0)

    def _read_unseen(self, text: bytes, starts: Ints, sizes: Ints, at: Ints) -> list[int]:
        """The numbers of these chunks, which the table does not hold: long, new, or ones that look ahead."""
        begins = starts.take(at).tolist()
        stops = (starts.take(at) + sizes.take(at)).tolist()
        following = np.append(starts, len(text))[at + 1].tolist()
        known, numbers, learned = self._known.numbers, [], []
        try:
            for begin, stop, after in zip(begins, stops, following, strict=True):
                chunk = text[begin:stop]
                looks_ahead = self._looks_ahead and chunk[-1] == 46 and _LOOKS_AHEAD.search(chunk) is not None
                if looks_ahead:
                    chunk = _with_next(text, begin, stop, after)
                number = known.get(chunk)
                if number is None:
                    ids = self._encoded(chunk.decode("utf-8", "surrogatepass"))
                    number = known[chunk] = len(known)
                    learned.append(ids[:-1] if len(chunk) > stop - begin else ids)
                    if not looks_ahead and len(chunk) <= LONGEST:
                        self._known.short.append(chunk)
                numbers.append(number)
        finally:  # a word without a row ends the pass; what was numbered before it stays known
            self._known.learn(learned)
        return numbers


class _Known:
    """The chunks seen so far and their ids.

    Attributes:
        numbers: of each chunk, in the order of learning.
        short: the chunks that belong in the table.
        table: finds most of them.
        ids: of all chunks, one after the other; chunk n has ``ids[firsts[n] : firsts[n] + counts[n]]``.
        all_single: each chunk has one id.
    """

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.short: list[bytes] = []
        self.table = ChunkTable([], [])
        self.ids = np.zeros(0, np.int32)
        self.firsts, self.counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.all_single = True

    def learn(self, ids: list[list[int]]) -> None:
        """Take in the ids of the newest chunks; make the table anew when a quarter more are known than it holds."""
        if not ids:
            return
        counts = np.fromiter(map(len, ids), np.int64, len(ids))
        flat = np.array([number for of_one in ids for number in of_one], np.int32)
        self.firsts = np.concatenate([self.firsts, len(self.ids) + np.cumsum(counts) - counts])
        self.ids, self.counts = np.concatenate([self.ids, flat]), np.concatenate([self.counts, counts])
        self.all_single = self.all_single and bool((counts == 1).all())
        if len(self.short) > 1.25 * self.table.size:
            self.table = ChunkTable(self.short, [self.numbers[chunk] for chunk in self.short])


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
