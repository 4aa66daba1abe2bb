"""Encoding a split once: read, cut into fields, number the symbols, write the arrays. Imports no torch.

Large files are read in parts by one process a core; the parts come back in order, so the result is the same for any
number of processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seqcli.data.arrays import FORMAT_VERSION, Columns, Part, PartField, SplitWriter, other_width, publish
from seqcli.data.example import Example, place
from seqcli.errors import UserError, data_error, usage_error
from seqcli.files import remove_whatever
from seqcli.machine import cores

PARALLEL_BYTES = 16 * 2**20
"""Smaller files are encoded in this process: starting workers takes longer than the work."""

MAX_FILES = 2**16
"""Files of a split: an example keeps the number of its file in two bytes."""

_EXAMPLES_A_PART = 100_000
_VALUES_A_PART = 2**21

_AHEAD = 2
"""Parts a process may be ahead of the writer: unbounded, a slow disk would fill the memory with finished parts."""

Fields = Mapping[str, Any]


class Cut(dict[str, Any]):
    """Fields of an example that was too long and of which only the beginning was kept: `Columns.cut` counts it."""


class Apart(dict[str, Any]):
    """Fields of one of several examples that stand together, such as a source with each of its targets: none is cut."""


class Pieces(Protocol):
    """What a task makes of an example: one mapping of fields, or several where a long sequence is cut.

    A field is a list of strings, or a float array [T, width] with T > 0 and the same width in all examples (stored as
    float32, or as float64 where the first is). `Cut` says
    that only the beginning of an example was kept. Must be picklable.
    """

    def __call__(self, example: Example) -> Iterable[Fields]: ...


@dataclass(frozen=True)
class EncodeJob:
    """What `encode_split` encodes.

    ``parts``: one list a file of whatever ``read`` turns into examples (a whole file, or pieces of it);
    ``key``: hash of everything that decides the result, the name of its folder in the cache;
    ``nothing``: what to say where there is no example; ``notes``: what ``pieces`` has to say of the files it has read, picklable
    with it.
    """

    files: Sequence[str]
    parts: Sequence[Sequence[Any]]
    read: Callable[[Any], Iterator[Example]]
    pieces: Pieces
    key: str
    size: int
    nothing: Callable[[], UserError] = lambda: data_error("no example")
    notes: Callable[[], Sequence[str]] = tuple


def encode_split(
    job: EncodeJob,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    damaged: Callable[[UserError], object] = lambda error: None,
) -> Columns:
    """The split of ``job`` from the cache, encoded first if it is not there; ``progress`` is told (parts done, all).

    What is ``damaged`` there is made anew.

    Raises:
        UserError: bad data (65), with file and line; no examples at all (65); more than `MAX_FILES` files (2).
    """
    folder = cache / f"{job.key[:32]}-{FORMAT_VERSION}"
    if os.path.lexists(folder):
        try:
            return Columns(folder, job.files)
        except UserError as error:
            damaged(error)
            remove_whatever(folder)
    if len(job.files) > MAX_FILES:
        raise usage_error(f"a split of {len(job.files):,} files; there may be {MAX_FILES:,}", hint="Join some of them.")
    cache.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=cache, prefix="encoding-"))
    try:
        writer = SplitWriter(temporary / "split", job.files)
        tasks = [(file, part) for file, parts in enumerate(job.parts) for part in parts]
        for done, parts in enumerate(_encoded(job, tasks), 1):
            for part in parts:
                writer.add(part)
            if progress is not None:
                progress(done, len(tasks))
        if writer.size == 0:
            raise job.nothing()
        writer.close()
        publish(temporary / "split", folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Columns(folder, job.files)


def _encoded(job: EncodeJob, tasks: list[tuple[int, Any]]) -> Iterator[Iterable[Part]]:
    """What each task gives, in order."""
    workers = min(len(tasks), cores())
    if workers < 2 or job.size < PARALLEL_BYTES:
        for file, part in tasks:
            yield encode_examples(job.read(part), job.pieces, file, job.notes)
        return
    from multiprocessing import get_context

    # spawn, not fork: a forked child of a process whose thread pools have started can hang
    with get_context("spawn").Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        for parts in in_order(
            pool.apply_async, partial(_work, job.read, job.pieces, job.notes), tasks, workers * _AHEAD
        ):
            if isinstance(parts, UserError):
                raise parts
            yield parts


def in_order(submit: Callable[..., Any], work: Callable[[Any], Any], tasks: Iterable[Any], ahead: int) -> Iterator[Any]:
    """The results of ``work`` in the order of the tasks, at most ``ahead`` of them begun and not yet taken.

    ``submit(work, (task,))`` begins one and returns what has its result in ``get()``.
    """
    waiting: deque[Any] = deque()
    for task in tasks:
        if len(waiting) == ahead:
            yield waiting.popleft().get()
        waiting.append(submit(work, (task,)))
    while waiting:
        yield waiting.popleft().get()


def _work(
    read: Callable[[Any], Iterator[Example]], pieces: Pieces, notes: Callable[[], Sequence[str]], task: tuple[int, Any]
) -> list[Part] | UserError:
    file, part = task
    try:
        return list(encode_examples(read(part), pieces, file, notes))
    except UserError as error:
        return error


@dataclass
class _Collector:
    """Symbols are numbered by a dictionary that counts: looking a symbol up numbers it."""

    table: defaultdict[str, int] = field(default_factory=lambda: defaultdict(count().__next__))
    ids: array[int] = field(default_factory=lambda: array("I"))
    rows: list[Any] = field(default_factory=list)
    lengths: array[int] = field(default_factory=lambda: array("q"))

    def add(self, values: Any, at: str) -> None:
        if isinstance(values, np.ndarray):
            if not len(values):
                file, line = place(at)
                raise data_error("a sequence without a single frame", file=file, line=line)
            if self.rows and self.rows[0].shape[1] != values.shape[1]:
                raise other_width(values.shape[1], self.rows[0].shape[1], *place(at))
            self.rows.append(values if values.dtype == np.float64 else np.asarray(values, np.float32))
        else:
            self.ids.extend(map(self.table.__getitem__, values))
        self.lengths.append(len(values))

    def finish(self) -> PartField:
        lengths = np.array(self.lengths, np.int64)
        if self.rows:
            return PartField(np.concatenate(self.rows), lengths, [])
        return PartField(np.array(self.ids, np.uint32), lengths, list(self.table))


class _PartBuilder:
    """Takes examples until the part is large enough; keeps their ids, not the examples."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.collectors: dict[str, _Collector] = defaultdict(_Collector)
        self.lines = array("q")
        self.examples = self.size = self.cut = 0

    def add(self, example: Example, pieces: Pieces) -> None:
        shortened = False
        for number, fields in enumerate(pieces(example)):
            shortened |= (number > 0 and not isinstance(fields, Apart)) or isinstance(fields, Cut)
            self.lines.append(example.line)
            for name, values in fields.items():
                self.collectors[name].add(values, example.at)
                self.size += values.size if isinstance(values, np.ndarray) else len(values)
        self.examples += 1
        self.cut += shortened

    @property
    def full(self) -> bool:
        return self.examples >= _EXAMPLES_A_PART or self.size >= _VALUES_A_PART

    def finish(self, notes: Sequence[str]) -> Part:
        fields = {name: collector.finish() for name, collector in self.collectors.items()}
        return Part(self.file, np.array(self.lines, np.int64), fields, self.cut, notes)


def encode_examples(
    examples: Iterator[Example], pieces: Pieces, file: int, notes: Callable[[], Sequence[str]] = tuple
) -> Iterator[Part]:
    """Number the symbols of the examples, in parts of bounded size."""
    builder = _PartBuilder(file)
    for example in examples:
        builder.add(example, pieces)
        if builder.full:
            yield builder.finish(notes())
            builder = _PartBuilder(file)
    if builder.examples:
        yield builder.finish(notes())
