"""Parallel text: files that go line by line, named together with braces, ``train.{en,de}.gz``.

The first name in the braces is the source's, the others the targets'; several targets are references of each line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest
from pathlib import Path
from statistics import median

from seqcli.data.braces import is_parallel, parallel_files
from seqcli.data.example import Example
from seqcli.data.formats.base import Format, Reading
from seqcli.errors import data_error, plural
from seqcli.files import sha256_file
from seqcli.lines import Chunk, Input

_LOOK_LINES = 1000
_TIMES = 4
_SPARE = 20
"""A side is too long where it is over `_TIMES` as long as usual beside the other, and over as many characters more."""


class Parallel(Format):
    """One example a line of all files together; a line that is blank in all of them is skipped.

    The target is the line of the other file; where there are several, a list of their lines without blank ones: a
    reference may be missing.
    """

    name = "parallel"
    ends = "file"
    has_target_texts = True

    @classmethod
    def is_named(cls, name: str) -> bool:
        return is_parallel(name)

    @classmethod
    def when_guessed(cls, reading: Reading) -> Reading:
        return replace(reading, columns=None)  # which are those of another split's table

    def examples(self, source: Input) -> Iterator[Example]:
        names = parallel_files(str(source.path if isinstance(source, Chunk) else source))
        is_counted = False
        for number, rows in enumerate(zip_longest(*map(self.lines, names)), 1):
            texts = [row[1] for row in rows if row is not None]
            filled = [place for place, text in enumerate(texts) if text.strip()]
            if not filled and len(texts) == len(names):
                continue
            is_pair = len(filled) > 1 and filled[0] == 0
            if not is_counted and not (is_pair and len(texts) == len(names)):
                is_counted = True
                self._count(names)
            if len(texts) < len(names):
                return
            if is_pair:
                targets = [texts[place] for place in filled[1:]]
                yield Example(texts[0], targets if len(names) > 2 else targets[0], f"{self.file}:{number}")
            else:
                blank = 0 if filled[0] else 1
                self.report(data_error(f"blank, where {names[filled[0]]} has text", file=names[blank], line=number))

    def _count(self, names: Sequence[str]) -> None:
        """Report files of different numbers of lines, with the first line that looks as if one had lost step there."""
        counts = [sum(1 for _ in self.lines(name, "replace")) for name in names]
        if other := next((place for place, count in enumerate(counts) if count != counts[0]), 0):
            self.report(
                data_error(
                    f"{plural(counts[0], 'line')}, but {names[other]} has {counts[other]:,}",
                    file=names[0],
                    hint=self._suspicious(names[0], names[other]) or "Each line of one is that line of the other.",
                )
            )

    def _suspicious(self, source: str, target: str) -> str | None:
        """The first line that is blank in one of two files, or far longer than usual beside that of the other."""
        pairs = zip(self.lines(source, "replace"), self.lines(target, "replace"), strict=False)
        lengths = ((number, len(one.strip()), len(other.strip())) for (number, one), (_, other) in pairs)
        first = list(islice(lengths, _LOOK_LINES))
        usual = median([there / here for _, here, there in first if here and there] or [1.0])
        for number, here, there in chain(first, lengths):
            if bool(here) != bool(there):
                return f"Look at line {number} first: it is blank in {target if here else source} alone."
            expected = here * usual
            if abs(expected - there) > _SPARE and not 1 / _TIMES < there / expected < _TIMES:
                return f"Look at line {number} first: it has {plural(here, 'character')}, and {there:,} in {target}."
        return None

    def files_named(self, path: Path) -> Iterator[tuple[int, Path]]:
        return ((1, Path(name)) for name in parallel_files(str(path)))

    def text_files(self, path: Path) -> list[Path]:
        return [file for _, file in self.files_named(path)]

    def fingerprint(self, path: Path) -> str:
        return hashlib.sha256(" ".join(map(sha256_file, self.text_files(path))).encode()).hexdigest()
