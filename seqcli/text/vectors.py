"""Word vectors in text files: word2vec (with its header line ``V D``), GloVe and fastText; no torch here.

Values stand between spaces, or between tabs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error, plural
from seqcli.lines import read_lines

FORMATS = ("word2vec", "glove", "tsv")
"""What `vector_lines` writes: GloVe is word2vec without the header line, tsv has tabs instead of spaces."""


class _Line(NamedTuple):
    number: int
    word: str
    values: list[str]


def read_vectors(path: Path, dim: int, wanted: Container[str] | None) -> dict[str, NDArray[np.float32]]:
    """Vectors [dim] of the words in ``wanted`` (None: of all); of a word that comes twice the first counts.

    Raises:
        UserError: unreadable file (74); vectors of another size, a line with too few values, one that is no number,
            fewer or more lines than the header says (65).
    """
    vectors: dict[str, NDArray[np.float32]] = {}
    for line in _lines(path, dim):
        if line.word not in vectors and (wanted is None or line.word in wanted):
            vectors[line.word] = _numbers(line, path)
    return vectors


def read_vector_file(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """``(words, matrix [V, D])`` of a whole file, in its order; of a word that comes twice the first counts.

    Raises:
        UserError: as `read_vectors`, and a file without any vector (65).
    """
    lines = _lines(path, None)
    first = next(lines, None)
    if first is None:
        raise data_error("no vectors: the file is empty", file=path)
    words: dict[str, None] = {}

    def rows() -> Iterator[NDArray[np.float32]]:
        for line in chain([first], lines):
            if line.word not in words:
                words[line.word] = None
                yield _numbers(line, path)

    # Grows in place: a list of rows that is stacked at the end would take twice the memory.
    matrix: NDArray[Any] = np.fromiter(rows(), np.dtype((np.float32, len(first.values))))
    return list(words), matrix


def _lines(path: Path, dim: int | None) -> Iterator[_Line]:
    """The lines that hold a vector; ``dim`` None takes the size from the header, else from the first line.

    A word may hold spaces (GloVe 840B does), so the values are counted from the end of the line.
    """
    if path.name.endswith((".bin", ".bin.gz")):
        raise data_error(
            "a word2vec file in binary form is not read",
            file=path,
            hint="gensim makes it text: KeyedVectors.load_word2vec_format(FILE, binary=True)"
            ".save_word2vec_format(OUT).",
        )
    promised: int | None = None
    number, separator = 0, " "
    for number, text in read_lines(path, on_invalid="replace"):
        if number == 1:
            separator = "\t" if "\t" in text else " "
        parts = text.rstrip(separator).split(separator)
        if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            promised, size = map(int, parts)
            if dim is not None and size != dim:
                raise data_error(f"vectors have {plural(size, 'value')}, embedder.dim is {dim}", file=path, line=1)
            dim = size
            continue
        dim, asked = dim or len(parts) - 1, dim
        if len(parts) <= dim or not dim:
            expected = f"a word and {plural(asked, 'value')}" if asked else "a word and its values"
            raise data_error(
                f"expected {expected}, found {plural(len(parts) - 1, 'value')}",
                file=path,
                line=number,
                hint="Every line has as many values, and embedder.dim of a recipe is that number.",
            )
        yield _Line(number, separator.join(parts[:-dim]), parts[-dim:])
    if promised is not None and promised != number - 1:
        raise data_error(
            f"the first line says {plural(promised, 'vector')}, and there are {number - 1:,}: cut off?",
            file=path,
            line=1,
            hint=f"If they are all that is wanted, write '{number - 1} {dim}' there.",
        )


def _numbers(line: _Line, path: Path) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # infinite then, and said below
            values = np.array(line.values, dtype=np.float32)
    except ValueError as error:
        raise data_error("a value is not a number", file=path, line=line.number) from error
    if not np.isfinite(values).all():
        raise data_error("a value is infinite or not a number", file=path, line=line.number)
    return values


def vector_lines(words: Sequence[str], rows: Iterable[NDArray[np.float32]], dim: int, form: str) -> Iterator[str]:
    """The lines of a text file in one of `FORMATS`, without line ends; nine digits give every value back exactly.

    Raises:
        UserError: a word that would break its line (65).
    """
    separator = "\t" if form == "tsv" else " "
    forbidden = {"\n", "\r"} | ({"\t"} if form == "tsv" else set())
    template = separator.join(["%.9g"] * dim)
    if form == "word2vec":
        yield f"{len(words)} {dim}"
    for word, row in zip(words, rows, strict=True):
        if not forbidden.isdisjoint(word):
            raise data_error(f"the word {word!r} would break its line in a file of vectors")
        yield f"{word}{separator}{template % tuple(row.tolist())}"
