"""Pretrained word vectors from text files: word2vec (with its header line), GloVe and fastText."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error
from seqcli.lines import read_lines


def read_vectors(path: Path, dim: int, wanted: Container[str] | None) -> dict[str, NDArray[np.float32]]:
    """Vectors [dim] of the words in ``wanted`` (None: of all); of a word that comes twice the first counts.

    A word may hold spaces (GloVe 840B does), so the values are counted from the end of the line.

    Raises:
        UserError: unreadable file (74); a line with too few values or one that is no number (65).
    """
    found: dict[str, NDArray[np.float32]] = {}
    for number, line in read_lines(path, on_invalid="replace"):
        parts = line.rstrip(" ").split(" ")
        if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            if int(parts[1]) != dim:
                raise data_error(f"vectors have {parts[1]} values, embedder.dim is {dim}", file=path, line=1)
            continue
        if len(parts) <= dim:
            raise data_error(f"expected a word and {dim} values, found {len(parts) - 1} values", file=path, line=number,
                             hint="embedder.dim must equal the size of the vectors.")
        word = " ".join(parts[:-dim])
        if word in found or (wanted is not None and word not in wanted):
            continue
        try:
            found[word] = np.array(parts[-dim:], dtype=np.float32)
        except ValueError as error:
            raise data_error("a value is not a number", file=path, line=number) from error
    return found
