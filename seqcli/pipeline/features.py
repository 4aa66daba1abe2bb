"""Features of many media files: several at once, in their order, written as one array of numpy's."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.errors import ExitCode, UserError
from seqcli.files import atomic_write
from seqcli.machine import cores
from seqcli.media.features import Extractor

_AHEAD = 2
"""Files a thread may be ahead of the writer."""


def features_of(files: Sequence[Path], computes: Extractor) -> Iterator[NDArray[np.float32] | UserError]:
    """The features [T, D] of each file, or what is wrong with it, in their order; of a few at once in memory.

    Raises:
        UserError: what no file is to blame for: a package that is not installed (2).
    """

    def work(file: Path) -> NDArray[np.float32] | UserError:
        try:
            return computes.read(MediaFile(file))
        except UserError as error:
            return error

    def checked(found: NDArray[np.float32] | UserError) -> NDArray[np.float32] | UserError:
        if isinstance(found, UserError) and found.code not in (ExitCode.DATA, ExitCode.IO):
            raise found
        return found

    waiting: deque[Future[NDArray[np.float32] | UserError]] = deque()
    with ThreadPoolExecutor(cores()) as pool:  # whose threads end before the program does, whatever ends it
        for file in files:
            if len(waiting) == cores() * _AHEAD:
                yield checked(waiting.popleft().result())
            waiting.append(pool.submit(work, file))
        while waiting:
            yield checked(waiting.popleft().result())


class Rows:
    """An array that grows by rows on disk.

    Attributes:
        shape: of all that was added.
    """

    def __init__(self, handle: IO[bytes]) -> None:
        self.handle, self.shape = handle, (0,)
        self._begin = handle.tell()

    def add(self, rows: NDArray[np.float32]) -> None:
        """Some rows more, all of one width."""
        if self.shape == (0,):
            self.shape = (0, *rows.shape[1:])
            self._write_header()
        self.handle.write(np.ascontiguousarray(rows, "<f4").tobytes())
        self.shape = (self.shape[0] + len(rows), *self.shape[1:])

    def close(self) -> None:
        self.handle.seek(self._begin)
        self._write_header()
        self.handle.seek(0, 2)

    def _write_header(self) -> None:
        """It keeps its length: numpy leaves room for the number of rows."""
        np.lib.format.write_array_header_1_0(self.handle, {"descr": "<f4", "fortran_order": False, "shape": self.shape})


@contextmanager
def npy_rows(out: str) -> Iterator[Rows]:
    """A ``.npy`` file to add rows to, there once all are; ``-`` is standard output.

    Raises:
        UserError: it cannot be written (74).
    """
    is_stream = out == "-" or out.startswith("/dev/") or (Path(out).exists() and not Path(out).is_file())
    with atomic_write(Path(out)) as handle:
        if not is_stream:
            rows = Rows(handle)
            yield rows
            rows.close()
            return
        with tempfile.TemporaryFile() as spool:
            rows = Rows(spool)
            yield rows
            rows.close()
            spool.seek(0)
            shutil.copyfileobj(spool, handle)
